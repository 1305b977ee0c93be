use std::time::Duration;

/// Waits between tries: the first one, then twice as long each time up to the longest. Each wait is drawn
/// evenly from the upper half of its length, so that cameras behind one switch do not come back in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration, random: fastrand::Rng) -> Self {
        Self { first, longest, next: first, random }
    }

    /// The wait before the next try.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.longest);
        full.mul_f64(0.5 + 0.5 * self.random.f64())
    }

    /// The stream was stable: the next wait is the first one again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_keep_to_the_upper_half() {
        for seed in 0..100 {
            let rng = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), rng);
            for full in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
                let wait = backoff.next_wait().as_secs_f64();
                assert!(wait >= full / 2.0 && wait <= full, "{wait} of {full}");
            }
            backoff.reset();
            assert!(backoff.next_wait() <= Duration::from_secs(1));
        }
    }

    #[test]
    fn two_cameras_do_not_wait_in_step() {
        let draw = |seed| {
            let rng = fastrand::Rng::with_seed(seed);
            Backoff::new(Duration::from_secs(1), Duration::from_secs(30), rng).next_wait()
        };
        assert_ne!(draw(1), draw(2));
    }
}
