//! The example configuration and the schema for editors, which are to say what the code does.

use std::path::PathBuf;

use belvedere::config::{self, Absent, Key, KeyTable, TABLES};
use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{Folder, GOOD, mistakes};

/// The mistakes that a schema of one file cannot know: what is in other files and on the machine, how keys
/// go together, and how much a time or a size written as text is. As in `mistakes::cases`.
const NOT_FOR_A_SCHEMA: &[(&str, &str)] = &[
    ("mqtt.url", "missing"),
    ("mqtt.listen", "embedded"),
    ("mqtt.ca_file", "mqtts"),
    ("mqtt.ca_file", "/absent"),
    ("mqtt.password_file", "/absent"),
    ("mqtt.keep_alive", "between"),
    ("mqtt.outbox_size", "between"),
    ("mqtt.client_key_file", "mqtts"),
    ("mqtt.client_certificate_file", "missing"),
    ("mqtt.client_key_file", "missing"),
    ("mqtt.url", "allow_plain_text_password"),
    ("camera[0].credentials_file", "/absent"),
    ("camera[0].zone[0].polygon", "meets itself"),
    ("camera[0].zone[1].name", "two zones are named"),
    ("camera[0].alert[1].phrase", "would be published where \"a dog\" is"),
    ("camera[0].alert[1].phrase", "asked for already"),
    ("camera[0].alert[0].clear_after", "between"),
    ("camera[0].alert[0].zones[0]", "has no zone \"lawm\""),
    ("camera[0].alert[0].zone_share", "missing"),
    ("camera[0].alert[0].zone_share", "only"),
    ("camera[0].alert[0].min_area", "nothing is"),
    ("camera[0].alert[0].min_height", "nothing is"),
    ("camera[0].alert[0].time_zone", "not known here"),
    ("camera[0].alert[0].time_zone", "there is none"),
    ("camera[0].tasks", "no task"),
    ("camera[0].tasks[1]", "already"),
    ("camera[0].tasks[0].task", "takes no text"),
    ("camera[0].tasks[0].task", "needs a text"),
    ("mqtt", "missing"),
    ("camera", "no camera"),
];

fn kept(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn validator() -> Validator {
    jsonschema::draft7::new(&config::schema()).expect("the schema is one")
}

fn to_json(toml: &str) -> Option<Value> {
    toml_edit::de::from_str::<Map<String, Value>>(toml).ok().map(Value::Object)
}

/// The example with the keys that `wanted` picks shown as they would be set, and the tables they are in.
fn with_keys_set(wanted: impl Fn(&KeyTable, &Key) -> bool) -> String {
    let mut table = None;
    let mut text = String::new();
    for line in config::example().lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.starts_with('[') {
            let path = bare.trim_matches(['[', ']']).replace("camera", "camera[]");
            let path = path.replace("zone", "zone[]").replace("alert", "alert[]");
            table = TABLES.iter().find(|table| table.path == path);
            assert!(table.is_some(), "{line}");
            text.push_str(bare);
        } else {
            let key = bare.split_once(" = ").and_then(|(name, _)| {
                let table = table?;
                Some((table, table.keys.iter().find(|key| key.name == name)?))
            });
            text.push_str(match key {
                Some((table, key)) if wanted(table, key) => bare,
                _ => line,
            });
        }
        text.push('\n');
    }
    text
}

fn is_required(key: &Key) -> bool {
    matches!(key.absent, Absent::Refused(_) | Absent::NothingButShown(_))
}

#[test]
fn the_files_of_the_repository_are_those_that_the_code_writes() {
    const HOW: &str = "differs; `make reference` writes it";
    assert!(kept("belvedere.toml") == config::example(), "systemd/belvedere.toml {HOW}");
    assert!(
        kept("belvedere.schema.json") == format!("{:#}\n", config::schema()),
        "systemd/belvedere.schema.json {HOW}"
    );
}

#[test]
fn the_example_is_a_good_configuration() {
    let settings = Folder::new(&config::example()).load().unwrap();
    assert_eq!(settings.cameras.len(), 1);
}

#[test]
fn every_listed_key_is_in_the_example_once() {
    let set = with_keys_set(|_, _| true);
    let example = to_json(&set).expect("the example is TOML with every key set");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let camera = &example["camera"][0];
    for (path, table) in [
        ("mqtt", &example["mqtt"]),
        ("model", &example["model"]),
        ("http", &example["http"]),
        ("camera[]", camera),
        ("camera[].zone[]", &camera["zone"][0]),
        ("camera[].alert[]", &camera["alert"][0]),
    ] {
        let listed = TABLES.iter().find(|table| table.path == path).unwrap();
        let listed = listed.keys.iter().filter(|key| key.absent != Absent::InFilesAlways);
        let mut listed: Vec<&str> = listed.map(|key| key.name).collect();
        listed.extend(if path == "camera[]" { &["alert", "zone"][..] } else { &[] });
        let mut found = keys(table);
        found.sort();
        listed.sort_unstable();
        assert_eq!(found, listed, "{path}");
    }
}

#[test]
fn the_values_that_the_example_calls_defaults_are_the_codes() {
    let needed = with_keys_set(|_, key| is_required(key));
    let spelt_out = with_keys_set(|_, key| is_required(key) || matches!(key.absent, Absent::Means(_)));
    assert_ne!(needed, spelt_out);
    let settings = |text: &str| format!("{:#?}", Folder::new(text).load().unwrap());
    assert_eq!(settings(&spelt_out), settings(&needed));
}

/// Of each key in turn, a value that cannot be right: what reads the key complains about it.
#[test]
fn every_listed_key_is_read_by_the_code() {
    for table in TABLES {
        for key in table.keys.iter().filter(|key| key.absent != Absent::InFilesAlways) {
            let wrong = "{ no = \"value\" }";
            let text = match table.path {
                "camera[].tasks[]" => with_value("tasks", &format!("[{{ {} = {wrong} }}]", key.name)),
                "camera[].alert[].schedule[]" => {
                    let hours = if key.name == "hours" { "" } else { "hours = \"00:00-24:00\", " };
                    with_value("schedule", &format!("[{{ {hours}{} = {wrong} }}]", key.name))
                }
                path => with_value_in(path, key.name, wrong),
            };
            let lines = Folder::new(&text).problems();
            let path = table.path.replace("[]", "[0]");
            let blamed = format!("{path}.{}", key.name);
            assert!(
                lines.iter().any(|line| line.contains(&blamed) && !line.contains("unknown key")),
                "{blamed} is not in {lines:#?}"
            );
        }
    }
}

fn with_value(name: &str, value: &str) -> String {
    let table = TABLES.iter().find(|table| table.keys.iter().any(|key| key.name == name)).unwrap();
    with_value_in(table.path, name, value)
}

/// The example with every table, every required key, and `value` for one of them.
fn with_value_in(path: &str, name: &str, value: &str) -> String {
    let text = with_keys_set(|table, key| is_required(key) || (table.path == path && key.name == name));
    let mut inside = false;
    let header = path.replace("[]", "");
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            inside = line.trim_matches(['[', ']']) == header;
        }
        match inside && line.starts_with(&format!("{name} = ")) {
            true => format!("{name} = {value}\n"),
            false => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn the_schema_takes_every_good_configuration() {
    let validator = validator();
    let set = with_keys_set(|_, _| true);
    for text in [&config::example(), &set, GOOD, super::ALERT_WITH_EVERY_KEY] {
        let file = to_json(text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&file).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}\nof\n{text}");
    }
}

#[test]
fn the_schema_refuses_every_mistake_that_a_schema_can_know() {
    let validator = validator();
    let missed = mistakes::cases().into_iter().filter_map(|(text, key, holds)| {
        let is_taken = to_json(&text).is_some_and(|file| validator.is_valid(&file));
        is_taken.then_some((key, holds))
    });
    assert_eq!(missed.collect::<Vec<_>>(), NOT_FOR_A_SCHEMA);
}
