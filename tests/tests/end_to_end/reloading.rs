//! Another configuration while the daemon runs.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use belvedere_tests::{
    Broker, Daemon, Message, Publisher, RtspServer, ServiceManager, SmallCheckpoint, Stream, Subscriber,
    free_port, http_get,
    reload_stress::{Plan, run},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::{Scene, WITHIN, assert_ends_well};

const CONFIG: &str = "belvedere/config";

/// Waits until a configuration has become `state` after `mark`; what was said of it.
fn becomes(scene: &Scene, mark: usize, state: &str) -> Result<Value> {
    let said = scene.subscriber.wait_for_after(
        mark,
        &format!("a configuration that is {state}"),
        WITHIN,
        |message| message.topic == CONFIG && message.json().is_ok_and(|report| report["state"] == state),
    )?;
    said.json()
}

fn of_topic(messages: &[Message], topic: &str) -> Vec<String> {
    messages.iter().filter(|message| message.topic == topic).map(|message| message.payload.clone()).collect()
}

#[test]
fn a_camera_of_which_nothing_changes_goes_on_while_others_come_change_and_go() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start(Stream::H264)?;
    let alert = "[[camera.alert]]\nphrase = \"a dog\"\n";
    let before = scene.config(&[("porch", &server.url()), ("attic", "test://ball")])
        + alert
        + &scene
            .config(&[("yard", "test://ball")])
            .split_once("[[camera]]")
            .map_or(String::new(), |(_, yard)| format!("\n[[camera]]{yard}{alert}"));
    let mut daemon = Daemon::start(&before)?;
    for camera in ["porch", "attic", "yard"] {
        scene.results(0, camera, 3)?;
    }
    assert_eq!(becomes(&scene, 0, "ok")?["problems"], Value::Array(Vec::new()));
    let last = scene.results(0, "porch", 3)?.pop().context("a result")?;
    // What was never announced is not taken back.
    let announced = "homeassistant/device/belvedere-yard/config";
    scene.subscriber.wait_for(announced, WITHIN, |message| message.topic == announced)?;

    let mark = scene.subscriber.mark();
    daemon.reload(&scene.config(&[
        ("porch", &server.url()),
        ("attic", "test://snow"),
        ("barn", "test://ball"),
    ]))?;
    becomes(&scene, mark, "ok")?;
    scene.results(mark, "barn", 3)?;
    scene.status(mark, "attic", "offline")?;
    scene.status(mark, "attic", "online")?;
    scene.results(mark, "attic", 3)?;
    let porch = scene.results(mark, "porch", 10)?;
    assert!(porch[0].frame_id > last.frame_id, "its frames are numbered anew");
    let messages = scene.subscriber.messages();
    assert_eq!(of_topic(&messages[mark..], "belvedere/porch/status"), Vec::<String>::new());
    // What is gone leaves nothing behind.
    for topic in [
        "belvedere/yard/status",
        "belvedere/yard/enabled/state",
        "belvedere/yard/alert/a_dog/state",
        "belvedere/attic/alert/a_dog/state",
        announced,
    ] {
        scene.subscriber.wait_for_payload(mark, topic, "", WITHIN)?;
    }
    let mark = scene.subscriber.mark();
    scene.results(mark, "porch", 5)?;
    assert_eq!(
        of_topic(&scene.subscriber.messages()[mark..], "belvedere/yard/object-detection"),
        Vec::<String>::new()
    );
    assert_ends_well(&mut daemon)
}

#[test]
fn a_mistake_in_a_file_that_is_saved_changes_nothing_and_is_said_with_its_place() -> Result<()> {
    let scene = Scene::new()?;
    let good = scene.config(&[("porch", "test://ball")]);
    let mut daemon = Daemon::start(&good)?;
    scene.results(0, "porch", 3)?;
    let mark = scene.subscriber.mark();
    // Nobody says anything: the file is looked at.
    daemon.rewrite(&good.replace("fps = 10", "fsp = 10"))?;
    let said = becomes(&scene, mark, "invalid")?;
    let problem = &said["problems"][0];
    let line = good.lines().position(|line| line.starts_with("fps")).context("fps")? + 1;
    assert_eq!(problem["line"], line);
    assert_eq!((&problem["key"], &problem["nearest"]), (&"camera[0].fsp".into(), &"fps".into()));
    assert_eq!(problem["file"], daemon.config_path().display().to_string());
    assert_eq!(serde_json::from_str::<Value>(&scene.retained(CONFIG)?)?, said);
    assert!(daemon.output().contains("the new configuration changes nothing"), "{}", daemon.output());
    let mark = scene.subscriber.mark();
    scene.results(mark, "porch", 3)?;
    daemon.rewrite(&good)?;
    becomes(&scene, mark, "ok")?;
    assert_ends_well(&mut daemon)
}

#[test]
fn another_broker_hears_everything_and_the_old_one_that_the_daemon_has_left() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene.config(&[("porch", "test://ball")]);
    let mut daemon = Daemon::start(&config)?;
    scene.results(0, "porch", 3)?;
    let other = Broker::start()?;
    let there = Subscriber::start(&other)?;
    let mark = scene.subscriber.mark();
    daemon.reload(&config.replace(&scene.broker.url(), &other.url()))?;
    scene.available(mark, "offline")?;
    there.wait_for_payload(0, "belvedere/available", "online", WITHIN)?;
    there.wait_for_payload(0, "belvedere/porch/status", "online", WITHIN)?;
    there.wait_for_count(0, "belvedere/porch/object-detection", 5, WITHIN)?;
    // Commands are heard there.
    Publisher::start(&other)?.publish("belvedere/porch/enabled/set", "OFF")?;
    there.wait_for_payload(0, "belvedere/porch/status", "disabled", WITHIN)?;
    assert_ends_well(&mut daemon)?;
    there.wait_for_payload(0, "belvedere/available", "offline", WITHIN)?;
    Ok(())
}

#[test]
fn another_model_answers_between_two_frames_and_one_that_cannot_be_loaded_changes_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let (config, other) = (scene.config(&[("porch", "test://ball")]), SmallCheckpoint::write()?);
    let mut daemon = Daemon::start(&config)?;
    scene.results(0, "porch", 3)?;
    let old = scene.checkpoint.path().display().to_string();
    let mark = scene.subscriber.mark();
    daemon.reload(&config.replace(&old, "/nowhere/at/all"))?;
    let said = becomes(&scene, mark, "invalid")?;
    assert_eq!(said["problems"][0]["key"], "model", "{said}");
    let mark = scene.subscriber.mark();
    scene.results(mark, "porch", 3)?;

    daemon.reload(
        &config.replace(&old, &other.path().display().to_string()).replace("threads = 1", "threads = 2"),
    )?;
    becomes(&scene, mark, "ok")?;
    assert!(daemon.output().contains("another model answers from now on"), "{}", daemon.output());
    let mark = scene.subscriber.mark();
    scene.results(mark, "porch", 3)?;
    // A phrase of thousands of tokens is no question to any model.
    let long = format!("[{{ task = \"phrase-grounding\", text = \"{}\" }}]", "many words ".repeat(2000));
    daemon.reload(&config.replace("[\"object-detection\"]", &long))?;
    let said = becomes(&scene, mark, "invalid")?;
    assert_eq!(said["problems"][0]["key"], "camera[0].tasks", "{said}");
    let messages = scene.subscriber.messages();
    assert_eq!(
        of_topic(&messages, "belvedere/porch/status").iter().filter(|status| *status == "online").count(),
        1
    );
    assert_ends_well(&mut daemon)
}

#[test]
fn the_page_moves_to_another_address_of_its_port_and_stays_where_that_cannot_be() -> Result<()> {
    let scene = Scene::new()?;
    let port = free_port()?;
    let config = |listen: &str, more: &str| {
        let camera = scene.config(&[("porch", "test://ball")]);
        format!("{camera}\n[http]\nlisten = \"{listen}:{port}\"\n{more}")
    };
    let mut daemon = Daemon::start(&config("127.0.0.1", ""))?;
    let cameras = format!("http://127.0.0.1:{port}/api/cameras");
    assert_eq!(daemon.page()?, format!("http://127.0.0.1:{port}/"));
    assert_eq!(http_get(&cameras)?.0, 200);
    becomes(&scene, 0, "ok")?;

    // An address for documentation: no machine has it.
    let token = TempDir::new()?;
    let token = token.path().join("token");
    fs::write(&token, "0123456789abcdef0123")?;
    let token = format!("token_file = {token:?}\n");
    let mark = scene.subscriber.mark();
    daemon.reload(&config("192.0.2.77", &token))?;
    let said = becomes(&scene, mark, "invalid")?;
    assert_eq!(said["problems"][0]["key"], "http.listen", "{said}");
    assert_eq!(http_get(&cameras)?.0, 200, "{}", daemon.output());

    let mark = scene.subscriber.mark();
    daemon.reload(&config("0.0.0.0", &token))?;
    becomes(&scene, mark, "ok")?;
    assert_eq!(http_get(&cameras)?.0, 401, "{}", daemon.output());
    assert_ends_well(&mut daemon)
}

#[test]
fn a_password_that_is_put_right_in_its_file_opens_the_camera() -> Result<()> {
    let scene = Scene::new()?;
    let folder = TempDir::new()?;
    let server = RtspServer::start_with_login(Stream::H264, "eve", "hunter2")?;
    let credentials = folder.path().join("credentials");
    fs::write(&credentials, "eve:wrong\n")?;
    let config = scene
        .config(&[("porch", &server.url())])
        .replace("fps = 10", &format!("fps = 10\ncredentials_file = {credentials:?}"));
    let mut daemon = Daemon::start(&config)?;
    daemon.process.stderr.wait_for("the camera to refuse", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("camera offline")).then_some(())
    })?;
    fs::write(&credentials, "eve:hunter2\n")?;
    scene.results(0, "porch", 3)?;
    assert!(!daemon.output().contains("hunter2"));
    assert_ends_well(&mut daemon)
}

#[test]
fn a_key_that_needs_a_restart_is_named_and_the_rest_is_taken_up() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene.config(&[("porch", "test://ball")]);
    let mut daemon = Daemon::start(&config)?;
    scene.results(0, "porch", 1)?;
    let mark = scene.subscriber.mark();
    let other = scene.config(&[("porch", "test://ball"), ("yard", "test://ball")]);
    daemon.reload(&other.replace("[mqtt]\n", "[mqtt]\ntopic = \"elsewhere\"\n"))?;
    // What was so before is said once more, on the new way to the broker.
    let said = scene.subscriber.wait_for_after(mark, "what needs a restart", WITHIN, |message| {
        message.topic == CONFIG && message.json().is_ok_and(|report| report["needs_restart"] != json!([]))
    })?;
    assert_eq!(said.json()?["needs_restart"], json!(["mqtt.topic"]));
    scene.results(mark, "yard", 3)?;
    assert_ends_well(&mut daemon)
}

#[test]
fn the_service_manager_hears_of_a_reload_and_that_the_daemon_lives() -> Result<()> {
    let (scene, manager) = (Scene::new()?, ServiceManager::start()?);
    let config = scene.config(&[("porch", "test://ball")]);
    let mut daemon = Daemon::start_with(&config, |command| manager.adopt(command, Duration::from_secs(2)))?;
    let ready = manager.wait_for(0, "READY=1", WITHIN)?;
    let fed = manager.wait_for(ready, "WATCHDOG=1", WITHIN)?;
    daemon.reload(&config.replace("test://ball", "test://snow"))?;
    let reloading = manager.wait_for(fed, "RELOADING=1", WITHIN)?;
    assert!(manager.told.all()[reloading - 1].contains("MONOTONIC_USEC="));
    manager.wait_for(reloading, "READY=1", WITHIN)?;
    manager.wait_for(reloading, "WATCHDOG=1", WITHIN)?;
    assert_ends_well(&mut daemon)?;
    manager.wait_for(reloading, "STOPPING=1", WITHIN)?;
    Ok(())
}

#[test]
fn configurations_by_the_dozen_take_no_frame_and_leave_nothing_behind() -> Result<()> {
    // Other tests have the processor too.
    let verdict = run(Plan { reloads: 60, seed: 7, allowed_superseded: 0.2 })?;
    println!("{verdict}");
    assert!(verdict.faults().is_empty(), "{verdict}");
    Ok(())
}
