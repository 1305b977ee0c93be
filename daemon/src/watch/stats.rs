//! `ROOT/stats`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use belvedere_pipelines::{CameraCounters, abandoned_pipelines};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::alerting::Alerting;
use super::camera_state::CameraState;
use super::progress::{CameraProgress, ProgressValues};
use super::switched_camera::SwitchedCamera;
use crate::alerts::AlertCounts;
use crate::config::MqttSettings;
use crate::messages::{CameraStats, DroppedFrames, MqttStats, StatsMessage, to_json};
use crate::mqtt::{MqttCounters, Outbox, topics};
use crate::process;

/// Where the numbers of a camera come from.
pub(super) struct CameraSource {
    pub(super) state: watch::Receiver<CameraState>,
    pub(super) counters: Arc<CameraCounters>,
    pub(super) progress: Arc<CameraProgress>,
    /// The numbers of the last message.
    last: ProgressValues,
}

impl CameraSource {
    pub(super) fn new(camera: &SwitchedCamera, progress: Arc<CameraProgress>) -> CameraSource {
        let (state, counters) = (camera.state(), Arc::clone(camera.counters()));
        let last = progress.values();
        CameraSource { state, counters, progress, last }
    }

    fn stats(&mut self, elapsed: Duration, alerts: AlertCounts) -> CameraStats {
        let pipeline = self.counters.values();
        let now = self.progress.values();
        let analysed = now.analysed - self.last.analysed;
        let age_ms = now.age_ms_sum - self.last.age_ms_sum;
        self.last = now;
        CameraStats {
            status: self.state.borrow().as_str(),
            analysed: now.analysed,
            analysed_fps: hundredths(analysed as f64 / elapsed.as_secs_f64()),
            results: now.results,
            mean_age_ms: age_ms.checked_div(analysed),
            decoded: pipeline.decoded,
            dropped: DroppedFrames::new(pipeline, now),
            alerts: alerts.into(),
            stream_errors: pipeline.errors,
            reconnects: pipeline.reconnects,
        }
    }
}

/// Everything that the statistics are made of.
pub(super) struct Stats {
    started: Instant,
    device: Mutex<String>,
    topic: String,
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    alerting: Arc<Alerting>,
    cameras: Mutex<BTreeMap<String, CameraSource>>,
    interval: watch::Sender<Duration>,
}

impl Stats {
    /// Of no camera yet.
    pub(super) fn new(
        started: Instant,
        mqtt: &MqttSettings,
        outbox: Arc<Outbox>,
        counters: Arc<MqttCounters>,
        alerting: Arc<Alerting>,
    ) -> Stats {
        Stats {
            started,
            device: Mutex::default(),
            topic: topics::stats(&mqtt.topic),
            outbox,
            counters,
            alerting,
            cameras: Mutex::default(),
            interval: watch::Sender::new(mqtt.stats_interval),
        }
    }

    /// Takes in a camera.
    pub(super) fn take_in(&self, camera: &str, source: CameraSource) {
        lock(&self.cameras).insert(camera.to_owned(), source);
    }

    /// Lets a camera go.
    pub(super) fn let_go(&self, camera: &str) {
        lock(&self.cameras).remove(camera);
    }

    /// Something else runs the model.
    pub(super) fn change_device(&self, device: &str) {
        device.clone_into(&mut lock(&self.device));
    }

    /// A message is to be published so often, from now on.
    pub(super) fn change_interval(&self, interval: Duration) {
        self.interval.send_replace(interval);
    }

    /// Publishes messages, for ever.
    pub(super) async fn publish(self: Arc<Stats>) {
        let mut interval = self.interval.subscribe();
        let mut last = Instant::now();
        loop {
            let every = *interval.borrow_and_update();
            let mut ticks = tokio::time::interval(every);
            // After a suspend, one message is enough.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                tokio::select! {
                    _ = ticks.tick() => {
                        let message = self.message(last.elapsed());
                        last = Instant::now();
                        self.outbox.push_result(self.topic.clone(), to_json(&message));
                    }
                    change = interval.changed() => {
                        if change.is_err() {
                            return;
                        }
                        break;
                    }
                }
            }
        }
    }

    fn message(&self, elapsed: Duration) -> StatsMessage {
        let mut sources = lock(&self.cameras);
        let cameras = sources
            .iter_mut()
            .map(|(name, camera)| (name.clone(), camera.stats(elapsed, self.alerting.counts(name))));
        let cameras = cameras.collect();
        drop(sources);
        StatsMessage {
            time: SystemTime::now(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.started.elapsed().as_secs(),
            device: lock(&self.device).clone(),
            peak_memory_bytes: process::peak_memory_bytes().unwrap_or_default(),
            abandoned_pipelines: abandoned_pipelines() as u64,
            mqtt: MqttStats {
                counts: self.counters.counts(),
                waiting: self.outbox.len(),
                spool_in_memory_only: self.outbox.is_spool_in_memory_only(),
            },
            cameras,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the process.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
