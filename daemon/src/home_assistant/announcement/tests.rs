//! What the announcements hold and what replacing them removes.

use std::collections::BTreeSet;
use std::time::Duration;

use belvedere_models::Task;
use serde_json::{Value, json};

use super::super::{
    Announced, Announcement, AskedTask, CameraDescription, DaemonDescription, PhraseDescription,
    RetainedMessage, schema,
};

fn phrase(phrase: &str, slug: &str) -> PhraseDescription {
    PhraseDescription { phrase: phrase.to_owned(), slug: slug.to_owned(), snapshot: true }
}

fn asked(task: Task, input: Option<&str>) -> AskedTask {
    AskedTask { task, input: input.map(str::to_owned) }
}

fn camera(name: &str, phrases: Vec<PhraseDescription>) -> CameraDescription {
    CameraDescription { name: name.to_owned(), tasks: vec![asked(Task::DetailedCaption, None)], phrases }
}

fn daemon(cameras: Vec<CameraDescription>) -> DaemonDescription {
    DaemonDescription {
        topic: "belvedere".to_owned(),
        discovery_prefix: "homeassistant".to_owned(),
        version: "0.1.0".to_owned(),
        stats_interval: Duration::from_secs(60),
        cameras,
    }
}

/// Two cameras with the same phrase; every task that a camera can be asked; awkward words.
fn busy() -> DaemonDescription {
    let every_task = Task::ALL.iter().map(|task| match task {
        Task::PhraseGrounding | Task::OpenVocabularyDetection | Task::ReferringExpressionSegmentation => {
            asked(*task, Some("a \"red\" {{ van }} 🚐"))
        }
        _ => asked(*task, None),
    });
    let porch = CameraDescription {
        name: "porch".to_owned(),
        tasks: every_task.chain([asked(Task::PhraseGrounding, Some("a dog's bowl"))]).collect(),
        phrases: vec![
            phrase("person on a ladder", "person_on_a_ladder"),
            phrase(&"Ä \"quoted\" ladder 🪜 ".repeat(15), "a_quoted_ladder_0123abcd"),
        ],
    };
    daemon(vec![porch, camera("side-door", vec![phrase("person on a ladder", "person_on_a_ladder")])])
}

fn payload(message: &RetainedMessage) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

fn device(messages: &[RetainedMessage], id: &str) -> Value {
    let topic = format!("homeassistant/device/{id}/config");
    payload(messages.iter().find(|message| message.topic == topic).unwrap())
}

/// What a later life of the daemon reads of what this one announced.
fn read_back(now: &Announcement, messages: &[RetainedMessage]) -> Announced {
    let mut announced = Announced::default();
    for message in messages {
        announced.read(now, &message.topic, &message.payload, true);
    }
    announced
}

fn emptied(messages: &[RetainedMessage]) -> Vec<&str> {
    let empty = messages.iter().filter(|message| message.payload.is_empty());
    empty.map(|message| message.topic.as_str()).collect()
}

#[test]
fn every_announcement_is_as_home_assistant_wants_it() {
    let messages = Announcement::of(&busy()).messages();
    assert_eq!(messages.len(), 3);
    for message in &messages {
        assert_eq!(schema::violations(&payload(message)), Vec::<String>::new(), "{}", message.topic);
    }
}

#[test]
fn no_two_entities_share_an_id_and_none_asks_for_less_than_arrival() {
    let messages = Announcement::of(&busy()).messages();
    let mut seen = BTreeSet::new();
    for message in &messages {
        for (key, component) in payload(message)["components"].as_object().unwrap() {
            assert!(!key.contains('-'), "{key}");
            assert_eq!(component["qos"], 1, "{key}");
            for id in ["unique_id", "default_entity_id"] {
                assert!(seen.insert(component[id].to_string()), "{}", component[id]);
            }
        }
    }
    assert!(seen.len() > 60);
}

#[test]
fn an_entity_stays_the_same_when_phrases_change_their_order_and_spelling() {
    let one = daemon(vec![camera("porch", vec![phrase("a dog", "a_dog"), phrase("a cat", "a_cat")])]);
    let other = daemon(vec![camera("porch", vec![phrase("A cat!", "a_cat"), phrase("a dog", "a_dog")])]);
    let [one, other] =
        [one, other].map(|daemon| device(&Announcement::of(&daemon).messages(), "belvedere-porch"));
    for key in ["alert_a_dog", "alert_a_cat", "snapshot_a_dog", "snapshot_a_cat"] {
        let id = &one["components"][key]["unique_id"];
        assert_eq!(*id, json!(format!("belvedere-porch-{key}")));
        assert_eq!(other["components"][key]["unique_id"], *id);
    }
}

#[test]
fn a_camera_is_reached_through_the_daemon() {
    let messages = Announcement::of(&busy()).messages();
    let camera = device(&messages, "belvedere-side-door");
    assert_eq!(camera["device"]["name"], "Side door");
    assert_eq!(camera["device"]["via_device"], device(&messages, "belvedere")["device"]["identifiers"][0]);
    assert_eq!(
        camera["components"]["alert_person_on_a_ladder"]["default_entity_id"],
        "binary_sensor.side_door_alert_person_on_a_ladder"
    );
}

#[test]
fn what_a_camera_sees_needs_the_camera_and_the_rest_needs_the_daemon() {
    let camera = device(&Announcement::of(&busy()).messages(), "belvedere-porch");
    let topics = |of: &Value| -> Vec<String> {
        let list = of["availability"].as_array().into_iter().flatten();
        list.map(|each| each["topic"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(camera["availability_mode"], "all");
    assert_eq!(topics(&camera), ["belvedere/available", "belvedere/porch/status"]);
    let of = |key: &str| &camera["components"][key];
    for seen in ["alert_person_on_a_ladder", "detailed_caption", "object_detection"] {
        assert!(of(seen).get("availability").is_none(), "{seen}");
    }
    for rest in ["alerts", "snapshot_person_on_a_ladder", "analysis", "stream", "analysed_fps", "dropped"] {
        assert_eq!(topics(of(rest)), ["belvedere/available"], "{rest}");
    }
    let daemon = device(&Announcement::of(&busy()).messages(), "belvedere");
    assert_eq!(daemon["components"]["running"]["availability"], json!([]));
}

#[test]
fn statistics_go_stale_after_three_intervals() {
    let mut described = busy();
    described.stats_interval = Duration::from_secs(20);
    let messages = Announcement::of(&described).messages();
    for (id, key) in [("belvedere-porch", "frame_age"), ("belvedere", "uptime")] {
        assert_eq!(device(&messages, id)["components"][key]["expire_after"], 60, "{key}");
    }
    described.stats_interval = Duration::from_millis(100);
    let messages = Announcement::of(&described).messages();
    assert_eq!(device(&messages, "belvedere")["components"]["uptime"]["expire_after"], 1);
}

#[test]
fn a_camera_without_phrases_has_no_alerts() {
    let camera =
        device(&Announcement::of(&daemon(vec![camera("porch", vec![])])).messages(), "belvedere-porch");
    assert!(camera["components"].get("alerts").is_none());
    assert!(camera["components"].get("analysis").is_some());
}

#[test]
fn a_phrase_that_left_gets_tombstones_and_its_retained_messages_go() {
    let before = Announcement::of(&busy()).messages();
    let mut described = busy();
    described.cameras[1].phrases = vec![phrase("a dog", "a_dog")];
    let now = Announcement::of(&described);
    let messages = now.replacing(&read_back(&now, &before));
    let camera = device(&messages, "belvedere-side-door");
    let components = &camera["components"];
    assert_eq!(components["alert_person_on_a_ladder"], json!({ "platform": "binary_sensor" }));
    assert_eq!(components["snapshot_person_on_a_ladder"], json!({ "platform": "image" }));
    assert!(components["alert_a_dog"].get("unique_id").is_some());
    assert_eq!(schema::violations(&camera), Vec::<String>::new());
    assert_eq!(
        emptied(&messages),
        [
            "belvedere/side-door/alert/person_on_a_ladder/state",
            "belvedere/side-door/alert/person_on_a_ladder/attributes",
            "belvedere/side-door/alert/person_on_a_ladder/snapshot",
        ]
    );
    // The other camera has the same phrase still.
    assert_eq!(device(&messages, "belvedere-porch"), device(&before, "belvedere-porch"));
}

#[test]
fn a_tombstone_is_gone_after_the_next_start() {
    let mut described = busy();
    let before = Announcement::of(&described).messages();
    described.cameras[1].phrases.clear();
    let now = Announcement::of(&described);
    let buried = now.replacing(&read_back(&now, &before));
    assert_ne!(buried, now.messages());
    assert_eq!(now.replacing(&read_back(&now, &buried)), now.messages());
}

#[test]
fn a_camera_that_left_is_removed_with_what_it_left_at_the_broker() {
    let before = Announcement::of(&busy()).messages();
    let now = Announcement::of(&daemon(vec![busy().cameras.remove(0)]));
    let messages = now.replacing(&read_back(&now, &before));
    assert_eq!(
        emptied(&messages),
        [
            "homeassistant/device/belvedere-side-door/config",
            "belvedere/side-door/alert/person_on_a_ladder/state",
            "belvedere/side-door/alert/person_on_a_ladder/attributes",
            "belvedere/side-door/alert/person_on_a_ladder/snapshot",
            "belvedere/side-door/status",
            "belvedere/side-door/enabled/state",
        ]
    );
}

#[test]
fn without_discovery_every_device_goes_and_every_state_stays() {
    let before = Announcement::of(&busy()).messages();
    let now = Announcement::of_nothing("belvedere", "homeassistant");
    let messages = now.replacing(&read_back(&now, &before));
    assert_eq!(
        emptied(&messages),
        ["belvedere", "belvedere-porch", "belvedere-side-door"]
            .map(|id| format!("homeassistant/device/{id}/config"))
    );
    assert_eq!(messages.len(), 3);
}

#[test]
fn what_has_not_changed_is_no_news() {
    let now = Announcement::of(&busy());
    let mut announced = Announced::default();
    for message in now.messages() {
        assert!(!announced.read(&now, &message.topic, &message.payload, true), "{}", message.topic);
    }
    assert_eq!(now.replacing(&announced), now.messages());
}

#[test]
fn an_earlier_camera_or_phrase_is_news_but_not_its_echo() {
    let before = Announcement::of(&busy()).messages();
    let now = Announcement::of(&daemon(vec![camera("porch", vec![])]));
    let mut announced = Announced::default();
    let told: Vec<bool> =
        before.iter().map(|message| announced.read(&now, &message.topic, &message.payload, true)).collect();
    // The daemon's own device comes first and is the same.
    assert_eq!(told, [false, true, true]);
    let mut announced = Announced::default();
    for message in &before {
        assert!(!announced.read(&now, &message.topic, &message.payload, false));
    }
    assert_eq!(announced, Announced::default());
}

#[test]
fn what_others_announce_is_left_alone() {
    let now = Announcement::of(&daemon(vec![]));
    let ours = json!({ "origin": { "name": "Belvedere" },
        "components": { "alert_x": { "platform": "binary_sensor", "unique_id": "1" } } });
    let theirs = json!({ "origin": { "name": "Zigbee2MQTT" }, "components": ours["components"] });
    let mut announced = Announced::default();
    for (topic, payload) in [
        ("homeassistant/device/belvedere-porch/config", theirs.to_string().into_bytes()),
        ("homeassistant/device/belvedere_2-porch/config", ours.to_string().into_bytes()),
        ("homeassistant/device/0x00158d/config", ours.to_string().into_bytes()),
        ("homeassistant/device/belvedere-porch", ours.to_string().into_bytes()),
        ("belvedere/device/belvedere-porch/config", ours.to_string().into_bytes()),
        ("homeassistant/device/belvedere-porch/config", b"".to_vec()),
        ("homeassistant/device/belvedere-porch/config", b"\xff{".to_vec()),
        ("homeassistant/device/belvedere-porch/config", b"[[[[[[[[".to_vec()),
        ("homeassistant/device/belvedere-porch/config", b"{\"origin\":7,\"components\":[]}".to_vec()),
    ] {
        assert!(!announced.read(&now, topic, &payload, true), "{topic}");
    }
    assert_eq!(now.replacing(&announced), now.messages());
    // The one that is ours.
    let topic = "homeassistant/device/belvedere-porch/config";
    assert!(announced.read(&now, topic, ours.to_string().as_bytes(), true));
}

#[test]
fn a_forged_announcement_cannot_make_us_empty_a_topic_outside_its_camera() {
    let now = Announcement::of(&daemon(vec![]));
    let forged = json!({ "origin": { "name": "Belvedere" }, "components": {
        "alert_x/../../other": { "platform": "binary_sensor", "state_topic": "zigbee2mqtt/bridge/state" },
        "snapshot_#": { "platform": "image", "image_topic": "#" },
        "alert_x": { "platform": "../..", "state_topic": "zigbee2mqtt/bridge/state" },
        "": { "platform": "sensor", "name": "" },
    } });
    let mut announced = Announced::default();
    announced.read(&now, "homeassistant/device/belvedere-porch/config", forged.to_string().as_bytes(), true);
    assert_eq!(
        emptied(&now.replacing(&announced)),
        [
            "homeassistant/device/belvedere-porch/config",
            "belvedere/porch/status",
            "belvedere/porch/enabled/state",
        ]
    );
}

/// For the check with Home Assistant itself; see testdata/README.md.
#[test]
#[ignore = "prints announcements for testdata/check_with_home_assistant.py"]
fn print_announcements() {
    let before = Announcement::of(&busy()).messages();
    let mut described = busy();
    described.cameras[1].phrases.clear();
    let now = Announcement::of(&described);
    for message in before.iter().chain(&now.replacing(&read_back(&now, &before))) {
        let payload = String::from_utf8_lossy(&message.payload);
        println!("{}", json!({ "topic": message.topic, "payload": payload }));
    }
}
