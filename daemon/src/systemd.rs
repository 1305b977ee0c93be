//! What the service manager is told, where there is one: sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::building::{BuildListener, Building};

/// A service manager that does not read must not hold up what it is told of.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// A builder that has given no sign of life for so long is taken to hang. The slowest steps of the slowest boards take
/// minutes.
const BUILDER_SILENCE: Duration = Duration::from_secs(10 * 60);

/// The service manager, or nobody.
#[derive(Debug, Clone, Default)]
pub struct Systemd {
    socket: Option<Arc<UnixDatagram>>,
    /// From then on nothing else is said: time that a builder gains, or a new status, would be taken for the stop's.
    is_stopping: Arc<AtomicBool>,
}

impl Systemd {
    /// Whoever started this process and wants to hear of it (`NOTIFY_SOCKET`).
    pub fn from_environment() -> Systemd {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Systemd::default();
        };
        Systemd::at(&address).unwrap_or_else(|error| {
            tracing::warn!(%error, ?address, "the service manager cannot be told anything");
            Systemd::default()
        })
    }

    /// The one that listens at `address`: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn at(address: &OsStr) -> io::Result<Systemd> {
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_write_timeout(Some(SEND_LIMIT))?;
        Ok(Systemd { socket: Some(Arc::new(socket)), is_stopping: Arc::default() })
    }

    /// What is being done, for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(status)]);
    }

    /// Everything runs.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Another configuration is being taken up; [`Systemd::ready`] ends that.
    pub fn reloading(&self) {
        // systemd tells by the time which reload of several this is.
        let Ok(now) = NotifyState::monotonic_usec_now() else { return };
        self.send(&[NotifyState::Reloading, now, NotifyState::Status("reloading the configuration")]);
    }

    /// What the watchdog wants to hear.
    pub fn alive(&self) {
        self.send_always(&[NotifyState::Watchdog]);
    }

    /// The end has begun. Of what follows only [`Systemd::alive`] is told.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.send_always(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// The start takes longer than it may, and will be heard of again within `time`.
    pub fn extend_timeout(&self, time: Duration, status: &str) {
        let time_us = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(time_us), NotifyState::Status(status)]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if !self.is_stopping.load(Ordering::SeqCst) {
            self.send_always(states);
        }
    }

    fn send_always(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::debug!(%error, "the service manager does not hear");
        }
    }
}

/// Each sign of life of the builder gains time; its silence does not.
impl BuildListener for Systemd {
    fn tell(&mut self, building: &Building) {
        if building.is_news {
            self.extend_timeout(BUILDER_SILENCE, &building.line());
        }
    }

    fn ended(&mut self, _: Duration) {
        self.status("loading the model");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::building::tests::building;

    fn listener() -> (tempfile::TempDir, UnixDatagram, Systemd) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let systemd = Systemd::at(path.as_os_str()).unwrap();
        (dir, listener, systemd)
    }

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 1000];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn each_state_is_one_datagram_of_lines() {
        let (_dir, listener, systemd) = listener();
        systemd.ready("watching 2 cameras");
        assert_eq!(heard(&listener), "READY=1\nSTATUS=watching 2 cameras\n");
        systemd.stopping();
        assert_eq!(heard(&listener), "STOPPING=1\nSTATUS=stopping\n");
    }

    #[test]
    fn a_reload_is_said_with_its_time() {
        let (_dir, listener, systemd) = listener();
        systemd.reloading();
        let said = heard(&listener);
        let lines: Vec<&str> = said.lines().collect();
        let time_us = lines[1].strip_prefix("MONOTONIC_USEC=").unwrap();
        assert_eq!((lines[0], time_us.parse::<u64>().unwrap() > 0), ("RELOADING=1", true));
        systemd.alive();
        assert_eq!(heard(&listener), "WATCHDOG=1\n");
    }

    #[test]
    fn a_sign_of_life_of_the_builder_gains_time_and_its_silence_does_not() {
        let (_dir, listener, mut systemd) = listener();
        BuildListener::tell(&mut systemd, &building(1, 0.5, 192));
        assert_eq!(
            heard(&listener),
            "EXTEND_TIMEOUT_USEC=600000000\nSTATUS=building engines: 50 %, encoder (2 of 3, tactics), 3 min 12 s\n"
        );
        BuildListener::tell(&mut systemd, &Building { is_news: false, ..building(1, 0.5, 193) });
        systemd.ended(Duration::ZERO);
        assert_eq!(heard(&listener), "STATUS=loading the model\n");
    }

    #[test]
    fn once_it_stops_nothing_gains_time_or_says_something_else() {
        let (_dir, listener, systemd) = listener();
        let mut builder = systemd.clone();
        systemd.stopping();
        assert_eq!(heard(&listener), "STOPPING=1\nSTATUS=stopping\n");
        BuildListener::tell(&mut builder, &building(1, 0.5, 192));
        builder.ended(Duration::ZERO);
        systemd.ready("watching 2 cameras");
        systemd.reloading();
        systemd.alive();
        assert_eq!(heard(&listener), "WATCHDOG=1\n");
    }

    #[test]
    fn an_abstract_name_is_an_address_too() {
        let name = format!("belvedere-test-{}-{:x}", std::process::id(), fastrand::u64(..));
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        Systemd::at(OsStr::new(&format!("@{name}"))).unwrap().status("hello");
        assert_eq!(heard(&listener), "STATUS=hello\n");
    }

    #[test]
    fn nobody_is_told_nothing_and_a_listener_that_left_is_no_error() {
        Systemd::default().ready("");
        let (_dir, listener, systemd) = listener();
        drop(listener);
        systemd.ready("");
    }
}
