//! From the first frame that shows a phrase to the last.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::event::{AlertEvent, EndReason, EventKind, Subject};
use super::judge::Shown;
use super::{AlertSettings, EventId, Moment};

/// A frame makes a better snapshot where its score is so much above the last snapshot's. Scores are
/// from 0 to 1, so a life has at most ten.
pub const BETTER_BY: f32 = 0.1;

/// After something was said of an event, a change of zones alone is not said for so long. Somebody
/// who walks along a border is in and out with every frame.
pub const ZONE_UPDATE_INTERVAL: Duration = Duration::from_secs(5);

/// The default of [`AlertSettings::unwatched_after`].
pub const UNWATCHED_AFTER: Duration = Duration::from_secs(60);

/// What is known of a phrase while frames show it, whether it has been told or not.
#[derive(Debug)]
pub(super) struct Life {
    first: Moment,
    first_frame_id: u64,
    /// How many frames have shown it.
    frames: u32,
    last: Shown,
    /// When it was captured, but not before an earlier one.
    last_captured: Duration,
    /// When it was looked at, by the rule's clock.
    last_at: Duration,
    /// Whether a frame after the last did not show it.
    was_missed: bool,
    top_score: f32,
    entered: Vec<Arc<str>>,
}

impl Life {
    /// Begins with the frame `shown`, at `now` by the rule's clock.
    pub(super) fn begin(shown: Shown, now: Duration) -> Life {
        Life {
            first: shown.captured,
            first_frame_id: shown.frame_id,
            frames: 1,
            last_captured: shown.captured.monotonic,
            last_at: now,
            was_missed: false,
            top_score: shown.score,
            entered: shown.zones.clone(),
            last: shown,
        }
    }

    /// Goes on with the frame `shown`.
    pub(super) fn go_on(&mut self, shown: Shown, now: Duration) {
        self.frames = self.frames.saturating_add(1);
        self.last_captured = self.last_captured.max(shown.captured.monotonic);
        self.last_at = now;
        self.was_missed = false;
        self.top_score = self.top_score.max(shown.score);
        for zone in &shown.zones {
            if !self.entered.contains(zone) {
                self.entered.push(Arc::clone(zone));
            }
        }
        self.last = shown;
    }

    /// Notes a frame that did not show it.
    pub(super) fn miss(&mut self) {
        self.was_missed = true;
    }

    pub(super) fn frames(&self) -> u32 {
        self.frames
    }

    /// The wall time of the last frame, as the camera's results have it.
    pub(super) fn last_wall(&self) -> SystemTime {
        self.last.captured.wall
    }

    /// Why it is over at `now`, if it is.
    pub(super) fn is_over(&self, now: Duration, settings: &AlertSettings) -> Option<EndReason> {
        let unseen_for = now.saturating_sub(self.last_at);
        if self.was_missed {
            (unseen_for >= settings.clear_after).then_some(EndReason::Cleared)
        } else {
            let longest = settings.clear_after.saturating_add(settings.unwatched_after);
            (unseen_for >= longest).then_some(EndReason::NoFrames)
        }
    }
}

/// A life that has been told.
#[derive(Debug)]
pub(super) struct OpenEvent {
    id: EventId,
    subject: Arc<Subject>,
    pub(super) life: Life,
    /// The score of the frame that was to become the last snapshot.
    snapshot_score: Option<f32>,
    /// Whether there is a snapshot, and whether there was one before the last frame that was to become one.
    has_snapshot: bool,
    had_snapshot: bool,
    /// As last said.
    zones: Vec<Arc<str>>,
    /// When something was last said, by the rule's clock.
    told_at: Duration,
}

impl OpenEvent {
    /// Opens with the life's last frame.
    pub(super) fn open(
        id: EventId,
        subject: Arc<Subject>,
        life: Life,
        now: Duration,
        settings: &AlertSettings,
    ) -> (OpenEvent, AlertEvent) {
        let mut opened = OpenEvent {
            id,
            subject,
            life,
            snapshot_score: None,
            has_snapshot: false,
            had_snapshot: false,
            zones: Vec::new(),
            told_at: now,
        };
        let event = opened.say(EventKind::New, now, settings.snapshot);
        (opened, event)
    }

    /// What is to be said of the life's last frame.
    pub(super) fn update(&mut self, now: Duration, settings: &AlertSettings) -> Option<AlertEvent> {
        let better = |before| self.life.last.score >= before + BETTER_BY;
        let take_snapshot = settings.snapshot && self.snapshot_score.is_none_or(better);
        let moved =
            self.life.last.zones != self.zones && now.saturating_sub(self.told_at) >= ZONE_UPDATE_INTERVAL;
        (take_snapshot || moved).then(|| self.say(EventKind::Update, now, take_snapshot))
    }

    /// The frame that was last to become a snapshot did not; a clearly better one may.
    pub(super) fn snapshot_failed(&mut self) {
        self.has_snapshot = self.had_snapshot;
    }

    /// There is no snapshot any more.
    pub(super) fn forget_snapshot(&mut self) {
        self.snapshot_score = None;
        self.has_snapshot = false;
    }

    /// Closes.
    pub(super) fn close(mut self, reason: EndReason, now: Duration) -> AlertEvent {
        self.say(EventKind::End(reason), now, false)
    }

    fn say(&mut self, kind: EventKind, now: Duration, take_snapshot: bool) -> AlertEvent {
        let Life { first, first_frame_id, last, last_captured, top_score, entered, .. } = &self.life;
        self.had_snapshot = self.has_snapshot;
        if take_snapshot {
            self.snapshot_score = Some(last.score);
            self.has_snapshot = true;
        }
        self.zones.clone_from(&last.zones);
        self.told_at = now;
        AlertEvent {
            id: self.id.clone(),
            ended_at: matches!(kind, EventKind::End(_)).then(|| first.wall_at(now)),
            kind,
            subject: Arc::clone(&self.subject),
            score: last.score,
            top_score: *top_score,
            frame_id: last.frame_id,
            first_frame_id: *first_frame_id,
            captured_at: last.captured.wall,
            width: last.width,
            height: last.height,
            regions: last.regions.clone(),
            zones: last.zones.clone(),
            zones_entered: entered.clone(),
            started_at: first.wall,
            last_seen_at: first.wall_at(*last_captured),
            take_snapshot,
            has_snapshot: self.has_snapshot,
            has_earlier_snapshot: self.had_snapshot,
        }
    }
}
