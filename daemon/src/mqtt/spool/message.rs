//! What the spool holds.

/// The place of a message in the spool's order. A later message has a greater one. After a restart the
/// numbers of messages that had left may be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolId(pub(super) i64);

impl SpoolId {
    pub(super) fn next(self) -> SpoolId {
        SpoolId(self.0.saturating_add(1))
    }
}

/// How a message is kept, and what becomes of it where there is no room. The numbers are those of the
/// file; where there is no room, lower ones leave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum SpoolKind {
    /// A retained picture: a newer one of its topic replaces it, and it is the first to be dropped.
    Snapshot = 0,
    /// An alert event: all of them are sent, in order; dropped only when there are no snapshots left.
    Event = 1,
    /// A retained state: a newer one of its topic replaces it. There are few, and they go last.
    State = 2,
    /// A note of the daemon to its next life, never sent: a newer one of its topic, which is a name and
    /// no topic, replaces it, and an empty one takes it away. It counts against no bound.
    Note = 3,
}

impl SpoolKind {
    /// Whether the broker is to retain it. Of what is retained only the newest of a topic matters.
    pub fn is_retained(self) -> bool {
        matches!(self, SpoolKind::Snapshot | SpoolKind::State)
    }

    /// Whether of several with one topic only the newest matters.
    pub(super) fn is_replaced(self) -> bool {
        self != SpoolKind::Event
    }

    pub(super) fn from_number(number: i64) -> Option<SpoolKind> {
        [SpoolKind::Snapshot, SpoolKind::Event, SpoolKind::State, SpoolKind::Note]
            .into_iter()
            .find(|kind| *kind as i64 == number)
    }
}

/// A message that has no place yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// How it is kept.
    pub kind: SpoolKind,
    /// The whole topic; of a note, its name.
    pub topic: String,
    /// Text, JSON or a picture.
    pub payload: Vec<u8>,
}

/// A message in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledMessage {
    /// Its place.
    pub id: SpoolId,
    /// How it is kept.
    pub kind: SpoolKind,
    /// The whole topic.
    pub topic: String,
    /// Text, JSON or a picture.
    pub payload: Vec<u8>,
}

impl SpooledMessage {
    /// What counts against the bounds, in bytes.
    pub(super) fn size(&self) -> u64 {
        size(&self.topic, &self.payload)
    }
}

/// What a message counts for, in bytes: its topic, its payload, and about what a row has besides.
pub(super) fn size(topic: &str, payload: &[u8]) -> u64 {
    const ROW_BYTES: usize = 64;
    (topic.len() + payload.len() + ROW_BYTES) as u64
}
