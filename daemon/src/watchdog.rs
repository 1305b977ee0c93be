//! The service manager's watchdog, fed by the thread that it watches.

use std::time::{Duration, Instant};

use crate::systemd::Systemd;

/// So often in the time that the watchdog waits it is fed.
const MEALS: u32 = 4;

/// Says that a thread turns: `WATCHDOG=1`, as often as the service manager wants to hear it (`WATCHDOG_USEC`). There is no
/// timer in it: a thread that hangs says nothing, and is ended.
#[derive(Debug, Default)]
pub struct Watchdog {
    systemd: Systemd,
    /// It bites after so long; `None` where there is none.
    patience: Option<Duration>,
    fed: Option<Instant>,
}

impl Watchdog {
    /// The one that the service manager of this process has set up, if it has.
    pub fn from_environment(systemd: Systemd) -> Watchdog {
        Watchdog::new(systemd, sd_notify::watchdog_enabled())
    }

    /// One that bites after `patience`.
    pub fn new(systemd: Systemd, patience: Option<Duration>) -> Watchdog {
        Watchdog { systemd, patience, fed: None }
    }

    /// The thread turned at `now`.
    pub fn feed(&mut self, now: Instant) {
        let hunger = self.hunger();
        let is_hungry = self.fed.is_none_or(|fed| now.saturating_duration_since(fed) >= hunger);
        if self.patience.is_some() && is_hungry {
            self.systemd.alive();
            self.fed = Some(now);
        }
    }

    /// It is to be fed again after so long.
    pub fn hunger(&self) -> Duration {
        self.patience.map_or(Duration::MAX, |patience| patience / MEALS)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn it_is_fed_when_the_thread_turns_and_no_more_often_than_it_is_hungry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let meals = || std::iter::from_fn(|| listener.recv(&mut [0; 100]).ok()).count();
        let mut watchdog =
            Watchdog::new(Systemd::at(path.as_os_str()).unwrap(), Some(Duration::from_secs(4)));
        let start = Instant::now();
        // A thread that turns ten times a second for ten seconds, and hangs for a minute.
        (0..100).for_each(|turn| watchdog.feed(start + Duration::from_millis(turn * 100)));
        assert_eq!(meals(), 10);
        watchdog.feed(start + Duration::from_secs(70));
        assert_eq!(meals(), 1);
        let mut none = Watchdog::new(Systemd::at(path.as_os_str()).unwrap(), None);
        none.feed(start);
        assert_eq!(meals(), 0);
    }
}
