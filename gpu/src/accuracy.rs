//! A device beside the CPU: features, logits and answers, with many questions in flight at once.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use belvedere_kernels::PixelValues;
use belvedere_models::engine::{BatchLimits, Pixels};
use belvedere_models::{
    CancelToken, Checkpoint, Florence, GenerationOptions, ImageFeatures, Prompt, Tokenizer,
};
use clap::Args;
use serde::Serialize;

use crate::networks::On;
use crate::pictures::drawn;

const PROMPTS: [&str; 3] = [
    "What does the image describe?",
    "Locate the objects with category name in the image.",
    "Locate red car in the image.",
];
/// What FP16 may change, as the stand-in's test has it (`models/tests/stand_in/half.rs`), and for FP32 the CPU's own noise
/// many times over. Weights by chance decide nothing by their meaning, so that their answers part at any rounding.
const FEATURES: [f64; 2] = [0.005, 1e-4];
const LOGITS: [f64; 2] = [0.02, 1e-3];
const EQUAL_ANSWERS: f64 = 0.9;

#[derive(Debug, Args)]
pub(crate) struct Accuracy {
    /// The checkpoint's folder.
    #[arg(long)]
    model: PathBuf,
    #[command(flatten)]
    on: On,
    /// Drawn pictures.
    #[arg(long, default_value_t = 6)]
    pictures: u32,
    /// Tokens of an answer at most.
    #[arg(long, default_value_t = 40)]
    tokens: usize,
    /// Answers of weights by chance: how many are equal is told and not judged.
    #[arg(long)]
    by_chance: bool,
}

/// What one engine makes of all pictures.
struct Seen {
    features: Vec<Vec<f32>>,
    /// Greedy, then beams; by picture, then by prompt.
    answers: Vec<Vec<u32>>,
    /// Of every place of the answers that are followed.
    logits: Vec<Vec<f32>>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    device: String,
    /// The worst picture's relative L2 error.
    features_error: f64,
    /// The worst row's relative L2 error.
    logits_error: f64,
    logits_rows: usize,
    answers: usize,
    equal_answers: usize,
    passed: bool,
}

impl Accuracy {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let checkpoint = Checkpoint::open(&self.model)?;
        let spec = checkpoint.preprocess_spec();
        let config = checkpoint.config();
        let tokenizer = Tokenizer::open(&self.model.join("tokenizer.json"), config.text.vocabulary)?;
        let room = config.text.max_positions - config.image_tokens(spec.width, spec.height)?;
        let prompts = PROMPTS.map(|text| Prompt::free(&tokenizer, text, room));
        let prompts: Vec<Prompt> = prompts.into_iter().collect::<Result<_, _>>()?;
        let pictures = drawn(self.pictures, spec)?;
        // One model in memory at a time; the device first, which is likelier to be missing.
        let mut florence = self.on.load(&checkpoint)?;
        let device = florence.device_description();
        let own = self.look(&mut florence, &pictures, &prompts)?;
        let mut reference = self.on.reference(&checkpoint)?;
        let expected = self.look(&mut reference, &pictures, &prompts)?;
        drop(reference);
        let answers = &expected.answers[..pictures.len() * prompts.len()];
        let (features, found) = (encode(&mut florence, &pictures)?, &mut florence);
        let logits = follow(found, &features, &prompts, answers)?;
        let equal =
            own.answers.iter().zip(&expected.answers).filter(|(own, expected)| own == expected).count();
        let which = usize::from(self.on.exact);
        let mut outcome = Outcome {
            device,
            features_error: worst_error(&expected.features, &own.features)?,
            logits_error: worst_error(&expected.logits, &logits)?,
            logits_rows: logits.len(),
            answers: expected.answers.len(),
            equal_answers: equal,
            passed: false,
        };
        outcome.passed = outcome.features_error <= FEATURES[which]
            && outcome.logits_error <= LOGITS[which]
            && (self.by_chance || equal as f64 >= EQUAL_ANSWERS * outcome.answers as f64);
        println!("{}", serde_json::to_string(&outcome)?);
        ensure!(
            outcome.passed,
            "beyond the limits: features {}, logits {}, answers {EQUAL_ANSWERS}",
            FEATURES[which],
            LOGITS[which]
        );
        Ok(())
    }

    fn look(
        &self,
        florence: &mut Florence,
        pictures: &[PixelValues],
        prompts: &[Prompt],
    ) -> anyhow::Result<Seen> {
        let features = encode(florence, pictures)?;
        let ids: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
        let mut answers = Vec::new();
        for beams in [1, 3] {
            let options =
                GenerationOptions { beams, max_new_tokens: self.tokens, ..GenerationOptions::default() };
            // Everything at once: sequences join and leave the running batch as they come and end.
            let asked = features.iter().map(|features| florence.submit(features, &ids, &options));
            let asked = asked.collect::<Result<Vec<_>, _>>()?;
            let mut answered = Vec::new();
            while florence.in_flight() > 0 {
                answered.extend(florence.turn(&CancelToken::new())?);
            }
            answered.sort_by_key(|answered| answered.submission);
            ensure!(answered.len() == asked.len(), "{} of {} answered", answered.len(), asked.len());
            for answered in answered {
                answers.extend(answered.result?.into_iter().map(|generation| generation.token_ids));
            }
        }
        let greedy = &answers[..pictures.len() * prompts.len()];
        let logits = follow(florence, &features, prompts, greedy)?;
        let read = features.iter().map(|features| florence.engine().read_features(features));
        let features = read.collect::<Result<_, _>>()?;
        Ok(Seen { features, answers, logits })
    }
}

fn encode(florence: &mut Florence, pictures: &[PixelValues]) -> anyhow::Result<Vec<ImageFeatures>> {
    let pixels = |values: &PixelValues| (values.width as usize, values.height as usize);
    let views: Vec<Pixels<'_>> = pictures
        .iter()
        .map(|values| Pixels { width: pixels(values).0, height: pixels(values).1, data: &values.data })
        .collect();
    Ok(florence.encode_images(&views, &CancelToken::new())?.0)
}

/// The logits from which each token of given answers but the forced ones is chosen.
fn follow(
    florence: &mut Florence,
    features: &[ImageFeatures],
    prompts: &[Prompt],
    answers: &[Vec<u32>],
) -> anyhow::Result<Vec<Vec<f32>>> {
    let ids: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
    let mut logits = Vec::new();
    for (features, answers) in features.iter().zip(answers.chunks(prompts.len())) {
        let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
        let longest = answers.iter().map(|answer| answer.len()).max().context("no answers")?;
        let limits = BatchLimits { beams: 1, max_length: longest + 1 };
        let mut batch = florence.engine().start(features, &ids, limits, &CancelToken::new())?;
        let rows: Vec<Vec<f32>> = batch.force(&answers, 1)?.into_rows().map(|row| row.to_vec()).collect();
        for (at, answer) in answers.iter().enumerate() {
            let own = rows.get(at * longest + 1..at * longest + answer.len() - 1);
            logits.extend_from_slice(own.context("fewer rows than tokens")?);
        }
    }
    Ok(logits)
}

/// The largest relative distance of two rows that belong together.
fn worst_error(expected: &[Vec<f32>], found: &[Vec<f32>]) -> anyhow::Result<f64> {
    if expected.len() != found.len() || expected.is_empty() {
        bail!("{} rows for {}", found.len(), expected.len());
    }
    let mut worst = 0.0;
    for (expected, found) in expected.iter().zip(found) {
        ensure!(expected.len() == found.len(), "rows of different lengths");
        let square = |value: f32| f64::from(value).powi(2);
        let difference: f64 = expected.iter().zip(found).map(|(a, b)| square(a - b)).sum();
        let length: f64 = expected.iter().map(|value| square(*value)).sum();
        let error = (difference / length.max(f64::MIN_POSITIVE)).sqrt();
        ensure!(error.is_finite(), "what is no number");
        worst = f64::max(worst, error);
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_error_is_that_of_the_worst_row_and_never_of_what_is_no_number() {
        let rows = |last: f32| vec![vec![3.0, 4.0], vec![3.0, last]];
        assert_eq!(worst_error(&rows(4.0), &rows(4.0)).unwrap(), 0.0);
        assert!((worst_error(&rows(4.0), &rows(4.5)).unwrap() - 0.1).abs() < 1e-6);
        assert!(worst_error(&rows(4.0), &rows(f32::NAN)).is_err());
        assert!(worst_error(&rows(4.0), &[]).is_err());
    }
}
