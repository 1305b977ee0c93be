use std::time::{Duration, Instant};

/// Lets at most so many frames a second through, counted over any longer time. The times at which frames
/// are due stand on a grid, so that a camera of 25 frames a second gated to 2 gives 2 and not 1.92.
#[derive(Debug)]
pub(crate) struct RateGate {
    period: Duration,
    due: Option<Instant>,
}

impl RateGate {
    /// `fps` is above 0.
    pub(crate) fn new(fps: f64) -> Self {
        let period = Duration::try_from_secs_f64(1.0 / fps).unwrap_or(Duration::MAX);
        Self { period, due: None }
    }

    /// Whether the frame that arrived at `now` is wanted. The first one is.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let due = self.due.unwrap_or(now);
        if now < due {
            return false;
        }
        // A grid that has fallen behind by a period or more starts anew: no burst after a silence.
        let late = now.saturating_duration_since(due);
        let from = if late < self.period { due } else { now };
        self.due = from.checked_add(self.period).or(Some(now + Duration::from_secs(86_400)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(fps: f64, arrivals_ms: impl Iterator<Item = u64>) -> Vec<u64> {
        let start = Instant::now();
        let mut gate = RateGate::new(fps);
        arrivals_ms.filter(|ms| gate.admit(start + Duration::from_millis(*ms))).collect()
    }

    #[test]
    fn a_25_fps_camera_gated_to_2_gives_2_frames_a_second() {
        assert_eq!(admitted(2.0, (0..10_000).step_by(40)).len(), 20);
    }

    #[test]
    fn a_camera_slower_than_the_gate_loses_nothing() {
        assert_eq!(admitted(10.0, (0..10_000).step_by(500)).len(), 20);
    }

    #[test]
    fn a_silence_is_not_made_up_for_by_a_burst() {
        let times = admitted(2.0, (0..1_000).step_by(40).chain((60_000..61_000).step_by(40)));
        assert_eq!(times.len(), 4, "{times:?}");
    }

    #[test]
    fn no_second_holds_more_than_the_rate_and_one_frame_whatever_the_arrivals() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let fps = rng.u64(1..20);
            let mut at = 0;
            let arrivals: Vec<u64> = (0..2_000)
                .map(|_| {
                    at += rng.u64(0..80);
                    at
                })
                .collect();
            let times = admitted(fps as f64, arrivals.into_iter());
            for (i, first) in times.iter().enumerate() {
                let within = times[i..].iter().take_while(|t| *t - first < 1_000).count() as u64;
                assert!(within <= fps + 1, "{within} frames in a second at {fps}");
            }
        }
    }
}
