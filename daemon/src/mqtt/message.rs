//! A message as the link sends it.

use super::spool::SpoolId;
use super::suspicion::MessageKey;

/// What a packet has beside its topic and payload, generously.
const PACKET_OVERHEAD_BYTES: usize = 16;

/// A message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) class: Class,
}

/// How a message is sent, and what becomes of it when the connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Sent at most once; goes back to its queue if it was not written.
    Result,
    /// What is so now: retained, sent at least once, and again at each connection.
    State,
    /// Sent at least once; stays in the spool until it is acknowledged.
    Spooled { id: SpoolId, is_retained: bool },
}

impl Message {
    /// What it is known by, where it is to be acknowledged.
    pub(super) fn key(&self) -> Option<MessageKey> {
        match self.class {
            Class::Spooled { id, .. } => Some(MessageKey::Spooled(id)),
            Class::State => Some(MessageKey::State(self.topic.clone())),
            Class::Result => None,
        }
    }

    /// Bytes on the wire, at most.
    pub(super) fn size(&self) -> usize {
        size_on_wire(&self.topic, &self.payload)
    }
}

/// Bytes that a packet with these takes, at most.
pub(super) fn size_on_wire(topic: &str, payload: &[u8]) -> usize {
    topic.len() + payload.len() + PACKET_OVERHEAD_BYTES
}
