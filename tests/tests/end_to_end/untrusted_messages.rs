//! What others say may be anything.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use belvedere_tests::{Daemon, Publisher};
use fastrand::Rng;
use serde_json::json;

use crate::scene::{Scene, WITHIN, assert_ends_well};

const MESSAGES: usize = 10_000;
const TASK_NAMES: [&str; 4] = ["caption", "phrase-grounding", "region-to-ocr", "captoin"];

/// A payload of any kind: no text, no JSON, no question, a question; short, long, deep.
fn payload(random: &mut Rng, number: usize) -> Vec<u8> {
    let bytes = |random: &mut Rng, length: usize| -> Vec<u8> { (0..length).map(|_| random.u8(..)).collect() };
    match random.u8(..12) {
        0 => {
            let length = random.usize(..300);
            bytes(random, length)
        }
        1 => [b"{\"id\":\"".as_slice(), &[0xff, 0xc0, 0x80], b"\",\"task\":\"caption\"}"].concat(),
        2 => "[".repeat(random.usize(1..16_000)).into_bytes(),
        3 => {
            let depth = random.usize(1..2_000);
            format!("{{\"id\":{}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes()
        }
        4 if number.is_multiple_of(50) => vec![b'x'; 1 << 20],
        5 => json!({ "id": number, "task": ["caption"], "text": { "a": null } }).to_string().into_bytes(),
        6 => json!({ "id": "x".repeat(random.usize(..300)), "task": random.choice(TASK_NAMES) }).to_string().into_bytes(),
        7 => json!({ "id": "1", "task": "region-to-ocr", "box": [-1e300, f64::MAX, 0, 5] }).to_string().into_bytes(),
        8 => json!({ "id": "1", "task": "phrase-grounding", "text": "🪜\u{0}\u{7f}</s><image><loc_1>".repeat(random.usize(..40)) })
            .to_string()
            .into_bytes(),
        9 => random.choice(["ON", "OFF", "on", "", "\u{0}", "null"]).unwrap_or_default().into(),
        _ => {
            let mut whole = json!({ "id": number.to_string(), "task": random.choice(TASK_NAMES), "text": "a ball" })
                .to_string()
                .into_bytes();
            // Cut off, or with one byte that is another one.
            match random.bool() {
                true => whole.truncate(random.usize(..whole.len())),
                false => {
                    let place = random.usize(..whole.len());
                    whole[place] = random.u8(..);
                }
            }
            whole
        }
    }
}

#[test]
fn ten_thousand_messages_of_any_kind_cost_neither_the_daemon_nor_its_cameras_much() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene
        .config(&[("porch", "test://ball"), ("yard", "test://ball")])
        .replace("fps = 10", "fps = 4")
        .replace("[mqtt]\n", "[mqtt]\nstats_interval = \"1s\"\n")
        .replace("[[camera]]\nname = \"yard\"", "[[camera]]\nname = \"yard\"");
    let mut daemon = Daemon::start_with(&config, |command| {
        // A line for each message would be what is measured.
        command.env("BELVEDERE_LOG", "info");
    })?;
    let quiet = Instant::now();
    scene.results(0, "porch", 12)?;
    let quiet = quiet.elapsed();
    let before = daemon.process.peak_memory_bytes()?.context("it has ended")?;

    let mut random = Rng::with_seed(4);
    let mut others = Publisher::start(&scene.broker)?;
    let (mark, flooded) = (scene.subscriber.mark(), Instant::now());
    for number in 0..MESSAGES {
        let payload = payload(&mut random, number);
        let topic = match random.u8(..8) {
            0 => "belvedere/yard/enabled/set",
            1 => "belvedere/porch/enabled/set/",
            2 => "belvedere/yard/ask",
            3 => "belvedere/cellar/ask",
            4 => "belvedere/Ü \u{1f40c}/ask",
            _ => "belvedere/porch/ask",
        };
        others.publish(topic, payload)?;
    }
    others.wait_until_all_taken(WITHIN)?;
    let flood = flooded.elapsed();
    scene.results(mark, "porch", 12)?;
    let busy = flooded.elapsed();
    // As many results as before within about the time that they took before, with the start of the daemon in it.
    assert!(busy < flood.max(quiet) * 3 + Duration::from_secs(5), "{quiet:?} {flood:?} {busy:?}");

    // It still answers.
    let question = json!({ "id": "after", "task": "caption" }).to_string();
    let answered = |scene: &Scene, mark: usize| {
        scene.subscriber.wait_for_after(mark, "an answer or a refusal", Duration::from_secs(10), |message| {
            message.topic == "belvedere/porch/answer" && message.payload.contains("\"after\"")
        })
    };
    let answer = (0..12).find_map(|_| {
        let mark = scene.subscriber.mark();
        others.publish("belvedere/porch/ask", question.clone()).ok()?;
        let message = answered(&scene, mark).ok()?;
        (!message.payload.contains("too-many")).then_some(message)
    });
    let answer = answer.context("no answer after the flood")?;
    assert!(answer.json()?["text"].is_string(), "{answer:?}");

    let after = daemon.process.peak_memory_bytes()?.context("it has ended")?;
    println!(
        "peak memory {} MiB before, {} MiB after; {flood:?} of flood, 12 results in {quiet:?} and {busy:?}",
        before >> 20,
        after >> 20
    );
    assert!(after < before + (96 << 20), "{before} {after}");
    assert_ends_well(&mut daemon)
}
