//! The alerts of the running daemon: frames, time and changes go in, messages come out.

mod left_open;
mod teller;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use belvedere_kernels::ImageView;
use belvedere_models::FoundPhrase;
use belvedere_pipelines::Frame;

use crate::alerts::{
    AlertCounts, AlertEvent, AlertRule, AlertState, EndReason, Moment, SeenRegion, Sighting, StopReason,
    Subject,
};
use crate::config::CameraSettings;
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
    cameras: BTreeMap<String, Mutex<Vec<Alert>>>,
    teller: Teller,
    /// What moments are counted from.
    began: Instant,
}

#[derive(Debug)]
struct Alert {
    /// None once it is given up.
    rule: Option<AlertRule>,
    subject: Arc<Subject>,
    style: SnapshotStyle,
    counts: AlertCounts,
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
        let rules = |camera: &CameraSettings| {
            let alerts = camera.alerts.iter().map(|alert| {
                let (phrase, settings) = (alert.phrase.clone(), alert.rule.clone());
                let rule = AlertRule::new(&camera.name, phrase, settings, fastrand::Rng::new());
                let subject = Arc::clone(rule.subject());
                Alert { rule: Some(rule), subject, style: alert.snapshot, counts: AlertCounts::default() }
            });
            (camera.name.clone(), Mutex::new(alerts.collect()))
        };
        Alerting {
            cameras: cameras.iter().map(rules).collect(),
            teller: Teller::new(root, outbox, live),
            began: Instant::now(),
        }
    }

    /// Ends what an earlier run of the daemon left open, and says of every phrase that it is not true. To be
    /// called once, before anything else.
    pub(super) fn begin(&self) {
        let subjects = self.cameras.values().flat_map(|alerts| {
            let alerts = lock(alerts);
            alerts.iter().map(|alert| Arc::clone(&alert.subject)).collect::<Vec<_>>()
        });
        let subjects: Vec<Arc<Subject>> = subjects.collect();
        self.teller.end_what_was_left_open(&subjects, SystemTime::now());
        for subject in &subjects {
            self.teller.state(subject, AlertState::Off);
        }
    }

    /// The places, in the camera's list of alerts, of the phrases that `frame` is to be searched for.
    pub(super) fn wanted(&self, frame: &Frame) -> Vec<usize> {
        let Some(alerts) = self.cameras.get(frame.camera.as_str()) else {
            return Vec::new();
        };
        let alerts = lock(alerts);
        let wants =
            |alert: &Alert| alert.rule.as_ref().is_some_and(|rule| rule.wants_frames(frame.captured_at));
        (0..alerts.len()).filter(|place| alerts.get(*place).is_some_and(wants)).collect()
    }

    /// `frame`, whose pixels are `picture`, was searched for the phrases at the places `asked`, which gave
    /// `found`. When this returns, everything that follows from it is in the outbox.
    pub(super) fn analysed(
        &self,
        frame: &Frame,
        picture: &ImageView<'_>,
        asked: &[usize],
        found: &[FoundPhrase],
    ) {
        let captured = Moment {
            monotonic: frame.received.saturating_duration_since(self.began),
            wall: frame.captured_at,
        };
        self.change(frame.camera.as_str(), Some(picture), |place, rule| {
            let found = asked.iter().position(|asked| *asked == place).and_then(|answer| found.get(answer));
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
        for camera in self.cameras.keys() {
            self.change(camera, None, |_, rule| rule.tick(now));
        }
    }

    /// The camera went offline, for a reason that holds no secret.
    pub(super) fn camera_offline(&self, camera: &str, reason: &str) {
        let now = self.now();
        self.change(camera, None, |_, rule| rule.camera_offline(now, reason));
    }

    /// The camera's analysis was switched on or off.
    pub(super) fn set_enabled(&self, camera: &str, is_enabled: bool) {
        let now = self.now();
        self.change(camera, None, |_, rule| rule.set_enabled(now, is_enabled));
    }

    /// Ends everything; from now on nothing is said any more.
    pub(super) fn stop(&self) {
        let now = self.now();
        for alerts in self.cameras.values() {
            for alert in lock(alerts).iter_mut() {
                let Some(rule) = alert.rule.take() else {
                    continue;
                };
                alert.counts = rule.counts();
                if let Some(event) = rule.stop(now, StopReason::Shutdown) {
                    self.teller.tell(event, None);
                }
            }
        }
    }

    /// What the camera's rules have done so far, added up.
    pub(super) fn counts(&self, camera: &str) -> AlertCounts {
        let mut sum = AlertCounts::default();
        let Some(alerts) = self.cameras.get(camera) else {
            return sum;
        };
        for alert in lock(alerts).iter() {
            let counts = alert.rule.as_ref().map_or(alert.counts, AlertRule::counts);
            sum.told += counts.told;
            sum.held_back += counts.held_back;
            sum.ignored_sightings += counts.ignored_sightings;
        }
        sum
    }

    fn now(&self) -> Moment {
        Moment { monotonic: self.began.elapsed(), wall: SystemTime::now() }
    }

    /// Calls `call` for each rule of `camera` and its place, and hands what they say to the outbox.
    fn change(
        &self,
        camera: &str,
        picture: Option<&ImageView<'_>>,
        mut call: impl FnMut(usize, &mut AlertRule) -> Vec<AlertEvent>,
    ) {
        let Some(alerts) = self.cameras.get(camera) else {
            return;
        };
        for (place, alert) in lock(alerts).iter_mut().enumerate() {
            let Some(rule) = &mut alert.rule else {
                continue;
            };
            for event in call(place, rule) {
                self.teller.tell(event, picture.map(|picture| (picture, &alert.style)));
            }
        }
    }
}

fn seen(region: &belvedere_models::FoundRegion) -> SeenRegion {
    SeenRegion { score: region.score, box_px: region.box_px, evidence: Some(region.evidence) }
}

fn lock(alerts: &Mutex<Vec<Alert>>) -> MutexGuard<'_, Vec<Alert>> {
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
