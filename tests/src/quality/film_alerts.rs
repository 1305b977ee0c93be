use anyhow::{Context, Result};
use jiff::Timestamp;

use super::{FilmTruth, Measure, Measured, Phrase};
use crate::Message;

/// An appearance that is shorter need not alarm.
const LEAST_SECONDS: f64 = 1.0;
/// A capture time and the film's may differ by so much; and an alert may be of what is barely inside the picture.
const TOLERANCE_SECONDS: f64 = 0.3;

/// A phrase that came true: an alert event `new`.
#[derive(Clone, Debug)]
pub(super) struct FilmAlert {
    pub(super) phrase: Phrase,
    pub(super) captured_at: Timestamp,
}

impl FilmAlert {
    /// `None` for all other messages.
    pub(super) fn read(message: &Message) -> Result<Option<FilmAlert>> {
        let Ok(json) = message.json() else { return Ok(None) };
        if !message.topic.ends_with("/alerts") || json["event_type"] != "new" {
            return Ok(None);
        }
        let phrase = json["phrase"].as_str().context("phrase")?;
        Ok(Some(FilmAlert {
            phrase: Phrase::read(phrase).with_context(|| format!("{phrase:?} is not understood"))?,
            captured_at: json["captured_at"].as_str().context("captured_at")?.parse()?,
        }))
    }
}

/// From when to when something is in the film, in seconds of the run.
#[derive(Clone, Copy, Debug)]
struct Appearance {
    begin: f64,
    end: f64,
}

impl Appearance {
    fn has(&self, seconds: f64) -> bool {
        (self.begin - TOLERANCE_SECONDS..=self.end + TOLERANCE_SECONDS).contains(&seconds)
    }
}

/// What the alerts of `phrases` are worth: appearances that alarmed once, and alarms without one. The run began at
/// `first`, with frame `phase` of the film, and took `seconds`. `clear_after_seconds` is the rules': what is away for less
/// has not gone.
pub(super) fn measure_alerts(
    alerts: &[FilmAlert],
    phrases: &[Phrase],
    truth: &FilmTruth,
    (first, phase, seconds): (Timestamp, usize, f64),
    clear_after_seconds: f64,
) -> Vec<Measured> {
    let (mut once, mut appeared, mut told, mut wrong) = (0, 0, 0, 0);
    for phrase in phrases {
        let at: Vec<f64> = alerts
            .iter()
            .filter(|alert| alert.phrase == *phrase)
            .map(|alert| alert.captured_at.duration_since(first).as_secs_f64())
            .collect();
        let is_there = |frame| !truth.meant_boxes(frame, phrase).is_empty();
        let partly = |frame| is_there(frame) || truth.is_partly_there(frame, phrase);
        let any = appearances(truth, (phase, seconds), clear_after_seconds, partly);
        for appearance in appearances(truth, (phase, seconds), clear_after_seconds, is_there) {
            // What was there before the run is told too; what ends it may come too late to be told.
            let is_whole = appearance.end < seconds && appearance.end - appearance.begin > LEAST_SECONDS;
            if is_whole {
                appeared += 1;
                // It may alarm as soon as any of it is to be seen.
                let around = any.iter().find(|any| any.has(appearance.begin)).copied().unwrap_or(appearance);
                once += usize::from(at.iter().filter(|at| around.has(**at)).count() == 1);
            }
        }
        told += at.len();
        wrong += at.iter().filter(|at| !any.iter().any(|appearance| appearance.has(**at))).count();
    }
    let share = if appeared == 0 { 0.0 } else { once as f64 / appeared as f64 };
    vec![
        Measured::new(
            Measure::FilmAlertsOnce,
            share,
            format!("{once} of {appeared} appearances of more than {LEAST_SECONDS} s"),
        ),
        Measured::new(Measure::FilmFalseAlarms, wrong as f64, format!("{told} alerts")),
    ]
}

/// When `is_there` holds for the frames of a run; gaps of less than `gap_seconds` are none.
fn appearances(
    truth: &FilmTruth,
    (phase, seconds): (usize, f64),
    gap_seconds: f64,
    is_there: impl Fn(usize) -> bool,
) -> Vec<Appearance> {
    let mut found: Vec<Appearance> = Vec::new();
    for step in 0..=(seconds * truth.fps) as usize {
        let now = step as f64 / truth.fps;
        if !is_there(truth.frame_at(now, phase)) {
            continue;
        }
        match found.last_mut() {
            Some(last) if now - last.end < gap_seconds => last.end = now,
            _ => found.push(Appearance { begin: now, end: now }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::{FilmAlert, FilmTruth, Phrase, measure_alerts};

    /// A red car from second 2 to 4 and, for half a second, at 8; 12 s in all.
    fn film() -> FilmTruth {
        let is_there = |frame: u32| (20..40).contains(&frame) || (80..85).contains(&frame);
        let frame = |frame: u32| match is_there(frame) {
            true => json!([{"kind": "car", "colour": "red", "box": [0, 0, 60, 40], "visible": 1}]),
            false => json!([]),
        };
        let frames: Vec<_> = (0..120).map(frame).collect();
        FilmTruth::read(&json!({"width": 640, "height": 360, "fps": 10, "frames": frames}).to_string())
            .unwrap()
    }

    fn measured(alerts: &[(&str, f64)]) -> (f64, f64) {
        let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let alert = |(phrase, seconds): &(&str, f64)| FilmAlert {
            phrase: Phrase::read(phrase).unwrap(),
            captured_at: start + jiff::SignedDuration::from_secs_f64(*seconds),
        };
        let alerts: Vec<_> = alerts.iter().map(alert).collect();
        let phrases = ["red car", "blue dog"].map(|phrase| Phrase::read(phrase).unwrap());
        let measured = measure_alerts(&alerts, &phrases, &film(), (start, 0, 11.9), 1.0);
        (measured[0].value, measured[1].value)
    }

    #[test]
    fn one_alert_for_the_long_appearance_is_right_and_the_short_one_may_alarm_or_not() {
        assert_eq!(measured(&[("red car", 2.2)]), (1.0, 0.0));
        assert_eq!(measured(&[("red car", 2.2), ("red car", 8.3)]), (1.0, 0.0));
    }

    #[test]
    fn no_alert_and_two_alerts_are_both_wrong() {
        assert_eq!(measured(&[]), (0.0, 0.0));
        assert_eq!(measured(&[("red car", 2.2), ("red car", 3.5)]), (0.0, 0.0));
    }

    #[test]
    fn an_alert_for_nothing_is_a_false_alarm() {
        assert_eq!(measured(&[("red car", 2.2), ("red car", 6.0), ("blue dog", 3.0)]), (1.0, 2.0));
    }
}
