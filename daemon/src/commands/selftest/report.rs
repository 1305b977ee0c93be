//! What selftest says: fit to be pasted into an issue.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::table::table;
use super::compare::{Outcome, Stage};
use super::observed::Times;
use super::tolerances::Tolerances;
use crate::doctor;

/// Everything that somebody without this machine has to know.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: doctor::Report,
    pub(super) model: String,
    pub(super) pictures: &'static str,
    pub(super) tolerances: Tolerances,
    pub(super) stages: Vec<Stage>,
    pub(super) reference: Times,
    pub(super) device: Times,
}

impl Report {
    /// Whether the device does what the reference does.
    pub(super) fn passed(&self) -> bool {
        self.stages.iter().all(|stage| stage.outcome != Outcome::Failed)
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.machine.text();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\nselftest\nmodel      {}\npictures   {}\nreference  {}\ndevice     {}\n\n",
            self.model, self.pictures, self.reference.description, self.device.description
        );
        for stage in &self.stages {
            let outcome = match stage.outcome {
                Outcome::Passed => "pass",
                Outcome::Failed => "FAIL",
            };
            let _ = writeln!(text, "{outcome:<5} {:<20} {}", stage.name, stage.says);
        }
        let _ = write!(text, "\n{}", self.times());
        let _ = writeln!(text, "\n{}", if self.passed() { "passed" } else { "FAILED" });
        text
    }

    /// Medians beside each other.
    fn times(&self) -> String {
        let reference = |stage: &str| {
            let found = self.reference.stages.iter().find(|summary| summary.stage == stage);
            found.map_or(String::new(), |summary| format!("{:.2}", summary.p50_ms))
        };
        let rows: Vec<Vec<String>> = self
            .device
            .stages
            .iter()
            .map(|summary| {
                let samples = summary.samples_ms.len().to_string();
                let name = summary.stage;
                vec![name.to_owned(), format!("{:.2}", summary.p50_ms), reference(name), samples]
            })
            .collect();
        table(&["median", "device ms", "reference ms", "samples"], &rows)
    }
}
