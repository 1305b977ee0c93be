use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::Process;

/// What the unit sets: without these, glibc keeps much of what pipelines leave behind that have gone.
pub const UNIT_MALLOC: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// So long the daemon may take to listen.
const PAGE: Duration = Duration::from_secs(30);

/// `belvedere run` with a configuration of the test's own.
pub struct Daemon {
    /// The process: its output and its end.
    pub process: Process,
    folder: TempDir,
}

impl Daemon {
    /// Writes `config` to a file and runs the daemon on it, at log level `debug`: what a user may turn on must be fit to show.
    pub fn start(config: &str) -> Result<Self> {
        Self::start_with(config, |_| {})
    }

    /// The same with the command changed by `adjust`.
    pub fn start_with(config: &str, adjust: impl FnOnce(&mut Command)) -> Result<Self> {
        let folder = TempDir::new()?;
        let path = folder.path().join("belvedere.toml");
        fs::write(&path, config)?;
        let mut command = command()?;
        command.args(["run", "--config"]).arg(&path).env("BELVEDERE_LOG", "debug");
        // What waits for the broker is this daemon's own.
        command.env("STATE_DIRECTORY", folder.path().join("state"));
        adjust(&mut command);
        Ok(Self { process: Process::spawn("belvedere", &mut command)?, folder })
    }

    /// Where its configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("belvedere.toml")
    }

    /// Puts another configuration in the place of its own, as editors do.
    pub fn rewrite(&self, config: &str) -> Result<()> {
        let new = self.folder.path().join("belvedere.toml.new");
        fs::write(&new, config)?;
        Ok(fs::rename(new, self.config_path())?)
    }

    /// Puts another configuration in the place of its own and asks it to read that.
    pub fn reload(&self, config: &str) -> Result<()> {
        self.rewrite(config)?;
        self.process.signal(Signal::HUP)
    }

    /// Asks it to end, as systemd does.
    pub fn terminate(&self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Where it serves its page, `http://ADDRESS:PORT/`; waits until it says so.
    pub fn page(&self) -> Result<String> {
        self.process.stderr.wait_for("the page's address", PAGE, |lines| {
            let line = lines.iter().find(|line| line.contains("page served"))?;
            Some(line.split_once("page=")?.1.split(' ').next()?.to_owned())
        })
    }

    /// Everything it wrote so far, standard output and standard error.
    pub fn output(&self) -> String {
        [self.process.stdout.all(), self.process.stderr.all()].concat().join("\n")
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Checks that the command failed with `code`, said each of `texts` on standard error, and did not panic.
    pub fn assert_fails_saying(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        for text in texts {
            assert!(self.stderr.contains(text), "standard error does not say {text:?}: {self:#?}");
        }
    }
}

/// Runs `belvedere` with `arguments` to its end, which must come within `within`.
pub fn belvedere<A: AsRef<Path>>(arguments: &[A], within: Duration) -> Result<Finished> {
    let mut process = spawn_belvedere(arguments)?;
    let status = process.wait_exit(within).with_context(|| format!("{:?}", process.stderr.all()))?;
    process.wait_output();
    Ok(Finished { status, stdout: process.stdout.all().join("\n"), stderr: process.stderr.all().join("\n") })
}

/// Starts `belvedere` with `arguments`.
pub fn spawn_belvedere<A: AsRef<Path>>(arguments: &[A]) -> Result<Process> {
    let mut command = command()?;
    command.args(arguments.iter().map(|argument| argument.as_ref().as_os_str()));
    Process::spawn("belvedere", &mut command)
}

/// The built binary: `BELVEDERE_BIN`, or in the target folder that this program is in: beside it, or, for a test, beside
/// the folder that the tests are in.
pub fn belvedere_path() -> Result<PathBuf> {
    let path = match env::var_os("BELVEDERE_BIN") {
        Some(path) => path.into(),
        None => {
            let this = env::current_exe()?;
            let folder = this.parent().context("a program outside a target folder")?;
            let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
            folder.join("belvedere")
        }
    };
    ensure!(path.exists(), "{} is missing: `make build` makes it", path.display());
    Ok(path)
}

/// The binary, with nothing from the environment that would change what it does.
fn command() -> Result<Command> {
    let mut command = Command::new(belvedere_path()?);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("BELVEDERE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env_remove("GST_DEBUG");
    Ok(command)
}
