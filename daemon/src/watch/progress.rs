//! What the model thread has done for each camera.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Written by the model thread, read by the statistics; each number only grows.
#[derive(Debug, Default)]
pub struct CameraProgress {
    analysed: AtomicU64,
    results: AtomicU64,
    age_ms_sum: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    unwanted: AtomicU64,
}

/// [`CameraProgress`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressValues {
    /// Frames that gave results.
    pub analysed: u64,
    /// Results.
    pub results: u64,
    /// The ages of all analysed frames when their results were published, added up.
    pub age_ms_sum: u64,
    /// Frames on which the model failed.
    pub failed: u64,
    /// Frames that the end of the daemon cut off.
    pub cancelled: u64,
    /// Frames of which there was nothing to ask.
    pub unwanted: u64,
}

impl CameraProgress {
    /// A frame of that age gave so many results.
    pub(super) fn analysed(&self, age: Duration, results: usize) {
        self.analysed.fetch_add(1, Relaxed);
        self.results.fetch_add(results as u64, Relaxed);
        self.age_ms_sum.fetch_add(age.as_millis() as u64, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn cancelled(&self) {
        self.cancelled.fetch_add(1, Relaxed);
    }

    pub(super) fn unwanted(&self) {
        self.unwanted.fetch_add(1, Relaxed);
    }

    /// The numbers now.
    pub fn values(&self) -> ProgressValues {
        ProgressValues {
            analysed: self.analysed.load(Relaxed),
            results: self.results.load(Relaxed),
            age_ms_sum: self.age_ms_sum.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            unwanted: self.unwanted.load(Relaxed),
        }
    }
}
