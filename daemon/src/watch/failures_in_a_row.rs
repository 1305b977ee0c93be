//! When a model that fails is given up.

use std::time::{Duration, Instant};

use belvedere_models::ModelError;

use crate::analyst::AnalysisError;

/// So many failures with no answer between them are no bad luck.
pub(super) const MOST: u32 = 20;
/// Where frames are few, failures for so long are none either, ...
const LONGEST: Duration = Duration::from_secs(60);
/// ... if there were so many.
const FEWEST: u32 = 3;

/// Failures of the model since its last answer. One that lost its device, or its memory, fails for ever: then the
/// process is to end with the reason, for the service manager to start another.
#[derive(Debug, Default)]
pub(super) struct FailuresInARow {
    count: u32,
    /// When the first and the last one were.
    times: Option<(Instant, Instant)>,
    last: String,
}

impl FailuresInARow {
    /// The model failed at `now`. What is wrong with one picture or one question says nothing about the model.
    pub(super) fn failed(&mut self, error: &AnalysisError, now: Instant) {
        let is_of_the_model = !matches!(
            error,
            AnalysisError::Picture(_)
                | AnalysisError::Model(ModelError::Cancelled | ModelError::Request { .. })
        );
        if is_of_the_model {
            self.count = self.count.saturating_add(1);
            self.times = Some((self.times.map_or(now, |(first, _)| first), now));
            self.last = error.to_string();
        }
    }

    /// The model gave an answer.
    pub(super) fn answered(&mut self) {
        *self = FailuresInARow::default();
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Why the model is to be given up, once it is. While it is asked nothing, it does not get worse.
    pub(super) fn verdict(&self) -> Option<String> {
        let lasted = self.times.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first));
        let is_hopeless = self.count >= MOST || (self.count >= FEWEST && lasted >= LONGEST);
        is_hopeless.then(|| format!("the model failed {} times in a row: {}", self.count, self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> AnalysisError {
        let (doing, reason) = ("the decoder".to_owned(), "the device is lost".to_owned());
        ModelError::Engine { engine: "gpu", doing, reason }.into()
    }

    #[test]
    fn a_model_is_given_up_after_many_failures_and_an_answer_between_them_begins_anew() {
        let (mut failures, now) = (FailuresInARow::default(), Instant::now());
        for _ in 1..MOST {
            failures.failed(&lost(), now);
        }
        failures.answered();
        assert_eq!(failures.count(), 0);
        for _ in 1..MOST {
            failures.failed(&lost(), now);
            assert_eq!(failures.verdict(), None);
        }
        failures.failed(&lost(), now);
        let verdict = failures.verdict().unwrap();
        assert!(verdict.contains("20 times") && verdict.ends_with("the device is lost"), "{verdict}");
    }

    #[test]
    fn few_failures_are_enough_where_they_go_on_for_long_and_one_is_not() {
        let (mut failures, now) = (FailuresInARow::default(), Instant::now());
        failures.failed(&lost(), now);
        failures.failed(&lost(), now + LONGEST * 10);
        assert_eq!(failures.verdict(), None);
        failures.answered();
        for _ in 0..FEWEST {
            failures.failed(&lost(), now + LONGEST / 2);
        }
        assert_eq!(failures.verdict(), None);
        failures.failed(&lost(), now + LONGEST / 2 + LONGEST);
        assert!(failures.verdict().is_some());
    }

    #[test]
    fn what_was_cut_off_or_could_not_be_asked_says_nothing_about_the_model() {
        let (mut failures, now) = (FailuresInARow::default(), Instant::now());
        let request = ModelError::Request { what: "prompt", reason: "too long".to_owned() };
        for error in [ModelError::Cancelled, request] {
            failures.failed(&error.into(), now);
        }
        assert_eq!(failures.count(), 0);
    }
}
