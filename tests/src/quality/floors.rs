use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use super::Measure;

/// What must be reached, or the command fails: for memory the most, for all else the least.
#[derive(Clone, Debug, Default)]
pub struct Floors {
    floors: BTreeMap<Measure, f64>,
}

impl Floors {
    /// Reads a JSON object of measures' names, such as `object-detection-f1`, and numbers.
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::read(&text).with_context(|| path.display().to_string())
    }

    fn read(text: &str) -> Result<Self> {
        Ok(Self { floors: serde_json::from_str(text)? })
    }

    /// Of one measure.
    pub fn of(&self, measure: Measure) -> Option<f64> {
        self.floors.get(&measure).copied()
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.floors.is_empty()
    }
}

impl FromIterator<(Measure, f64)> for Floors {
    fn from_iter<I: IntoIterator<Item = (Measure, f64)>>(floors: I) -> Self {
        Self { floors: floors.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Floors, Measure};

    #[test]
    fn a_misspelt_measure_is_an_error_that_shows_it() {
        let error = format!("{:#}", Floors::read(r#"{"tokens-equals": 1}"#).unwrap_err());
        assert!(error.contains("tokens-equals"), "{error}");
    }

    #[test]
    fn what_the_repository_asks_for_can_be_read() {
        let floors = Floors::read(include_str!("../../../models/tiny/floors.json")).unwrap();
        assert!(floors.of(Measure::ObjectDetectionF1).is_some());
    }
}
