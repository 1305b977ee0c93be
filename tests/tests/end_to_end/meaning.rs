//! The bundled model means what it says: a street with a blue person, a red car and a yellow box.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use belvedere_tests::belvedere;
use serde_json::Value;

/// Drawn by models/tiny/street.py, which says where everything is.
const STREET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pictures/tiny_street.png");
const WITHIN: Duration = Duration::from_secs(60);
/// Of the picture, in pixels.
const CAR: [f64; 4] = [83.2, 93.6, 198.4, 151.2];

#[test]
fn a_red_car_is_there_and_is_found_where_it_is() -> Result<()> {
    let objects = ask(&["--task", "object-detection"])?;
    assert_eq!(labels(&objects), ["person", "car", "box"], "{objects}");
    assert!(overlap(&objects["regions"][1], CAR)? > 0.5, "{objects}");
    for region in regions(&objects) {
        let score = region["score"].as_f64().context("score")?;
        ensure!(score > 0.0 && score < 1.0, "{region}");
    }
    Ok(())
}

#[test]
fn a_caption_names_what_is_there_with_its_colours() -> Result<()> {
    let caption = ask(&["--task", "caption"])?;
    assert_eq!(caption["text"], "blue person, red car and yellow box");
    Ok(())
}

#[test]
fn a_phrase_is_found_by_its_words() -> Result<()> {
    let found = ask(&["--task", "open-vocabulary-detection", "--text", "red car"])?;
    assert_eq!(labels(&found), ["red car"], "{found}");
    assert!(overlap(&found["regions"][0], CAR)? > 0.5, "{found}");
    let grounded = ask(&["--task", "phrase-grounding", "--text", "yellow box and blue person"])?;
    let mut labels = labels(&grounded);
    labels.sort_unstable();
    assert_eq!(labels, ["blue person", "yellow box"], "{grounded}");
    Ok(())
}

#[test]
fn a_region_is_named_and_described() -> Result<()> {
    let region = CAR.map(|px| px.to_string()).join(",");
    let category = ask(&["--task", "region-to-category", "--region", &region])?;
    assert!(category["text"].as_str().context("text")?.starts_with("car"), "{category}");
    let description = ask(&["--task", "region-to-description", "--region", &region])?;
    assert!(description["text"].as_str().context("text")?.starts_with("red car"), "{description}");
    Ok(())
}

/// The bundled model's answer about the street.
fn ask(question: &[&str]) -> Result<Value> {
    let finished = belvedere(&[&["infer", "--format", "json"], question, &[STREET]].concat(), WITHIN)?;
    ensure!(finished.status.success(), "{finished:#?}");
    Ok(serde_json::from_str(&finished.stdout)?)
}

fn regions(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["regions"].as_array().into_iter().flatten()
}

fn labels(answer: &Value) -> Vec<&str> {
    regions(answer).filter_map(|region| region["label"].as_str()).collect()
}

/// Intersection over union.
fn overlap(region: &Value, truth: [f64; 4]) -> Result<f64> {
    let found: [f64; 4] = serde_json::from_value(region["box"].clone())?;
    let area = |[x1, y1, x2, y2]: [f64; 4]| (x2 - x1).max(0.0) * (y2 - y1).max(0.0);
    let shared = area([
        found[0].max(truth[0]),
        found[1].max(truth[1]),
        found[2].min(truth[2]),
        found[3].min(truth[3]),
    ]);
    Ok(shared / (area(found) + area(truth) - shared))
}
