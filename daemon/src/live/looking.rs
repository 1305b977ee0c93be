//! Whether anybody looks at a camera.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Someone who took a picture is taken for looking so much longer: the next request is on its way.
const LINGERS: Duration = Duration::from_secs(2);

/// Who looks at a camera: read by the model thread at each frame, written by those who look.
#[derive(Debug)]
pub(super) struct Lookers {
    began: Instant,
    now: AtomicUsize,
    /// Milliseconds from `began` to when the last one stopped; 0 before.
    last_ms: AtomicU64,
}

/// Somebody looks at a camera for as long as this lives.
#[derive(Debug)]
pub struct Looking(Arc<Lookers>);

impl Lookers {
    pub(super) fn new(began: Instant) -> Lookers {
        Lookers { began, now: AtomicUsize::new(0), last_ms: AtomicU64::new(0) }
    }

    /// Somebody begins to look.
    pub(super) fn look(self: &Arc<Lookers>) -> Looking {
        self.now.fetch_add(1, Relaxed);
        Looking(Arc::clone(self))
    }

    /// How many look at this moment.
    pub(super) fn count(&self) -> usize {
        self.now.load(Relaxed)
    }

    /// Whether a picture is wanted.
    pub(super) fn any(&self) -> bool {
        let last_ms = self.last_ms.load(Relaxed);
        let since = self.now_ms().saturating_sub(last_ms);
        self.count() > 0 || (last_ms > 0 && Duration::from_millis(since) < LINGERS)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.last_ms.store(self.0.now_ms().max(1), Relaxed);
        self.0.now.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_wanted_while_somebody_looks_and_a_moment_longer() {
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let lookers = Arc::new(Lookers::new(long_ago));
        assert!(!lookers.any());
        let (one, other) = (lookers.look(), lookers.look());
        drop(one);
        assert!(lookers.any() && lookers.count() == 1);
        drop(other);
        assert!(lookers.any() && lookers.count() == 0);
        lookers.last_ms.fetch_sub(LINGERS.as_millis() as u64, Relaxed);
        assert!(!lookers.any());
    }
}
