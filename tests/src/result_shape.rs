use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::Message;

/// What a result message says, once its shape has been found to be the promised one.
#[derive(Clone, Debug)]
pub struct ResultMessage {
    /// Increases from frame to frame of a camera.
    pub frame_id: u64,
    /// When the frame was captured.
    pub captured_at: Timestamp,
    /// How old the frame was when the result was made, in milliseconds.
    pub age_ms: f64,
    /// Width of the frame in pixels.
    pub width: u64,
    /// Height of the frame in pixels.
    pub height: u64,
    /// What the model wrote.
    pub text: String,
    /// What it found.
    pub regions: Vec<Value>,
}

/// Checks `message` against the promised shape of a result of `camera` and `task`, key by key.
pub fn assert_result_shape(message: &Message, camera: &str, task: &str) -> Result<ResultMessage> {
    check(message, camera, task).with_context(|| format!("on {}: {}", message.topic, message.payload))
}

fn check(message: &Message, camera: &str, task: &str) -> Result<ResultMessage> {
    let json = message.json()?;
    let object = json.as_object().context("not an object")?;
    ensure!(!message.retained, "a result must not be retained");
    ensure!(json["camera"] == camera, "camera");
    ensure!(json["task"] == task, "task");

    let captured_at = json["captured_at"].as_str().context("captured_at")?;
    ensure!(milliseconds(captured_at) == Some(3), "captured_at has no milliseconds");
    let timing = json["timing_ms"].as_object().context("timing_ms")?;
    for stage in ["preprocess", "vision", "encoder", "decode"] {
        let time = timing.get(stage).and_then(Value::as_f64).with_context(|| format!("timing_ms.{stage}"))?;
        ensure!(time >= 0.0, "timing_ms.{stage}");
    }
    let result = ResultMessage {
        frame_id: json["frame_id"].as_u64().context("frame_id")?,
        captured_at: captured_at.parse().context("captured_at")?,
        age_ms: json["age_ms"].as_f64().context("age_ms")?,
        width: json["width"].as_u64().context("width")?,
        height: json["height"].as_u64().context("height")?,
        text: json["text"].as_str().context("text")?.to_owned(),
        regions: json["regions"].as_array().context("regions")?.clone(),
    };
    ensure!(result.age_ms >= 0.0, "age_ms");
    for region in &result.regions {
        check_region(region, result.width as f64, result.height as f64)
            .with_context(|| format!("region {region}"))?;
    }
    ensure!(object.len() >= 10, "a key is missing");
    Ok(result)
}

fn check_region(region: &Value, width: f64, height: f64) -> Result<()> {
    ensure!(region["label"].is_string(), "label");
    if let Some(score) = region.get("score") {
        let score = score.as_f64().context("score")?;
        ensure!((0.0..=1.0).contains(&score), "score");
    }
    let shapes: Vec<_> =
        ["box", "quad", "polygons"].into_iter().filter(|key| region.get(*key).is_some()).collect();
    let [shape] = shapes[..] else { anyhow::bail!("one shape is wanted, not {shapes:?}") };
    let points: Vec<Vec<f64>> = match shape {
        "polygons" => serde_json::from_value(region[shape].clone())?,
        _ => vec![serde_json::from_value(region[shape].clone())?],
    };
    for numbers in points {
        match shape {
            "box" => ensure!(numbers.len() == 4, "a box is four numbers"),
            "quad" => ensure!(numbers.len() == 8, "a quad is eight numbers"),
            _ => ensure!(numbers.len() % 2 == 0, "a polygon is pairs of numbers"),
        }
        for (index, number) in numbers.iter().enumerate() {
            let limit = if index % 2 == 0 { width } else { height };
            ensure!((0.0..=limit).contains(number), "{number} is outside the picture");
        }
    }
    Ok(())
}

/// How many digits the fraction of a second has, if the time ends as RFC 3339 in UTC does.
fn milliseconds(time: &str) -> Option<usize> {
    let (_, fraction) = time.strip_suffix('Z')?.split_once('.')?;
    fraction.bytes().all(|byte| byte.is_ascii_digit()).then_some(fraction.len())
}
