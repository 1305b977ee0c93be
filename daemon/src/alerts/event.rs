//! What a rule says.

use std::sync::Arc;
use std::time::SystemTime;

use super::{CountedRegion, EventId, Phrase, Slug};

/// What is watched for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The camera's name, `[a-z0-9_-]+`.
    pub camera: Arc<str>,
    /// The phrase.
    pub phrase: Phrase,
    /// The phrase's name in topics.
    pub slug: Slug,
}

impl Subject {
    /// `phrase` on `camera`.
    pub fn new(camera: &str, phrase: Phrase) -> Subject {
        let slug = Slug::of(&phrase);
        Subject { camera: camera.into(), phrase, slug }
    }
}

/// The retained state of a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// An event is open.
    On,
    /// None is.
    Off,
}

impl AlertState {
    /// `ON` or `OFF`, as Home Assistant's binary sensors have it.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::On => "ON",
            AlertState::Off => "OFF",
        }
    }
}

/// Why an event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// Frames were analysed, and for `clear_after` none showed the phrase.
    Cleared,
    /// No frame was analysed for a long time, though the camera was not said to be offline.
    NoFrames,
    /// The camera went offline.
    CameraOffline {
        /// Why, for people; holds no secret.
        detail: String,
    },
    /// The schedule's range ended.
    Schedule,
    /// The camera's analysis was switched off.
    Disabled,
    /// The phrase or its camera left the configuration.
    Removed,
    /// The daemon was stopped.
    Shutdown,
    /// The daemon died and began anew. Said by whoever finds an event open at the start.
    Interrupted,
}

impl EndReason {
    /// The reason's name in messages.
    pub fn as_str(&self) -> &'static str {
        match self {
            EndReason::Cleared => "cleared",
            EndReason::NoFrames => "no_frames",
            EndReason::CameraOffline { .. } => "camera_offline",
            EndReason::Schedule => "schedule",
            EndReason::Disabled => "disabled",
            EndReason::Removed => "removed",
            EndReason::Shutdown => "shutdown",
            EndReason::Interrupted => "interrupted",
        }
    }

    /// What there is to say beside the name.
    pub fn detail(&self) -> Option<&str> {
        match self {
            EndReason::CameraOffline { detail } => Some(detail),
            _ => None,
        }
    }
}

/// Where in its life an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// The phrase has come true.
    New,
    /// It is still true, and there is something to say.
    Update,
    /// It is no longer true, or nobody can say.
    End(EndReason),
}

/// One thing that a rule says about one of its events.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEvent {
    /// The same through the whole life.
    pub id: EventId,
    /// Where in its life it is.
    pub kind: EventKind,
    /// What is watched for, and where.
    pub subject: Arc<Subject>,
    /// Of the best region on frame `frame_id`.
    pub score: f32,
    /// The best so far, since the first frame.
    pub top_score: f32,
    /// The last frame that showed the phrase; for `new` and `update` the frame they come with.
    pub frame_id: u64,
    /// The first frame that showed it.
    pub first_frame_id: u64,
    /// Of frame `frame_id`, as the camera's results have it.
    pub captured_at: SystemTime,
    /// Of frame `frame_id`, in pixels.
    pub width: u32,
    /// Of frame `frame_id`, in pixels.
    pub height: u32,
    /// What counts on frame `frame_id`, the best first; at least one.
    pub regions: Vec<CountedRegion>,
    /// The zones that any of `regions` is in, in the camera's order.
    pub zones: Vec<Arc<str>>,
    /// All zones so far, in the order in which they were entered.
    pub zones_entered: Vec<Arc<str>>,
    /// When the first frame was captured.
    pub started_at: SystemTime,
    /// When frame `frame_id` was captured, by the clock of `started_at`.
    pub last_seen_at: SystemTime,
    /// For `end`, when it was decided, by the clock of `started_at`. Not before it.
    pub ended_at: Option<SystemTime>,
    /// Whether frame `frame_id` is to become the event's snapshot. Never for `end`.
    pub take_snapshot: bool,
    /// Whether the event has a snapshot, this frame's or an earlier one's.
    pub has_snapshot: bool,
    /// Whether it has an earlier one's: what is left where this frame's cannot be made.
    pub has_earlier_snapshot: bool,
}

impl AlertEvent {
    /// What the phrase's retained state becomes with this; `None` where it stays.
    pub fn turns(&self) -> Option<AlertState> {
        match self.kind {
            EventKind::New => Some(AlertState::On),
            EventKind::Update => None,
            EventKind::End(_) => Some(AlertState::Off),
        }
    }
}
