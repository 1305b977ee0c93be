use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::*;
use crate::config::load_with;

/// The settings of a configuration that is `text`.
fn settings(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("belvedere.toml");
    std::fs::write(&path, text).unwrap();
    load_with(&path, HashMap::new()).unwrap()
}

const PLAIN: &str = r#"
[mqtt]
url = "mqtt://broker.local"

[[camera]]
name = "porch"
url = "test://ball"
tasks = ["caption"]
[[camera.alert]]
phrase = "a red car"
[[camera.alert]]
phrase = "a dog"

[[camera]]
name = "yard"
url = "test://snow"
tasks = ["caption"]
"#;

/// What changes when `from` is written as `to`.
#[track_caller]
fn change(from: &str, to: &str) -> Difference {
    assert!(PLAIN.contains(from), "{from}");
    Difference::between(&settings(PLAIN), &settings(&PLAIN.replacen(from, to, 1)))
}

fn camera(name: &str, change: CameraChange) -> Difference {
    Difference { changed: BTreeMap::from([(name.to_owned(), change)]), ..Difference::default() }
}

fn phrase(text: &str) -> BTreeSet<Phrase> {
    BTreeSet::from([Phrase::new(text).unwrap()])
}

#[test]
fn the_same_configuration_written_otherwise_changes_nothing() {
    let otherwise = PLAIN.replace("[[camera]]\n", "# a camera\n[[camera]]\nfps = 2.0\n");
    assert!(Difference::between(&settings(PLAIN), &settings(&otherwise)).is_empty());
}

#[test]
fn a_camera_with_another_address_is_that_camera_with_another_source() {
    let change = change("test://ball", "test://bars");
    assert_eq!(change, camera("porch", CameraChange { source: true, ..CameraChange::default() }));
    assert!(!change.is_announced());
}

#[test]
fn a_camera_that_is_renamed_goes_and_comes() {
    let change = change("\"yard\"", "\"garden\"");
    let expected = Difference {
        removed: BTreeSet::from(["yard".to_owned()]),
        added: BTreeSet::from(["garden".to_owned()]),
        ..Difference::default()
    };
    assert_eq!(change, expected);
    assert!(change.is_announced());
}

#[test]
fn tasks_and_alerts_do_not_touch_the_source() {
    let tasks = CameraChange { tasks: true, ..CameraChange::default() };
    assert_eq!(change("[\"caption\"]", "[\"object-detection\"]"), camera("porch", tasks));
    let alerts = AlertsChange { removed: phrase("a dog"), added: phrase("a cat"), ..AlertsChange::default() };
    let alerts = CameraChange { alerts, ..CameraChange::default() };
    assert_eq!(change("\"a dog\"", "\"a cat\""), camera("porch", alerts));
}

#[test]
fn an_alert_with_another_threshold_or_zone_is_that_alert_with_other_settings() {
    let alerts = AlertsChange { changed: phrase("a dog"), ..AlertsChange::default() };
    let expected = camera("porch", CameraChange { alerts, ..CameraChange::default() });
    assert_eq!(change("\"a dog\"", "\"a dog\"\nmin_score = 0.7"), expected);
    assert_eq!(change("\"a dog\"", "\"a dog\"\nsnapshot_boxes = false"), expected);
    assert_eq!(change("\"a dog\"", "\"a dog\"\nschedule = [\"22:00-06:30\"]"), expected);
}

#[test]
fn a_zone_that_no_alert_is_about_is_only_shown() {
    let zone = "tasks = [\"caption\"]\n[[camera.zone]]\nname = \"lawn\"\npolygon = [[0, 0], [1, 0], [1, 1]]";
    let change = change("tasks = [\"caption\"]", zone);
    let porch = &change.changed["porch"];
    assert!(porch.zones && !porch.source && !porch.tasks);
    assert!(porch.alerts.added.is_empty() && porch.alerts.removed.is_empty());
}

#[test]
fn alerts_in_another_order_are_only_that() {
    let swapped = PLAIN.replace("\"a dog\"", "\"?\"").replace("\"a red car\"", "\"a dog\"");
    let swapped = swapped.replace("\"?\"", "\"a red car\"");
    let alerts = AlertsChange { reordered: true, ..AlertsChange::default() };
    let expected = camera("porch", CameraChange { alerts, ..CameraChange::default() });
    assert_eq!(Difference::between(&settings(PLAIN), &settings(&swapped)), expected);
}

#[test]
fn the_way_to_the_broker_the_statistics_and_the_model_are_told_apart() {
    let mqtt = "url = \"mqtt://broker.local\"";
    let link = Difference { link: true, ..Difference::default() };
    for other in [
        "url = \"mqtt://other.local\"",
        "url = \"mqtt://broker.local:1884\"",
        "url = \"mqtt://broker.local\"\nusername = \"eve\"",
        "url = \"mqtt://broker.local\"\ndiscovery = false",
        "url = \"mqtt://broker.local\"\nkeep_alive = \"10s\"",
    ] {
        assert_eq!(change(mqtt, other), link, "{other}");
    }
    let stats = Difference { stats_interval: true, ..Difference::default() };
    assert_eq!(change(mqtt, "url = \"mqtt://broker.local\"\nstats_interval = \"5s\""), stats);
    let http = Difference { http: true, ..Difference::default() };
    assert_eq!(change("[mqtt]", "[http]\nlisten = \"127.0.0.1:0\"\n[mqtt]"), http);
    let model = Difference { model: true, ..Difference::default() };
    assert_eq!(change("[mqtt]", "[model]\nbeams = 3\n[mqtt]"), model);
}

#[test]
fn a_certificate_that_was_renewed_in_its_file_is_another_way_to_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let text = PLAIN.replace("mqtt://broker.local\"", &format!("mqtts://b\"\nca_file = {path:?}"));
    std::fs::write(&path, "one").unwrap();
    let before = settings(&text);
    assert!(Difference::between(&before, &settings(&text)).is_empty());
    std::fs::write(&path, "two").unwrap();
    assert!(Difference::between(&before, &settings(&text)).link);
}

#[test]
fn what_needs_a_restart_is_named_and_stays_as_it_is_while_the_rest_changes() {
    let running = settings(PLAIN);
    let text = "url = \"mqtt://other.local\"\ntopic = \"home\"\noutbox = false\noutbox_size = \"1MiB\"";
    let wanted = settings(&PLAIN.replace("url = \"mqtt://broker.local\"", text));
    let (reached, keys) = within_reach(&running, wanted.clone());
    assert_eq!(keys, ["mqtt.topic", "mqtt.outbox", "mqtt.outbox_size"]);
    assert_eq!(reached.mqtt.topic, running.mqtt.topic);
    assert_eq!(reached.mqtt.outbox, running.mqtt.outbox);
    assert_eq!(reached.mqtt.broker, wanted.mqtt.broker);
    // They are named again for as long as they are not as they are wanted.
    assert_eq!(within_reach(&reached, wanted).1, keys);
}

#[test]
fn an_embedded_broker_stays_what_it_is_until_the_process_ends() {
    let embedded = |listen: &str| {
        let text = format!("url = \"embedded\"\nlisten = \"{listen}\"");
        settings(&PLAIN.replace("url = \"mqtt://broker.local\"", &text))
    };
    let running = embedded("127.0.0.1:1");
    assert_eq!(within_reach(&running, embedded("127.0.0.1:2")).1, ["mqtt.listen"]);
    let (reached, keys) = within_reach(&running, settings(PLAIN));
    assert_eq!((&reached.mqtt.broker, &keys[..]), (&running.mqtt.broker, &["mqtt.url"][..]));
    assert_eq!(within_reach(&settings(PLAIN), running).1, ["mqtt.url"]);
}

/// A configuration out of few parts, so that any two have some in common.
fn any_settings() -> impl Strategy<Value = Settings> {
    let urls = prop_oneof![Just("test://ball"), Just("test://snow"), Just("test://bars")];
    let tasks = btree_set(prop_oneof![Just("caption"), Just("ocr"), Just("object-detection")], 1..3);
    let scores = prop_oneof![Just(0.3), Just(0.6)];
    let phrases = prop_oneof![Just("a dog"), Just("a cat"), Just("a red car")];
    let alerts = btree_map(phrases, scores, 0..4).prop_map(|alerts| alerts.into_iter().collect::<Vec<_>>());
    let names = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")];
    let camera = (urls, any::<bool>(), tasks, alerts.prop_shuffle());
    let cameras = btree_map(names, camera, 1..5);
    let cameras = cameras.prop_map(|cameras| cameras.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let mqtt = (prop_oneof![Just("b1"), Just("b2")], 1..3_u64, prop_oneof![Just("t1"), Just("t2")]);
    (cameras, mqtt, 1..3_u8).prop_map(|(cameras, (broker, stats_s, topic), beams)| {
        let mut text = format!(
            "[mqtt]\nurl = \"mqtt://{broker}\"\ntopic = \"{topic}\"\nclient_id = \"x\"\nstats_interval = \"{stats_s}s\"\n\
             [model]\nbeams = {beams}\n"
        );
        for (name, (url, enabled, tasks, alerts)) in cameras {
            let tasks: Vec<&str> = tasks.into_iter().collect();
            text += &format!(
                "[[camera]]\nname = \"{name}\"\nurl = \"{url}\"\nenabled = {enabled}\ntasks = {tasks:?}\n"
            );
            for (phrase, score) in alerts {
                text += &format!("[[camera.alert]]\nphrase = \"{phrase}\"\nmin_score = {score}\n");
            }
        }
        settings(&text)
    })
}

/// `running` with nothing taken from `wanted` but what the difference names.
fn follow(running: &Settings, wanted: &Settings, difference: &Difference) -> Settings {
    let find = |settings: &Settings, name: &str| {
        settings.cameras.iter().find(|camera| camera.name == name).unwrap().clone()
    };
    let names: Vec<String> = if difference.reordered || !difference.added.is_empty() {
        wanted.cameras.iter().map(|camera| camera.name.clone()).collect()
    } else {
        let left = running.cameras.iter().filter(|camera| !difference.removed.contains(&camera.name));
        left.map(|camera| camera.name.clone()).collect()
    };
    let cameras = names.iter().map(|name| {
        if difference.added.contains(name) {
            return find(wanted, name);
        }
        let (mut camera, new) = (find(running, name), find(wanted, name));
        let Some(change) = difference.changed.get(name) else {
            return camera;
        };
        if change.source {
            camera.source = new.source;
        }
        if change.enabled {
            camera.enabled = new.enabled;
        }
        if change.tasks {
            camera.tasks = new.tasks;
        }
        if change.zones {
            camera.zones = new.zones;
        }
        let AlertsChange { removed, added, changed, reordered } = &change.alerts;
        camera.alerts.retain(|alert| !removed.contains(&alert.phrase));
        for alert in &mut camera.alerts {
            if changed.contains(&alert.phrase) {
                alert.clone_from(new.alerts.iter().find(|new| new.phrase == alert.phrase).unwrap());
            }
        }
        camera.alerts.extend(new.alerts.iter().filter(|alert| added.contains(&alert.phrase)).cloned());
        if *reordered || !added.is_empty() {
            camera.alerts.sort_by_key(|alert| new.alerts.iter().position(|new| new.phrase == alert.phrase));
        }
        camera
    });
    let mut settings = Settings { cameras: cameras.collect(), ..running.clone() };
    if difference.link {
        let stats_interval = settings.mqtt.stats_interval;
        settings.mqtt = wanted.mqtt.clone();
        settings.mqtt.stats_interval = stats_interval;
    }
    if difference.stats_interval {
        settings.mqtt.stats_interval = wanted.mqtt.stats_interval;
    }
    if difference.model {
        settings.model = wanted.model.clone();
    }
    if difference.http {
        settings.http = wanted.http.clone();
    }
    settings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_difference_names_is_enough_and_what_it_does_not_name_is_the_same(
        running in any_settings(),
        wanted in any_settings(),
    ) {
        let (wanted, _) = within_reach(&running, wanted);
        let difference = Difference::between(&running, &wanted);
        prop_assert_eq!(follow(&running, &wanted, &difference), wanted.clone());
        prop_assert_eq!(difference.is_empty(), running == wanted);
        prop_assert!(Difference::between(&wanted, &wanted).is_empty());
        let changed = |name: &String| difference.removed.contains(name) || difference.added.contains(name);
        prop_assert!(!difference.changed.keys().any(changed));
    }
}

#[test]
fn the_statistics_alone_are_not_another_link() {
    let mut wanted = settings(PLAIN);
    wanted.mqtt.stats_interval = Duration::from_secs(7);
    assert!(!Difference::between(&settings(PLAIN), &wanted).link);
}
