use std::time::{Duration, Instant};

use crate::{FailureKind, StreamFailure};

/// Whether a camera gives pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraStatus {
    /// Frames come; said after the first one. Stays through an interruption shorter than
    /// [`crate::Timeouts::offline_after`].
    Online,
    /// No frames come.
    Offline {
        /// The newest reason known.
        reason: StreamFailure,
    },
}

/// Tells short interruptions from outages. Pure: it is told what happens and when.
#[derive(Debug)]
pub(crate) struct StatusLatch {
    offline_after: Duration,
    status: CameraStatus,
    /// An interruption that is not yet an outage.
    interruption: Option<(Instant, StreamFailure)>,
}

impl StatusLatch {
    pub(crate) fn new(offline_after: Duration) -> Self {
        let reason = StreamFailure::new(FailureKind::NotYetConnected);
        Self { offline_after, status: CameraStatus::Offline { reason }, interruption: None }
    }

    pub(crate) fn status(&self) -> &CameraStatus {
        &self.status
    }

    /// A frame came.
    pub(crate) fn streaming(&mut self) {
        self.interruption = None;
        self.status = CameraStatus::Online;
    }

    /// The stream failed, or failed to come back; it has given nothing since `since`.
    pub(crate) fn failed(&mut self, since: Instant, now: Instant, reason: StreamFailure) {
        match (&self.status, &mut self.interruption) {
            (CameraStatus::Offline { .. }, _) => self.status = CameraStatus::Offline { reason },
            (CameraStatus::Online, Some((_, newest))) => *newest = reason,
            (CameraStatus::Online, none) => *none = Some((since, reason)),
        }
        self.tick(now);
    }

    /// There will be no more frames: no interruption, the end.
    pub(crate) fn ended(&mut self, reason: StreamFailure) {
        self.interruption = None;
        self.status = CameraStatus::Offline { reason };
    }

    /// Turns an interruption that has lasted into an outage.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some((since, reason)) = self.interruption.take() {
            if now.saturating_duration_since(since) >= self.offline_after {
                self.status = CameraStatus::Offline { reason };
            } else {
                self.interruption = Some((since, reason));
            }
        }
    }

    /// When [`StatusLatch::tick`] has something to do next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.interruption.as_ref().map(|(since, _)| *since + self.offline_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> StreamFailure {
        StreamFailure::new(FailureKind::Silent)
    }

    #[test]
    fn a_camera_is_online_only_after_its_first_frame() {
        let mut latch = StatusLatch::new(Duration::from_secs(5));
        assert!(matches!(latch.status(), CameraStatus::Offline { .. }));
        latch.streaming();
        assert_eq!(latch.status(), &CameraStatus::Online);
    }

    #[test]
    fn a_short_interruption_is_not_shown() {
        let start = Instant::now();
        let mut latch = StatusLatch::new(Duration::from_secs(5));
        latch.streaming();
        latch.failed(start, start, failure());
        latch.tick(start + Duration::from_secs(4));
        assert_eq!(latch.status(), &CameraStatus::Online);
        latch.streaming();
        assert_eq!(latch.next_tick(), None);
        latch.tick(start + Duration::from_secs(60));
        assert_eq!(latch.status(), &CameraStatus::Online);
    }

    #[test]
    fn an_outage_is_shown_with_its_newest_reason_counted_from_the_first() {
        let start = Instant::now();
        let mut latch = StatusLatch::new(Duration::from_secs(5));
        latch.streaming();
        latch.failed(start, start, failure());
        let refused = StreamFailure::new(FailureKind::ConnectionRefused);
        let later = start + Duration::from_secs(4);
        latch.failed(later, later, refused.clone());
        assert_eq!(latch.next_tick(), Some(start + Duration::from_secs(5)));
        latch.tick(start + Duration::from_secs(5));
        assert_eq!(latch.status(), &CameraStatus::Offline { reason: refused });
    }

    #[test]
    fn an_offline_camera_shows_each_new_reason_at_once() {
        let mut latch = StatusLatch::new(Duration::from_secs(5));
        latch.failed(Instant::now(), Instant::now(), failure());
        assert_eq!(latch.status(), &CameraStatus::Offline { reason: failure() });
    }

    #[test]
    fn a_silence_counts_from_its_beginning_and_not_from_when_it_was_noticed() {
        let start = Instant::now();
        for (noticed_after_s, is_online) in [(4, true), (5, false)] {
            let mut latch = StatusLatch::new(Duration::from_secs(5));
            latch.streaming();
            latch.failed(start, start + Duration::from_secs(noticed_after_s), failure());
            assert_eq!(*latch.status() == CameraStatus::Online, is_online, "{noticed_after_s} s");
        }
    }
}
