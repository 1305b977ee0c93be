use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::Process;

/// How long the server may take to listen.
const START: Duration = Duration::from_secs(20);

/// What the server sends.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// 320x240 at 10 frames per second, H.264.
    H264,
    /// The same, H.265.
    H265,
    /// H.264 whose bytes are damaged all the way.
    CorruptH264,
    /// 640x360 at 15 frames per second, H.264: the film of the demonstration, for each client from its beginning, once.
    Film,
    /// The pictures of this MP4 file, likewise.
    File(&'static Path),
}

/// A real RTSP server in its own process, so that killing it closes its sockets as a power cut would.
pub struct RtspServer {
    process: Option<Process>,
    stream: Stream,
    login: Option<(&'static str, &'static str)>,
    port: u16,
}

impl RtspServer {
    /// Serves `stream` on a free loopback port.
    pub fn start(stream: Stream) -> Result<Self> {
        Self::launch(stream, None)
    }

    /// The same, for clients that know a user name and a password.
    pub fn start_with_login(stream: Stream, user: &'static str, password: &'static str) -> Result<Self> {
        Self::launch(stream, Some((user, password)))
    }

    /// Where the stream is; without credentials.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/stream", self.port)
    }

    /// Where the stream is, with `user` and `password` inside.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("rtsp://{user}:{password}@127.0.0.1:{}/stream", self.port)
    }

    /// Kills the server.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Brings the server back on the same port.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let (process, port) = serve(self.stream, self.login, self.port)?;
        ensure!(port == self.port, "asked for port {}, got {port}", self.port);
        self.process = Some(process);
        Ok(())
    }

    fn launch(stream: Stream, login: Option<(&'static str, &'static str)>) -> Result<Self> {
        let (process, port) = serve(stream, login, 0)?;
        Ok(Self { process: Some(process), stream, login, port })
    }
}

fn serve(stream: Stream, login: Option<(&str, &str)>, port: u16) -> Result<(Process, u16)> {
    let mut command = Command::new(server_path()?);
    match stream {
        Stream::H264 => command.arg("h264"),
        Stream::H265 => command.arg("h265"),
        Stream::CorruptH264 => command.arg("corrupt-h264"),
        Stream::Film => command.arg("film"),
        Stream::File(path) => command.arg(path),
    };
    command.arg(port.to_string());
    if let Some((user, password)) = login {
        command.args([user, password]);
    }
    let process = Process::spawn("the RTSP server", &mut command)?;
    let port = process.stdout.wait_for("the RTSP server's port", START, |lines| {
        lines.first().and_then(|line| line.parse().ok())
    })?;
    Ok((process, port))
}

/// Cargo builds this package's programs before its tests, beside the folder that the tests are in.
fn server_path() -> Result<PathBuf> {
    let test = env::current_exe()?;
    let folder = test.parent().context("a program outside a target folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join("belvedere-test-rtsp-server");
    ensure!(path.exists(), "{} is missing: `make test` builds it", path.display());
    Ok(path)
}
