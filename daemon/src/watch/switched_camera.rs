//! A camera that can be switched off and on while the daemon runs.

use std::sync::Arc;

use belvedere_pipelines::{
    Camera, CameraCounters, CameraHandle, CameraStatus, FailureKind, LatestFrame, PipelineError, Scheduler,
    SourceSpec,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::alerting::Alerting;
use super::camera_state::CameraState;
use crate::live::LiveCamera;
use crate::mqtt::{Outbox, topics};

/// A camera and the task that opens and closes it, says its state, and tells its alerts.
#[derive(Debug)]
pub(super) struct SwitchedCamera {
    name: String,
    /// `None` once it is to end.
    wanted: watch::Sender<Option<bool>>,
    state: watch::Receiver<CameraState>,
    counters: Arc<CameraCounters>,
    task: JoinHandle<()>,
}

/// What the task works with.
struct Operation {
    source: SourceSpec,
    scheduler: Scheduler,
    slot: Arc<LatestFrame>,
    name: String,
    status_topic: String,
    enabled_topic: String,
    outbox: Arc<Outbox>,
    alerting: Arc<Alerting>,
    live: Arc<LiveCamera>,
    wanted: watch::Receiver<Option<bool>>,
    state: watch::Sender<CameraState>,
    /// The position that was said last.
    said: Option<bool>,
}

impl SwitchedCamera {
    /// Starts the task, with the camera switched on or off. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// It is on and cannot be set up; see [`Camera::spawn`].
    pub(super) fn start(
        source: SourceSpec,
        is_enabled: bool,
        root: &str,
        scheduler: &Scheduler,
        outbox: &Arc<Outbox>,
        alerting: &Arc<Alerting>,
        live: Arc<LiveCamera>,
    ) -> Result<SwitchedCamera, PipelineError> {
        let name = source.camera.to_string();
        let slot = scheduler.slot(&source.camera);
        let counters = Arc::clone(slot.counters());
        let first = if is_enabled { Some(Camera::spawn(source.clone(), scheduler)?) } else { None };
        let (wanted, is_wanted) = watch::channel(Some(is_enabled));
        let initially = if is_enabled { CameraState::Offline } else { CameraState::Disabled };
        let (now, state) = watch::channel(initially);
        let operation = Operation {
            source,
            scheduler: scheduler.clone(),
            slot,
            status_topic: topics::status(root, &name),
            enabled_topic: topics::enabled_state(root, &name),
            name: name.clone(),
            outbox: Arc::clone(outbox),
            alerting: Arc::clone(alerting),
            live,
            wanted: is_wanted,
            state: now,
            said: None,
        };
        Ok(SwitchedCamera { name, wanted, state, counters, task: tokio::spawn(operation.run(first)) })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The camera's state, always the newest.
    pub(super) fn state(&self) -> watch::Receiver<CameraState> {
        self.state.clone()
    }

    /// Of all its pipelines.
    pub(super) fn counters(&self) -> &Arc<CameraCounters> {
        &self.counters
    }

    /// Where it is switched. A camera that is switched faster than it can follow goes to the last position.
    pub(super) fn switch(&self) -> watch::Sender<Option<bool>> {
        self.wanted.clone()
    }

    /// Stops the camera and waits until its pipeline is gone or was left behind.
    pub(super) async fn stop(self) {
        self.wanted.send_replace(None);
        // An error is a panic in the task, and an end too.
        let _ = self.task.await;
    }
}

impl Operation {
    async fn run(mut self, mut first: Option<CameraHandle>) {
        loop {
            let Some(is_wanted) = *self.wanted.borrow_and_update() else {
                return;
            };
            self.say_position(is_wanted);
            let camera = if is_wanted { first.take().or_else(|| self.open()) } else { None };
            match camera {
                Some(camera) => self.attend(camera).await,
                None if is_wanted => self.say(CameraState::Offline, Some("it cannot be opened".to_owned())),
                None => self.say(CameraState::Disabled, None),
            }
            // Not while it was attended: then the change is what ended that.
            if *self.wanted.borrow() == Some(is_wanted) && self.wanted.changed().await.is_err() {
                return;
            }
        }
    }

    fn open(&self) -> Option<CameraHandle> {
        tracing::info!(camera = self.name, "camera switched on");
        let camera = Camera::spawn(self.source.clone(), &self.scheduler);
        camera.map_err(|error| tracing::error!(camera = self.name, %error, "camera cannot be opened")).ok()
    }

    /// Says the camera's status, at the start and at each change, until it is switched off or its supervision
    /// ends; then it is closed.
    async fn attend(&mut self, camera: CameraHandle) {
        let mut status = camera.status();
        let mut last_logged = None;
        let mut is_supervised = true;
        loop {
            if is_supervised {
                let now = status.borrow_and_update().clone();
                self.tell(&now, last_logged.as_ref());
                last_logged = Some(now);
            }
            tokio::select! {
                change = status.changed(), if is_supervised => is_supervised = change.is_ok(),
                change = self.wanted.changed() => {
                    if change.is_err() || *self.wanted.borrow() != Some(true) {
                        break;
                    }
                }
            }
        }
        if *self.wanted.borrow() == Some(false) {
            tracing::info!(camera = self.name, "camera switched off");
            // Before its pipeline goes, which may take a while: its alerts are over now, and not because it went.
            self.say_position(false);
        }
        camera.stop().await;
        // The last frame is of a camera that is not watched any more.
        drop(self.slot.take());
    }

    /// Says where the switch is, to others and to the alerts.
    fn say_position(&mut self, is_enabled: bool) {
        if self.said.replace(is_enabled) != Some(is_enabled) {
            self.outbox.set_state(self.enabled_topic.clone(), if is_enabled { "ON" } else { "OFF" });
            self.alerting.set_enabled(&self.name, is_enabled);
        }
    }

    fn tell(&self, now: &CameraStatus, last_logged: Option<&CameraStatus>) {
        let camera = &self.name;
        match now {
            CameraStatus::Online => {
                tracing::info!(camera, "camera online");
                self.say(CameraState::Online, None);
            }
            CameraStatus::Offline { reason } => {
                // Before the first try and after the end there is nothing to warn of, and the same
                // reason again is no news.
                let expected = matches!(reason.kind, FailureKind::NotYetConnected | FailureKind::Stopped);
                if !expected && last_logged != Some(now) {
                    tracing::warn!(camera, %reason, "camera offline");
                }
                self.alerting.camera_offline(camera, &reason.to_string());
                let is_known = reason.kind != FailureKind::NotYetConnected;
                self.say(CameraState::Offline, is_known.then(|| reason.to_string()));
            }
        }
    }

    fn say(&self, state: CameraState, reason: Option<String>) {
        self.state.send_replace(state);
        self.live.set_state(state.as_str(), reason);
        self.outbox.set_state(self.status_topic.clone(), state.as_str());
    }
}
