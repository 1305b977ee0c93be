//! `belvedere run`: cameras, model and broker put together, watched over, and taken apart.

mod alerting;
mod announcing;
mod asking;
mod camera_state;
#[cfg(fuzzing)]
pub mod fuzzed;
mod model_thread;
mod progress;
mod signals;
mod stats;
mod switched_camera;
mod switches;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_models::CancelToken;
use belvedere_pipelines::{PipelineError, Scheduler};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::analyst::{AnalysisError, Analyst};
use crate::broker::{BrokerError, EmbeddedBroker};
use crate::bundled;
use crate::config::{Broker, CameraSettings, OutboxPlace, OutboxSettings, Settings};
use crate::http::{HttpError, HttpServer};
use crate::live::{Live, Phase};
use crate::metrics::MetricSources;
use crate::mqtt::spool::{self, SpoolError};
use crate::mqtt::{InboxLimits, Link, LinkOptions, MqttCounters, MqttError, Outbox, Subscription, topics};

use alerting::Alerting;
use announcing::Announcing;
pub(crate) use asking::pace::Pace;
use asking::{Answering, AskedCamera, Asking};
use camera_state::{CameraState, CameraStates};
use model_thread::{ModelThread, Questions};
pub use progress::{CameraProgress, Progress, ProgressValues};
pub use signals::Signals;
use switched_camera::SwitchedCamera;
use switches::{Switches, first_positions};

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
    device: String,
    topic: String,
    outbox: Arc<Outbox>,
    alerting: Arc<Alerting>,
    live: Arc<Live>,
    http: Option<HttpServer>,
    link: Link,
    cameras: Vec<SwitchedCamera>,
    /// Hear what others say, tell Home Assistant, publish the statistics, let time pass.
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
        let (live, questions_of_page) = Live::new()?;
        let http = match &settings.http {
            Some(http) => Some(HttpServer::start(http, Arc::clone(&live)).await?),
            None => None,
        };
        let embedded = embedded_broker(&settings)?;
        let counters = Arc::new(MqttCounters::default());
        let outbox = Arc::new(open_outbox(&settings.mqtt.outbox, &counters)?);
        let topic = settings.mqtt.topic.clone();
        let positions = first_positions(&settings.cameras, &outbox);
        let is_enabled =
            |camera: &CameraSettings| positions.get(&camera.name).copied().unwrap_or(camera.enabled);
        for camera in &settings.cameras {
            let (status, position) = if is_enabled(camera) { ("offline", "ON") } else { ("disabled", "OFF") };
            outbox.set_state(topics::status(&topic, &camera.name), status);
            outbox.set_state(topics::enabled_state(&topic, &camera.name), position);
        }
        outbox.set_state(topics::available(&topic), "online");
        let shown = settings.cameras.iter().map(|camera| live.add_camera(camera, is_enabled(camera)));
        let shown: Vec<_> = shown.collect();
        let alerting =
            Arc::new(Alerting::new(&settings.cameras, &topic, Arc::clone(&outbox), Arc::clone(&live)));
        alerting.begin();
        let options = LinkOptions::new(&settings.mqtt, embedded)?;
        let (announcing, mut subscriptions) = Announcing::new(&settings, Arc::clone(&outbox));
        let limits = InboxLimits { payload_bytes: switches::MAX_PAYLOAD_BYTES, newest_of_topic: true };
        let switched = settings.cameras.iter().map(|camera| topics::enabled_set(&topic, &camera.name));
        let switched: Vec<String> = switched.collect();
        let (subscription, commands) =
            Subscription::new(topics::enabled_set(&topic, "+"), limits, move |topic| {
                switched.iter().any(|switched| switched == topic)
            });
        subscriptions.push(subscription);
        let limits = InboxLimits { payload_bytes: asking::MAX_PAYLOAD_BYTES, newest_of_topic: false };
        let (subscription, questions_asked) = Subscription::new(topics::ask(&topic, "+"), limits, |_| true);
        subscriptions.push(subscription);
        let link = Link::spawn_listening(options, Arc::clone(&outbox), Arc::clone(&counters), subscriptions);
        let mut tasks = JoinSet::new();
        tasks.spawn(announcing.run(link.connected(), link.subscribed()));

        let model = settings.model.clone();
        let loaded = tokio::task::spawn_blocking(move || Analyst::load(&model)).await;
        let analyst =
            loaded.map_err(|error| WatchError::ModelThread(error.to_string()))?.map_err(WatchError::Model)?;
        let device = analyst.description();
        tracing::info!(%device, load_ms = started.elapsed().as_millis() as u64, "model loaded");
        live.set_device(&device);
        if analyst.is_bundled() {
            tracing::warn!("no model.path: this is {}", bundled::KNOWS);
        }

        let mut questions = BTreeMap::new();
        let mut progress = Progress::default();
        for camera in &settings.cameras {
            let asked = Questions::new(&analyst, &topic, camera, progress.add(&camera.name))?;
            questions.insert(camera.name.clone(), asked);
        }
        let scheduler = Scheduler::new();
        let cancel = CancelToken::new();
        let asked = settings.cameras.iter();
        let asked = asked.map(|camera| (camera.name.clone(), AskedCamera { fps: camera.source.fps }));
        let asking = Arc::new(Asking::new(
            &topic,
            Arc::clone(&outbox),
            Arc::clone(&counters),
            asked.collect(),
            Arc::clone(&live),
        ));
        let model = ModelThread::spawn(
            analyst,
            scheduler.clone(),
            questions,
            Arc::clone(&alerting),
            Arc::clone(&outbox),
            Answering::new(Arc::clone(&asking)),
            cancel.clone(),
        )?;

        tasks.spawn(tick_alerts(Arc::clone(&alerting)));
        let mut cameras = Vec::new();
        let mut switches = Switches::new(&topic, Arc::clone(&outbox));
        for (camera, shown) in settings.cameras.iter().zip(shown) {
            let (source, position) = (camera.source.clone(), is_enabled(camera));
            let live = Arc::clone(&shown);
            let switched =
                SwitchedCamera::start(source, position, &topic, &scheduler, &outbox, &alerting, live)?;
            shown.set_numbers(Arc::clone(switched.counters()), progress.of(&camera.name).unwrap_or_default());
            switches.add(camera, switched.switch());
            cameras.push(switched);
        }
        let states = cameras.iter().map(|camera| (camera.name().to_owned(), camera.state()));
        tasks.spawn(asking.hear(questions_asked, questions_of_page, CameraStates(states.collect())));
        tasks.spawn(switches.hear(commands));
        let counts = {
            let alerting = Arc::clone(&alerting);
            move |camera: &str| alerting.counts(camera)
        };
        live.set_sources(MetricSources::new(
            Arc::clone(&outbox),
            Arc::clone(&counters),
            link.connected(),
            counts,
        ));
        live.set_phase(Phase::Running);
        let stats = stats::Stats {
            started,
            device: device.clone(),
            topic: topics::stats(&topic),
            outbox: Arc::clone(&outbox),
            counters,
            cameras: stats::CameraSource::all(&cameras, &progress, &alerting),
        };
        tasks.spawn(stats.publish_every(settings.mqtt.stats_interval));
        Ok(Watch {
            device,
            topic,
            outbox,
            alerting,
            live,
            http,
            link,
            cameras,
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

    /// Whether the broker is connected; changes wake the receiver.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.link.connected()
    }

    /// Takes everything down in order within 5 s: the frame in hand is cancelled, the sources stop,
    /// `offline` is said for every camera and the daemon, the broker is left.
    pub async fn stop(mut self) {
        self.live.set_phase(Phase::Stopping);
        self.cancel.cancel();
        self.scheduler.shut_down();
        let leaving = self.http.take().map(|http| tokio::spawn(http.stop()));
        // Before the cameras go: that they do is not why the alerts end.
        self.alerting.stop();
        let last = |camera: &SwitchedCamera| match *camera.state().borrow() {
            CameraState::Disabled => (camera.name().to_owned(), CameraState::Disabled),
            _ => (camera.name().to_owned(), CameraState::Offline),
        };
        let last: Vec<(String, CameraState)> = self.cameras.iter().map(last).collect();
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
        if let Some(leaving) = leaving {
            // Begun with the rest, and bounded.
            let _ = leaving.await;
        }
        for (camera, state) in last {
            self.outbox.set_state(topics::status(&self.topic, &camera), state.as_str());
        }
        self.outbox.set_state(topics::available(&self.topic), "offline");
        self.link.stop(BROKER_LIMIT).await;
        let flushed = tokio::task::spawn_blocking(move || self.outbox.flush(SPOOL_LIMIT)).await;
        if !flushed.unwrap_or(false) {
            tracing::warn!("the disk is slow; some of the last messages may be sent twice or not at all");
        }
    }
}

/// The outbox with its spool where the settings want it.
fn open_outbox(settings: &OutboxSettings, counters: &Arc<MqttCounters>) -> Result<Outbox, SpoolError> {
    let path = match &settings.place {
        OutboxPlace::File(path) => Some(path.clone()),
        OutboxPlace::Default => spool::default_path(),
        OutboxPlace::Memory => None,
    };
    match path {
        Some(path) => {
            tracing::info!(outbox = %path.display(), "alerts wait for the broker on disk");
            Outbox::open(path, settings.limits, Arc::clone(counters))
        }
        None => {
            let why = match settings.place {
                OutboxPlace::Memory => "mqtt.outbox = false",
                _ => "there is no folder for it; name a file with mqtt.outbox",
            };
            tracing::warn!(why, "alerts wait for the broker in memory only, and a restart loses them");
            Outbox::in_memory(Arc::clone(counters))
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
