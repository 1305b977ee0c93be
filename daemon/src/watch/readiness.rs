//! When the service manager hears that the daemon is ready, and of what.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::systemd::Systemd;

/// Shared by the start, which ends when every camera was opened, and by reloads, one of which may come before that: ready is
/// said once the cameras are open and at the end of every later reload, each time with what is true then.
#[derive(Debug, Clone)]
pub(super) struct Readiness {
    systemd: Systemd,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    is_ready: bool,
    /// What the daemon does, in a line.
    status: String,
}

impl Readiness {
    pub(super) fn new(systemd: Systemd) -> Readiness {
        Readiness { systemd, state: Arc::default() }
    }

    /// The cameras are being opened, which `now` says; `status` holds when they are.
    pub(super) fn opening(&self, now: &str, status: String) {
        self.lock().status = status;
        self.systemd.status(now);
    }

    /// The start has come to its end.
    pub(super) fn opened(&self) {
        let mut state = self.lock();
        state.is_ready = true;
        self.systemd.ready(&state.status);
    }

    /// A configuration is being taken up. While the daemon starts this is a part of the start.
    pub(super) fn reloading(&self) {
        if self.lock().is_ready {
            self.systemd.reloading();
        }
    }

    /// It was taken up or not; `status` holds from now on.
    pub(super) fn reloaded(&self, status: String) {
        let mut state = self.lock();
        state.status = status;
        if state.is_ready {
            self.systemd.ready(&state.status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_reload_while_cameras_are_opened_says_nothing_and_its_outcome_is_told_when_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let readiness = Readiness::new(Systemd::at(path.as_os_str()).unwrap());
        let heard = || {
            let mut buffer = [0; 1000];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        readiness.opening("opening 1 camera(s)", "watching 1 camera(s)".to_owned());
        assert_eq!(heard(), "STATUS=opening 1 camera(s)\n");
        readiness.reloading();
        readiness.reloaded("watching 2 camera(s)".to_owned());
        readiness.opened();
        assert_eq!(heard(), "READY=1\nSTATUS=watching 2 camera(s)\n");
        readiness.reloading();
        assert!(heard().starts_with("RELOADING=1\n"));
        readiness.reloaded("watching 3 camera(s)".to_owned());
        assert_eq!(heard(), "READY=1\nSTATUS=watching 3 camera(s)\n");
    }
}
