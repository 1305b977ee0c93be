//! Real streams in, the promised messages out.

use std::time::Duration;

use anyhow::{Context, Result};
use belvedere_tests::{Daemon, RtspServer, Stream};
use jiff::Timestamp;
use serde_json::Value;

use crate::scene::{Scene, TASK, WITHIN, assert_ends_well};

/// Older than this no analysed frame may be, on a loaded machine with two cores.
const OLDEST_MS: f64 = 5_000.0;

#[test]
fn an_h264_stream_becomes_results_with_increasing_frame_ids() -> Result<()> {
    a_stream_becomes_results(Stream::H264)
}

#[test]
fn an_h265_stream_becomes_results_with_increasing_frame_ids() -> Result<()> {
    a_stream_becomes_results(Stream::H265)
}

fn a_stream_becomes_results(stream: Stream) -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(stream)?;
    let started = Timestamp::now();
    let mut daemon = scene.run(&[("porch", &server.url())])?;

    scene.available(0, "online")?;
    scene.status(0, "porch", "online")?;
    let results = scene.results(0, "porch", 10)?;
    for result in &results {
        assert_eq!((result.width, result.height), (320, 240));
        assert!(result.age_ms <= OLDEST_MS, "{result:?}");
        assert!(result.captured_at >= started && result.captured_at <= Timestamp::now(), "{result:?}");
    }
    for pair in results.windows(2) {
        assert!(pair[0].frame_id < pair[1].frame_id, "{pair:?}");
        assert!(pair[0].captured_at < pair[1].captured_at, "{pair:?}");
    }

    assert_ends_well(&mut daemon)?;
    assert_eq!(scene.retained("belvedere/available")?, "offline");
    // Nothing was published but what is promised.
    for message in scene.subscriber.messages() {
        let topics = [
            "belvedere/available",
            "belvedere/config",
            "belvedere/state",
            "belvedere/stats",
            "belvedere/porch/status",
            "belvedere/porch/enabled/state",
            "belvedere/porch/object-detection",
            "homeassistant/device/belvedere/config",
            "homeassistant/device/belvedere-porch/config",
        ];
        assert!(topics.contains(&message.topic.as_str()), "{message:?}");
    }
    Ok(())
}

#[test]
fn two_cameras_are_both_served_and_every_task_has_its_topic() -> Result<()> {
    let scene = Scene::new()?;
    let (front, back) = (RtspServer::start(Stream::H264)?, RtspServer::start(Stream::H265)?);
    let config = scene
        .config(&[("front", &front.url()), ("back", &back.url())])
        .replace(&format!("tasks = [{TASK:?}]"), "tasks = [\"object-detection\", \"caption\"]");
    let mut daemon = Daemon::start(&config)?;
    for camera in ["front", "back"] {
        scene.results(0, camera, 5)?;
        let topic = format!("belvedere/{camera}/caption");
        for message in scene.subscriber.wait_for_count(0, &topic, 5, WITHIN)? {
            belvedere_tests::assert_result_shape(&message, camera, "caption")?;
        }
    }
    assert_ends_well(&mut daemon)
}

#[test]
fn stats_count_what_became_of_the_frames() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let config =
        scene.config(&[("porch", &server.url())]).replace("[mqtt]\n", "[mqtt]\nstats_interval = \"500ms\"\n");
    let mut daemon = Daemon::start(&config)?;
    scene.results(0, "porch", 3)?;
    let mark = scene.subscriber.mark();
    let stats = scene
        .subscriber
        .wait_for_after(mark, "stats", WITHIN, |message| message.topic == "belvedere/stats")?;
    assert!(!stats.retained);
    let json = stats.json()?;
    let time: Timestamp = json["time"].as_str().context("time")?.parse()?;
    assert!((Timestamp::now().duration_since(time)).unsigned_abs() < Duration::from_secs(60), "{json}");
    let porch = &json["cameras"]["porch"];
    let count = |value: &Value| value.as_u64().with_context(|| format!("a count is missing: {json}"));
    let dropped = porch["dropped"].as_object().context("dropped")?;
    let accounted = dropped.values().map(count).sum::<Result<u64>>()? + count(&porch["analysed"])?;
    let decoded = count(&porch["decoded"])?;
    // One frame may be in the slot, one with the model, and the counters are not read in one moment.
    assert!(decoded > 0 && decoded.abs_diff(accounted) <= 3, "{json}");
    assert_ends_well(&mut daemon)
}

#[test]
fn a_disabled_camera_is_said_to_be_and_is_not_opened() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let silent = belvedere_tests::SilentServer::start()?;
    let config = scene
        .config(&[("porch", &server.url()), ("attic", &silent.url())])
        .replace("name = \"attic\"\n", "name = \"attic\"\nenabled = false\n");
    let mut daemon = Daemon::start(&config)?;
    scene.status(0, "attic", "disabled")?;
    scene.results(0, "porch", 3)?;
    assert!(silent.accepted().is_empty());
    assert_ends_well(&mut daemon)
}
