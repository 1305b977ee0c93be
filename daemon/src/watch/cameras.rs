//! The cameras, with everyone who must know when one comes, changes or goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use belvedere_pipelines::Scheduler;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::alerting::Alerting;
use super::asking::Asking;
use super::camera_state::CameraState;
use super::progress::CameraProgress;
use super::stats::{CameraSource, Stats};
use super::switched_camera::SwitchedCamera;
use super::switches::Switches;
use crate::config::{CameraChange, CameraSettings};
use crate::live::Live;
use crate::mqtt::{Outbox, topics};

/// All cameras of the configuration.
pub(super) struct Cameras {
    pub(super) topic: String,
    pub(super) outbox: Arc<Outbox>,
    pub(super) scheduler: Scheduler,
    pub(super) alerting: Arc<Alerting>,
    pub(super) asking: Arc<Asking>,
    pub(super) switches: Arc<Switches>,
    pub(super) stats: Arc<Stats>,
    pub(super) live: Arc<Live>,
    progress: BTreeMap<String, Arc<CameraProgress>>,
    open: BTreeMap<String, SwitchedCamera>,
}

impl Cameras {
    /// None yet, for those who are to know of them.
    pub(super) fn new(
        topic: &str,
        outbox: Arc<Outbox>,
        alerting: Arc<Alerting>,
        asking: Arc<Asking>,
        switches: Arc<Switches>,
        stats: Arc<Stats>,
        live: Arc<Live>,
    ) -> Cameras {
        Cameras {
            topic: topic.to_owned(),
            outbox,
            scheduler: Scheduler::new(),
            alerting,
            asking,
            switches,
            stats,
            live,
            progress: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A camera is to be opened, switched on or off: that much is said of it, and it can be switched.
    pub(super) fn expect(&mut self, camera: &CameraSettings, is_enabled: bool) {
        let (state, position) =
            if is_enabled { (CameraState::Offline, "ON") } else { (CameraState::Disabled, "OFF") };
        self.outbox.set_state(topics::status(&self.topic, &camera.name), state.as_str());
        self.outbox.set_state(topics::enabled_state(&self.topic, &camera.name), position);
        self.switches.take_in(camera, is_enabled);
        // A receiver whose sender is gone keeps its value.
        self.asking.take_in(&camera.name, camera.source.fps, watch::channel(state).1);
        // One that comes back goes on counting, as its frames do.
        self.progress.entry(camera.name.clone()).or_default();
        self.live.add_camera(camera, is_enabled);
    }

    /// Opens a camera that was expected.
    pub(super) fn open(&mut self, camera: &CameraSettings) {
        let Some(wanted) = self.switches.position_of(&camera.name) else {
            return;
        };
        let opened = SwitchedCamera::start(
            camera.source.clone(),
            wanted,
            &self.topic,
            &self.scheduler,
            &self.outbox,
            &self.alerting,
            &self.live,
        );
        if let Some(shown) = self.live.camera(&camera.name) {
            shown.set_numbers(Arc::clone(opened.counters()), self.progress(&camera.name));
        }
        self.asking.take_in(&camera.name, camera.source.fps, opened.state());
        self.stats.take_in(&camera.name, CameraSource::new(&opened, self.progress(&camera.name)));
        self.open.insert(camera.name.clone(), opened);
    }

    /// Brings a camera to `camera`; what is asked of it is not of this.
    pub(super) fn change(&mut self, camera: &CameraSettings, change: &CameraChange) {
        if !change.alerts.is_empty() {
            self.alerting.change(camera);
        }
        self.live.change_camera(camera);
        if change.enabled {
            self.switches.change(camera);
        }
        if change.source
            && let Some(open) = self.open.get(&camera.name)
        {
            open.change_source(camera.source.clone());
            self.asking.take_in(&camera.name, camera.source.fps, open.state());
        }
    }

    /// Lets cameras go: their events end, their pipelines are waited for, and nothing is retained of them.
    pub(super) async fn let_go(&mut self, names: &BTreeSet<String>) {
        let mut stopping = JoinSet::new();
        for name in names {
            self.switches.let_go(name);
            self.asking.let_go(name);
            // Before the camera goes: that it does is not why its alerts end.
            self.alerting.let_go(name);
            if let Some(camera) = self.open.remove(name) {
                stopping.spawn(camera.stop());
            }
        }
        while stopping.join_next().await.is_some() {}
        for name in names {
            self.stats.let_go(name);
            self.live.remove_camera(name);
            self.outbox
                .take_back([topics::status(&self.topic, name), topics::enabled_state(&self.topic, name)]);
        }
    }

    /// What the model has done for a camera.
    pub(super) fn progress(&self, camera: &str) -> Arc<CameraProgress> {
        self.progress.get(camera).cloned().unwrap_or_default()
    }

    /// Begins to stop all of them; with what is to be said of each in the end.
    pub(super) fn stop(&mut self) -> (JoinSet<()>, Vec<(String, CameraState)>) {
        let mut stopping = JoinSet::new();
        let mut last = Vec::new();
        for (name, camera) in std::mem::take(&mut self.open) {
            let state = match *camera.state().borrow() {
                CameraState::Disabled => CameraState::Disabled,
                CameraState::Offline | CameraState::Online => CameraState::Offline,
            };
            last.push((name, state));
            stopping.spawn(camera.stop());
        }
        (stopping, last)
    }
}
