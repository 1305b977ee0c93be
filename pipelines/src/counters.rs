use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What has happened to a camera's frames and its stream since the process began. Written by the camera's
/// own threads, read by anyone at any time; each number only grows.
///
/// Every decoded frame ends in exactly one of `gated`, `superseded`, `taken`, `unwanted`, `unreadable`, or is the
/// one in the slot or on its way there.
#[derive(Debug, Default)]
pub struct CameraCounters {
    pub(crate) decoded: AtomicU64,
    pub(crate) gated: AtomicU64,
    pub(crate) superseded: AtomicU64,
    pub(crate) taken: AtomicU64,
    pub(crate) unwanted: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) abandoned: AtomicU64,
}

/// [`CameraCounters`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CounterValues {
    /// Frames that came out of the decoder.
    pub decoded: u64,
    /// Frames dropped because `fps` did not ask for them.
    pub gated: u64,
    /// Frames replaced by a newer one before anyone took them.
    pub superseded: u64,
    /// Frames taken out of the slot.
    pub taken: u64,
    /// Frames left in the slot by a stream that nobody watches any more.
    pub unwanted: u64,
    /// Frames dropped because their memory could not be read.
    pub unreadable: u64,
    /// Streams that failed.
    pub errors: u64,
    /// Streams that were built again after a failure and gave a frame.
    pub reconnects: u64,
    /// Pipelines left behind because a state change did not end in time.
    pub abandoned: u64,
}

impl CameraCounters {
    /// The numbers now. They are read one by one: a frame on its way may be in one and not yet in the next.
    pub fn values(&self) -> CounterValues {
        CounterValues {
            decoded: self.decoded.load(Relaxed),
            gated: self.gated.load(Relaxed),
            superseded: self.superseded.load(Relaxed),
            taken: self.taken.load(Relaxed),
            unwanted: self.unwanted.load(Relaxed),
            unreadable: self.unreadable.load(Relaxed),
            errors: self.errors.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
        }
    }
}

/// Adds one to a counter.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
