//! From a frame to the messages that it makes.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use belvedere_tests::{Daemon, Subscriber, belvedere};

use super::{EAGER, PHRASES, WITHIN, Watched, assert_whole_lives, events, is_event, toml_string};
use crate::scene::assert_ends_well;

/// Of the film, in pixels.
const FILM: (u32, u32) = (640, 360);

#[test]
fn an_alert_comes_with_its_picture_within_a_second_of_the_frame_that_completes_it() -> Result<()> {
    let watched = Watched::new()?;
    let rule = "min_frames = 2\nsnapshot_longest_side = 320\n";
    let mut daemon = Daemon::start(&watched.config(&["porch"], &["red car"], rule))?;
    let new = watched.subscriber.wait_for("an alert", WITHIN, |message| is_event(message, "new"))?;
    let event = new.json()?;
    let captured_at: jiff::Timestamp = event["captured_at"].as_str().context("captured_at")?.parse()?;
    let late = new.received.duration_since(SystemTime::from(captured_at))?;
    ensure!(late < Duration::from_secs(1), "{late:?}: {event}");
    println!("the alert came {late:?} after its frame");

    let topic = "belvedere/porch/alert/red_car/snapshot";
    assert_eq!(event["snapshot"], topic);
    let messages = watched.subscriber.messages();
    let place = |topic: &str| messages.iter().position(|message| message.topic == topic);
    let snapshot = place(topic).context("no snapshot")?;
    ensure!(Some(snapshot) < place("belvedere/porch/alerts"), "the picture is there when its event comes");
    let picture = image::load_from_memory(&messages[snapshot].bytes)?;
    assert_eq!((picture.width(), picture.height()), (320, 180));
    assert_eq!((&event["width"], &event["height"]), (&FILM.0.into(), &FILM.1.into()));
    let region = &event["regions"][0];
    ensure!(region["score"].as_f64().is_some_and(|score| score >= 0.4), "{event}");
    ensure!(region["evidence"]["location"].is_number() && region["box"].is_array(), "{event}");

    let state = "belvedere/porch/alert/red_car/state";
    watched.subscriber.wait_for_payload(0, state, "ON", WITHIN)?;
    let retained = Subscriber::start(&watched.broker)?;
    let attributes = retained.wait_for("attributes", WITHIN, |message| {
        message.topic == "belvedere/porch/alert/red_car/attributes"
    })?;
    assert_eq!(attributes.json()?["phrase"], "red car");
    ensure!(attributes.retained, "{attributes:?}");
    assert_ends_well(&mut daemon)
}

#[test]
fn events_have_whole_lives_on_two_cameras_with_the_same_phrases() -> Result<()> {
    let watched = Watched::new()?;
    let mut daemon = watched.run_eagerly(&["porch", "yard"])?;
    watched.wait_for_new(10)?;
    for camera in ["porch", "yard"] {
        watched
            .subscriber
            .wait_for(camera, WITHIN, |message| message.topic == format!("belvedere/{camera}/alerts"))?;
    }
    assert_ends_well(&mut daemon)?;
    let state = "belvedere/porch/alert/red_car/state";
    let retained = Subscriber::start(&watched.broker)?;
    let last = retained.wait_for("a state", WITHIN, |message| message.topic == state)?;
    assert_eq!((last.payload.as_str(), last.retained), ("OFF", true));
    let messages = watched.subscriber.messages();
    let events = events(&messages)?;
    ensure!(assert_whole_lives(&events)? >= 10);
    for message in &messages {
        if let Some(camera) = message.topic.strip_suffix("/alerts") {
            assert_eq!(
                format!("belvedere/{}", message.json()?["camera"].as_str().unwrap_or_default()),
                camera
            );
        }
    }
    Ok(())
}

#[test]
fn a_camera_that_dies_ends_its_alerts_with_the_reason() -> Result<()> {
    let mut watched = Watched::new()?;
    let rule = "min_frames = 1\nclear_after = \"1h\"\n";
    let mut daemon = Daemon::start(&watched.config(&["porch"], &["red car"], rule))?;
    watched.wait_for_new(1)?;
    watched.film.kill()?;
    let end = watched.subscriber.wait_for("the end", WITHIN, |message| is_event(message, "end"))?.json()?;
    assert_eq!(end["reason"], "camera_offline");
    ensure!(end["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{end}");
    watched.subscriber.wait_for_payload(0, "belvedere/porch/alert/red_car/state", "OFF", WITHIN)?;
    assert_ends_well(&mut daemon)
}

#[test]
fn phrases_with_quotes_umlauts_emoji_and_300_characters_are_watched_for() -> Result<()> {
    let watched = Watched::new()?;
    let long = "red car ".repeat(37) + "cone";
    assert_eq!(long.chars().count(), 300);
    let phrases = ["a \"red\" car", "Größe übermäßig", "a 🐕\u{200d}🦺 at work", &long, "red car"];
    let mut daemon = Daemon::start(&watched.config(&["porch"], &phrases, EAGER))?;
    watched.subscriber.wait_for("an alert", WITHIN, |message| {
        is_event(message, "new") && message.json().is_ok_and(|event| event["phrase"] == "red car")
    })?;
    let messages = watched.subscriber.messages();
    let off = |slug: &str| {
        let topic = format!("belvedere/porch/alert/{slug}");
        messages.iter().any(|message| message.topic.starts_with(&topic) && message.payload == "OFF")
    };
    for slug in ["a_red_car/", "grosse_ubermassig/", "a_at_work_", "red_car_red_car_", "red_car/"] {
        ensure!(off(slug), "{slug}");
    }
    assert_ends_well(&mut daemon)?;
    assert_whole_lives(&events(&watched.subscriber.messages())?)?;
    Ok(())
}

#[test]
fn two_phrases_of_one_name_are_refused_by_check_with_the_reason() -> Result<()> {
    let watched = Watched::new()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("belvedere.toml");
    std::fs::write(&path, watched.config(&["porch"], &["Red car!", "red, car"], ""))?;
    let finished = belvedere(&["check", "--config", &path.to_string_lossy()], WITHIN)?;
    let said = [
        "camera[0].alert[1].phrase",
        &format!("{} would be published where {} is", toml_string("red, car"), toml_string("Red car!")),
        "make one of them differ",
    ];
    finished.assert_fails_saying(78, &said);
    std::fs::write(&path, watched.config(&["porch", "yard"], &PHRASES, ""))?;
    assert_eq!(belvedere(&["check", "--config", &path.to_string_lossy()], WITHIN)?.status.code(), Some(0));
    Ok(())
}
