//! `belvedere run`: cameras, model and broker put together, watched over, and taken apart.

mod alerting;
mod model_thread;
mod progress;
mod signals;
mod stats;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_models::CancelToken;
use belvedere_pipelines::{Camera, CameraHandle, CameraStatus, FailureKind, PipelineError, Scheduler};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::analyst::{AnalysisError, Analyst};
use crate::broker::{BrokerError, EmbeddedBroker};
use crate::bundled;
use crate::config::{Broker, Settings};
use crate::mqtt::spool::SpoolError;
use crate::mqtt::{Link, LinkOptions, MqttCounters, MqttError, Outbox, topics};

use alerting::Alerting;
use model_thread::{ModelThread, Questions};
pub use progress::{CameraProgress, Progress, ProgressValues};
pub use signals::Signals;

/// From the signal on, the frame in hand has this long to be cancelled before `offline` is said.
const FRAME_LIMIT: Duration = Duration::from_millis(2000);
/// The cameras have this long to go.
const CAMERAS_LIMIT: Duration = Duration::from_millis(1000);
/// The broker has this long to take what is left.
const BROKER_LIMIT: Duration = Duration::from_millis(1200);

/// The disk has this long to be told what the broker took.
const SPOOL_LIMIT: Duration = Duration::from_millis(400);

/// Why the daemon does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The model cannot be loaded.
    #[error("model: {0}")]
    Model(#[source] AnalysisError),
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
    device: String,
    topic: String,
    outbox: Arc<Outbox>,
    alerting: Arc<Alerting>,
    link: Link,
    cameras: Vec<CameraHandle>,
    disabled: Vec<String>,
    /// Publish the cameras' states, and the statistics.
    tasks: JoinSet<()>,
    scheduler: Scheduler,
    cancel: CancelToken,
    model: ModelThread,
}

impl Watch {
    /// Builds everything and starts it: broker and link first, so that the daemon is seen while the
    /// model loads; then the model; cameras last, when there is someone to take their frames.
    ///
    /// # Errors
    /// Anything that retrying cannot mend. A broker or a camera that is away is no error.
    pub async fn start(settings: Settings) -> Result<Watch, WatchError> {
        let started = Instant::now();
        let embedded = embedded_broker(&settings)?;
        let counters = Arc::new(MqttCounters::default());
        let outbox = Arc::new(Outbox::in_memory(Arc::clone(&counters))?);
        let topic = settings.mqtt.topic.clone();
        for camera in &settings.cameras {
            let status = if camera.enabled { "offline" } else { "disabled" };
            outbox.set_state(topics::status(&topic, &camera.name), status);
        }
        outbox.set_state(topics::available(&topic), "online");
        let alerting = Arc::new(Alerting::new(&settings.cameras, &topic, Arc::clone(&outbox)));
        alerting.begin();
        let options = LinkOptions::new(&settings.mqtt, embedded)?;
        let link = Link::spawn(options, Arc::clone(&outbox), Arc::clone(&counters));

        let model = settings.model.clone();
        let loaded = tokio::task::spawn_blocking(move || Analyst::load(&model)).await;
        let analyst =
            loaded.map_err(|error| WatchError::ModelThread(error.to_string()))?.map_err(WatchError::Model)?;
        let device = analyst.description();
        tracing::info!(%device, load_ms = started.elapsed().as_millis() as u64, "model loaded");
        if analyst.is_bundled() {
            tracing::warn!("no model.path: this is {}", bundled::KNOWS);
        }

        let mut questions = BTreeMap::new();
        let mut progress = Progress::default();
        for camera in settings.cameras.iter().filter(|camera| camera.enabled) {
            let asked = Questions::new(&analyst, &topic, camera, progress.add(&camera.name))?;
            questions.insert(camera.name.clone(), asked);
        }
        let scheduler = Scheduler::new();
        let cancel = CancelToken::new();
        let model = ModelThread::spawn(
            analyst,
            scheduler.clone(),
            questions,
            Arc::clone(&alerting),
            Arc::clone(&outbox),
            cancel.clone(),
        )?;

        let mut tasks = JoinSet::new();
        tasks.spawn(tick_alerts(Arc::clone(&alerting)));
        let mut cameras = Vec::new();
        for camera in settings.cameras.iter().filter(|camera| camera.enabled) {
            let handle = Camera::spawn(camera.source.clone(), &scheduler)?;
            let publishing = publish_status(
                camera.name.clone(),
                topics::status(&topic, &camera.name),
                handle.status(),
                Arc::clone(&alerting),
                Arc::clone(&outbox),
            );
            tasks.spawn(publishing);
            cameras.push(handle);
        }
        let disabled = settings.cameras.iter().filter(|camera| !camera.enabled);
        let disabled: Vec<String> = disabled.map(|camera| camera.name.clone()).collect();
        let stats = stats::Stats {
            started,
            device: device.clone(),
            topic: topics::stats(&topic),
            outbox: Arc::clone(&outbox),
            counters,
            cameras: stats::CameraSource::all(&cameras, &progress, &alerting),
            disabled: disabled.clone(),
        };
        tasks.spawn(stats.publish_every(settings.mqtt.stats_interval));
        Ok(Watch {
            device,
            topic,
            outbox,
            alerting,
            link,
            cameras,
            disabled,
            tasks,
            scheduler,
            cancel,
            model,
        })
    }

    /// What runs the model, in one line.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Waits for a part to fail that is never to end.
    ///
    /// # Errors
    /// Always: that is what it waits for.
    pub async fn failed(&mut self) -> WatchError {
        WatchError::ModelThread(self.model.ended().await)
    }

    /// Whether the broker is connected; changes wake the receiver.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.link.connected()
    }

    /// Takes everything down in order within 5 s: the frame in hand is cancelled, the sources stop,
    /// `offline` is said for every camera and the daemon, the broker is left.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        self.scheduler.shut_down();
        // Before the cameras go: that they do is not why the alerts end.
        self.alerting.stop();
        let cameras: Vec<String> = self.cameras.iter().map(|camera| camera.name().to_string()).collect();
        let mut stopping = JoinSet::new();
        for camera in self.cameras.drain(..) {
            stopping.spawn(camera.stop());
        }
        if tokio::time::timeout(FRAME_LIMIT, self.model.ended()).await.is_err() {
            tracing::warn!("the model is still busy with its last frame; not waiting for it");
        }
        let stopped = async { while stopping.join_next().await.is_some() {} };
        if tokio::time::timeout(CAMERAS_LIMIT, stopped).await.is_err() {
            tracing::warn!("a camera's pipeline does not stop; not waiting for it");
        }
        self.tasks.shutdown().await;
        for camera in cameras {
            self.outbox.set_state(topics::status(&self.topic, &camera), "offline");
        }
        for camera in &self.disabled {
            self.outbox.set_state(topics::status(&self.topic, camera), "disabled");
        }
        self.outbox.set_state(topics::available(&self.topic), "offline");
        self.link.stop(BROKER_LIMIT).await;
        let flushed = tokio::task::spawn_blocking(move || self.outbox.flush(SPOOL_LIMIT)).await;
        if !flushed.unwrap_or(false) {
            tracing::warn!("the disk is slow; some of the last messages may be sent twice or not at all");
        }
    }
}

fn embedded_broker(settings: &Settings) -> Result<Option<SocketAddr>, WatchError> {
    match settings.mqtt.broker {
        Broker::Remote { .. } => Ok(None),
        Broker::Embedded { listen } => {
            let address = EmbeddedBroker::start(listen)?.address();
            tracing::info!(%address, "embedded broker listens");
            Ok(Some(address))
        }
    }
}

/// Tells the alerts of the time that passes, for ever: they end whether frames come or not.
async fn tick_alerts(alerting: Arc<Alerting>) {
    let mut ticks = tokio::time::interval(alerting::TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        alerting.tick();
    }
}

/// Publishes and logs a camera's status, at the start and at each change, until its supervision ends.
async fn publish_status(
    camera: String,
    topic: String,
    mut status: watch::Receiver<CameraStatus>,
    alerting: Arc<Alerting>,
    outbox: Arc<Outbox>,
) {
    let mut last_logged = None;
    loop {
        let now = status.borrow_and_update().clone();
        match &now {
            CameraStatus::Online => {
                tracing::info!(camera, "camera online");
                outbox.set_state(topic.clone(), "online");
            }
            CameraStatus::Offline { reason } => {
                // Before the first try and after the end there is nothing to warn of, and the same
                // reason again is no news.
                let expected = matches!(reason.kind, FailureKind::NotYetConnected | FailureKind::Stopped);
                if !expected && last_logged.as_ref() != Some(&now) {
                    tracing::warn!(camera, %reason, "camera offline");
                }
                alerting.camera_offline(&camera, &reason.to_string());
                outbox.set_state(topic.clone(), "offline");
            }
        }
        last_logged = Some(now);
        if status.changed().await.is_err() {
            return;
        }
    }
}
