//! A camera is switched off and on by others.

use anyhow::Result;
use belvedere_tests::{Daemon, Publisher};
use tempfile::TempDir;

use crate::scene::{Scene, WITHIN, assert_ends_well};

const SET: &str = "belvedere/porch/enabled/set";
const STATE: &str = "belvedere/porch/enabled/state";

#[test]
fn a_camera_that_is_switched_off_stops_and_stays_off_over_a_restart_until_it_is_switched_on() -> Result<()> {
    let (scene, state) = (Scene::new()?, TempDir::new()?);
    let config = scene.config(&[("porch", "test://ball"), ("yard", "test://ball")]);
    let start = || {
        Daemon::start_with(&config, |command| {
            command.env("STATE_DIRECTORY", state.path());
        })
    };
    let mut others = Publisher::start(&scene.broker)?;
    let mut daemon = start()?;
    scene.results(0, "porch", 3)?;
    assert_eq!(scene.retained(STATE)?, "ON");

    others.publish(SET, "OFF")?;
    scene.subscriber.wait_for_payload(0, STATE, "OFF", WITHIN)?;
    scene.status(0, "porch", "disabled")?;
    let mark = scene.subscriber.mark();
    scene.results(mark, "yard", 5)?;
    // The frame that the model had in hand may still have given a result.
    let late = scene.subscriber.messages()[mark..]
        .iter()
        .filter(|m| m.topic == "belvedere/porch/object-detection")
        .count();
    assert!(late <= 1, "{late}");
    assert_ends_well(&mut daemon)?;
    assert_eq!(scene.retained("belvedere/porch/status")?, "disabled");

    let mark = scene.subscriber.mark();
    let mut daemon = start()?;
    scene.results(mark, "yard", 5)?;
    assert_eq!(
        (scene.retained(STATE)?, scene.retained("belvedere/porch/status")?),
        ("OFF".to_owned(), "disabled".to_owned())
    );
    let mark = scene.subscriber.mark();
    others.publish(SET, "ON")?;
    scene.status(mark, "porch", "online")?;
    scene.results(mark, "porch", 3)?;
    assert_eq!(scene.retained(STATE)?, "ON");
    assert_ends_well(&mut daemon)
}

#[test]
fn a_camera_that_is_switched_faster_than_it_can_follow_ends_where_it_was_switched_last() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.run(&[("porch", "test://ball"), ("yard", "test://ball")])?;
    scene.results(0, "porch", 1)?;
    let mut others = Publisher::start(&scene.broker)?;
    for round in 0..50 {
        for position in ["OFF", "ON", "OFF"] {
            others.publish(SET, position)?;
        }
        others.publish("belvedere/yard/enabled/set", if round % 2 == 0 { "OFF" } else { "ON" })?;
    }
    others.wait_until_all_taken(WITHIN)?;
    let mark = scene.subscriber.mark();
    others.publish(SET, "ON")?;
    others.publish(SET, "OFF")?;
    others.wait_until_all_taken(WITHIN)?;
    // It may have been off already, and not have been seen to go on: nothing new is said of it then.
    scene.subscriber.wait_until("the camera to be off", WITHIN, |messages| {
        let said = |topic: &str| messages.iter().rev().find(|message| message.topic == topic);
        (said("belvedere/porch/status")?.payload == "disabled" && said(STATE)?.payload == "OFF").then_some(())
    })?;
    scene.results(mark, "yard", 3)?;
    assert_eq!(scene.retained(STATE)?, "OFF");
    assert_ends_well(&mut daemon)
}

#[test]
fn a_retained_command_is_obeyed_by_a_daemon_that_comes_later_and_not_again_by_the_one_after_it() -> Result<()>
{
    let (scene, state) = (Scene::new()?, TempDir::new()?);
    let config = scene.config(&[("porch", "test://ball")]);
    let start = || {
        Daemon::start_with(&config, |command| {
            command.env("STATE_DIRECTORY", state.path());
        })
    };
    let mut others = Publisher::start(&scene.broker)?;
    others.retain(SET, "OFF")?;
    others.wait_until_all_taken(WITHIN)?;
    let mut daemon = start()?;
    scene.status(0, "porch", "disabled")?;
    let mark = scene.subscriber.mark();
    others.publish(SET, "ON")?;
    scene.status(mark, "porch", "online")?;
    assert_ends_well(&mut daemon)?;

    let mark = scene.subscriber.mark();
    let mut daemon = start()?;
    // The broker has said it again by then: it was subscribed to before the first camera was opened.
    scene.results(mark, "porch", 3)?;
    assert_eq!(scene.retained(STATE)?, "ON");
    assert_ends_well(&mut daemon)
}
