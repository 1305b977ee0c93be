//! Times of stages.

use serde::Serialize;

/// Every measured time, in ms, by stage, in the order in which stages were first seen.
#[derive(Debug, Default)]
pub(in crate::commands) struct Samples(Vec<(&'static str, Vec<f64>)>);

/// A stage's times.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Summary {
    pub(in crate::commands) stage: &'static str,
    pub(in crate::commands) p50_ms: f64,
    pub(in crate::commands) p95_ms: f64,
    pub(in crate::commands) samples_ms: Vec<f64>,
}

impl Samples {
    pub(in crate::commands) fn add(&mut self, stage: &'static str, ms: f64) {
        match self.0.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, samples)) => samples.push(ms),
            None => self.0.push((stage, vec![ms])),
        }
    }

    pub(in crate::commands) fn median(&self, stage: &str) -> Option<f64> {
        let (_, samples) = self.0.iter().find(|(name, _)| *name == stage)?;
        Some(percentile(samples, 50.0))
    }

    pub(in crate::commands) fn summaries(self) -> Vec<Summary> {
        let summary = |(stage, samples_ms): (&'static str, Vec<f64>)| Summary {
            stage,
            p50_ms: percentile(&samples_ms, 50.0),
            p95_ms: percentile(&samples_ms, 95.0),
            samples_ms,
        };
        self.0.into_iter().map(summary).collect()
    }
}

/// The nearest-rank percentile: a time that was measured, never one in between. 0 where there is none.
fn percentile(samples: &[f64], percent: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Samples, percentile};

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let samples: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 50.0), 10.0);
        assert_eq!(percentile(&samples, 95.0), 19.0);
        assert_eq!(percentile(&[7.0], 95.0), 7.0);
        assert_eq!(percentile(&[], 50.0), 0.0);
    }

    #[test]
    fn stages_keep_the_order_of_their_first_sample() {
        let mut samples = Samples::default();
        for (stage, ms) in [("vision", 3.0), ("parse", 1.0), ("vision", 5.0)] {
            samples.add(stage, ms);
        }
        assert_eq!(samples.median("vision"), Some(3.0));
        let stages: Vec<_> =
            samples.summaries().iter().map(|one| (one.stage, one.samples_ms.len())).collect();
        assert_eq!(stages, [("vision", 2), ("parse", 1)]);
    }
}
