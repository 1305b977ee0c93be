use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    counters: Arc<CameraCounters>,
    doorbell: Arc<Doorbell>,
}

impl LatestFrame {
    pub(crate) fn new(camera: CameraName, doorbell: Arc<Doorbell>) -> Self {
        Self {
            camera,
            frame: Mutex::new(None),
            last_id: AtomicU64::new(0),
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
        let taken = self.frame.lock().unwrap_or_else(PoisonError::into_inner).take();
        if taken.is_some() {
            count(&self.counters.taken);
        }
        taken
    }
}
