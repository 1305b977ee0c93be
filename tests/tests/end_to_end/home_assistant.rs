//! Home Assistant finds the cameras, after its own starts too, and loses what is gone.

use anyhow::{Context, Result};
use belvedere_tests::{Daemon, Message, Publisher, Subscriber};
use serde_json::Value;

use crate::scene::{Scene, WITHIN, assert_ends_well};

const DAEMON: &str = "homeassistant/device/belvedere/config";
const PORCH: &str = "homeassistant/device/belvedere-porch/config";
const ALERTS: &str = "[[camera.alert]]\nphrase = \"red car\"\n\n[[camera.alert]]\nphrase = \"blue dog\"\n";

fn components(message: &Message) -> Result<Vec<String>> {
    let json = message.json()?;
    let components = json["components"].as_object().context("components")?;
    // A component without options is gone.
    let there = components.iter().filter(|(_, options)| options.as_object().is_some_and(|all| all.len() > 1));
    Ok(there.map(|(key, _)| key.clone()).collect())
}

fn announcement(subscriber: &Subscriber, mark: usize, topic: &str) -> Result<Message> {
    subscriber.wait_for_after(mark, &format!("an announcement on {topic}"), WITHIN, |message| {
        message.topic == topic && !message.payload.is_empty()
    })
}

#[test]
fn the_daemon_and_its_cameras_are_announced_and_again_when_home_assistant_starts() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = Daemon::start(&format!("{}{ALERTS}", scene.config(&[("porch", "test://ball")])))?;
    announcement(&scene.subscriber, 0, DAEMON)?;
    let porch = announcement(&scene.subscriber, 0, PORCH)?;
    let keys = components(&porch)?;
    for key in
        ["alert_red_car", "snapshot_red_car", "alert_blue_dog", "alerts", "object_detection", "analysis"]
    {
        assert!(keys.iter().any(|found| found == key), "{key} in {keys:?}");
    }
    assert_eq!(serde_json::from_str::<Value>(&scene.retained(PORCH)?)?, porch.json()?);

    let mark = scene.subscriber.mark();
    let mut home_assistant = Publisher::start(&scene.broker)?;
    home_assistant.publish("homeassistant/status", "online")?;
    assert_eq!(announcement(&scene.subscriber, mark, PORCH)?.payload, porch.payload);
    scene.subscriber.wait_for_payload(mark, "belvedere/porch/enabled/state", "ON", WITHIN)?;
    scene.subscriber.wait_for_payload(mark, "belvedere/porch/alert/red_car/state", "OFF", WITHIN)?;
    scene.available(mark, "online")?;
    assert_ends_well(&mut daemon)
}

#[test]
fn what_leaves_the_configuration_leaves_home_assistant_and_the_broker() -> Result<()> {
    let scene = Scene::new()?;
    let cameras = [("porch", "test://ball"), ("yard", "test://ball")];
    let mut daemon = Daemon::start(&format!("{}{ALERTS}", scene.config(&cameras)))?;
    let yard = "homeassistant/device/belvedere-yard/config";
    announcement(&scene.subscriber, 0, PORCH)?;
    let keys = components(&announcement(&scene.subscriber, 0, yard)?)?;
    assert!(
        keys.contains(&"alert_red_car".to_owned()) && keys.contains(&"alert_blue_dog".to_owned()),
        "{keys:?}"
    );
    assert_ends_well(&mut daemon)?;

    // The porch goes, and of the yard one phrase.
    let mark = scene.subscriber.mark();
    let without =
        format!("{}[[camera.alert]]\nphrase = \"red car\"\n", scene.config(&[("yard", "test://ball")]));
    let mut daemon = Daemon::start(&without)?;
    let left = announcement(&scene.subscriber, mark, yard)?;
    assert!(!components(&left)?.contains(&"alert_blue_dog".to_owned()), "{left:?}");
    assert_eq!(
        left.json()?["components"]["alert_blue_dog"],
        serde_json::json!({ "platform": "binary_sensor" })
    );
    for gone in [
        PORCH,
        "belvedere/porch/status",
        "belvedere/porch/enabled/state",
        "belvedere/yard/alert/blue_dog/state",
    ] {
        scene.subscriber.wait_for_payload(mark, gone, "", WITHIN)?;
    }
    assert_ends_well(&mut daemon)?;

    // And then nobody is to find anything.
    let mark = scene.subscriber.mark();
    let hidden = scene.config(&[("yard", "test://ball")]).replace("[mqtt]\n", "[mqtt]\ndiscovery = false\n");
    let mut daemon = Daemon::start(&hidden)?;
    for gone in [DAEMON, yard] {
        scene.subscriber.wait_for_payload(mark, gone, "", WITHIN)?;
    }
    assert_ends_well(&mut daemon)?;
    let late = Subscriber::start(&scene.broker)?;
    late.wait_for_payload(0, "belvedere/available", "offline", WITHIN)?;
    assert!(late.messages().iter().all(|message| !message.topic.starts_with("homeassistant/")));
    Ok(())
}
