use std::fmt::{self, Display};

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
    pub fn new(frames: &[PhraseFrame], min_score: f32) -> EvidenceTable {
        let of = |is_there: bool, part: &dyn Fn(&PhraseFrame) -> f32| -> Vec<f32> {
            frames.iter().filter(|frame| frame.is_there == is_there).map(part).collect()
        };
        let area = |part: &dyn Fn(&PhraseFrame) -> f32| area_under_curve(&of(true, part), &of(false, part));
        let mut rows = vec![("score", area(&|frame| frame.score))];
        rows.push(("a box at all", area(&|frame| f32::from(u8::from(frame.evidence.is_some())))));
        for (name, part) in PARTS {
            rows.push((name, area(&|frame| frame.evidence.as_ref().map_or(2.0 * WORST, part))));
        }
        let alarmed = |is_there: bool| {
            let scores = of(is_there, &|frame| frame.score);
            scores.iter().filter(|score| **score >= min_score).count() as f64 / scores.len().max(1) as f64
        };
        let checked = |frame: &&PhraseFrame| frame.evidence.is_some_and(|evidence| evidence.region.is_some());
        EvidenceTable {
            rows,
            present: frames.iter().filter(|frame| frame.is_there).count(),
            absent: frames.iter().filter(|frame| !frame.is_there).count(),
            alarms: (alarmed(true), alarmed(false)),
            checked: frames.iter().filter(checked).count() as f64 / frames.len().max(1) as f64,
            min_score,
        }
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

/// The probability that a present one is above an absent one, ties counted half (Mann and Whitney's U).
fn area_under_curve(present: &[f32], absent: &[f32]) -> f64 {
    let mut absent = absent.to_vec();
    absent.sort_by(f32::total_cmp);
    let wins = present.iter().map(|value| {
        let below = absent.partition_point(|other| other < value);
        let not_above = absent.partition_point(|other| other <= value);
        (below + not_above) as f64 / 2.0
    });
    wins.sum::<f64>() / (present.len() * absent.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::area_under_curve;

    #[test]
    fn the_area_is_the_share_of_pairs_in_the_right_order() {
        assert_eq!(area_under_curve(&[0.9, 0.8], &[0.1, 0.2]), 1.0);
        assert_eq!(area_under_curve(&[0.5], &[0.5]), 0.5);
        // scikit-learn's own example: roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) is 0.75.
        assert_eq!(area_under_curve(&[0.35, 0.8], &[0.1, 0.4]), 0.75);
    }
}
