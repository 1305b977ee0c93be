//! SIGTERM, at any moment.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use anyhow::Result;
use belvedere_tests::{Daemon, RtspServer, SilentServer, SmallCheckpoint, Stream};

use crate::scene::{Scene, WITHIN};

const DEADLINE: Duration = Duration::from_secs(5);

/// A configuration whose answers take many seconds: a signal after the first frame always meets a decode.
fn long_answers(scene: &Scene, server: &RtspServer) -> Result<(SmallCheckpoint, String)> {
    let checkpoint = SmallCheckpoint::write_slow()?;
    let config = scene
        .config(&[("porch", &server.url())])
        .replace(&format!("{:?}", scene.checkpoint.path()), &format!("{:?}", checkpoint.path()))
        .replace("max_new_tokens = 12", "max_new_tokens = 1024");
    Ok((checkpoint, config))
}

#[test]
fn sigterm_in_the_middle_of_a_decode_ends_it_in_time_and_says_offline() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let (_checkpoint, config) = long_answers(&scene, &server)?;
    let mut daemon = Daemon::start(&config)?;
    scene.status(0, "porch", "online")?;
    wait_for_decode(&daemon)?;
    let mark = scene.subscriber.mark();
    daemon.terminate()?;
    let status = daemon.process.wait_exit(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{}", daemon.output());
    scene.available(mark, "offline")?;
    assert_eq!(scene.retained("belvedere/available")?, "offline");
    Ok(())
}

#[test]
fn a_second_signal_ends_it_at_once() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let (_checkpoint, config) = long_answers(&scene, &server)?;
    let mut daemon = Daemon::start(&config)?;
    wait_for_decode(&daemon)?;
    daemon.terminate()?;
    daemon.terminate()?;
    let status = daemon.process.wait_exit(Duration::from_secs(2))?;
    // Ended by itself or by the signal; not by a panic.
    assert_ne!(status.signal(), Some(6), "{}", daemon.output());
    Ok(())
}

#[test]
fn sigterm_ends_a_daemon_whose_camera_and_broker_are_both_silent() -> Result<()> {
    let mut scene = Scene::new()?;
    let (camera, broker) = (SilentServer::start()?, SilentServer::start()?);
    scene.broker.kill()?;
    let config = scene
        .config(&[("mute", &camera.url())])
        .replace(&scene.broker.url(), &broker.url().replace("rtsp", "mqtt").replace("/stream", ""));
    let mut daemon = Daemon::start(&config)?;
    camera
        .accepted()
        .wait_for("a connection to the camera", WITHIN, |peers| (!peers.is_empty()).then_some(()))?;
    broker
        .accepted()
        .wait_for("a connection to the broker", WITHIN, |peers| (!peers.is_empty()).then_some(()))?;
    daemon.terminate()?;
    assert_eq!(daemon.process.wait_exit(DEADLINE)?.code(), Some(0), "{}", daemon.output());
    Ok(())
}

/// Waits until the model works on a frame, which then lasts.
fn wait_for_decode(daemon: &Daemon) -> Result<()> {
    daemon.process.stderr.wait_for("the model to take a frame", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("frame taken")).then_some(())
    })
}
