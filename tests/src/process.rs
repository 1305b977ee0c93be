use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::EventLog;

/// A child process whose lines are kept, and which is killed when this is dropped.
pub struct Process {
    name: String,
    child: Child,
    /// Names this very process: no other one can get the signal, and its end can be waited for.
    handle: OwnedFd,
    readers: Vec<JoinHandle<()>>,
    /// Its standard output, line by line.
    pub stdout: EventLog<String>,
    /// Its standard error, line by line.
    pub stderr: EventLog<String>,
}

impl Process {
    /// Starts `command` with its output captured and its standard input open until [`Process::say_no_more`] or until
    /// this is dropped.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}: {:?}", command.get_program()))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id of 0")?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        let (stdout, stderr) = (EventLog::default(), EventLog::default());
        let readers =
            [collect_lines(child.stdout.take(), &stdout), collect_lines(child.stderr.take(), &stderr)];
        Ok(Self {
            name: name.to_owned(),
            child,
            handle,
            readers: readers.into_iter().flatten().collect(),
            stdout,
            stderr,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().with_context(|| format!("{} listens no longer", self.name))?;
        writeln!(stdin, "{line}").with_context(|| format!("telling {}", self.name))
    }

    /// Ends its standard input.
    pub fn say_no_more(&mut self) {
        self.child.stdin = None;
    }

    /// Sends `signal`; an error once the process has ended and been waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.handle, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Whether the process has not ended yet.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for the end of the process; an error if it still runs after `within`.
    pub fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        match self.exited_within(within)? {
            Some(status) => Ok(status),
            None => bail!("{} still runs after {within:?}", self.name),
        }
    }

    /// Waits for the end of the process; `None` if it still runs after `within`.
    pub fn exited_within(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = Timespec::try_from(left)?;
            poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&timeout))?;
        }
    }

    /// The most memory that the process has had in use; `None` once it has ended. An error once it has been waited for.
    pub fn peak_memory_bytes(&self) -> Result<Option<u64>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { return Ok(None) };
        let kib = line.trim().strip_suffix(" kB").context("VmHWM in kB")?;
        Ok(Some(kib.parse::<u64>()? * 1024))
    }

    /// Waits until everything that the process wrote before its end is in the logs.
    pub fn wait_output(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    /// Kills the process at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error here means that the process is gone already.
        let _ = self.kill();
        if thread::panicking() {
            let lines = self.stderr.all();
            eprintln!("--- the latest of {}'s standard error", self.name);
            for line in &lines[lines.len().saturating_sub(100)..] {
                eprintln!("    {line}");
            }
        }
    }
}

fn collect_lines(
    stream: Option<impl Read + Send + 'static>,
    log: &EventLog<String>,
) -> Option<JoinHandle<()>> {
    let stream = stream?;
    let log = log.clone();
    Some(thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { break };
            log.push(String::from_utf8_lossy(&line).into_owned());
        }
    }))
}
