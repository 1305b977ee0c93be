//! `ROOT/stats`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use belvedere_pipelines::{CameraCounters, abandoned_pipelines};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::alerting::Alerting;
use super::camera_state::CameraState;
use super::progress::{CameraProgress, Progress, ProgressValues};
use super::switched_camera::SwitchedCamera;
use crate::messages::{CameraStats, DroppedFrames, MqttStats, StatsMessage, to_json};
use crate::mqtt::{MqttCounters, Outbox};
use crate::process;

/// Where the numbers of a camera come from.
pub(super) struct CameraSource {
    name: String,
    state: watch::Receiver<CameraState>,
    counters: Arc<CameraCounters>,
    progress: Arc<CameraProgress>,
    alerting: Arc<Alerting>,
    /// The numbers of the last message.
    last: ProgressValues,
}

impl CameraSource {
    pub(super) fn all(
        cameras: &[SwitchedCamera],
        progress: &Progress,
        alerting: &Arc<Alerting>,
    ) -> Vec<CameraSource> {
        let source = |camera: &SwitchedCamera| CameraSource {
            name: camera.name().to_owned(),
            state: camera.state(),
            counters: Arc::clone(camera.counters()),
            progress: progress.of(camera.name()).unwrap_or_default(),
            alerting: Arc::clone(alerting),
            last: ProgressValues::default(),
        };
        cameras.iter().map(source).collect()
    }

    fn stats(&mut self, elapsed: Duration) -> CameraStats {
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
            alerts: self.alerting.counts(&self.name).into(),
            stream_errors: pipeline.errors,
            reconnects: pipeline.reconnects,
        }
    }
}

/// Everything that the statistics are made of.
pub(super) struct Stats {
    pub(super) started: Instant,
    pub(super) device: String,
    pub(super) topic: String,
    pub(super) outbox: Arc<Outbox>,
    pub(super) counters: Arc<MqttCounters>,
    pub(super) cameras: Vec<CameraSource>,
}

impl Stats {
    /// Publishes a message at each `interval`, for ever.
    pub(super) async fn publish_every(mut self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        // After a suspend, one message is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut last = Instant::now();
        loop {
            ticks.tick().await;
            let message = self.message(last.elapsed());
            last = Instant::now();
            self.outbox.push_result(self.topic.clone(), to_json(&message));
        }
    }

    fn message(&mut self, elapsed: Duration) -> StatsMessage {
        let cameras = self.cameras.iter_mut().map(|camera| (camera.name.clone(), camera.stats(elapsed)));
        let cameras = cameras.collect();
        StatsMessage {
            time: SystemTime::now(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.started.elapsed().as_secs(),
            device: self.device.clone(),
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

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
