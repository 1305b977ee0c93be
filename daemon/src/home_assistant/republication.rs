//! When to say everything again because Home Assistant started.

use std::time::{Duration, Instant};

/// Where Home Assistant says `online` when it has started and `offline` when it goes (its default; the
/// discovery prefix does not change it).
pub const BIRTH_TOPIC: &str = "homeassistant/status";

/// The wait is within these: everything that Home Assistant knows by MQTT hears of its start at the same
/// moment, and it asks that they not all answer at once.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// Whether everything is to be said again, and when. A pure state machine: the clock and the chance come
/// from outside.
///
/// What to say then: the announcements first, then the states; both are retained, but a broker may have
/// lost what it kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Republication {
    due: Option<Instant>,
}

impl Republication {
    /// A message on [`BIRTH_TOPIC`] came; `chance` is from 0 up to 1.
    ///
    /// A retained `online` is from before this connection, for which everything was said already. A
    /// second one while the first waits changes nothing; `offline` makes the waiting pointless.
    pub fn heard(&mut self, payload: &[u8], retained: bool, now: Instant, chance: f64) {
        match payload {
            b"online" if !retained && self.due.is_none() => {
                let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 };
                self.due = Some(now + SHORTEST + (LONGEST - SHORTEST).mul_f64(chance));
            }
            b"offline" => self.due = None,
            _ => {}
        }
    }

    /// A connection was made, on which everything is said anyhow.
    pub fn connected(&mut self) {
        self.due = None;
    }

    /// When [`take`](Republication::take) will be true, if it is to be.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it is time to say everything again; true once for each start.
    pub fn take(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{LONGEST, Republication, SHORTEST};

    #[test]
    fn a_start_of_home_assistant_is_answered_once_after_a_random_wait() {
        let now = Instant::now();
        let mut republication = Republication::default();
        republication.heard(b"online", false, now, 0.5);
        let due = republication.due().unwrap();
        assert!(due > now + SHORTEST && due < now + LONGEST);
        assert!(!republication.take(now + SHORTEST));
        assert!(republication.take(due));
        assert!(!republication.take(due + LONGEST));
    }

    #[test]
    fn the_wait_is_within_its_bounds_whatever_the_chance() {
        let now = Instant::now();
        for chance in [-1.0, 0.0, 1.0, 2.0, f64::NAN, f64::INFINITY] {
            let mut republication = Republication::default();
            republication.heard(b"online", false, now, chance);
            let due = republication.due().unwrap();
            assert!(due >= now + SHORTEST && due <= now + LONGEST, "{chance}");
        }
    }

    #[test]
    fn a_second_start_does_not_put_the_answer_off() {
        let now = Instant::now();
        let mut republication = Republication::default();
        republication.heard(b"online", false, now, 0.0);
        republication.heard(b"online", false, now + SHORTEST / 2, 1.0);
        assert_eq!(republication.due(), Some(now + SHORTEST));
    }

    #[test]
    fn what_needs_no_answer_gets_none() {
        let now = Instant::now();
        let mut republication = Republication::default();
        republication.heard(b"online", true, now, 0.0);
        republication.heard(b"\xff\xfe", false, now, 0.0);
        republication.heard(b"", false, now, 0.0);
        assert_eq!(republication.due(), None);
        republication.heard(b"online", false, now, 0.0);
        republication.heard(b"offline", false, now, 0.0);
        assert_eq!(republication.due(), None);
        republication.heard(b"online", false, now, 0.0);
        republication.connected();
        assert!(!republication.take(now + LONGEST));
    }
}
