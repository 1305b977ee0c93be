//! How the daemon begins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_models::{CancelToken, Device};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::alerting::{self, Alerting};
use super::asking::{Answering, Asking};
use super::cameras::Cameras;
use super::config_topic::ConfigTopic;
use super::listening::Listening;
use super::model_thread::{Change, Hearers, ModelThread};
use super::on_page::{LOADING, OnPage, WARMING_UP};
use super::questions::Questions;
use super::readiness::Readiness;
use super::state_topic::StateTopic;
use super::stats::Stats;
use super::switches::{Switches, first_positions};
use super::{BROKER_LIMIT, Watch, WatchError, retained_topics};
use crate::analyst::{Analyst, Loading};
use crate::broker::EmbeddedBroker;
use crate::building::{BuildListener, BuildReporter, LogLines};
use crate::bundled;
use crate::config::{Broker, CameraSettings, OutboxPlace, OutboxSettings, Settings};
use crate::doctor;
use crate::http::HttpServer;
use crate::live::{Live, Phase};
use crate::metrics::MetricSources;
use crate::mqtt::spool::{self, SpoolError};
use crate::mqtt::{LinkOptions, MqttCounters, Outbox, topics};
use crate::systemd::Systemd;
use crate::watchdog::Watchdog;

/// A camera that has neither given a frame nor failed after so long keeps nobody from being told that the daemon is ready.
const OPENING_LIMIT: Duration = Duration::from_secs(30);

/// Frames to be analysed per second, of all cameras, up to which the bundled model need not be fast.
const LITTLE_FPS: f64 = 2.0;

impl Watch {
    /// Builds everything and starts it: broker and link first, so that the daemon is seen while the
    /// model loads; then the model; cameras last, when there is someone to take their frames. `systemd` hears of all
    /// that. `cancel` ends the loading of the model.
    ///
    /// # Errors
    /// Anything that retrying cannot mend; cancellation. A broker or a camera that is away is no error.
    pub async fn start(
        settings: Settings,
        systemd: &Systemd,
        cancel: CancelToken,
    ) -> Result<Watch, WatchError> {
        let started = Instant::now();
        let (live, questions_of_page) = Live::new()?;
        let http = match &settings.http {
            Some(http) => Some(HttpServer::start(http, Arc::clone(&live)).await?),
            None => None,
        };
        let embedded = embedded_broker(&settings)?;
        let counters = Arc::new(MqttCounters::default());
        let outbox = Arc::new(open_outbox(&settings.mqtt.outbox, &counters)?);
        retained_topics::take_back_what_left(&settings, &outbox);
        let topic = &settings.mqtt.topic;
        let alerting =
            Arc::new(Alerting::new(&settings.cameras, topic, Arc::clone(&outbox), Arc::clone(&live)));
        let stats = Stats::new(
            started,
            &settings.mqtt,
            Arc::clone(&outbox),
            Arc::clone(&counters),
            Arc::clone(&alerting),
        );
        let mut cameras = Cameras::new(
            topic,
            Arc::clone(&outbox),
            Arc::clone(&alerting),
            Arc::new(Asking::new(topic, Arc::clone(&outbox), Arc::clone(&counters), Arc::clone(&live))),
            Arc::new(Switches::new(topic, Arc::clone(&outbox))),
            Arc::new(stats),
            Arc::clone(&live),
        );
        let positions = first_positions(&settings.cameras, &outbox);
        for camera in &settings.cameras {
            cameras.expect(camera, positions.get(&camera.name).copied().unwrap_or(camera.enabled));
        }
        let mut state = StateTopic::loading(topic, Arc::clone(&outbox));
        let config = ConfigTopic::new(topic, Arc::clone(&outbox));
        systemd.status(LOADING);
        outbox.set_state(topics::available(topic), "online");
        alerting.begin();
        let options = LinkOptions::new(&settings.mqtt, embedded)?;
        let connected = watch::Sender::new(false);
        let listening = Listening::begin(options, &settings, &outbox, &counters, &cameras, &connected);

        // The page is open already: what it shows of the broker is to be true while the model loads.
        let of_alerts = Arc::clone(&alerting);
        live.set_sources(MetricSources::new(
            Arc::clone(&outbox),
            Arc::clone(&counters),
            connected.subscribe(),
            move |camera: &str| of_alerts.counts(camera),
        ));

        let told: Vec<Box<dyn BuildListener>> = vec![Box::new(state.clone()), Box::new(systemd.clone())];
        let page = OnPage::Start(Arc::clone(&live));
        let analyst = match load(&settings, cancel.clone(), page, told).await {
            Ok(analyst) => analyst,
            Err(error) => {
                state.stopped();
                outbox.set_state(topics::available(topic), "offline");
                listening.end(BROKER_LIMIT).await;
                return Err(error);
            }
        };
        let device = analyst.description();
        tracing::info!(%device, load_ms = started.elapsed().as_millis() as u64, "model loaded");
        cameras.stats.change_device(&device);
        live.set_device(&device);
        let prompter = analyst.prompter().clone();
        let questions = settings.cameras.iter().map(|camera| {
            let questions = Questions::new(&prompter, topic, camera, cameras.progress(&camera.name))?;
            Ok(Change::Ask(camera.name.clone(), questions))
        });
        let questions = questions.collect::<Result<Vec<_>, WatchError>>()?;
        belvedere_pipelines::start_gstreamer()?;
        let model = ModelThread::spawn(
            analyst,
            cameras.scheduler.clone(),
            Watchdog::from_environment(systemd.clone()),
            Hearers { alerting: Arc::clone(&alerting), outbox: Arc::clone(&outbox), live: Arc::clone(&live) },
            Answering::new(Arc::clone(&cameras.asking)),
            cancel.clone(),
        )?;
        questions.into_iter().for_each(|change| model.change(change));
        for camera in &settings.cameras {
            cameras.open(camera);
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(tick_alerts(Arc::clone(&alerting)));
        tasks.spawn(Arc::clone(&cameras.asking).hear_page(questions_of_page));
        tasks.spawn(Arc::clone(&cameras.stats).publish());
        live.set_phase(Phase::Running);
        state.running(&device);
        let mut watch = Watch {
            settings,
            device,
            state,
            config,
            outbox,
            counters,
            embedded,
            live,
            http,
            connected,
            listening,
            cameras,
            tasks,
            model,
            prompter,
            systemd: systemd.clone(),
            readiness: Readiness::new(systemd.clone()),
            cancel,
        };
        watch.say_ready_when_open();
        Ok(watch)
    }
}

impl Watch {
    /// Tells the service manager that the daemon is ready as soon as every camera was opened, or has said why it cannot
    /// be. Other services may wait for this one: a camera that says nothing is waited for until [`OPENING_LIMIT`].
    fn say_ready_when_open(&mut self) {
        let (readiness, live) = (self.readiness.clone(), Arc::clone(&self.live));
        readiness.opening(&format!("opening {} camera(s)", self.cameras.len()), self.status());
        self.tasks.spawn(async move {
            let mut changes = live.changes();
            let opened = async { while !live.untried().is_empty() && changes.changed().await.is_ok() {} };
            if tokio::time::timeout(OPENING_LIMIT, opened).await.is_err() {
                tracing::warn!(cameras = live.untried().join(", "), "still being opened; not waited for");
            }
            readiness.opened();
        });
    }
}

/// A model that has answered once. The log, `page` and `told` hear how far building engines for it has come.
pub(super) async fn load(
    settings: &Settings,
    cancel: CancelToken,
    page: OnPage,
    mut told: Vec<Box<dyn BuildListener>>,
) -> Result<Analyst, WatchError> {
    told.extend([Box::new(LogLines::default()) as Box<dyn BuildListener>, Box::new(page.clone())]);
    let reporter = BuildReporter::start(told)?;
    let (spares_memory, on_build) = (asks_little(&settings.cameras), reporter.on_build());
    let settings = settings.model.clone();
    let load = move || {
        if settings.device == Device::Auto {
            tracing::info!(why = doctor::reason(settings.device), "device = \"auto\"");
        }
        page.say(LOADING);
        let loading = Loading { on_build, cancel: cancel.clone(), spares_memory, ..Loading::default() };
        let mut analyst = Analyst::load_with(&settings, loading)?;
        page.say(WARMING_UP);
        analyst.warm_up(&cancel)?;
        Ok(analyst)
    };
    let loaded = tokio::task::spawn_blocking(load).await;
    drop(reporter);
    let analyst =
        loaded.map_err(|error| WatchError::ModelThread(error.to_string()))?.map_err(WatchError::Model)?;
    if analyst.is_bundled() {
        tracing::warn!("no model.path: this is {}", bundled::KNOWS);
    }
    Ok(analyst)
}

/// Whether the cameras ask so little that speed is no matter: one camera at the default rate.
fn asks_little(cameras: &[CameraSettings]) -> bool {
    cameras.iter().map(|camera| camera.source.fps).sum::<f64>() <= LITTLE_FPS
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

#[cfg(test)]
mod tests {
    use super::asks_little;
    use crate::live::fixture::camera;

    #[test]
    fn one_camera_at_the_default_rate_asks_little_and_two_do_not() {
        let cameras = [camera("porch", &[]), camera("yard", &[])];
        assert!(asks_little(&[]));
        assert!(asks_little(&cameras[..1]));
        assert!(!asks_little(&cameras));
    }
}
