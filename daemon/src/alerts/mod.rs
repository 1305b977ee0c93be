//! Phrase alerts: from what a model saw on single frames to events that are worth a message.
//!
//! Nothing in here reads a clock, a file or a socket. Every call carries its moment, so that the
//! same calls give the same events, in a test as in a running daemon.
//!
//! - [`Phrase`] and [`Slug`]: what is looked for, and its name in topics.
//! - [`AlertSettings`]: when it counts. Built of types that cannot hold a setting without a meaning:
//!   [`Fraction`], [`Polygon`], [`Zones`], [`SizeLimits`], [`Schedule`]. All errors are [`AlertError`].
//! - [`Sighting`]: what one analysed frame says about the phrase.
//! - [`AlertRule`]: the state machine of one phrase on one camera. Sightings, ticks and changes go
//!   in, [`AlertEvent`]s come out.
//! - [`AlertMessage`]: an event as the payload of `ROOT/CAMERA/alerts`; [`topics`]: where it goes.
//!
//! # The life of an event
//!
//! An event begins with `new`, may have `update`s, and ends with one `end`. A rule has at most one
//! open. Its state is [`AlertState::On`] from `new` to `end` and [`AlertState::Off`] otherwise.
//!
//! - **`new`** comes with the frame that completes `min_frames` consecutive analysed frames on which
//!   at least one region counts: its score, zone and size are right, in a moment of the schedule.
//! - **`update`** comes with a frame that makes a better snapshot (its score is [`BETTER_BY`] above
//!   that of the last snapshot, so there are few in a life) or on which the phrase is in other zones
//!   than last said (at most one each [`ZONE_UPDATE_INTERVAL`]).
//! - **`end`** with the reason `cleared` comes when no frame has shown the phrase for `clear_after`
//!   and at least one has been analysed since the last that did. A model that is busy elsewhere is no
//!   evidence that somebody left: without any frame an event stays open for `unwatched_after`
//!   longer and ends with `no_frames`. A camera that goes offline, the end of the schedule's range,
//!   switching off and stopping end it at once, each with its own reason.
//!
//! # The cooldown
//!
//! Two `new` of a rule are at least `cooldown` apart, counted from `new` to `new`. Nothing else moves
//! that window: no sighting within it, no update, no end, no switching off and on. The cooldown
//! withholds the telling, not the watching: a phrase that comes true within the window is followed as
//! always, by the same `min_frames` and `clear_after`, but nothing is said of it and the state stays
//! off. If it is still true when the window is over, the next frame that shows it gives `new`, with
//! `started_at` the moment it was first seen: something that lasts is told late, never lost. If it
//! ends before, it is never told, and counted in [`AlertCounts::held_back`].
//!
//! A rule begins without a cooldown, so a restart of the daemon may repeat an alert, with another id.
//!
//! # Which clock
//!
//! `clear_after`, `cooldown` and the limits of updates are measured on the monotonic clock. Wall time
//! decides only the schedule, the ids and what is printed; within one event `last_seen_at` and
//! `ended_at` are `started_at` plus monotonic time, so that its length is right even where the wall
//! clock was set in between. `captured_at` is the frame's own, as in the camera's results.

mod error;
mod event;
mod event_id;
mod fraction;
mod judge;
mod life;
mod message;
mod moment;
mod phrase;
mod picture_box;
mod polygon;
#[cfg(test)]
mod properties;
mod rule;
mod schedule;
mod settings;
mod sighting;
mod size_limits;
mod slug;
pub mod topics;
mod zones;

pub use error::AlertError;
pub use event::{AlertEvent, AlertState, EndReason, EventKind, Subject};
pub use event_id::EventId;
pub use fraction::Fraction;
pub use life::{BETTER_BY, UNWATCHED_AFTER, ZONE_UPDATE_INTERVAL};
pub use message::{AlertMessage, EventType, MessageRegion};
pub use moment::Moment;
pub use phrase::Phrase;
pub use picture_box::PictureBox;
pub use polygon::Polygon;
pub use rule::{AlertCounts, AlertRule, StopReason};
pub use schedule::{Schedule, WeeklyRange, time_zone};
pub use settings::AlertSettings;
pub use sighting::{CountedRegion, SeenRegion, Sighting};
pub use size_limits::SizeLimits;
pub use slug::{Slug, SlugCollision, slug_collisions};
pub use zones::{Share, Zone, ZoneTest, Zones};
