//! The stages of the model, timed as scripts/bench_gpu_peers.py times PyTorch's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use belvedere_kernels::{Colorimetry, ImageView, Plane, PreprocessPlan, YuvMatrix, YuvRange};
use belvedere_models::engine::Pixels;
use belvedere_models::{
    CancelToken, Checkpoint, EncodedPictures, Florence, Generation, GenerationOptions, ImageFeatures, Prompt,
    Tokenizer,
};
use clap::Args;
use serde::Serialize;

use crate::networks::On;
use crate::pictures::hashed_values;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The checkpoint's folder.
    #[arg(long)]
    model: PathBuf,
    #[command(flatten)]
    on: On,
    /// What is asked.
    #[arg(long, default_value = "Describe in detail what is shown in the image.")]
    prompt: String,
    /// Pictures at once; may be given several times.
    #[arg(long, default_value = "1")]
    batch: Vec<usize>,
    /// Tokens of every answer; may be given several times.
    #[arg(long, default_value = "20")]
    tokens: Vec<usize>,
    #[arg(long, default_value_t = 20)]
    iterations: usize,
    #[arg(long, default_value_t = 3)]
    warm_up: usize,
}

/// One batch: samples of each stage in ms.
#[derive(Debug, Serialize)]
struct Row {
    device: String,
    batch: usize,
    token_ids: Vec<u32>,
    #[serde(flatten)]
    samples_ms: BTreeMap<String, Vec<f64>>,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let checkpoint = Checkpoint::open(&self.model)?;
        let spec = checkpoint.preprocess_spec();
        let (width, height) = (spec.width, spec.height);
        let config = checkpoint.config();
        let tokenizer = Tokenizer::open(&self.model.join("tokenizer.json"), config.text.vocabulary)?;
        let room = config.text.max_positions - config.image_tokens(width, height)?;
        let prompt = Prompt::free(&tokenizer, &self.prompt, room)?;
        let mut florence = self.on.load(&checkpoint)?;
        let mut plan = PreprocessPlan::new(spec.clone())?;
        for &batch in &self.batch {
            let mut row = self.measure(&mut florence, &prompt, batch, [width as usize, height as usize])?;
            self.measure_frames(&mut florence, &mut plan, &prompt, &mut row)?;
            println!("{}", serde_json::to_string(&row)?);
        }
        Ok(())
    }

    fn measure(
        &self,
        florence: &mut Florence,
        prompt: &Prompt,
        batch: usize,
        [width, height]: [usize; 2],
    ) -> anyhow::Result<Row> {
        let cancel = CancelToken::new();
        let data = hashed_values(width, height);
        let pictures = vec![Pixels { width, height, data: &data }; batch];
        let mut row = Row {
            device: florence.device_description(),
            batch,
            token_ids: Vec::new(),
            samples_ms: BTreeMap::new(),
        };
        for round in 0..self.warm_up + self.iterations {
            for (place, &tokens) in self.tokens.iter().enumerate() {
                let clock = Instant::now();
                let (features, vision_ms) = florence.encode_images(&pictures, &cancel)?;
                let answers = answer(florence, &features, prompt, tokens, &cancel)?;
                let total_ms = clock.elapsed().as_secs_f64() * 1e3;
                let first = answers.first().context("no answer")?;
                ensure!(
                    answers.iter().all(|answer| answer.token_ids.len() == tokens + 1),
                    "answers of another length"
                );
                if place == 0 {
                    row.token_ids.clone_from(&first.token_ids);
                }
                if round >= self.warm_up {
                    // What several prompts share is in each of their times.
                    let encoder_ms =
                        answers.iter().map(|answer| answer.timing.encoder_ms).fold(0.0, f64::max);
                    for (stage, sample_ms) in [
                        ("vision".to_owned(), vision_ms),
                        ("encoder".to_owned(), encoder_ms),
                        (format!("total_{tokens}"), total_ms),
                    ] {
                        row.samples_ms.entry(stage).or_default().push(sample_ms);
                    }
                }
            }
        }
        Ok(row)
    }
}

/// Width and height of a camera's frame in pixels.
const FRAME_PX: (u32, u32) = (1920, 1080);

impl Bench {
    /// The same from frames as decoders give them, NV12: `frames_preprocess`, `frames_vision`, `frames_total_N`. PyTorch has
    /// nothing beside them.
    fn measure_frames(
        &self,
        florence: &mut Florence,
        plan: &mut PreprocessPlan,
        prompt: &Prompt,
        row: &mut Row,
    ) -> anyhow::Result<()> {
        let cancel = CancelToken::new();
        let (width, height) = FRAME_PX;
        let bytes: Vec<u8> = (0..width * height * 3 / 2).map(|at| (at / 37 % 256) as u8).collect();
        let luma = (width * height) as usize;
        let plane =
            |from: usize| Plane { bytes: bytes.get(from..).unwrap_or_default(), stride: width as usize };
        let colorimetry = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };
        let frame = ImageView::nv12(width, height, plane(0), plane(luma), colorimetry)?;
        let frames = vec![frame; row.batch];
        for round in 0..self.warm_up + self.iterations {
            for &tokens in &self.tokens {
                let clock = Instant::now();
                let EncodedPictures { features, preprocess_ms, vision_ms } =
                    florence.encode_views(&frames, plan, &cancel)?;
                answer(florence, &features, prompt, tokens, &cancel)?;
                let total_ms = clock.elapsed().as_secs_f64() * 1e3;
                if round >= self.warm_up {
                    for (stage, sample_ms) in [
                        ("frames_preprocess".to_owned(), preprocess_ms),
                        ("frames_vision".to_owned(), vision_ms),
                        (format!("frames_total_{tokens}"), total_ms),
                    ] {
                        row.samples_ms.entry(stage).or_default().push(sample_ms);
                    }
                }
            }
        }
        Ok(())
    }
}

/// One answer of exactly `tokens` tokens about each picture, all of them in flight together.
fn answer(
    florence: &mut Florence,
    features: &[ImageFeatures],
    prompt: &Prompt,
    tokens: usize,
    cancel: &CancelToken,
) -> anyhow::Result<Vec<Generation>> {
    let options =
        GenerationOptions { max_new_tokens: tokens, min_new_tokens: tokens, ..GenerationOptions::default() };
    for features in features {
        florence.submit(features, &[prompt.token_ids()], &options)?;
    }
    let mut answers = Vec::with_capacity(features.len());
    while florence.in_flight() > 0 {
        for answered in florence.turn(cancel)? {
            answers.append(&mut answered.result?);
        }
    }
    Ok(answers)
}
