//! Seeded sequences as the two reference implementations read them (tests/reference/make_text_goldens.py).
//!
//! The reference mode must equal the original exactly, on answers that follow their grammar and on broken ones.
//! transformers differs from the original where spec section 8.2 says so, and the comparison takes that into account:
//! integer pixels (`px as i32` here), texts trimmed, and for OCR with regions `</s>` and `<pad>` removed too (here:
//! taken out of the ids before). Before it looks for the label of polygons it strips a location token, where the original
//! strips the remains of one (`loc_7>`), so labels of polygons are compared on answers that follow the grammar only.
//!
//! The default mode must equal transformers on answers that follow their grammar, but for what it means to repair:
//! letters outside ASCII in the labels of boxes, and the region behind a region's text.

use belvedere_models::{ParseMode, PictureSize, Region, Shape, Task, TaskOutput};
use serde_json::Value;

use crate::support::{ids, json, read_ids};

struct Golden {
    task: Task,
    valid: bool,
    picture: PictureSize,
    ids: Vec<u32>,
    original: Value,
    native: Value,
}

fn goldens() -> Vec<Golden> {
    let file = json("text_goldens.json");
    let goldens = file["answers"].as_array().unwrap().iter().map(|answer| {
        let name = answer["task"].as_str().unwrap();
        let [width, height] = serde_json::from_value(answer["picture"].clone()).unwrap();
        Golden {
            task: *Task::ALL.iter().find(|task| task.reference_name() == name).unwrap(),
            valid: answer["form"] == "valid",
            picture: PictureSize::new(width, height),
            ids: ids(&answer["ids"]),
            original: answer["original"].clone(),
            native: answer["native"].clone(),
        }
    });
    let goldens: Vec<Golden> = goldens.collect();
    assert!(goldens.len() >= 200);
    assert!(Task::ALL.iter().all(|task| goldens.iter().any(|golden| golden.task == *task)));
    goldens
}

impl Golden {
    fn read(&self, ids: &[u32], log_probs: &[f32], mode: ParseMode) -> TaskOutput {
        read_ids(self.task, ids, log_probs, self.picture, mode)
    }

    fn is_ocr(&self) -> bool {
        self.task == Task::OcrWithRegion
    }
}

/// As `log_prob` of the script.
fn log_prob(index: usize) -> f32 {
    -(((index * 37) % 101) as f32) / 128.0
}

fn shape(region: &Value) -> Shape {
    let read = |name: &str| region.get(name).cloned();
    if let Some(corners) = read("box") {
        Shape::Box(serde_json::from_value(corners).unwrap())
    } else if let Some(corners) = read("quad") {
        Shape::Quad(serde_json::from_value(corners).unwrap())
    } else {
        Shape::Polygons(serde_json::from_value(read("polygons").unwrap()).unwrap())
    }
}

fn whole_pixels(shape: &Shape) -> Shape {
    match shape {
        Shape::Box(px) => Shape::Box(px.map(f32::trunc)),
        Shape::Quad(px) => Shape::Quad(px.map(f32::trunc)),
        Shape::Polygons(outlines) => {
            Shape::Polygons(outlines.iter().map(|px| px.iter().copied().map(f32::trunc).collect()).collect())
        }
    }
}

fn label(region: &Value) -> &str {
    region["label"].as_str().unwrap()
}

fn same_places(regions: &[Region], expected: &[Value], golden: &Golden) {
    let places: Vec<Shape> = regions.iter().map(|region| whole_pixels(&region.shape)).collect();
    assert_eq!(places, expected.iter().map(shape).collect::<Vec<_>>(), "{} {:?}", golden.task, golden.ids);
}

#[test]
fn the_reference_mode_reads_every_answer_as_the_original_does() {
    for golden in goldens() {
        let log_probs: Vec<f32> = (0..golden.ids.len() - 1).map(log_prob).collect();
        let output = golden.read(&golden.ids, &log_probs, ParseMode::Reference);
        if let Some(text) = golden.original["text"].as_str() {
            assert_eq!(output.text, text);
            assert_eq!(output.regions, []);
            continue;
        }
        let expected = golden.original["regions"].as_array().unwrap();
        assert_eq!(output.regions.len(), expected.len(), "{} {:?}", golden.task, golden.ids);
        for (region, expected) in output.regions.iter().zip(expected) {
            assert_eq!(region.label, label(expected), "{}", golden.task);
            assert_eq!(region.shape, shape(expected), "{}", golden.task);
            match (region.score, expected["score"].as_f64()) {
                (Some(score), Some(expected)) => assert!((f64::from(score) - expected).abs() < 1e-6),
                (score, expected) => assert_eq!((score, expected), (None, None), "{}", golden.task),
            }
        }
    }
}

#[test]
fn the_reference_mode_differs_from_transformers_only_as_documented() {
    for golden in goldens() {
        let mut ids = golden.ids.clone();
        if golden.is_ocr() {
            ids.retain(|id| *id > 2);
        }
        let output = golden.read(&ids, &[], ParseMode::Reference);
        if let Some(text) = golden.native["text"].as_str() {
            assert_eq!(output.text.trim(), text);
            continue;
        }
        let expected = golden.native["regions"].as_array().unwrap();
        same_places(&output.regions, expected, &golden);
        let polygons = output.regions.iter().any(|region| matches!(region.shape, Shape::Polygons(_)));
        if golden.valid || !polygons {
            let trimmed = |label| if golden.is_ocr() { str::trim(label) } else { label };
            let labels: Vec<&str> = output.regions.iter().map(|region| trimmed(&region.label)).collect();
            assert_eq!(labels, expected.iter().map(label).collect::<Vec<_>>(), "{}", golden.task);
        }
    }
}

#[test]
fn the_default_mode_reads_whole_answers_as_transformers_does() {
    for golden in goldens().into_iter().filter(|golden| golden.valid) {
        let output = golden.read(&golden.ids, &[], ParseMode::Default);
        if let Some(text) = golden.native["text"].as_str() {
            let is_region = golden.task.name().starts_with("region-to");
            let asked = text.find("<loc_").filter(|_| is_region);
            assert_eq!(output.text, text[..asked.unwrap_or(text.len())].trim());
            continue;
        }
        let expected = golden.native["regions"].as_array().unwrap();
        same_places(&output.regions, expected, &golden);
        let is_box = |region: &Region| matches!(region.shape, Shape::Box(_));
        for (region, expected) in output.regions.iter().zip(expected) {
            let kept = |c: &char| !is_box(region) || c.is_ascii();
            assert_eq!(
                region.label.chars().filter(kept).collect::<String>(),
                label(expected),
                "{}",
                golden.task
            );
        }
    }
}
