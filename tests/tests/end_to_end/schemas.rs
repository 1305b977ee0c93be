//! Every message is what the documented schema says.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use belvedere_tests::{Daemon, Message, Publisher};
use serde_json::{Value, json};

use crate::alerts::{EAGER, PHRASES, WITHIN, Watched, is_event};
use crate::scene::assert_ends_well;

/// The document that users have.
fn document() -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/docs/messages.schema.json");
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// Which definition a message is to fit; `None` for what is no JSON.
fn kind(message: &Message) -> Result<Option<&'static str>> {
    let levels: Vec<&str> = message.topic.split('/').collect();
    Ok(match levels[..] {
        ["belvedere", "stats"] => Some("stats"),
        ["belvedere", "state"] => Some("state"),
        ["belvedere", "config"] => Some("config"),
        ["belvedere", _, "alerts"] | ["belvedere", _, "alert", _, "attributes"] => Some("alert"),
        ["belvedere", _, "ask"] => Some("question"),
        ["belvedere", _, "answer"] if message.json()?.get("error").is_some() => Some("refusal"),
        ["belvedere", _, "answer"] => Some("answer"),
        ["belvedere", _, "caption" | "object-detection" | "phrase-grounding"] => Some("result"),
        ["belvedere", "available"]
        | ["belvedere", _, "status"]
        | ["belvedere", _, "enabled", "state"]
        | ["belvedere", _, "alert", _, "state" | "snapshot"]
        | ["homeassistant", ..] => None,
        _ => anyhow::bail!("a message of no known kind: {message:?}"),
    })
}

#[test]
fn every_message_fits_the_documented_schema() -> Result<()> {
    let watched = Watched::new()?;
    let tasks = "tasks = [\"caption\", \"object-detection\", { task = \"phrase-grounding\", text = \"a red car\" }]\n";
    let config = watched.config(&["porch"], &PHRASES[..2], EAGER);
    let config = config.replace("fps = 5\n", &format!("fps = 5\n{tasks}"));
    let mut daemon = Daemon::start(&config)?;
    watched.wait_for_new(2)?;
    let mut others = Publisher::start(&watched.broker)?;
    for question in [
        json!({ "id": "1", "task": "open-vocabulary-detection", "text": "red car" }),
        json!({ "id": "2", "task": "region-to-category", "box": [1, 2, 30, 40] }),
        json!({ "id": "3", "task": "region-to-ocr", "box": [1, 2, 30, 40_000] }),
    ] {
        others.publish("belvedere/porch/ask", question.to_string())?;
        watched.subscriber.wait_for("an answer", WITHIN, |message| {
            message.topic == "belvedere/porch/answer"
                && message.json().is_ok_and(|answer| answer["id"] == question["id"])
        })?;
    }
    watched.subscriber.wait_for("an end", WITHIN, |message| is_event(message, "end"))?;
    watched.subscriber.wait_for("statistics", WITHIN, |message| message.topic == "belvedere/stats")?;
    assert_ends_well(&mut daemon)?;

    let document = document()?;
    let definitions = document["definitions"].as_object().context("definitions")?;
    let messages = watched.subscriber.messages();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &messages {
        let Some(kind) = kind(message)? else { continue };
        assert!(definitions.contains_key(kind), "{kind}");
        // What was retained and is over is an empty message.
        if message.payload.is_empty() {
            continue;
        }
        let schema = json!({ "$ref": format!("#/definitions/{kind}"), "definitions": definitions });
        let validator = jsonschema::draft7::new(&schema).map_err(|error| anyhow::anyhow!("{error}"))?;
        let wrong: Vec<String> = validator
            .iter_errors(&message.json()?)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{kind}: {wrong:#?}\n{message:?}");
        *counts.entry(kind).or_default() += 1;
    }
    for kind in ["result", "alert", "question", "answer", "refusal", "config", "state", "stats"] {
        assert!(counts.contains_key(kind), "no {kind} came: {counts:?}");
    }
    Ok(())
}

#[test]
fn the_schema_refuses_what_was_never_promised() -> Result<()> {
    let document = document()?;
    let fits = |kind: &str, message: &Value| -> Result<bool> {
        let schema =
            json!({ "$ref": format!("#/definitions/{kind}"), "definitions": document["definitions"] });
        Ok(jsonschema::draft7::new(&schema).map_err(|error| anyhow::anyhow!("{error}"))?.is_valid(message))
    };
    let question = json!({ "id": "1", "task": "caption" });
    assert!(fits("question", &question)?);
    for (key, value) in
        [("id", json!("")), ("task", json!("captoin")), ("more", json!(1)), ("box", json!([1, 2, 3]))]
    {
        let mut wrong = question.clone();
        wrong[key] = value;
        assert!(!fits("question", &wrong)?, "{wrong}");
    }
    Ok(())
}
