//! What passes between the spool's thread and the others.

use std::collections::VecDeque;

use super::limits::Dropped;
use super::message::{NewMessage, SpoolId, SpoolKind, SpooledMessage, size};

/// So much is read ahead for the link.
pub(super) const FRONT_MESSAGES: usize = 16;
pub(super) const FRONT_BYTES: u64 = 4 << 20;
/// So much waits for a disk that is slow.
const INBOX_MESSAGES: usize = 1000;
const INBOX_BYTES: u64 = 32 << 20;

/// Two bounded queues, and what each side wants of the other.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) new: VecDeque<NewMessage>,
    pub(super) new_bytes: u64,
    pub(super) acknowledged: Vec<SpoolId>,
    /// Reading is to begin at the oldest message again.
    pub(super) rewind: bool,
    pub(super) front: VecDeque<SpooledMessage>,
    pub(super) front_bytes: u64,
    /// There are, or may be, messages in the spool after those in front.
    pub(super) has_more: bool,
    /// The thread holds what it took from here.
    pub(super) is_busy: bool,
    /// Messages in the spool.
    pub(super) spooled: u64,
    pub(super) closed: bool,
    /// The thread has closed the file.
    pub(super) has_ended: bool,
    /// The disk fails: what is accepted now is lost with the process.
    pub(super) is_troubled: bool,
}

impl Desk {
    pub(super) fn rewind(&mut self) {
        self.front.clear();
        self.front_bytes = 0;
        self.rewind = true;
        self.has_more = true;
    }

    /// What a newer message of the topic is about to replace need not be sent.
    pub(super) fn forget_in_front(&mut self, topic: &str) {
        self.front.retain(|message| !(message.kind.is_retained() && message.topic == topic));
        self.front_bytes = self.front.iter().map(SpooledMessage::size).sum();
    }

    pub(super) fn wants_more(&self) -> bool {
        self.has_more && self.front.len() <= FRONT_MESSAGES / 2 && self.front_bytes <= FRONT_BYTES / 2
    }

    pub(super) fn has_work(&self) -> bool {
        !self.new.is_empty() || !self.acknowledged.is_empty() || self.rewind || self.wants_more()
    }

    pub(super) fn shrink(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        while self.new.len() > INBOX_MESSAGES || self.new_bytes > INBOX_BYTES {
            let snapshot = self.new.iter().position(|message| message.kind == SpoolKind::Snapshot);
            let Some(message) = self.new.remove(snapshot.unwrap_or(0)) else {
                break;
            };
            self.new_bytes -= size(&message.topic, &message.payload);
            dropped.add(message.kind);
            // What is noted of an event is noted behind it. Nobody is to hear the end of one that is lost.
            if message.kind == SpoolKind::Event
                && self.new.front().is_some_and(|note| note.kind == SpoolKind::Note)
                && let Some(note) = self.new.pop_front()
            {
                self.new_bytes -= size(&note.topic, &note.payload);
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_slow_disk_is_bounded_and_snapshots_go_first() {
        let mut desk = Desk::default();
        for number in 0..5 {
            let kind = if number == 3 { SpoolKind::Snapshot } else { SpoolKind::Event };
            let payload = vec![number; INBOX_BYTES as usize / 4];
            desk.new_bytes += size("topic", &payload);
            desk.new.push_back(NewMessage { kind, topic: "topic".to_owned(), payload });
        }
        assert_eq!(desk.shrink(), Dropped { snapshots: 1, events: 1, states: 0 });
        assert_eq!(desk.new.iter().map(|new| new.payload[0]).collect::<Vec<_>>(), [1, 2, 4]);
        assert!(desk.new_bytes <= INBOX_BYTES);
    }
}
