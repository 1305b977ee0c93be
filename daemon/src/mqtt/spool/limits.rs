//! How much the spool holds, and what did not fit.

use super::message::SpoolKind;

/// The bounds of a spool. Where a message more would exceed them, the oldest snapshot is dropped; where
/// there is none, the oldest event; states, of which there is one a topic, are the last to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Messages.
    pub messages: u64,
    /// Bytes of topics and payloads. The file is a little larger, and its log beside it is as large as
    /// the largest burst, up to some MiB.
    pub bytes: u64,
}

impl Default for SpoolLimits {
    /// Ten thousand messages, 256 MiB: a night of alerts with their snapshots.
    fn default() -> SpoolLimits {
        SpoolLimits { messages: 10_000, bytes: 256 << 20 }
    }
}

/// Counts messages that were dropped because there was no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Snapshots.
    pub snapshots: u64,
    /// Alert events.
    pub events: u64,
    /// Retained states.
    pub states: u64,
}

impl Dropped {
    pub(super) fn add(&mut self, kind: SpoolKind) {
        match kind {
            SpoolKind::Snapshot => self.snapshots += 1,
            SpoolKind::Event => self.events += 1,
            SpoolKind::State => self.states += 1,
            // Never dropped.
            SpoolKind::Note => {}
        }
    }

    pub(super) fn merge(&mut self, other: Dropped) {
        self.snapshots += other.snapshots;
        self.events += other.events;
        self.states += other.states;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.snapshots + self.events + self.states
    }
}
