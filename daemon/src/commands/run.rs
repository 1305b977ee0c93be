//! `belvedere run`

use std::path::Path;
use std::time::Duration;

use super::CommandError;
use crate::config::{self, Settings};
use crate::exit::Exit;
use crate::logging;
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
        Ok(Ended::BeforeStart) => runtime.shutdown_timeout(STOP_LIMIT),
        // A camera or a model that hangs must not hold the process, after a failure neither.
        _ => runtime.shutdown_background(),
    }
    ended.map(|_| Exit::Done)
}

/// How a daemon ended in good order.
enum Ended {
    /// The model was still being loaded.
    BeforeStart,
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
    // Loading a model takes a while; a signal ends it.
    let mut watch = tokio::select! {
        started = Watch::start(settings) => started?,
        signal = signals.received() => {
            tracing::info!(signal, "stopped before it had started");
            return Ok(Ended::BeforeStart);
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
