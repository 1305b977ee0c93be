use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use crate::counters::count;
use crate::scheduler::Doorbell;
use crate::{CameraCounters, CameraName, Frame};

/// The newest frame of one camera. A newer frame replaces it; no frame ever waits behind another.
///
/// Belongs to a camera's name, not to a pipeline: the ids go on over rebuilds and restarts of the camera.
#[derive(Debug)]
pub struct LatestFrame {
    camera: CameraName,
    frame: Mutex<Option<Frame>>,
    last_id: AtomicU64,
    claimed: AtomicBool,
    counters: Arc<CameraCounters>,
    doorbell: Arc<Doorbell>,
}

impl LatestFrame {
    pub(crate) fn new(camera: CameraName, doorbell: Arc<Doorbell>) -> Self {
        Self {
            camera,
            frame: Mutex::new(None),
            last_id: AtomicU64::new(0),
            claimed: AtomicBool::new(false),
            counters: Arc::default(),
            doorbell,
        }
    }

    /// The camera.
    pub fn camera(&self) -> &CameraName {
        &self.camera
    }

    /// The camera's counters.
    pub fn counters(&self) -> &Arc<CameraCounters> {
        &self.counters
    }

    /// Reserves the slot for one camera's supervision; `None` if another one has it.
    pub(crate) fn claim(self: &Arc<Self>) -> Option<SlotClaim> {
        (!self.claimed.swap(true, SeqCst)).then(|| SlotClaim { slot: Arc::clone(self) })
    }

    /// The id for the next frame; the first is 1.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + 1
    }

    /// Puts a frame in; one that nobody took is dropped and counted as superseded. Never blocks for longer
    /// than it takes to swap a pointer.
    pub fn put(&self, frame: Frame) {
        let replaced = self.frame.lock().unwrap_or_else(PoisonError::into_inner).replace(frame);
        if replaced.is_some() {
            count(&self.counters.superseded);
        }
        self.doorbell.ring();
        // Outside the lock: giving a buffer back to a decoder can take a while.
        drop(replaced);
    }

    /// Takes the frame out.
    pub fn take(&self) -> Option<Frame> {
        let taken = self.empty();
        if taken.is_some() {
            count(&self.counters.taken);
        }
        taken
    }

    /// Drops the frame of a stream that nobody watches any more, and counts it as unwanted.
    pub fn discard(&self) {
        if self.empty().is_some() {
            count(&self.counters.unwanted);
        }
    }

    fn empty(&self) -> Option<Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The right to fill a slot; given back when dropped.
#[derive(Debug)]
pub(crate) struct SlotClaim {
    slot: Arc<LatestFrame>,
}

impl SlotClaim {
    pub(crate) fn slot(&self) -> &Arc<LatestFrame> {
        &self.slot
    }
}

impl Drop for SlotClaim {
    fn drop(&mut self) {
        self.slot.claimed.store(false, SeqCst);
    }
}
