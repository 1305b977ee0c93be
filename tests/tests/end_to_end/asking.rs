//! Questions to a camera are answered, or it is said why not.

use anyhow::{Context, Result};
use belvedere_models::{InputKind, Task};
use belvedere_tests::{Daemon, Publisher};
use serde_json::{Value, json};

use crate::scene::{Scene, WITHIN, assert_ends_well};

/// Asks `camera`, and gives what it answers to this question; again where too much was asked in a short time.
fn ask(scene: &Scene, others: &mut Publisher, camera: &str, question: &Value) -> Result<Value> {
    loop {
        let mark = scene.subscriber.mark();
        others.publish(&format!("belvedere/{camera}/ask"), question.to_string())?;
        let topic = format!("belvedere/{camera}/answer");
        let answer = scene.subscriber.wait_for_after(
            mark,
            &format!("an answer to {question}"),
            WITHIN,
            |message| message.topic == topic && message.json().is_ok_and(|json| json["id"] == question["id"]),
        )?;
        assert!(!answer.retained);
        let json = answer.json()?;
        if json["error"] != "too-many" {
            return Ok(json);
        }
        // Its pace is a question a second: a few results later there is room.
        let mark = scene.subscriber.mark();
        scene
            .subscriber
            .wait_for_after(mark, "time to pass", WITHIN, |message| message.topic == "belvedere/stats")?;
    }
}

#[test]
fn every_task_can_be_asked_and_the_answer_is_a_result_with_the_questions_id() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene
        .config(&[("porch", "test://ball"), ("attic", "test://ball")])
        .replace("[mqtt]\n", "[mqtt]\nstats_interval = \"500ms\"\n")
        .replace("name = \"attic\"\n", "name = \"attic\"\nenabled = false\n");
    let mut daemon = Daemon::start(&config)?;
    scene.results(0, "porch", 1)?;
    let mut others = Publisher::start(&scene.broker)?;
    for (number, task) in Task::ALL.into_iter().enumerate() {
        let mut question = json!({ "id": format!("q-{number}"), "task": task.name() });
        match task.input() {
            InputKind::Nothing => {}
            InputKind::Text => question["text"] = "a \"red\" ball 🪜".into(),
            InputKind::Region => question["box"] = json!([10, 20.5, 100, 120]),
        }
        let answer = ask(&scene, &mut others, "porch", &question)?;
        assert!(answer.get("error").is_none(), "{question} {answer}");
        assert_eq!((&answer["task"], &answer["camera"]), (&question["task"], &json!("porch")));
        assert_eq!(answer.get("input"), question.get("text"), "{answer}");
        assert_eq!(answer.get("box").is_some(), task.input() == InputKind::Region, "{answer}");
        assert!(answer["text"].is_string() && answer["regions"].is_array(), "{answer}");
        let score = answer["phrase"]["score"].as_f64();
        assert_eq!(
            score.is_some_and(|score| (0.0..=1.0).contains(&score)),
            task == Task::OpenVocabularyDetection,
            "{answer}"
        );
        assert!(answer["frame_id"].as_u64().context("frame_id")? > 0);
        // The picture was encoded for the frame's own results.
        assert_eq!(answer["timing_ms"]["vision"], 0.0, "{answer}");
    }

    let error = |camera: &str, question: Value, others: &mut Publisher| -> Result<String> {
        let answer = ask(&scene, others, camera, &question)?;
        assert!(answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{answer}");
        Ok(answer["error"].as_str().with_context(|| answer.to_string())?.to_owned())
    };
    let long = "x".repeat(1001);
    for (camera, question, expected) in [
        ("porch", json!({ "id": "e1", "task": "captoin" }), "unknown-task"),
        ("porch", json!({ "id": "e2", "task": "phrase-grounding", "text": long }), "text-too-long"),
        ("porch", json!({ "id": "e3", "task": "caption", "more": 1 }), "invalid"),
        ("porch", json!({ "id": "e4", "task": "region-to-ocr", "box": [0, 0, 5000, 10] }), "invalid"),
        ("attic", json!({ "id": "e5", "task": "caption" }), "disabled"),
        ("cellar", json!({ "id": "e6", "task": "caption" }), "unknown-camera"),
    ] {
        assert_eq!(error(camera, question, &mut others)?, expected, "{camera}");
    }
    assert_ends_well(&mut daemon)
}

#[test]
fn a_camera_that_is_offline_says_so_and_a_retained_question_is_nobodys() -> Result<()> {
    let scene = Scene::new()?;
    let mut others = Publisher::start(&scene.broker)?;
    others.retain("belvedere/live/ask", json!({ "id": "old", "task": "caption" }).to_string())?;
    others.wait_until_all_taken(WITHIN)?;
    let mut daemon = scene.run(&[("dead", "file:///nowhere/film.mp4"), ("live", "test://ball")])?;
    scene.results(0, "live", 3)?;
    let answer = ask(&scene, &mut others, "dead", &json!({ "id": "1", "task": "caption" }))?;
    assert_eq!(answer["error"], "offline");
    ask(&scene, &mut others, "live", &json!({ "id": "2", "task": "caption" }))?;
    let answers =
        scene.subscriber.messages().into_iter().filter(|message| message.topic == "belvedere/live/answer");
    assert!(answers.map(|message| message.payload).all(|payload| !payload.contains("\"old\"")));
    assert_ends_well(&mut daemon)
}
