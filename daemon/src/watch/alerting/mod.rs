//! The alerts of the running daemon: frames, time and changes go in, messages come out.

mod left_open;
mod teller;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use belvedere_kernels::ImageView;
use belvedere_models::FoundPhrase;
use belvedere_pipelines::Frame;

use crate::alerts::{
    AlertCounts, AlertEvent, AlertRule, AlertState, EndReason, Moment, Phrase, SeenRegion, Sighting,
    StopReason, Subject,
};
use crate::config::{CameraAlert, CameraSettings};
use crate::live::Live;
use crate::mqtt::Outbox;
use crate::snapshot::SnapshotStyle;

use teller::Teller;

/// At least so often the rules are told that time has passed.
pub(super) const TICK_INTERVAL: Duration = Duration::from_millis(500);

/// The rules of all cameras, shared by the model thread, a ticker and whoever knows of changes.
///
/// A camera's rules are behind one lock from the moment that they are asked until what they said has been
/// handed to the outbox, so that the messages of a phrase are in the order in which things happened. The lock
/// is held for as long as the pictures of one frame take to be encoded, at most.
#[derive(Debug)]
pub(super) struct Alerting {
    cameras: RwLock<BTreeMap<String, Arc<Mutex<CameraAlerts>>>>,
    teller: Teller,
    /// What moments are counted from.
    began: Instant,
}

/// The alerts of a camera, in the order of its configuration.
#[derive(Debug)]
struct CameraAlerts {
    alerts: Vec<Alert>,
    is_enabled: bool,
    /// What phrases did that it is not watched for any more.
    gone: AlertCounts,
}

#[derive(Debug)]
struct Alert {
    /// None once it is given up.
    rule: Option<AlertRule>,
    subject: Arc<Subject>,
    style: SnapshotStyle,
    counts: AlertCounts,
}

impl Alert {
    fn new(camera: &str, settings: &CameraAlert) -> Alert {
        let (phrase, rule) = (settings.phrase.clone(), settings.rule.clone());
        let rule = AlertRule::new(camera, phrase, rule, fastrand::Rng::new());
        let subject = Arc::clone(rule.subject());
        Alert { rule: Some(rule), subject, style: settings.snapshot, counts: AlertCounts::default() }
    }

    fn counts(&self) -> AlertCounts {
        self.rule.as_ref().map_or(self.counts, AlertRule::counts)
    }
}

impl CameraAlerts {
    fn new(camera: &CameraSettings) -> CameraAlerts {
        let alerts = camera.alerts.iter().map(|alert| Alert::new(&camera.name, alert));
        CameraAlerts { alerts: alerts.collect(), is_enabled: true, gone: AlertCounts::default() }
    }
}

impl Alerting {
    /// The rules of `cameras`, with nothing seen. What they say goes to `outbox`, under `root`, and to
    /// whoever looks.
    pub(super) fn new(
        cameras: &[CameraSettings],
        root: &str,
        outbox: Arc<Outbox>,
        live: Arc<Live>,
    ) -> Alerting {
        let rules =
            |camera: &CameraSettings| (camera.name.clone(), Arc::new(Mutex::new(CameraAlerts::new(camera))));
        Alerting {
            cameras: RwLock::new(cameras.iter().map(rules).collect()),
            teller: Teller::new(root, outbox, live),
            began: Instant::now(),
        }
    }

    /// Ends what an earlier run of the daemon left open, and says of every phrase that it is not true. To be
    /// called once, before anything else.
    pub(super) fn begin(&self) {
        let cameras = self.all();
        let subjects = cameras.iter().flat_map(|camera| {
            let camera = lock(camera);
            camera.alerts.iter().map(|alert| Arc::clone(&alert.subject)).collect::<Vec<_>>()
        });
        let subjects: Vec<Arc<Subject>> = subjects.collect();
        self.teller.end_what_was_left_open(&subjects, SystemTime::now());
        for subject in &subjects {
            self.teller.state(subject, AlertState::Off);
        }
    }

    /// The phrases that `frame` is to be searched for, in the order of the camera's alerts.
    pub(super) fn wanted(&self, frame: &Frame) -> Vec<Phrase> {
        let Some(camera) = self.of(frame.camera.as_str()) else {
            return Vec::new();
        };
        let camera = lock(&camera);
        let wants =
            |alert: &&Alert| alert.rule.as_ref().is_some_and(|rule| rule.wants_frames(frame.captured_at));
        camera.alerts.iter().filter(wants).map(|alert| alert.subject.phrase.clone()).collect()
    }

    /// `frame`, whose pixels are `picture`, was searched for the phrases `asked`, which gave `found`. When this returns, everything that follows from it is in the outbox.
    pub(super) fn analysed(
        &self,
        frame: &Frame,
        picture: &ImageView<'_>,
        asked: &[Phrase],
        found: &[FoundPhrase],
    ) {
        let captured = Moment {
            monotonic: frame.received.saturating_duration_since(self.began),
            wall: frame.captured_at,
        };
        self.tell(frame.camera.as_str(), Some(picture), |rule| {
            let phrase = &rule.subject().phrase;
            let found = asked.iter().position(|asked| asked == phrase).and_then(|answer| found.get(answer));
            match found {
                None => rule.tick(captured),
                Some(found) => rule.sighting(&Sighting {
                    frame_id: frame.id,
                    captured,
                    width: frame.width_px(),
                    height: frame.height_px(),
                    regions: found.regions.iter().map(seen).collect(),
                }),
            }
        });
    }

    /// Time has passed.
    pub(super) fn tick(&self) {
        let now = self.now();
        for camera in self.all() {
            self.tell_of(&camera, None, |rule| rule.tick(now));
        }
    }

    /// The camera went offline, for a reason that holds no secret.
    pub(super) fn camera_offline(&self, camera: &str, reason: &str) {
        let now = self.now();
        self.tell(camera, None, |rule| rule.camera_offline(now, reason));
    }

    /// The camera's analysis was switched on or off.
    pub(super) fn set_enabled(&self, camera: &str, is_enabled: bool) {
        let now = self.now();
        if let Some(camera) = self.of(camera) {
            lock(&camera).is_enabled = is_enabled;
            self.tell_of(&camera, None, |rule| rule.set_enabled(now, is_enabled));
        }
    }

    /// Ends everything; from now on nothing is said any more.
    pub(super) fn stop(&self) {
        let now = self.now();
        for camera in self.all() {
            for alert in &mut lock(&camera).alerts {
                self.give_up(alert, now, StopReason::Shutdown);
            }
        }
    }

    /// What the camera's rules have done so far, added up.
    pub(super) fn counts(&self, camera: &str) -> AlertCounts {
        let Some(camera) = self.of(camera) else {
            return AlertCounts::default();
        };
        let camera = lock(&camera);
        camera.alerts.iter().map(Alert::counts).fold(camera.gone, AlertCounts::plus)
    }

    /// Takes a camera in, with nothing seen.
    pub(super) fn take_in(&self, camera: &CameraSettings) {
        let alerts = CameraAlerts::new(camera);
        for alert in &alerts.alerts {
            self.teller.state(&alert.subject, AlertState::Off);
        }
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        cameras.insert(camera.name.clone(), Arc::new(Mutex::new(alerts)));
    }

    /// The camera is watched for what `camera` says from now on. A phrase that stays keeps its open event, and where
    /// its settings stay too, everything else.
    pub(super) fn change(&self, camera: &CameraSettings) {
        let Some(alerts) = self.of(&camera.name) else {
            return;
        };
        let now = self.now();
        let mut alerts = lock(&alerts);
        let alerts = &mut *alerts;
        let is_wanted = |alert: &Alert| camera.alerts.iter().any(|new| new.phrase == alert.subject.phrase);
        let (mut left, removed): (Vec<Alert>, Vec<Alert>) =
            std::mem::take(&mut alerts.alerts).into_iter().partition(is_wanted);
        // Before others come, which may have their topics.
        for alert in removed {
            alerts.gone = self.remove(alert, now, alerts.gone);
        }
        for new in &camera.alerts {
            let place = left.iter().position(|alert| alert.subject.phrase == new.phrase);
            let alert = match place.map(|place| left.swap_remove(place)) {
                Some(mut alert) => {
                    self.adjust(&mut alert, new, now);
                    alert
                }
                None => {
                    let mut alert = Alert::new(&camera.name, new);
                    self.teller.state(&alert.subject, AlertState::Off);
                    if let Some(rule) = &mut alert.rule {
                        rule.set_enabled(now, alerts.is_enabled);
                    }
                    alert
                }
            };
            alerts.alerts.push(alert);
        }
    }

    /// Lets a camera go: its events end, and nothing is retained of its phrases.
    pub(super) fn let_go(&self, camera: &str) {
        let gone = self.cameras.write().unwrap_or_else(PoisonError::into_inner).remove(camera);
        let Some(gone) = gone else {
            return;
        };
        let now = self.now();
        // The model thread may still be about to tell of a frame: it finds nothing.
        for alert in std::mem::take(&mut lock(&gone).alerts) {
            self.remove(alert, now, AlertCounts::default());
        }
    }

    fn adjust(&self, alert: &mut Alert, new: &CameraAlert, now: Moment) {
        alert.style = new.snapshot;
        let Some(rule) = &mut alert.rule else {
            return;
        };
        if *rule.settings() == new.rule {
            return;
        }
        let had_pictures = rule.settings().snapshot;
        for event in rule.change_settings(now, new.rule.clone()) {
            self.teller.tell(event, None);
        }
        if had_pictures && !new.rule.snapshot {
            self.teller.take_picture_back(&alert.subject);
        }
    }

    /// Ends an alert for good; adds what it did to `gone`.
    fn remove(&self, mut alert: Alert, now: Moment, gone: AlertCounts) -> AlertCounts {
        self.give_up(&mut alert, now, StopReason::Removed);
        self.teller.take_back(&alert.subject);
        gone.plus(alert.counts)
    }

    fn give_up(&self, alert: &mut Alert, now: Moment, reason: StopReason) {
        let Some(rule) = alert.rule.take() else {
            return;
        };
        alert.counts = rule.counts();
        if let Some(event) = rule.stop(now, reason) {
            self.teller.tell(event, None);
        }
    }

    fn now(&self) -> Moment {
        Moment { monotonic: self.began.elapsed(), wall: SystemTime::now() }
    }

    fn of(&self, camera: &str) -> Option<Arc<Mutex<CameraAlerts>>> {
        self.cameras.read().unwrap_or_else(PoisonError::into_inner).get(camera).cloned()
    }

    fn all(&self) -> Vec<Arc<Mutex<CameraAlerts>>> {
        self.cameras.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Calls `call` for each rule of `camera`, and hands what they say to the outbox.
    fn tell(
        &self,
        camera: &str,
        picture: Option<&ImageView<'_>>,
        call: impl FnMut(&mut AlertRule) -> Vec<AlertEvent>,
    ) {
        if let Some(camera) = self.of(camera) {
            self.tell_of(&camera, picture, call);
        }
    }

    fn tell_of(
        &self,
        camera: &Mutex<CameraAlerts>,
        picture: Option<&ImageView<'_>>,
        mut call: impl FnMut(&mut AlertRule) -> Vec<AlertEvent>,
    ) {
        for alert in &mut lock(camera).alerts {
            let Some(rule) = &mut alert.rule else {
                continue;
            };
            for event in call(rule) {
                if !self.teller.tell(event, picture.map(|picture| (picture, &alert.style))) {
                    rule.snapshot_failed();
                }
            }
        }
    }
}

fn seen(region: &belvedere_models::FoundRegion) -> SeenRegion {
    SeenRegion { score: region.score, box_px: region.box_px, evidence: Some(region.evidence) }
}

fn lock(alerts: &Mutex<CameraAlerts>) -> MutexGuard<'_, CameraAlerts> {
    // A panic elsewhere ends the process; the rules are whole between two calls.
    alerts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of the log for what people want to know of.
fn log(event: &AlertEvent) {
    let (camera, phrase, id) = (&*event.subject.camera, event.subject.phrase.as_str(), event.id.as_str());
    match &event.kind {
        crate::alerts::EventKind::New => {
            tracing::info!(camera, phrase, id, score = event.score, "alert");
        }
        crate::alerts::EventKind::Update => {
            tracing::debug!(camera, phrase, id, score = event.score, "alert goes on");
        }
        crate::alerts::EventKind::End(reason) => {
            let (reason, detail) = (reason.as_str(), EndReason::detail(reason));
            tracing::info!(camera, phrase, id, reason, detail, "alert over");
        }
    }
}
