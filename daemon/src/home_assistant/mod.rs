//! Home Assistant finds the cameras by itself: MQTT device discovery.
//!
//! Pure functions from a description of the daemon to retained messages; nothing here connects to
//! anything. The names and rules are those of Home Assistant 2024.11, which brought device discovery,
//! and later (<https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>).
//!
//! # What appears
//!
//! A device for the daemon, and one for each camera that names the daemon as what it is reached through.
//! [`camera_device`] and [`daemon_device`] list their entities.
//!
//! # Ids
//!
//! The daemon's id comes from the topic root ([`daemon_id`]): two daemons of one broker cannot share a
//! root, and a root outlives reinstallations. A camera's device is `DAEMON-CAMERA`, an entity
//! `DAEMON-CAMERA-KEY`; a key is made of what the entity is about (a phrase's slug, a task), never of
//! its position. `DAEMON` and `KEY` hold no `-`, so that no two of these ids can be the same.
//!
//! # When an entity is available
//!
//! | entity | available while |
//! |---|---|
//! | phrase, caption, counts | the daemon is there **and** the camera's status is `online` |
//! | alert event, snapshot, switch, statistics | the daemon is there |
//! | stream (camera), running (daemon) | always: they say that something is away |
//!
//! A phrase is not `OFF` when nobody looks. `disabled` counts as away like `offline`; Home Assistant
//! would ignore a word that is neither of its two, and so a template maps it. An alert that ends because
//! its camera went away is an event that must arrive, the last snapshot is wanted most when the camera
//! has gone, and a switch that goes away when it is turned off could not be turned on again.
//!
//! # Leaving
//!
//! What an earlier life of the daemon announced is read from the broker ([`Announced::read`]), where the
//! retained announcements are: the list cannot be out of step with what it lists, and outlives the
//! daemon's state folder. [`Announcement::replacing`] then empties the topics of cameras that left and
//! puts a tombstone in place of entities that left. A tombstone stays in the retained payload until the
//! next start of the daemon, so that a Home Assistant that was away for a moment sees it too; sent and
//! taken back at once, as its documentation has it, the two would also race: a second message on a
//! device while the first is being worked on is dropped in part.
//! For the same reason a start listens for [`LISTENING`] before it announces anything.
//! What cannot be mended from here: an entity that left while Home Assistant was not running stays in
//! its registry, marked as no longer provided, until its user deletes it.
//!
//! # Saying it again
//!
//! On each connection (the outbox does that with every state) and, after a random wait, when Home
//! Assistant starts: [`Republication`].

use std::time::Duration;

mod announced;
mod announcement;
mod availability;
mod camera_device;
mod component;
mod daemon_device;
mod description;
mod ids;
mod republication;
mod templates;

#[cfg(test)]
mod schema;

/// How long after [`Announcement::subscription`] was acknowledged, on the first connection, everything
/// retained is taken to have come, so that the first announcement holds all tombstones.
pub const LISTENING: Duration = Duration::from_secs(1);

pub use announced::Announced;
pub use announcement::{Announcement, RetainedMessage};
pub use description::{AskedTask, CameraDescription, DaemonDescription, PhraseDescription};
pub use ids::daemon_id;
pub use republication::{BIRTH_TOPIC, Republication};
