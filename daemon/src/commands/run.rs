//! `belvedere run`

use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use belvedere_models::CancelToken;

use super::CommandError;
use crate::config::{self, Settings};
use crate::exit::Exit;
use crate::logging;
use crate::systemd::Systemd;
use crate::watch::{Signals, Watch, WatchError};

/// Everything together ends within this time of the signal, come what may.
const STOP_LIMIT: Duration = Duration::from_millis(4600);

pub(super) fn run(path: &Path) -> Result<Exit, CommandError> {
    let settings = config::load(path)?;
    logging::abort_on_panic();
    tracing::info!(
        config = %path.display(),
        cameras = settings.cameras.len(),
        version = env!("CARGO_PKG_VERSION"),
        "configuration loaded"
    );
    let runtime = runtime()?;
    let ended = runtime.block_on(watch(settings));
    match ended {
        // The library that runs the model is not to be taken down while it loads one: that may end in a crash.
        Ok(Ended::BeforeStart { deadline }) => {
            runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        // A camera or a model that hangs must not hold the process, after a failure neither.
        _ => runtime.shutdown_background(),
    }
    ended.map(|_| Exit::Done)
}

/// How a daemon ended in good order.
enum Ended {
    /// The model was still being loaded, or is.
    BeforeStart {
        deadline: Instant,
    },
    AfterStart,
}

/// Two workers: no task of the daemon computes anything.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CommandError::system("starting threads"))
}

async fn watch(settings: Settings) -> Result<Ended, CommandError> {
    let mut signals = Signals::listen().map_err(CommandError::system("listening for signals"))?;
    let systemd = Systemd::from_environment();
    // Loading a model takes a while, and building engines for it many minutes; a signal ends it.
    let cancel = CancelToken::new();
    let mut start = pin!(Watch::start(settings, &systemd, cancel.clone()));
    let mut watch = tokio::select! {
        started = &mut start => started?,
        signal = signals.received() => {
            tracing::info!(signal, "stopping before it has started");
            signals.next_one_ends_at_once();
            systemd.stopping();
            cancel.cancel();
            let deadline = Instant::now() + STOP_LIMIT;
            if tokio::time::timeout_at(deadline.into(), stop_start(start)).await.is_err() {
                tracing::warn!("the model is still being loaded; not waiting for it");
            }
            return Ok(Ended::BeforeStart { deadline });
        }
    };
    let failure: Option<WatchError> = tokio::select! {
        signal = signals.received() => {
            tracing::info!(signal, "stopping");
            None
        }
        failure = watch.failed() => {
            tracing::error!(%failure, "stopping");
            Some(failure)
        }
    };
    signals.next_one_ends_at_once();
    systemd.stopping();
    if tokio::time::timeout(STOP_LIMIT, watch.stop()).await.is_err() {
        tracing::warn!("not everything stopped in time");
    }
    match failure {
        None => {
            tracing::info!("stopped");
            Ok(Ended::AfterStart)
        }
        Some(failure) => Err(failure.into()),
    }
}

/// Lets a start that was cancelled come to its end.
async fn stop_start(start: impl Future<Output = Result<Watch, WatchError>>) {
    match start.await {
        // It was faster than the signal.
        Ok(watch) => watch.stop().await,
        Err(error) => tracing::debug!(%error, "not started"),
    }
}
