//! What is killed comes back, and what hangs holds up nobody else.

use anyhow::Result;
use belvedere_tests::{RtspServer, SilentServer, Stream};

use crate::scene::{Scene, TASK, WITHIN, assert_ends_well};

#[test]
fn a_camera_that_dies_goes_offline_and_resumes_when_it_is_back() -> Result<()> {
    let scene = Scene::new()?;
    let mut porch = RtspServer::start(Stream::H264)?;
    let yard = RtspServer::start(Stream::H264)?;
    let mut daemon = scene.run(&[("porch", &porch.url()), ("yard", &yard.url())])?;
    let before = scene.results(0, "porch", 3)?;
    scene.status(0, "porch", "online")?;
    scene.results(0, "yard", 3)?;

    let mark = scene.subscriber.mark();
    porch.kill()?;
    scene.status(mark, "porch", "offline")?;
    let mark = scene.subscriber.mark();
    scene.results(mark, "yard", 5)?;

    let mark = scene.subscriber.mark();
    porch.restart()?;
    scene.status(mark, "porch", "online")?;
    let after = scene.results(mark, "porch", 3)?;
    let last_before = before.iter().map(|result| result.frame_id).max();
    assert!(after.iter().map(|result| result.frame_id).min() > last_before, "{before:?} {after:?}");

    // The other camera never noticed.
    let yard_status =
        scene.subscriber.messages().into_iter().filter(|message| message.topic == "belvedere/yard/status");
    let after_online: Vec<_> = yard_status
        .map(|message| message.payload)
        .skip_while(|payload| payload != "online")
        .skip(1)
        .collect();
    assert!(after_online.is_empty(), "{after_online:?}");
    assert_ends_well(&mut daemon)
}

#[test]
fn a_camera_that_accepts_and_says_nothing_is_tried_again_and_holds_up_nobody() -> Result<()> {
    let scene = Scene::new()?;
    let silent = SilentServer::start()?;
    let yard = RtspServer::start(Stream::H264)?;
    let mut daemon = scene.run(&[("mute", &silent.url()), ("yard", &yard.url())])?;
    scene.results(0, "yard", 5)?;
    // Three connections: it was given up and tried again, more than once.
    silent
        .accepted()
        .wait_for("connections to the silent server", WITHIN, |peers| (peers.len() >= 3).then_some(()))?;
    let mark = scene.subscriber.mark();
    scene.results(mark, "yard", 5)?;
    assert_eq!(scene.retained("belvedere/mute/status")?, "offline");
    assert_ends_well(&mut daemon)
}

#[test]
fn a_camera_that_comes_only_after_the_daemon_is_found() -> Result<()> {
    let scene = Scene::new()?;
    let mut porch = RtspServer::start(Stream::H265)?;
    porch.kill()?;
    let mut daemon = scene.run(&[("porch", &porch.url())])?;
    scene.status(0, "porch", "offline")?;
    porch.restart()?;
    scene.status(0, "porch", "online")?;
    scene.results(0, "porch", 3)?;
    assert_ends_well(&mut daemon)
}

#[test]
fn a_broker_that_dies_is_told_everything_again_when_it_is_back() -> Result<()> {
    let mut scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let mut daemon = scene.run(&[("porch", &server.url())])?;
    let before = scene.results(0, "porch", 3)?;

    let mark = scene.subscriber.mark();
    scene.broker.kill()?;
    scene.broker.restart()?;
    scene.subscriber.wait_for_subscription(2)?;
    // The new broker remembers nothing: what it has, it was told again.
    scene.available(mark, "online")?;
    scene.status(mark, "porch", "online")?;
    assert_eq!(scene.retained("belvedere/available")?, "online");
    assert_eq!(scene.retained("belvedere/porch/status")?, "online");
    let mark = scene.subscriber.mark();
    let after = scene.results(mark, "porch", 3)?;
    assert!(after[0].frame_id > before[before.len() - 1].frame_id, "{before:?} {after:?}");
    assert_ends_well(&mut daemon)
}

#[test]
fn the_last_will_says_offline_when_the_daemon_is_killed() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let mut daemon = scene.run(&[("porch", &server.url())])?;
    scene.results(0, "porch", 1)?;
    let mark = scene.subscriber.mark();
    daemon.process.kill()?;
    scene.available(mark, "offline")?;
    assert_eq!(scene.retained("belvedere/available")?, "offline");
    Ok(())
}

#[test]
fn a_corrupt_stream_ends_neither_the_daemon_nor_another_camera() -> Result<()> {
    let scene = Scene::new()?;
    let damaged = RtspServer::start(Stream::CorruptH264)?;
    let yard = RtspServer::start(Stream::H264)?;
    let mut daemon = scene.run(&[("damaged", &damaged.url()), ("yard", &yard.url())])?;
    // Whatever a decoder makes of it, the camera's state is said and whatever results come have their shape.
    scene.subscriber.wait_for("a status of the damaged camera", WITHIN, |message| {
        message.topic == "belvedere/damaged/status"
    })?;
    let mark = scene.subscriber.mark();
    scene.results(mark, "yard", 20)?;
    for message in scene.subscriber.messages() {
        if message.topic == format!("belvedere/damaged/{TASK}") {
            belvedere_tests::assert_result_shape(&message, "damaged", TASK)?;
        }
    }
    assert_ends_well(&mut daemon)
}
