//! `belvedere run`: cameras, model and broker put together, watched over, and taken apart.

mod alerting;
mod announcing;
mod asking;
mod camera_state;
mod cameras;
mod config_files;
mod config_topic;
mod failures_in_a_row;
mod flight;
#[cfg(fuzzing)]
pub mod fuzzed;
mod listening;
mod model_thread;
mod on_page;
mod progress;
mod questions;
mod readiness;
mod reloading;
mod retained_topics;
mod room;
mod signals;
mod starting;
mod state_topic;
mod stats;
mod stopping;
mod switched_camera;
mod switches;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use belvedere_models::CancelToken;
use belvedere_pipelines::PipelineError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::analyst::AnalysisError;
use crate::broker::BrokerError;
use crate::config::Settings;
use crate::http::{HttpError, HttpServer};
use crate::live::Live;
use crate::mqtt::spool::SpoolError;
use crate::mqtt::{MqttCounters, MqttError, Outbox};
use crate::prompter::Prompter;
use crate::systemd::Systemd;

pub(crate) use asking::pace::Pace;
use cameras::Cameras;
pub use config_files::ConfigFiles;
use config_topic::ConfigTopic;
pub use config_topic::{ConfigReport, ConfigState, ReportedProblem};
use listening::Listening;
use model_thread::ModelThread;
pub use progress::{CameraProgress, ProgressValues};
pub use questions::unaskable;
use readiness::Readiness;
pub use signals::{Hangups, Signals};
use state_topic::StateTopic;

/// A broker has this long to take what is left, before it is left.
const BROKER_LIMIT: Duration = Duration::from_millis(1200);

/// Why the daemon does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The model cannot be loaded.
    #[error("model: {0}")]
    Model(#[source] AnalysisError),
    /// Another model cannot be loaded beside the one that runs.
    #[error(
        "another model needs about {needed_mb} MiB beside the one that runs, and {available_mb} MiB are available; \
         restart the daemon to change it"
    )]
    NoRoom {
        /// What it is thought to need, in MiB.
        needed_mb: u64,
        /// What the system can give, in MiB.
        available_mb: u64,
    },
    /// What a camera is to be asked cannot be asked of this model.
    #[error("camera {camera}: {task}: {reason}")]
    Question {
        /// The camera.
        camera: String,
        /// The task.
        task: &'static str,
        /// Why.
        #[source]
        reason: Box<AnalysisError>,
    },
    /// A phrase cannot be looked for by this model.
    #[error("camera {camera}: the phrase {phrase:?}: {reason}")]
    Phrase {
        /// The camera.
        camera: String,
        /// The phrase.
        phrase: String,
        /// Why.
        #[source]
        reason: Box<AnalysisError>,
    },
    /// The way to the broker is wrong.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// The messages that must not be lost cannot be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The embedded broker does not run.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The page cannot be served.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A camera cannot be set up.
    #[error(transparent)]
    Camera(#[from] PipelineError),
    /// The model thread ended while it was needed.
    #[error("the model thread ended: {0}")]
    ModelThread(String),
    /// The system refuses a thread or signals.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl WatchError {
    /// Whether a device or a library that is needed is missing on this machine.
    pub fn is_unavailable(&self) -> bool {
        match self {
            WatchError::Model(error) => error.is_unavailable(),
            WatchError::Camera(PipelineError::GStreamer { .. }) => true,
            _ => false,
        }
    }
}

/// A running daemon.
pub struct Watch {
    /// What it runs on.
    settings: Settings,
    device: String,
    state: StateTopic,
    config: ConfigTopic,
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    /// Where the broker inside listens, if there is one.
    embedded: Option<SocketAddr>,
    live: Arc<Live>,
    http: Option<HttpServer>,
    /// Whether the broker is connected, whichever it is.
    connected: watch::Sender<bool>,
    listening: Listening,
    cameras: Cameras,
    /// Publish the statistics, let time pass.
    tasks: JoinSet<()>,
    model: ModelThread,
    prompter: Prompter,
    systemd: Systemd,
    readiness: Readiness,
    cancel: CancelToken,
}

impl Watch {
    /// What runs the model, in one line.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Where the page is served.
    pub fn page(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// Waits for a part to fail that is never to end.
    ///
    /// # Errors
    /// Always: that is what it waits for.
    pub async fn failed(&mut self) -> WatchError {
        WatchError::ModelThread(self.model.ended().await)
    }

    /// Whether the configuration that runs is the one that is written; changes wake the receiver.
    pub fn configuration(&self) -> watch::Receiver<ConfigReport> {
        self.config.report()
    }

    /// What it does, for `systemctl status`.
    fn status(&self) -> String {
        format!("watching {} camera(s); {}", self.cameras.len(), self.device)
    }
}
