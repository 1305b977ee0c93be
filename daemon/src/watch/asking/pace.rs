//! How often, and for how long.

use std::time::{Duration, Instant};

/// Lets so many things happen in a second, and a few more at once after a quiet time.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: f64,
    at_once: f64,
    left: f64,
    last: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(per_second: f64, at_once: u32) -> Pace {
        Pace { per_second, at_once: at_once.into(), left: at_once.into(), last: None }
    }

    /// Whether one more may happen at `now`; it counts if it may.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.pass(now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }

    /// Whether one more might happen at `now`.
    pub(crate) fn has_any(&mut self, now: Instant) -> bool {
        self.pass(now);
        self.left >= 1.0
    }

    /// Whether the quiet time before `now` was so long that more of it would change nothing.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.pass(now);
        self.left >= self.at_once
    }

    fn pass(&mut self, now: Instant) {
        let passed = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last = Some(now);
        self.left = (self.left + passed.as_secs_f64() * self.per_second).min(self.at_once);
    }
}

/// Keeps work to a share of the time that passes. What has been spent must be saved up again before more begins;
/// one piece of work may overdraw.
#[derive(Debug)]
pub(super) struct Share {
    share: f64,
    /// At most so much is saved up.
    most: Duration,
    saved_s: f64,
    last: Instant,
}

impl Share {
    /// With all saved up that can be.
    pub(super) fn new(share: f64, most: Duration, now: Instant) -> Share {
        Share { share, most, saved_s: most.as_secs_f64(), last: now }
    }

    /// Whether there is anything left to spend at `now`.
    pub(super) fn has_any(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.last);
        self.last = now;
        self.saved_s = (self.saved_s + passed.as_secs_f64() * self.share).min(self.most.as_secs_f64());
        self.saved_s > 0.0
    }

    /// So much was spent.
    pub(super) fn spend(&mut self, time: Duration) {
        self.saved_s -= time.as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_its_few_at_once_and_then_the_pace() {
        let mut pace = Pace::new(2.0, 5);
        let start = Instant::now();
        let passed = |pace: &mut Pace, now| (0..1000).filter(|_| pace.take(now)).count();
        assert_eq!(passed(&mut pace, start), 5);
        assert_eq!(passed(&mut pace, start + Duration::from_millis(1500)), 3);
        assert_eq!(passed(&mut pace, start + Duration::from_secs(3600)), 5);
        // A clock that is read late.
        assert_eq!(passed(&mut pace, start), 0);
    }

    #[test]
    fn work_is_kept_to_its_share_however_much_there_is() {
        let start = Instant::now();
        let (mut now, mut spent) = (start, Duration::ZERO);
        let mut share = Share::new(0.25, Duration::from_secs(1), start);
        // Pieces of 3 s, whenever they may begin; cameras have the rest.
        while now < start + Duration::from_secs(3600) {
            let piece = if share.has_any(now) { Duration::from_secs(3) } else { Duration::ZERO };
            share.spend(piece);
            spent += piece;
            now += piece + Duration::from_millis(500);
        }
        let share = spent.as_secs_f64() / (now - start).as_secs_f64();
        assert!((0.24..0.26).contains(&share), "{share}");
    }
}
