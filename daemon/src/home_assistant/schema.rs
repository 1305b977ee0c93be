//! testdata/device_discovery.schema.json, applied: the part of JSON Schema that it uses.

use std::sync::LazyLock;

use serde_json::{Map, Value};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("testdata/device_discovery.schema.json")).expect("the schema is JSON")
});

/// What Home Assistant would not take in this announcement of a device; each with its place.
pub(super) fn violations(payload: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(&SCHEMA, payload, "$", &mut found);
    found
}

fn check(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Value::Object(rules) = schema else {
        panic!("{place}: a schema is an object");
    };
    for (rule, wanted) in rules {
        match rule.as_str() {
            "$schema" | "$comment" | "title" | "$defs" => {}
            "$ref" => check(referenced(wanted), value, place, found),
            "type" => {
                if !is_of_type(value, wanted.as_str().unwrap_or_default()) {
                    found.push(format!("{place}: {value} is no {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().is_some_and(|allowed| allowed.contains(value)) {
                    found.push(format!("{place}: {value} is not allowed"));
                }
            }
            "minItems" => {
                if value.as_array().is_some_and(|items| (items.len() as u64) < wanted.as_u64().unwrap_or(0)) {
                    found.push(format!("{place}: too few items"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(wanted, item, &format!("{place}[{index}]"), found);
                }
            }
            "required" => {
                for name in wanted.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        found.push(format!("{place}: {name} is missing"));
                    }
                }
            }
            "properties" | "additionalProperties" => {}
            "oneOf" => {
                // By the platform; the entity's own schema tells more than "none fits".
                let alternatives =
                    wanted.as_array().into_iter().flatten().map(|each| match each.get("$ref") {
                        Some(name) => referenced(name),
                        None => each,
                    });
                let is_tombstone = value.as_object().is_some_and(|options| options.len() == 1);
                let fitting = alternatives.into_iter().find(|each| {
                    let platforms = each["properties"]["platform"]["enum"].as_array();
                    platforms.is_some_and(|platforms| platforms.contains(&value["platform"]))
                        && (each["properties"].as_object().map(Map::len) == Some(1)) == is_tombstone
                });
                match fitting {
                    Some(each) => check(each, value, place, found),
                    None => found.push(format!("{place}: no such platform: {}", value["platform"])),
                }
            }
            "pattern" => {
                let topic = value.as_str().unwrap_or_default();
                if topic.is_empty() || topic.len() > 65535 || topic.contains(['+', '#', '\0']) {
                    found.push(format!("{place}: {topic:?} is no topic"));
                }
            }
            other => panic!("{place}: the rule {other} is not known here"),
        }
    }
    check_members(rules, value, place, found);
}

fn check_members(rules: &Map<String, Value>, value: &Value, place: &str, found: &mut Vec<String>) {
    let none = Map::new();
    let properties = rules.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match (properties.get(name), rules.get("additionalProperties")) {
            (Some(schema), _) => check(schema, member, &place, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{place}: there is no such option")),
            (None, Some(schema @ Value::Object(_))) => check(schema, member, &place, found),
            (None, _) => {}
        }
    }
}

fn referenced(name: &Value) -> &'static Value {
    let name = name.as_str().and_then(|name| name.strip_prefix("#/$defs/")).unwrap_or_default();
    SCHEMA["$defs"].get(name).expect("a definition of the schema")
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        other => panic!("the type {other} is not known here"),
    }
}

#[test]
fn the_schema_refuses_what_home_assistant_refuses() {
    let entity = |options: Value| {
        serde_json::json!({
            "device": { "identifiers": ["a"] },
            "origin": { "name": "a" },
            "components": { "a": options },
        })
    };
    let fine = serde_json::json!({ "platform": "sensor", "unique_id": "1", "state_topic": "a/b" });
    assert_eq!(violations(&entity(fine.clone())), Vec::<String>::new());
    assert_eq!(violations(&entity(serde_json::json!({ "platform": "sensor" }))), Vec::<String>::new());
    for (option, value) in [
        ("state_topic", serde_json::json!("a/#")),
        ("device_class", serde_json::json!("speedometer")),
        ("state_class", serde_json::json!("mean")),
        ("expire_after", serde_json::json!("180")),
        ("value_tmplate", serde_json::json!("{{ value }}")),
        ("platform", serde_json::json!("sensors")),
        ("entity_category", serde_json::json!("statistics")),
        ("availability", serde_json::json!([{ "value_template": "x" }])),
    ] {
        let mut wrong = fine.clone();
        wrong[option] = value;
        assert_eq!(violations(&entity(wrong)).len(), 1, "{option}");
    }
    for missing in ["device", "origin", "components"] {
        let mut wrong = entity(fine.clone());
        wrong.as_object_mut().unwrap().remove(missing);
        assert_eq!(violations(&wrong).len(), 1, "{missing}");
    }
    let mut wrong = fine;
    wrong.as_object_mut().unwrap().remove("unique_id");
    assert_eq!(violations(&entity(wrong)).len(), 1);
}
