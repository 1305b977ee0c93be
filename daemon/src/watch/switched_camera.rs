//! A camera that can be switched off and on while the daemon runs.

use std::sync::Arc;

use belvedere_pipelines::{
    Camera, CameraCounters, CameraHandle, CameraStatus, FailureKind, LatestFrame, Scheduler, SourceSpec,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::alerting::Alerting;
use super::camera_state::CameraState;
use crate::live::Live;
use crate::mqtt::{Outbox, topics};

/// A camera and the task that opens and closes it, says its state, and tells its alerts.
#[derive(Debug)]
pub(super) struct SwitchedCamera {
    /// `None` once it is to end.
    wanted: watch::Sender<Option<bool>>,
    source: watch::Sender<SourceSpec>,
    state: watch::Receiver<CameraState>,
    counters: Arc<CameraCounters>,
    task: JoinHandle<()>,
}

/// What the task works with.
struct Operation {
    source: watch::Receiver<SourceSpec>,
    scheduler: Scheduler,
    slot: Arc<LatestFrame>,
    name: String,
    status_topic: String,
    enabled_topic: String,
    outbox: Arc<Outbox>,
    alerting: Arc<Alerting>,
    live: Arc<Live>,
    wanted: watch::Receiver<Option<bool>>,
    state: watch::Sender<CameraState>,
    /// The position that was said last.
    said: Option<bool>,
}

impl SwitchedCamera {
    /// Starts the task, with the camera switched on or off as `wanted` says, then and later; `None` in it ends the camera. Must be called within a tokio runtime. A camera that cannot
    /// be set up is offline, and the log says why.
    pub(super) fn start(
        source: SourceSpec,
        wanted: watch::Sender<Option<bool>>,
        root: &str,
        scheduler: &Scheduler,
        outbox: &Arc<Outbox>,
        alerting: &Arc<Alerting>,
        live: &Arc<Live>,
    ) -> SwitchedCamera {
        let name = source.camera.to_string();
        let slot = scheduler.slot(&source.camera);
        let counters = Arc::clone(slot.counters());
        let (source, is_source) = watch::channel(source);
        let is_wanted = wanted.subscribe();
        let is_disabled = *is_wanted.borrow() == Some(false);
        let initially = if is_disabled { CameraState::Disabled } else { CameraState::Offline };
        let (now, state) = watch::channel(initially);
        let operation = Operation {
            source: is_source,
            scheduler: scheduler.clone(),
            slot,
            status_topic: topics::status(root, &name),
            enabled_topic: topics::enabled_state(root, &name),
            name,
            outbox: Arc::clone(outbox),
            alerting: Arc::clone(alerting),
            live: Arc::clone(live),
            wanted: is_wanted,
            state: now,
            said: None,
        };
        SwitchedCamera { wanted, source, state, counters, task: tokio::spawn(operation.run()) }
    }

    /// The camera's state, always the newest.
    pub(super) fn state(&self) -> watch::Receiver<CameraState> {
        self.state.clone()
    }

    /// Of all its pipelines.
    pub(super) fn counters(&self) -> &Arc<CameraCounters> {
        &self.counters
    }

    /// Takes the camera's frames from elsewhere, or otherwise, from now on; they go on being counted. The old pipeline is
    /// stopped before the new one is built, and nobody waits for either.
    pub(super) fn change_source(&self, source: SourceSpec) {
        self.source.send_replace(source);
    }

    /// Stops the camera and waits until its pipeline is gone or was left behind.
    pub(super) async fn stop(self) {
        self.wanted.send_replace(None);
        // An error is a panic in the task, and an end too.
        let _ = self.task.await;
    }
}

impl Operation {
    async fn run(mut self) {
        loop {
            let Some(is_wanted) = *self.wanted.borrow_and_update() else {
                return;
            };
            let source = self.source.borrow_and_update().clone();
            self.say_position(is_wanted);
            let camera = if is_wanted { self.open(source) } else { None };
            match camera {
                Some(camera) => self.attend(camera).await,
                None if is_wanted => self.say(CameraState::Offline, Some("it cannot be opened".to_owned())),
                None => self.say(CameraState::Disabled, None),
            }
            // A change ended that it was attended, or is waited for; nobody is left to make one where this is dropped.
            let has_changed =
                self.wanted.has_changed().and_then(|wanted| Ok(wanted || self.source.has_changed()?));
            let change = match has_changed {
                Ok(true) => continue,
                Ok(false) => tokio::select! {
                    change = self.wanted.changed() => change,
                    change = self.source.changed() => change,
                },
                Err(gone) => Err(gone),
            };
            if change.is_err() {
                return;
            }
        }
    }

    fn open(&self, source: SourceSpec) -> Option<CameraHandle> {
        let camera = Camera::spawn(source, &self.scheduler);
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
                        self.wanted.mark_changed();
                        break;
                    }
                }
                change = self.source.changed() => {
                    if change.is_ok() {
                        tracing::info!(camera = self.name, "camera has another source");
                    }
                    self.source.mark_changed();
                    break;
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
        self.slot.discard();
    }

    /// Says where the switch is, to others and to the alerts.
    fn say_position(&mut self, is_enabled: bool) {
        let said = self.said.replace(is_enabled);
        if said == Some(false) && is_enabled {
            tracing::info!(camera = self.name, "camera switched on");
        }
        if said != Some(is_enabled) {
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
        if let Some(shown) = self.live.camera(&self.name) {
            shown.set_state(state.as_str(), reason);
        }
        self.outbox.set_state(self.status_topic.clone(), state.as_str());
    }
}
