//! The state machine of one phrase on one camera.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::event::{AlertEvent, AlertState, EndReason, Subject};
use super::event_id::IdMint;
use super::judge::{Shown, judge};
use super::life::{Life, OpenEvent};
use super::{AlertSettings, Moment, Phrase, Sighting};

/// One phrase on one camera; see [the module](super) for what it promises.
///
/// Calls are made in the order in which things happen. A tick each second or so keeps its promises on
/// time; a sighting is a tick too. Where calls return several events, they are in their order.
#[derive(Debug)]
pub struct AlertRule {
    subject: Arc<Subject>,
    settings: AlertSettings,
    is_enabled: bool,
    phase: Phase,
    mint: IdMint,
    /// The latest monotonic time of any call.
    clock: Duration,
    /// Frames captured until then are of a time that is over: the camera went offline since, or the
    /// rule was not to look.
    deaf_until: Option<Duration>,
    last_frame_id: Option<u64>,
    /// When the last event was told to be new.
    last_new: Option<Duration>,
    counts: AlertCounts,
}

#[derive(Debug)]
enum Phase {
    /// The last frame did not show the phrase.
    Idle,
    /// The last frames showed it, fewer than `min_frames`.
    Rising(Life),
    /// It is true, and the cooldown keeps it from being told.
    Held(Life),
    /// It is true and told.
    Open(OpenEvent),
}

/// Why a rule is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The phrase or its camera left the configuration.
    Removed,
    /// The daemon is stopped.
    Shutdown,
}

/// What a rule has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// Events begun.
    pub told: u64,
    /// Times that the phrase was true and ceased to be within the cooldown, so that nobody was told.
    pub held_back: u64,
    /// Sightings that were not looked at: repetitions of a frame, and frames of a time in which the
    /// camera was thought offline or the rule was switched off or out of its schedule.
    pub ignored_sightings: u64,
}

impl AlertCounts {
    /// Both together.
    pub fn plus(self, other: AlertCounts) -> AlertCounts {
        AlertCounts {
            told: self.told + other.told,
            held_back: self.held_back + other.held_back,
            ignored_sightings: self.ignored_sightings + other.ignored_sightings,
        }
    }
}

impl AlertRule {
    /// A rule that has seen nothing. `random` keeps its ids apart from those of other runs; a test
    /// gives a seeded one.
    pub fn new(camera: &str, phrase: Phrase, settings: AlertSettings, random: fastrand::Rng) -> AlertRule {
        AlertRule {
            subject: Arc::new(Subject::new(camera, phrase)),
            settings,
            is_enabled: true,
            phase: Phase::Idle,
            mint: IdMint::new(random),
            clock: Duration::ZERO,
            deaf_until: None,
            last_frame_id: None,
            last_new: None,
            counts: AlertCounts::default(),
        }
    }

    /// What is watched for, and where.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// When the phrase counts.
    pub fn settings(&self) -> &AlertSettings {
        &self.settings
    }

    /// Whether an event is open.
    pub fn state(&self) -> AlertState {
        if matches!(self.phase, Phase::Open(_)) { AlertState::On } else { AlertState::Off }
    }

    /// Whether it is worth asking the model about a frame captured at `wall`: the rule is switched on
    /// and its schedule is open.
    pub fn wants_frames(&self, wall: SystemTime) -> bool {
        self.is_enabled && self.settings.schedule.as_ref().is_none_or(|schedule| schedule.is_open(wall))
    }

    /// What it has done so far.
    pub fn counts(&self) -> AlertCounts {
        self.counts
    }

    /// A frame was analysed.
    pub fn sighting(&mut self, sighting: &Sighting) -> Vec<AlertEvent> {
        let is_repeated = self.last_frame_id == Some(sighting.frame_id);
        let is_late = self.deaf_until.is_some_and(|until| sighting.captured.monotonic <= until);
        if is_repeated || is_late || !self.wants_frames(sighting.captured.wall) {
            self.counts.ignored_sightings += 1;
            return self.tick(sighting.captured);
        }
        self.last_frame_id = Some(sighting.frame_id);
        let mut events = self.tick(sighting.captured);
        match judge(&self.settings, sighting) {
            Some(shown) => events.extend(self.shown(shown)),
            None => {
                self.missed();
                events.extend(self.end_if_over());
            }
        }
        events
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Moment) -> Vec<AlertEvent> {
        self.advance(now);
        let ended = if self.is_enabled && !self.wants_frames(now.wall) {
            self.deaf_until = Some(self.clock);
            self.end(EndReason::Schedule)
        } else {
            self.end_if_over()
        };
        ended.into_iter().collect()
    }

    /// The camera went offline, for a reason that is told to people and holds no secret. Frames
    /// captured from now on are looked at again.
    pub fn camera_offline(&mut self, now: Moment, reason: &str) -> Vec<AlertEvent> {
        self.advance(now);
        self.last_frame_id = None;
        self.deaf_until = Some(self.clock);
        self.end(EndReason::CameraOffline { detail: reason.to_owned() }).into_iter().collect()
    }

    /// The settings were changed. An open event stays open and is held to the new ones from the next
    /// frame on; frames counted towards `min_frames` are forgotten, and the cooldown is measured anew
    /// from the same `new`. Without snapshots, the one that it has is taken to be gone.
    pub fn change_settings(&mut self, now: Moment, settings: AlertSettings) -> Vec<AlertEvent> {
        self.settings = settings;
        if let (Phase::Open(open), false) = (&mut self.phase, self.settings.snapshot) {
            open.forget_snapshot();
        }
        if matches!(self.phase, Phase::Rising(_)) {
            self.phase = Phase::Idle;
        }
        self.tick(now)
    }

    /// The snapshot that the last event asked for could not be made.
    pub fn snapshot_failed(&mut self) {
        if let Phase::Open(open) = &mut self.phase {
            open.snapshot_failed();
        }
    }

    /// The camera's analysis was switched on or off.
    pub fn set_enabled(&mut self, now: Moment, is_enabled: bool) -> Vec<AlertEvent> {
        self.advance(now);
        self.is_enabled = is_enabled;
        if is_enabled {
            return self.tick(now);
        }
        self.deaf_until = Some(self.clock);
        self.end(EndReason::Disabled).into_iter().collect()
    }

    /// The rule is given up.
    pub fn stop(mut self, now: Moment, reason: StopReason) -> Option<AlertEvent> {
        self.advance(now);
        self.end(match reason {
            StopReason::Removed => EndReason::Removed,
            StopReason::Shutdown => EndReason::Shutdown,
        })
    }

    fn advance(&mut self, now: Moment) {
        self.clock = self.clock.max(now.monotonic);
    }

    fn shown(&mut self, shown: Shown) -> Option<AlertEvent> {
        let now = self.clock;
        let (life, is_true) = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Open(mut open) => {
                open.life.go_on(shown, now);
                let update = open.update(now, &self.settings);
                self.phase = Phase::Open(open);
                return update;
            }
            Phase::Idle => (Life::begin(shown, now), false),
            Phase::Rising(mut life) => {
                life.go_on(shown, now);
                (life, false)
            }
            Phase::Held(mut life) => {
                life.go_on(shown, now);
                (life, true)
            }
        };
        if !is_true && life.frames() < self.settings.min_frames.get() {
            self.phase = Phase::Rising(life);
            return None;
        }
        if self.is_cooling() {
            self.phase = Phase::Held(life);
            return None;
        }
        let id = self.mint.mint(&self.subject, life.last_wall());
        let (open, event) = OpenEvent::open(id, Arc::clone(&self.subject), life, now, &self.settings);
        self.phase = Phase::Open(open);
        self.last_new = Some(now);
        self.counts.told += 1;
        Some(event)
    }

    fn missed(&mut self) {
        match &mut self.phase {
            Phase::Idle => {}
            Phase::Rising(_) => self.phase = Phase::Idle,
            Phase::Held(life) => life.miss(),
            Phase::Open(open) => open.life.miss(),
        }
    }

    fn is_cooling(&self) -> bool {
        self.last_new.is_some_and(|last| self.clock.saturating_sub(last) < self.settings.cooldown)
    }

    fn end_if_over(&mut self) -> Option<AlertEvent> {
        let reason = match &self.phase {
            // Frames in a row are in a row, however far apart.
            Phase::Idle | Phase::Rising(_) => None,
            Phase::Held(life) => life.is_over(self.clock, &self.settings),
            Phase::Open(open) => open.life.is_over(self.clock, &self.settings),
        };
        self.end(reason?)
    }

    /// Ends whatever there is, and says so where it was told.
    fn end(&mut self, reason: EndReason) -> Option<AlertEvent> {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle | Phase::Rising(_) => None,
            Phase::Held(_) => {
                self.counts.held_back += 1;
                None
            }
            Phase::Open(open) => Some(open.close(reason, self.clock)),
        }
    }
}

#[cfg(test)]
mod tests;
