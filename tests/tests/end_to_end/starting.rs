//! A service that starts: what systemd and the broker hear of it, and an end before it has started.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use belvedere_tests::{Daemon, Message};
use serde_json::Value;
use tempfile::TempDir;

use crate::scene::{Scene, WITHIN, assert_ends_well};

/// In systemd's place.
struct ServiceManager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl ServiceManager {
    fn start() -> Result<ServiceManager> {
        let folder = TempDir::new()?;
        let socket = UnixDatagram::bind(folder.path().join("notify"))?;
        socket.set_read_timeout(Some(WITHIN))?;
        Ok(ServiceManager { folder, socket })
    }

    fn run(&self, config: &str) -> Result<Daemon> {
        Daemon::start_with(config, |command| {
            command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
            command.env("CACHE_DIRECTORY", self.folder.path().join("cache"));
        })
    }

    /// Everything that is said up to the first line that is `line`, that included.
    fn hear_until(&self, line: &str) -> Result<Vec<String>> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let length =
                self.socket.recv(&mut buffer).with_context(|| format!("{line} did not come: {heard:?}"))?;
            heard.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
            if heard.iter().any(|heard| heard == line) {
                return Ok(heard);
            }
        }
    }
}

fn is_state(message: &Message, state: &str) -> bool {
    message.topic == "belvedere/state" && message.json().is_ok_and(|said: Value| said["state"] == state)
}

#[test]
fn systemd_and_the_broker_hear_of_loading_then_of_running_then_of_the_end() -> Result<()> {
    let scene = Scene::new()?;
    let manager = ServiceManager::start()?;
    let mut daemon = manager.run(&scene.config(&[("porch", "test://ball")]))?;
    let heard = manager.hear_until("READY=1")?;
    assert_eq!(heard.first().map(String::as_str), Some("STATUS=loading the model"), "{heard:?}");
    let status = heard.last().context("nothing was said")?;
    assert!(status.starts_with("STATUS=watching 1 camera(s); CPU"), "{heard:?}");
    scene.subscriber.wait_for("loading", WITHIN, |message| is_state(message, "loading"))?;
    scene.subscriber.wait_for("running", WITHIN, |message| is_state(message, "running"))?;
    let running: Value = serde_json::from_str(&scene.retained("belvedere/state")?)?;
    assert!(running["device"].as_str().is_some_and(|device| device.starts_with("CPU")), "{running}");

    assert_ends_well(&mut daemon)?;
    manager.hear_until("STOPPING=1")?;
    let stopped: Value = serde_json::from_str(&scene.retained("belvedere/state")?)?;
    assert_eq!(stopped["state"], "stopped");
    Ok(())
}

#[test]
fn it_is_not_ready_before_each_camera_was_opened_or_has_said_why_it_cannot_be() -> Result<()> {
    let scene = Scene::new()?;
    let manager = ServiceManager::start()?;
    // A camera that takes the connection and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("rtsp://{}/stream", mute.local_addr()?);
    let config = scene.config(&[("porch", "test://ball"), ("yard", &url)]);
    let patience = Duration::from_secs(2);
    let mut daemon = manager.run(&config.replace("answer_timeout = \"1s\"", "answer_timeout = \"2s\""))?;
    manager.hear_until("STATUS=opening 2 camera(s)")?;
    let opening = Instant::now();
    manager.hear_until("READY=1")?;
    assert!(opening.elapsed() > patience / 2, "ready after {:?}", opening.elapsed());
    assert!(opening.elapsed() < 10 * patience, "ready after {:?}", opening.elapsed());
    assert_ends_well(&mut daemon)
}

#[test]
fn sigterm_while_the_model_is_loaded_ends_it_at_once_and_says_offline() -> Result<()> {
    let scene = Scene::new()?;
    let manager = ServiceManager::start()?;
    // Another process that loads a model is waited for, and this one is never done.
    let loading = manager.folder.path().join("cache").join("loading");
    std::fs::create_dir_all(&loading)?;
    let lock = File::create(loading.join("lock"))?;
    lock.lock()?;
    let mut daemon = manager.run(&scene.config(&[("porch", "test://ball")]))?;
    manager.hear_until("STATUS=loading the model")?;
    scene.available(0, "online")?;

    daemon.terminate()?;
    let status = daemon.process.wait_exit(Duration::from_secs(3))?;
    assert_eq!(status.code(), Some(0), "{}", daemon.output());
    let heard = manager.hear_until("STOPPING=1")?;
    if heard.iter().any(|line| line == "READY=1") {
        bail!("it was not ready: {heard:?}");
    }
    assert_eq!(scene.retained("belvedere/available")?, "offline");
    assert_eq!(scene.retained("belvedere/porch/status")?, "offline");
    Ok(())
}
