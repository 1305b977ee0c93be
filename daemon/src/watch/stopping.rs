//! How the daemon ends.

use std::time::Duration;

use super::{BROKER_LIMIT, Watch};
use crate::live::Phase;
use crate::mqtt::topics;

/// From the signal on, the frame in hand has this long to be cancelled before `offline` is said.
const FRAME_LIMIT: Duration = Duration::from_millis(2000);
/// The cameras have this long to go.
const CAMERAS_LIMIT: Duration = Duration::from_millis(1000);
/// The disk has this long to be told what the broker took.
const SPOOL_LIMIT: Duration = Duration::from_millis(400);

impl Watch {
    /// Takes everything down in order within 5 s: the frame in hand is cancelled, the sources stop,
    /// `offline` is said for every camera and the daemon, the broker is left.
    pub async fn stop(mut self) {
        self.live.set_phase(Phase::Stopping);
        self.cancel.cancel();
        self.cameras.scheduler.shut_down();
        let leaving = self.http.take().map(|http| tokio::spawn(http.stop()));
        // Before the cameras go: that they do is not why the alerts end.
        self.cameras.alerting.stop();
        let (mut stopping, last) = self.cameras.stop();
        if tokio::time::timeout(FRAME_LIMIT, self.model.ended()).await.is_err() {
            tracing::warn!("the model is still busy with its last frame; not waiting for it");
        }
        let stopped = async { while stopping.join_next().await.is_some() {} };
        if tokio::time::timeout(CAMERAS_LIMIT, stopped).await.is_err() {
            tracing::warn!("a camera's pipeline does not stop; not waiting for it");
        }
        self.tasks.shutdown().await;
        self.listening.turn_away().await;
        if let Some(leaving) = leaving {
            // Begun with the rest, and bounded.
            let _ = leaving.await;
        }
        for (camera, state) in last {
            self.outbox.set_state(topics::status(&self.settings.mqtt.topic, &camera), state.as_str());
        }
        self.state.stopped();
        self.outbox.set_state(topics::available(&self.settings.mqtt.topic), "offline");
        self.listening.end(BROKER_LIMIT).await;
        let flushed = tokio::task::spawn_blocking(move || self.outbox.flush(SPOOL_LIMIT)).await;
        if !flushed.unwrap_or(false) {
            tracing::warn!("the disk is slow; some of the last messages may be sent twice or not at all");
        }
    }
}
