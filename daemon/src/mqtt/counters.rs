//! What became of the messages.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::spool::Dropped;

/// Counts messages and connections since the process began; each number only grows.
#[derive(Debug, Default)]
pub struct MqttCounters {
    pub(super) published: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) dropped_outbox_full: AtomicU64,
    pub(super) dropped_too_large: AtomicU64,
    pub(super) dropped_events: AtomicU64,
    pub(super) dropped_snapshots: AtomicU64,
    pub(super) dropped_states: AtomicU64,
    pub(super) dropped_refused: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) dropped_incoming: AtomicU64,
}

/// [`MqttCounters`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MqttCounts {
    /// Messages written to the broker's connection.
    pub published: u64,
    /// Connections that the broker accepted.
    pub connects: u64,
    /// Results that were dropped: the oldest ones because too many waited, or all because the broker was left.
    pub dropped_outbox_full: u64,
    /// Messages that were larger than the packet limit.
    pub dropped_too_large: u64,
    /// Alert events that were dropped, oldest first, because the spool was full of them.
    pub dropped_events: u64,
    /// Snapshots that were dropped, oldest first, because the spool was full.
    pub dropped_snapshots: u64,
    /// Retained states that were dropped because the spool was full of them.
    pub dropped_states: u64,
    /// Messages that were given up because the broker cut the connection each time they came.
    pub dropped_refused: u64,
    /// Messages from others that the broker passed on.
    pub received: u64,
    /// Of those, messages that were too long or too many.
    pub dropped_incoming: u64,
}

impl MqttCounters {
    /// The numbers now.
    pub fn counts(&self) -> MqttCounts {
        MqttCounts {
            published: self.published.load(Relaxed),
            connects: self.connects.load(Relaxed),
            dropped_outbox_full: self.dropped_outbox_full.load(Relaxed),
            dropped_too_large: self.dropped_too_large.load(Relaxed),
            dropped_events: self.dropped_events.load(Relaxed),
            dropped_snapshots: self.dropped_snapshots.load(Relaxed),
            dropped_states: self.dropped_states.load(Relaxed),
            dropped_refused: self.dropped_refused.load(Relaxed),
            received: self.received.load(Relaxed),
            dropped_incoming: self.dropped_incoming.load(Relaxed),
        }
    }

    /// A message from others was read and is not answered.
    pub fn incoming_dropped(&self) {
        count(&self.dropped_incoming);
    }

    pub(super) fn results_discarded(&self, results: usize) {
        self.dropped_outbox_full.fetch_add(results as u64, Relaxed);
    }

    pub(super) fn spool_dropped(&self, dropped: Dropped) {
        self.dropped_events.fetch_add(dropped.events, Relaxed);
        self.dropped_snapshots.fetch_add(dropped.snapshots, Relaxed);
        self.dropped_states.fetch_add(dropped.states, Relaxed);
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
