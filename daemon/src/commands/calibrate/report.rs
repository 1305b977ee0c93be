//! What was found, for people.

use std::fmt::Write;

use toml_edit::Value;

use super::super::table::table;
use super::text_plot;
use crate::roc::{Interval, RocCurve, Share, Threshold};

/// With fewer pictures of a group than this, the numbers say little.
const FEW: usize = 10;

/// The scores of a phrase, and what follows from them.
pub(super) struct Report<'a> {
    pub(super) phrase: &'a str,
    /// What runs where.
    pub(super) model: String,
    /// The share of absent pictures that may alarm.
    pub(super) false_alarms: f64,
    pub(super) curve: &'a RocCurve,
    /// `None` where none lets a picture with the phrase alarm without too many false alarms.
    pub(super) threshold: Option<Threshold>,
    /// What is needed at present, each score with whose it is.
    pub(super) current: &'a [(f64, String)],
    /// The camera that the pictures are of, where it was named.
    pub(super) camera: Option<&'a str>,
}

impl Report<'_> {
    /// The threshold, unless the scores may be chance.
    pub(super) fn usable(&self) -> Option<Threshold> {
        let chance = self.curve.area() <= 0.5;
        let unsure = self.curve.area_interval().low <= 0.5 && !self.separates();
        self.threshold.filter(|_| !chance && !unsure)
    }

    /// Whether every picture with the phrase has a higher score than every one without it.
    fn separates(&self) -> bool {
        self.curve.present().first() > self.curve.absent().last()
    }

    pub(super) fn text(&self) -> String {
        let (present, absent) = (self.curve.present().len(), self.curve.absent().len());
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "phrase     {}", self.phrase);
        let _ = writeln!(text, "model      {}", self.model);
        let _ = writeln!(text, "pictures   {present} with it, {absent} without it");
        let _ = writeln!(
            text,
            "area       {:.3} under the ROC curve (95 % interval {}; 0.5 is chance)",
            self.curve.area(),
            interval(self.curve.area_interval())
        );
        if present.min(absent) < FEW {
            let _ = writeln!(
                text,
                "\nWARNING: fewer than {FEW} pictures of a group. Mind the intervals: the next pictures may be\n\
                 quite different. 30 and more of each are worth the walk."
            );
        }
        text.push('\n');
        text.push_str(&text_plot::draw(self.curve, self.threshold.map(|found| self.curve.at(found.value))));
        text.push('\n');
        text.push_str(&self.verdict());
        text.push('\n');
        text.push_str(&self.rates());
        if let Some(threshold) = self.usable() {
            text.push_str("\nFor the configuration:\n\n");
            text.push_str(&self.config(threshold));
        }
        text
    }

    fn verdict(&self) -> String {
        let absent = self.curve.absent().len();
        let allowed = percent(self.false_alarms);
        if self.curve.present().last().is_none_or(|score| *score <= 0.0) {
            return "This phrase CANNOT BE TOLD APART: the model found it in no picture that shows it.\n"
                .to_owned();
        }
        let Some(Threshold { value, below, above }) = self.threshold else {
            return format!(
                "This phrase CANNOT BE TOLD APART well enough: any score that lets a picture with it alarm does so\n\
                 for more than {allowed} of the pictures without it.\n"
            );
        };
        let alarms = self.curve.at(value).false_alarms.part;
        let rule = format!(
            "min_score {value}: as many pictures with the phrase alarm as can while at most {allowed} of those\n\
             without it do (here {alarms} of {absent}). It lies between {below:.4}, the next score below of one without\n\
             the phrase, and {above:.4}, the next above of one with it.\n"
        );
        if self.usable().is_none() {
            return format!(
                "This phrase CANNOT BE TOLD APART: the order of these scores may as well be chance.\n\
                 (What the rule gives: {rule})"
            );
        }
        if self.separates() {
            format!("Every picture with the phrase scores higher than every one without it.\n{rule}")
        } else {
            format!("The scores of the two groups overlap.\n{rule}")
        }
    }

    fn rates(&self) -> String {
        let chosen = self.threshold.map(|threshold| (threshold.value, "chosen"));
        let current = self.current.iter().map(|(score, whose)| (*score, whose.as_str()));
        let rows: Vec<Vec<String>> = chosen
            .into_iter()
            .chain(current)
            .map(|(score, whose)| {
                // A picture without a box never alarms, not even at 0.
                let rates = self.curve.at(score.max(f64::MIN_POSITIVE));
                vec![format!("{score} ({whose})"), share(rates.recall), share(rates.false_alarms)]
            })
            .collect();
        table(&["min_score", "recall (95 %)", "false alarms (95 %)"], &rows)
    }

    /// `[[camera.alert]]` with the phrase, quoted.
    fn config(&self, threshold: Threshold) -> String {
        let mut text = String::new();
        if let Some(camera) = self.camera {
            let _ = writeln!(text, "# below [[camera]] name = {}", Value::from(camera));
        }
        let _ = writeln!(text, "[[camera.alert]]");
        let _ = writeln!(text, "phrase = {}", Value::from(self.phrase));
        let _ = writeln!(text, "min_score = {}", Value::from(threshold.value));
        text
    }
}

/// `0.95, 19 of 20 (0.76 to 0.99)`
fn share(share: Share) -> String {
    format!("{:.2}, {} of {} ({})", share.get(), share.part, share.whole, interval(share.interval()))
}

fn interval(interval: Interval) -> String {
    format!("{:.2} to {:.2}", interval.low, interval.high)
}

fn percent(share: f64) -> String {
    // As it was given: 2 %, 0.5 %.
    let percent = (share * 1e6).round() / 1e4;
    format!("{percent} %")
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::roc::{RocCurve, Threshold};

    fn text_and_usable(phrase: &str, present: &[f64], absent: &[f64]) -> (String, Option<f64>) {
        let curve = RocCurve::new(present.to_vec(), absent.to_vec()).unwrap();
        let report = Report {
            phrase,
            model: "CPU".to_owned(),
            false_alarms: 0.02,
            threshold: Threshold::fit(&curve, 0.02),
            curve: &curve,
            current: &[(0.4, "porch".to_owned())],
            camera: None,
        };
        (report.text(), report.usable().map(|threshold| threshold.value))
    }

    fn many(from: f64) -> Vec<f64> {
        (0..20).map(|step| from + f64::from(step) / 100.0).collect()
    }

    #[test]
    fn groups_that_separate_get_a_threshold_and_lines_that_are_toml() {
        let phrase = "a \"tall\" person, größer = 'x' # no comment";
        let (text, usable) = text_and_usable(phrase, &many(0.7), &many(0.1));
        assert_eq!(usable, Some(0.5));
        assert!(text.contains("Every picture with the phrase") && !text.contains("WARNING"), "{text}");
        let row = text.lines().find(|line| line.starts_with("0.4 (porch)")).unwrap();
        assert!(row.contains("1.00, 20 of 20 (0.84 to 1.00)"), "{text}");
        let toml = text.split_once("For the configuration:\n").unwrap().1;
        let document: toml_edit::DocumentMut = toml.parse().unwrap();
        let alert = document["camera"]["alert"].as_array_of_tables().unwrap().get(0).unwrap();
        assert_eq!(alert["phrase"].as_str(), Some(phrase));
        assert_eq!(alert["min_score"].as_float(), Some(0.5));
    }

    #[test]
    fn scores_that_say_nothing_give_no_threshold_and_it_is_said() {
        for (present, absent) in
            [(many(0.1), many(0.1)), (many(0.1), many(0.7)), (vec![0.0; 20], vec![0.0; 20])]
        {
            let (text, usable) = text_and_usable("dog", &present, &absent);
            assert_eq!(usable, None, "{text}");
            assert!(text.contains("CANNOT BE TOLD APART") && !text.contains("[[camera.alert]]"), "{text}");
        }
        // One higher score is a threshold by the rule, and may be chance.
        let mut lucky = many(0.1);
        lucky.push(0.9);
        let (text, usable) = text_and_usable("dog", &lucky, &many(0.1));
        assert!(usable.is_none() && text.contains("chance"), "{text}");
    }

    #[test]
    fn few_pictures_are_warned_of_and_not_refused() {
        let (text, usable) = text_and_usable("dog", &[0.9, 0.8], &[0.1, 0.2]);
        assert_eq!(usable, Some(0.5));
        assert!(text.contains("WARNING") && text.contains("2 of 2 (0.34 to 1.00)"), "{text}");
    }
}
