use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;

use super::film_alerts::{FilmAlert, measure_alerts};
use super::{
    FilmTruth, Infer, LabelledBox, Measure, Measured, Phrase, Seen, Tally, find_phase, infer::Region,
    match_boxes,
};
use crate::{Message, Process, Subscriber, spawn_belvedere};

/// How long the demonstration may take to say where its broker is, and beyond its own time to start and to end.
const WITHIN: Duration = Duration::from_secs(120);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What is asked of each frame as a result, beside what the demonstration asks.
const ASKED: [&str; 2] = ["red car", "person"];
/// What the demonstration watches for, and after how long it takes a phrase for gone.
const WATCHED: [&str; 2] = ["red car", "blue person"];
const CLEAR_AFTER_SECONDS: f64 = 1.0;

/// What `belvedere demo` published.
#[derive(Debug)]
pub struct FilmRun {
    results: Vec<FilmResult>,
    alerts: Vec<FilmAlert>,
    peak_memory_bytes: u64,
}

#[derive(Debug)]
struct FilmResult {
    frame_id: u64,
    captured_at: Timestamp,
    /// Of an open-vocabulary question; else it is object detection.
    phrase: Option<Phrase>,
    boxes: Vec<LabelledBox>,
}

impl FilmRun {
    /// Lets the demonstration run for `seconds` and listens.
    pub fn watch(infer: &Infer, truth: &FilmTruth, seconds: u64) -> Result<Self> {
        let mut arguments = vec!["demo".to_owned(), "--seconds".to_owned(), seconds.to_string()];
        arguments.extend(ASKED.iter().flat_map(|phrase| ["--phrase".to_owned(), (*phrase).to_owned()]));
        arguments.extend(infer.model_arguments());
        let mut process = spawn_belvedere(&arguments)?;
        let broker = process.stdout.wait_for("the demonstration's broker", WITHIN, |lines| {
            lines.iter().find_map(|line| broker_address(line))
        });
        let broker = broker.with_context(|| format!("{:#?}", process.stderr.all()))?;
        let subscriber = Subscriber::connect(broker, None)?;
        let peak_memory_bytes = watch_to_its_end(&mut process, Duration::from_secs(seconds) + WITHIN)?;
        let (mut results, mut alerts) = (Vec::new(), Vec::new());
        for message in subscriber.messages() {
            let in_message = || format!("{}: {}", message.topic, message.payload);
            results.extend(read(&message, truth).with_context(in_message)?);
            alerts.extend(FilmAlert::read(&message).with_context(in_message)?);
        }
        Ok(Self { results, alerts, peak_memory_bytes })
    }
}

/// The most memory that the process had in use, in bytes.
fn watch_to_its_end(process: &mut Process, within: Duration) -> Result<u64> {
    let mut peak = 0;
    for _ in 0..within.div_duration_f64(LOOK) as u64 {
        peak = process.peak_memory_bytes()?.unwrap_or(peak);
        if let Some(status) = process.exited_within(LOOK)? {
            process.wait_output();
            ensure!(status.success(), "the demonstration: {status}: {:#?}", process.stderr.all());
            return Ok(peak);
        }
    }
    bail!("the demonstration still runs after {within:?}")
}

/// `broker   mqtt://127.0.0.1:45555   (...)`
fn broker_address(line: &str) -> Option<SocketAddr> {
    let mut words = line.split_whitespace();
    (words.next()? == "broker").then_some(())?;
    words.next()?.strip_prefix("mqtt://")?.parse().ok()
}

/// A result of object detection or of an open-vocabulary question; `None` for all other messages.
fn read(message: &Message, truth: &FilmTruth) -> Result<Option<FilmResult>> {
    let Ok(json) = message.json() else { return Ok(None) };
    let phrase = match json["task"].as_str() {
        Some("object-detection") => None,
        Some("open-vocabulary-detection") => {
            let phrase = json["input"].as_str().context("input")?;
            Some(Phrase::read(phrase).with_context(|| format!("{phrase:?} is not understood"))?)
        }
        _ => return Ok(None),
    };
    let size = (json["width"].as_u64(), json["height"].as_u64());
    ensure!(size == (Some(truth.width), Some(truth.height)), "not the film: its size is {size:?}");
    let boxes = |value: &Value| -> Result<Vec<LabelledBox>> {
        let regions: Vec<Region> = serde_json::from_value(value.clone())?;
        Ok(regions.into_iter().filter_map(Region::into_box).collect())
    };
    Ok(Some(FilmResult {
        frame_id: json["frame_id"].as_u64().context("frame_id")?,
        captured_at: json["captured_at"].as_str().context("captured_at")?.parse()?,
        phrase,
        boxes: boxes(&json["regions"]).context("regions")?,
    }))
}

/// What the run is worth beside what is in the film.
pub fn measure_film(run: &FilmRun, truth: &FilmTruth) -> Result<Vec<Measured>> {
    let detections: Vec<_> = run.results.iter().filter(|result| result.phrase.is_none()).collect();
    let first = detections.iter().map(|result| result.captured_at).min().context("no object-detection")?;
    let last = detections.iter().map(|result| result.captured_at).max().context("no object-detection")?;
    let seconds_after_first = |at: Timestamp| at.duration_since(first).as_secs_f64();
    let seen: Vec<_> = detections
        .iter()
        .map(|result| Seen { seconds: seconds_after_first(result.captured_at), boxes: result.boxes.clone() })
        .collect();
    let phase = find_phase(truth, &seen);

    let mut phrases = Tally::default();
    for result in &run.results {
        // Those of a frame before the first with object detection are left out: time does not go below 0.
        let Some(phrase) = result.phrase.as_ref().filter(|_| result.captured_at >= first) else { continue };
        let frame = truth.frame_at(seconds_after_first(result.captured_at), phase.frame);
        let found: Vec<_> = result.boxes.iter().map(|found| LabelledBox::new("", found.corners_px)).collect();
        phrases += match_boxes(&found, &truth.meant_boxes(frame, phrase), &truth.ignored_boxes(frame));
    }
    ensure!(phrases.matched + phrases.missed > 0, "no open-vocabulary question about anything that is there");

    let frames: BTreeSet<u64> = detections.iter().map(|result| result.frame_id).collect();
    let seconds = seconds_after_first(last);
    ensure!(seconds > 0.0, "one frame only");
    let frames_per_second = (frames.len() - 1) as f64 / seconds;
    let tally = phase.tally;
    let watched = WATCHED.iter().map(|phrase| Phrase::read(phrase).context("a phrase of the demonstration"));
    let watched: Vec<Phrase> = watched.collect::<Result<_>>()?;
    let alerts =
        measure_alerts(&run.alerts, &watched, truth, (first, phase.frame, seconds), CLEAR_AFTER_SECONDS);
    let mut measured = vec![
        Measured::new(
            Measure::FilmObjectDetectionF1,
            tally.f1(),
            format!("precision {:.3}, recall {:.3}", tally.precision(), tally.recall()),
        ),
        Measured::new(
            Measure::FilmObjectDetectionMeanIou,
            tally.mean_iou(),
            format!("{} matched boxes, from frame {} of the film", tally.matched, phase.frame),
        ),
        Measured::new(Measure::FilmOpenVocabularyRecall, phrases.recall(), phrases.in_words()),
    ];
    measured.extend(alerts);
    measured.extend([
        Measured::new(
            Measure::FilmFramesPerSecond,
            frames_per_second,
            format!("{} frames in {seconds:.1} s", frames.len()),
        ),
        Measured::new(Measure::FilmPeakMemoryMb, run.peak_memory_bytes as f64 / 1e6, String::new()),
    ]);
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FilmRun, FilmTruth, Measure, Message, broker_address, measure_film, read};

    /// A red car drives to the right for four seconds.
    fn film() -> FilmTruth {
        let frame =
            |x: u32| json!([{"kind": "car", "colour": "red", "box": [x, 0, x + 60, 40], "visible": 1}]);
        let frames: Vec<_> = (0..60).map(|frame_number| frame(9 * frame_number)).collect();
        FilmTruth::read(&json!({"width": 640, "height": 360, "fps": 15, "frames": frames}).to_string())
            .unwrap()
    }

    /// A result about frame `frame_id` of a film that began in frame 20; `shift_px` off.
    fn message(frame_id: u64, phrase: Option<&str>, shift_px: f64) -> Message {
        let film = film();
        let seconds = frame_id as f64 / 15.0;
        let mut found = film.present_boxes(film.frame_at(seconds, 20)).remove(0);
        found.corners_px = found.corners_px.map(|px| px + shift_px);
        let task = if phrase.is_some() { "open-vocabulary-detection" } else { "object-detection" };
        let captured_at = format!("2026-01-01T12:00:{seconds:06.3}Z");
        let mut payload = json!({
            "camera": "garden", "frame_id": frame_id, "captured_at": captured_at, "width": 640, "height": 360,
            "task": task, "text": "", "regions": [{"label": "car", "score": 0.5, "box": found.corners_px}],
        });
        if let Some(phrase) = phrase {
            payload["input"] = phrase.into();
        }
        Message {
            topic: format!("belvedere/garden/{task}"),
            bytes: payload.to_string().into_bytes(),
            payload: payload.to_string(),
            retained: false,
            received: std::time::SystemTime::now(),
        }
    }

    #[test]
    fn a_run_is_measured_by_its_boxes_phrases_frames_and_memory() {
        let film = film();
        let mut messages = Vec::new();
        for frame_id in (0..=30).step_by(3) {
            messages.push(message(frame_id, None, 0.0));
            messages.push(message(frame_id, Some("red car"), 0.0));
            // A person is never there: whatever is said of one is no miss.
            messages.push(message(frame_id, Some("person"), 0.0));
            messages.push(message(frame_id, Some("a car"), 300.0));
        }
        let results = messages.iter().filter_map(|message| read(message, &film).unwrap()).collect();
        let measured =
            measure_film(&FilmRun { results, alerts: Vec::new(), peak_memory_bytes: 250_000_000 }, &film)
                .unwrap();
        let value = |measure| measured.iter().find(|measured| measured.measure == measure).unwrap().value;
        assert_eq!(value(Measure::FilmObjectDetectionF1), 1.0);
        assert!(value(Measure::FilmObjectDetectionMeanIou) > 0.999);
        assert_eq!(value(Measure::FilmOpenVocabularyRecall), 0.5);
        assert!((value(Measure::FilmFramesPerSecond) - 5.0).abs() < 1e-9);
        assert_eq!(value(Measure::FilmPeakMemoryMb), 250.0);
    }

    #[test]
    fn a_picture_of_another_size_is_not_the_film() {
        let mut other = message(0, None, 0.0);
        other.payload = other.payload.replace("360", "480");
        assert!(read(&other, &film()).is_err());
    }

    #[test]
    fn a_phrase_that_is_not_said_is_an_error_and_a_status_is_no_result() {
        let mut silent = message(0, Some("red car"), 0.0);
        silent.payload = silent.payload.replace("input", "other");
        assert!(read(&silent, &film()).is_err());
        silent.payload = "online".to_owned();
        assert!(read(&silent, &film()).unwrap().is_none());
    }

    #[test]
    fn a_run_without_results_is_an_error() {
        assert!(
            measure_film(&FilmRun { results: Vec::new(), alerts: Vec::new(), peak_memory_bytes: 0 }, &film())
                .is_err()
        );
    }

    #[test]
    fn the_broker_is_read_from_the_line_that_says_where_it_is() {
        let line = "broker   mqtt://127.0.0.1:45555   (mosquitto_sub -p 45555 -t 'belvedere/#' -v)";
        assert_eq!(broker_address(line), Some(([127, 0, 0, 1], 45555).into()));
        assert_eq!(broker_address("camera   rtsp://127.0.0.1:45555/camera"), None);
    }
}
