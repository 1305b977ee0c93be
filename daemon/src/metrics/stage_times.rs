//! How long the stages take, and how old frames are when their results are published.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec};

use super::families::Families;
use crate::messages::TimingMs;

const STAGE: &str = "belvedere_stage_duration_seconds";
const AGE: &str = "belvedere_frame_age_seconds";
/// From a GPU's preprocessing to a large model on a small CPU, in seconds.
const STAGE_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// In seconds.
const AGE_BUCKETS: [f64; 10] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 25.0];

/// Histograms, written by the model thread. `None` in them never happens: names and buckets are constants.
#[derive(Debug)]
pub struct StageTimes {
    stages: Option<HistogramVec>,
    ages: Option<HistogramVec>,
}

impl StageTimes {
    /// Nothing was measured yet.
    pub fn new() -> StageTimes {
        let family = |name: &str, help: &str, buckets: &[f64], label| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let made = HistogramVec::new(options, &[label]);
            made.inspect_err(|error| tracing::error!(name, %error, "a metric cannot be made")).ok()
        };
        StageTimes {
            stages: family(STAGE, "Time of each stage of an analysed frame.", &STAGE_BUCKETS, "stage"),
            ages: family(AGE, "Age of frames when their results were published.", &AGE_BUCKETS, "camera"),
        }
    }

    /// A frame of `camera` was analysed in `timing` and was `age` old when its results were published.
    pub fn observe(&self, camera: &str, timing: TimingMs, age: Duration) {
        let TimingMs { preprocess, vision, encoder, decode, evidence } = timing;
        let stages = [
            ("preprocess", preprocess),
            ("vision", vision),
            ("encoder", encoder),
            ("decode", decode),
            ("evidence", evidence),
        ];
        for (stage, ms) in stages {
            // A stage that this frame did not need took no time, which says nothing about the stage.
            if let Some(family) = self.stages.as_ref().filter(|_| ms > 0.0) {
                family.with_label_values(&[stage]).observe(ms / 1e3);
            }
        }
        if let Some(family) = &self.ages {
            family.with_label_values(&[camera]).observe(age.as_secs_f64());
        }
    }

    /// A camera is not there any more.
    pub fn forget(&self, camera: &str) {
        if let Some(family) = &self.ages {
            // An error says that nothing was measured of it.
            let _ = family.remove_label_values(&[camera]);
        }
    }

    pub(super) fn add_to(&self, families: &mut Families) {
        for (name, family) in [(STAGE, &self.stages), (AGE, &self.ages)] {
            if let Some(family) = family {
                families.add(name, family.clone());
            }
        }
    }
}

impl Default for StageTimes {
    fn default() -> StageTimes {
        StageTimes::new()
    }
}
