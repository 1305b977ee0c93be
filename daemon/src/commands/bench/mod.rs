//! `belvedere bench`: every stage, measured by doing its real work.

mod clip;
mod phrases;
mod publishing;
mod report;
pub(super) mod samples;

use std::path::Path;
use std::time::Instant;

use belvedere_kernels::RgbImage;
use belvedere_models::{Answer, CancelToken, Generation, ParseMode, PictureSize, Prompt, Task, TaskInput};

use super::CommandError;
use crate::analyst::Analyst;
use crate::bundled;
use crate::cli::{Bench, OutputFormat};
use crate::config::ModelSettings;
use crate::exit::Exit;
use crate::{messages, picture, process};

use clip::Clip;
use report::{PhraseCosts, Report};
use samples::Samples;

pub(super) fn bench(options: &Bench) -> Result<Exit, CommandError> {
    let mut samples = Samples::default();
    let photographed = if options.model_only {
        None
    } else {
        tracing::info!("decoding a clip");
        Some(Clip::make()?.measure(options.iterations, &mut samples)?)
    };
    let picture = match (&options.image, photographed) {
        (Some(path), _) => picture::read(path)?,
        (None, Some(picture)) => picture,
        (None, None) => gradient(),
    };
    let loading = Instant::now();
    let mut analyst =
        super::load(&ModelSettings { beams: options.beams.into(), ..options.model.settings() })?;
    let load_ms = ms_since(loading);
    analyst.answer_with_exactly(options.tokens.into());
    let prompt = match &options.prompt {
        Some(text) => analyst.free_prompt(text)?,
        None => analyst.prompt(Task::DetailedCaption, TaskInput::Nothing)?,
    };
    tracing::info!(device = analyst.description(), "measuring the model");
    let runs = Runs { picture: &picture, prompt: [prompt] };
    for _ in 0..options.warm_up {
        runs.once(&mut analyst, &mut Samples::default())?;
    }
    let mut token_ids = Vec::new();
    for _ in 0..options.iterations {
        token_ids = runs.once(&mut analyst, &mut samples)?;
    }
    if !options.model_only {
        publishing::measure(options.iterations, &mut samples)?;
    }
    if let Some(count) = options.phrases {
        let rounds = (options.warm_up, options.iterations);
        phrases::measure(&mut analyst, &picture, count.into(), rounds, &mut samples)?;
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        device: analyst.description(),
        processor: process::processor_name(),
        model: model_name(options.model.model.as_deref()),
        precision: options.model.precision_name(),
        beams: options.beams,
        picture: [picture.width, picture.height],
        prompt: runs.prompt[0].text().to_owned(),
        prompt_token_ids: runs.prompt[0].token_ids().to_owned(),
        iterations: options.iterations,
        tokens: token_ids.len().saturating_sub(1),
        token_ids,
        load_ms,
        peak_memory_bytes: process::peak_memory_bytes().unwrap_or_default(),
        frames_per_second: samples.median("answer").map(|ms| 1e3 / ms),
        phrases: options.phrases.zip(phrases::ratios(&samples)).map(|(count, (each, grouped))| PhraseCosts {
            count,
            each,
            grouped,
        }),
        stages: samples.summaries(),
    };
    match options.format {
        OutputFormat::Text => print!("{}", report.table()),
        OutputFormat::Json => println!("{}", String::from_utf8_lossy(&messages::to_json(&report))),
    }
    Ok(Exit::Done)
}

/// What is asked again and again.
struct Runs<'a> {
    picture: &'a RgbImage,
    prompt: [Prompt; 1],
}

impl Runs<'_> {
    /// One frame from pixels to regions; the answer's tokens.
    fn once(&self, analyst: &mut Analyst, samples: &mut Samples) -> Result<Vec<u32>, CommandError> {
        let cancel = CancelToken::new();
        let all = Instant::now();
        let view = self.picture.view().map_err(crate::analyst::AnalysisError::from)?;
        let (features, timing) = analyst.encode(&view, &cancel)?;
        samples.add("preprocess", timing.preprocess);
        samples.add("vision", timing.vision);
        let generated = analyst.generate(&features, &self.prompt, &cancel)?;
        let Some(Generation { token_ids, log_probs, timing: times }) = generated.into_iter().next() else {
            return Err(CommandError::Missed("the model gave no answer".to_owned()));
        };
        samples.add("encoder", times.encoder_ms);
        samples.add("prefill", times.prefill_ms);
        samples.add("decode", times.prefill_ms + times.decode_ms);
        if times.steps > 0 {
            samples.add("per token", times.decode_ms / times.steps as f64);
        }
        let clock = Instant::now();
        let answer = Answer { token_ids: &token_ids, log_probs: &log_probs };
        let size = PictureSize::new(self.picture.width, self.picture.height);
        analyst.parse(&self.prompt[0], answer, size, ParseMode::Default)?;
        samples.add("parse", ms_since(clock));
        samples.add("answer", ms_since(all));
        Ok(token_ids)
    }
}

fn model_name(path: Option<&Path>) -> String {
    match path {
        Some(path) => path.display().to_string(),
        None => bundled::KNOWS.to_owned(),
    }
}

/// A picture where no clip is decoded; what is on it changes no time.
fn gradient() -> RgbImage {
    let (width, height) = (1280, 720);
    let pixels = (0..width * height * 3).map(|index| (index / 37 % 256) as u8).collect();
    RgbImage { width, height, pixels }
}

fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}
