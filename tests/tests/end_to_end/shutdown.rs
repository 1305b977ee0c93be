//! SIGTERM, at any moment.

use std::time::Duration;

use anyhow::Result;
use belvedere_tests::{Daemon, RtspServer, SilentServer, Stream};
use serde_json::Value;

use crate::scene::{Scene, WITHIN};

const DEADLINE: Duration = Duration::from_secs(5);

/// A configuration whose answers take seconds, unless the model happens to end one early.
fn long_answers(scene: &Scene, server: &RtspServer) -> String {
    scene
        .config(&[("porch", &server.url())])
        .replace("max_new_tokens = 12", "max_new_tokens = 1024\nbeams = 16")
        .replace("[mqtt]\n", "[mqtt]\nstats_interval = \"100ms\"\n")
}

/// Waits until the model has been busy with one frame for about a second: ten newer ones came meanwhile.
fn wait_for_decode(scene: &Scene) -> Result<()> {
    let (mut analysed, mut superseded) = (0, 0);
    scene.subscriber.wait_for("an answer that takes long", WITHIN, |message| {
        let Some(stats) = message.json().ok().filter(|_| message.topic == "belvedere/stats") else {
            return false;
        };
        let count = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        if count("/cameras/porch/analysed") != analysed {
            analysed = count("/cameras/porch/analysed");
            superseded = count("/cameras/porch/dropped/superseded");
        }
        count("/cameras/porch/dropped/superseded") >= superseded + 10
    })?;
    Ok(())
}

#[test]
fn sigterm_in_the_middle_of_a_decode_ends_it_in_time_and_says_offline() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let mut daemon = Daemon::start(&long_answers(&scene, &server))?;
    wait_for_decode(&scene)?;
    let mark = scene.subscriber.mark();
    daemon.terminate()?;
    let status = daemon.process.wait_exit(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{}", daemon.output());
    scene.available(mark, "offline")?;
    assert_eq!(scene.retained("belvedere/available")?, "offline");
    assert_eq!(scene.retained("belvedere/porch/status")?, "offline");
    assert!(!daemon.output().contains("panic"), "{}", daemon.output());
    Ok(())
}

#[test]
fn sigterm_ends_a_daemon_whose_camera_and_broker_are_both_silent() -> Result<()> {
    let (mut daemon, _silent) = silent_on_both_sides()?;
    daemon.terminate()?;
    assert_eq!(daemon.process.wait_exit(DEADLINE)?.code(), Some(0), "{}", daemon.output());
    Ok(())
}

#[test]
fn a_second_signal_ends_it_at_once() -> Result<()> {
    // A broker that does not answer is waited for a while.
    let (mut daemon, _silent) = silent_on_both_sides()?;
    daemon.terminate()?;
    daemon.process.stderr.wait_for("the signal to be noticed", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("SIGTERM")).then_some(())
    })?;
    daemon.terminate()?;
    let status = daemon.process.wait_exit(Duration::from_secs(1))?;
    assert_eq!(status.code(), Some(1), "{}", daemon.output());
    Ok(())
}

/// A daemon that is connected to a camera and to a broker that never say a word.
fn silent_on_both_sides() -> Result<(Daemon, [SilentServer; 2])> {
    let mut scene = Scene::new()?;
    let (camera, broker) = (SilentServer::start()?, SilentServer::start()?);
    scene.broker.kill()?;
    let config = scene
        .config(&[("mute", &camera.url())])
        .replace(&scene.broker.url(), &broker.url().replace("rtsp", "mqtt").replace("/stream", ""));
    let daemon = Daemon::start(&config)?;
    for (server, name) in [(&camera, "camera"), (&broker, "broker")] {
        let what = format!("a connection to the {name}");
        server.accepted().wait_for(&what, WITHIN, |peers| (!peers.is_empty()).then_some(()))?;
    }
    Ok((daemon, [camera, broker]))
}
