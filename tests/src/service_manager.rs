use std::{os::unix::net::UnixDatagram, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::Result;
use tempfile::TempDir;

use crate::EventLog;

/// The service manager's end of sd_notify(3): a socket of the test's own.
pub struct ServiceManager {
    folder: TempDir,
    /// What it was told, datagram by datagram.
    pub told: EventLog<String>,
}

impl ServiceManager {
    /// Begins to listen.
    pub fn start() -> Result<Self> {
        let manager = Self { folder: TempDir::new()?, told: EventLog::default() };
        let socket = UnixDatagram::bind(manager.path())?;
        let told = manager.told.clone();
        // The thread ends with the test's process; nobody waits for a message that does not come.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        });
        Ok(manager)
    }

    /// Lets `command` know of it, as a service with a watchdog that waits for `watchdog`.
    pub fn adopt(&self, command: &mut Command, watchdog: Duration) {
        command.env("NOTIFY_SOCKET", self.path());
        command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        command.env_remove("WATCHDOG_PID");
    }

    /// Waits until it was told a line that begins with `line`, after the first `mark` datagrams; how many there were then.
    pub fn wait_for(&self, mark: usize, line: &str, within: Duration) -> Result<usize> {
        self.told.wait_for(line, within, |told| {
            let has = |datagram: &String| datagram.lines().any(|said| said.starts_with(line));
            told.iter().enumerate().skip(mark).find(|(_, datagram)| has(datagram)).map(|(place, _)| place + 1)
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("notify")
    }
}
