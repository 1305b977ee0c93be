//! `belvedere run`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use belvedere_models::CancelToken;

use super::CommandError;
use crate::allocator;
use crate::config::{self, FileStamp, Reading, Settings};
use crate::exit::Exit;
use crate::logging;
use crate::systemd::Systemd;
use crate::watch::{ConfigFiles, Hangups, Signals, Watch, WatchError};

/// Everything together ends within this time of the signal, come what may.
const STOP_LIMIT: Duration = Duration::from_millis(4600);
/// Of that, so much is for a reload to come to its end.
const RELOAD_LIMIT: Duration = Duration::from_millis(1000);

pub(super) fn run(path: &Path) -> Result<Exit, CommandError> {
    allocator::settle();
    let Reading { settings, files } = config::read(path);
    let settings = settings?;
    logging::abort_on_panic();
    tracing::info!(
        config = %path.display(),
        cameras = settings.cameras.len(),
        version = env!("CARGO_PKG_VERSION"),
        "configuration loaded"
    );
    let runtime = runtime()?;
    let ended = runtime.block_on(watch(path, settings, files));
    match ended {
        // The library that runs the model is not to be taken down while it loads one: that may end in a crash.
        Ok(Ended::Loading { deadline }) => {
            runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        // A camera or a model that hangs must not hold the process, after a failure neither.
        _ => runtime.shutdown_background(),
    }
    ended.map(|_| Exit::Done)
}

/// How a daemon ended in good order.
enum Ended {
    /// A model was still being loaded, or is.
    Loading {
        deadline: Instant,
    },
    Running,
}

/// Two workers: no task of the daemon computes anything.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CommandError::system("starting threads"))
}

async fn watch(
    path: &Path,
    settings: Settings,
    files: BTreeMap<PathBuf, Option<FileStamp>>,
) -> Result<Ended, CommandError> {
    let mut signals = Signals::listen().map_err(CommandError::system("listening for signals"))?;
    let mut hangups = Hangups::listen().map_err(CommandError::system("listening for signals"))?;
    let mut files = ConfigFiles::new(files);
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
            return Ok(Ended::Loading { deadline });
        }
    };
    let (mut ended, mut deadline) = (Ended::Running, None);
    let failure: Option<WatchError> = loop {
        tokio::select! {
            signal = signals.received() => {
                tracing::info!(signal, "stopping");
                break None;
            }
            failure = watch.failed() => {
                tracing::error!(%failure, "stopping");
                break Some(failure);
            }
            () = hangups.received() => tracing::info!("SIGHUP: reading the configuration again"),
            () = files.changed() => tracing::info!("a file of the configuration has changed; reading it again"),
        }
        let cancel = CancelToken::new();
        let mut reload = pin!(reload(path, &mut watch, &mut files, cancel.clone()));
        tokio::select! {
            () = &mut reload => {}
            signal = signals.received() => {
                tracing::info!(signal, "stopping while the configuration is being taken up");
                cancel.cancel();
                let until = Instant::now() + STOP_LIMIT;
                // The model thread and the cameras are to have their time too.
                let patience = tokio::time::sleep(RELOAD_LIMIT);
                tokio::select! {
                    () = &mut reload => {}
                    () = patience => ended = Ended::Loading { deadline: until },
                }
                deadline = Some(until);
                break None;
            }
        }
    };
    signals.next_one_ends_at_once();
    systemd.stopping();
    let deadline = deadline.unwrap_or_else(|| Instant::now() + STOP_LIMIT);
    if tokio::time::timeout_at(deadline.into(), watch.stop()).await.is_err() {
        tracing::warn!("not everything stopped in time");
    }
    match failure {
        None => {
            tracing::info!("stopped");
            Ok(ended)
        }
        Some(failure) => Err(failure.into()),
    }
}

/// Reads the configuration again and takes it up.
async fn reload(path: &Path, watch: &mut Watch, files: &mut ConfigFiles, cancel: CancelToken) {
    let path = path.to_owned();
    // Files may be on a network that is away.
    match tokio::task::spawn_blocking(move || config::read(&path)).await {
        Ok(reading) => {
            files.read(reading.files);
            watch.reload(reading.settings, cancel).await;
        }
        Err(error) => tracing::error!(%error, "the configuration cannot be read"),
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
