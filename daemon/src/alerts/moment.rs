//! A point in time, on two clocks.

use std::time::{Duration, SystemTime};

/// Both clocks, read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since any fixed point in the life of the process, such as its start. Measures how long
    /// something takes. A rule takes a moment before an earlier call's for that of the earlier call.
    pub monotonic: Duration,
    /// The time of the day. May jump in both directions.
    pub wall: SystemTime,
}

impl Moment {
    /// The wall time at `monotonic`, as it would be had nobody set the clock since this moment.
    /// Never before this moment.
    pub(super) fn wall_at(&self, monotonic: Duration) -> SystemTime {
        let elapsed = monotonic.saturating_sub(self.monotonic);
        self.wall.checked_add(elapsed).unwrap_or(self.wall)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::Moment;

    #[test]
    fn wall_time_is_carried_on_by_the_monotonic_clock_and_never_backwards() {
        let start = Moment { monotonic: Duration::from_secs(5), wall: SystemTime::UNIX_EPOCH };
        let wall_s = |monotonic_s| {
            start
                .wall_at(Duration::from_secs(monotonic_s))
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs()
        };
        assert_eq!([wall_s(7), wall_s(5), wall_s(1)], [2, 0, 0]);
        assert_eq!(start.wall_at(Duration::MAX), SystemTime::UNIX_EPOCH, "past the end of time");
    }
}
