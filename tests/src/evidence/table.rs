use std::fmt::{self, Display};

use anyhow::Result;
use belvedere::roc::RocCurve;
use belvedere_models::Evidence;

use super::PhraseFrame;

/// How well the score, and each part of the evidence, tells phrases that are there from phrases that are not.
#[derive(Clone, Debug)]
pub struct EvidenceTable {
    rows: Vec<(&'static str, f64)>,
    present: usize,
    absent: usize,
    alarms: (f64, f64),
    checked: f64,
    min_score: f32,
}

/// A part of the evidence as one number, larger for what is there.
type Part = (&'static str, fn(&Evidence) -> f32);

/// What is missing counts as the worst there is.
const WORST: f32 = -100.0;
const PARTS: [Part; 5] = [
    ("location", |evidence| evidence.location.ln()),
    ("label", |evidence| evidence.label),
    ("contrast", |evidence| evidence.contrast),
    ("region", |evidence| evidence.region.unwrap_or(WORST)),
    ("lead over the best rival", |evidence| match (evidence.region, evidence.rival) {
        (Some(region), Some(rival)) => region - rival,
        _ => WORST,
    }),
];

impl EvidenceTable {
    /// Of all that was asked; `min_score` is the threshold that alarms are counted at.
    ///
    /// # Errors
    /// Nothing that is there was asked for, or nothing that is not.
    pub fn new(frames: &[PhraseFrame], min_score: f32) -> Result<EvidenceTable> {
        let curve = |part: &dyn Fn(&PhraseFrame) -> f32| -> Result<RocCurve> {
            let of = |is_there: bool| -> Vec<f64> {
                let asked = frames.iter().filter(|frame| frame.is_there == is_there);
                asked.map(|frame| f64::from(part(frame))).collect()
            };
            Ok(RocCurve::new(of(true), of(false))?)
        };
        let of_score = curve(&|frame| frame.score)?;
        let mut rows = vec![("score", of_score.area())];
        rows.push(("a box at all", curve(&|frame| f32::from(u8::from(frame.evidence.is_some())))?.area()));
        for (name, part) in PARTS {
            rows.push((name, curve(&|frame| frame.evidence.as_ref().map_or(2.0 * WORST, part))?.area()));
        }
        let rates = of_score.at(f64::from(min_score));
        let checked = |frame: &&PhraseFrame| frame.evidence.is_some_and(|evidence| evidence.region.is_some());
        Ok(EvidenceTable {
            rows,
            present: frames.iter().filter(|frame| frame.is_there).count(),
            absent: frames.iter().filter(|frame| !frame.is_there).count(),
            alarms: (rates.recall.get(), rates.false_alarms.get()),
            checked: frames.iter().filter(checked).count() as f64 / frames.len().max(1) as f64,
            min_score,
        })
    }

    /// The area under the ROC curve of the score.
    pub fn area(&self) -> f64 {
        self.rows.first().map_or(0.0, |row| row.1)
    }

    /// The shares of present and of absent phrases that alarm.
    pub fn alarms(&self) -> (f64, f64) {
        self.alarms
    }
}

impl Display for EvidenceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} phrases that are there, {} that are not", self.present, self.absent)?;
        for (name, area) in &self.rows {
            writeln!(f, "  area under the ROC curve, {name:<26} {area:.4}")?;
        }
        let (present, absent) = self.alarms;
        writeln!(
            f,
            "  alarms at {}: {:.1} % of present, {:.1} % of absent",
            self.min_score,
            100.0 * present,
            100.0 * absent
        )?;
        writeln!(f, "  regions checked for {:.1} % of all", 100.0 * self.checked)
    }
}
