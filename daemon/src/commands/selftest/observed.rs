//! What a device makes of the pictures.

use std::time::Instant;

use belvedere_models::{CancelToken, Generation, Prompt, Task, TaskInput};
use serde::Serialize;

use super::super::CommandError;
use super::super::bench::samples::{Samples, Summary};
use super::Pictures;
use super::layouts::layouts;
use super::wrong;
use crate::analyst::Analyst;

/// What is asked of each picture: short and long answers, words and places.
const ASKED: [(Task, Option<&str>); 5] = [
    (Task::Caption, None),
    (Task::ObjectDetection, None),
    (Task::DenseRegionCaption, None),
    (Task::RegionProposal, None),
    (Task::OpenVocabularyDetection, Some("red car")),
];
/// Longer answers are cut off: the CPU is to be done within minutes.
const MAX_NEW_TOKENS: usize = 48;
/// As the reference searches.
const BEAMS: usize = 3;

/// What a device makes of the pictures.
pub(super) struct Observed {
    pub(super) description: String,
    pub(super) pictures: Vec<Seen>,
    times: Samples,
}

/// Of one picture.
pub(super) struct Seen {
    /// What the vision tower is given, for each of the picture's [`layouts`].
    pub(super) pixel_values: Vec<Vec<f32>>,
    pub(super) features: Vec<f32>,
    /// The chosen answer to each prompt.
    pub(super) greedy: Answers,
    /// The answers found by searching.
    pub(super) beams: Answers,
}

/// Answers to all prompts, by the device itself and by the reference.
pub(super) struct Answers {
    /// Whole sequences.
    pub(super) own: Vec<Vec<u32>>,
    /// The log-probability that the device gives to each token of them after the first.
    pub(super) own_scores: Vec<Vec<f32>>,
    /// The same of the reference's answers; of its own, where it is the reference.
    pub(super) reference_scores: Vec<Vec<f32>>,
}

/// A device's times.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) description: String,
    pub(super) stages: Vec<Summary>,
}

impl Observed {
    /// Shows `analyst` the pictures, and has it judge the answers of `reference`; then measures `iterations` rounds.
    pub(super) fn of(
        analyst: &mut Analyst,
        pictures: &Pictures,
        reference: Option<&Observed>,
        iterations: u32,
    ) -> Result<Observed, CommandError> {
        let prompts = ASKED.into_iter().map(|(task, text)| {
            let input = text.map_or(TaskInput::Nothing, |text| TaskInput::Text(text.to_owned()));
            analyst.prompt(task, input)
        });
        let prompts: Vec<Prompt> = prompts.collect::<Result<_, _>>()?;
        let mut seen = Vec::new();
        for (place, picture) in pictures.all.iter().enumerate() {
            let leader = reference.and_then(|reference| reference.pictures.get(place));
            let view = picture.view().map_err(wrong)?;
            let layouts = layouts(picture).map_err(wrong)?;
            let pixel_values = layouts.iter().map(|view| analyst.pixel_values(view));
            let pixel_values = pixel_values.collect::<Result<_, _>>()?;
            let (features, _) = analyst.encode(&view, &CancelToken::new())?;
            let mut answers = |beams, leader: Option<&Answers>| {
                let cancel = CancelToken::new();
                let said = analyst.generate_with(&features, &prompts, beams, MAX_NEW_TOKENS, &cancel)?;
                let own: Vec<Vec<u32>> = said.into_iter().map(|said| said.token_ids).collect();
                let own_scores = analyst.score(&features, &prompts, &own, &cancel)?;
                let reference_scores = match leader {
                    Some(leader) => analyst.score(&features, &prompts, &leader.own, &cancel)?,
                    None => own_scores.clone(),
                };
                Ok::<_, CommandError>(Answers { own, own_scores, reference_scores })
            };
            let greedy = answers(1, leader.map(|leader| &leader.greedy))?;
            let beams = answers(BEAMS, leader.map(|leader| &leader.beams))?;
            let features = analyst.read_features(&features)?;
            seen.push(Seen { pixel_values, features, greedy, beams });
        }
        let mut times = Samples::default();
        if let Some(picture) = pictures.all.first() {
            for _ in 0..iterations {
                measure(analyst, picture, &prompts, &mut times)?;
            }
        }
        Ok(Observed { description: analyst.description(), pictures: seen, times })
    }

    pub(super) fn into_times(self) -> Times {
        Times { description: self.description, stages: self.times.summaries() }
    }
}

/// One round: a caption of one picture, as `bench` measures it.
fn measure(
    analyst: &mut Analyst,
    picture: &belvedere_kernels::RgbImage,
    prompts: &[Prompt],
    times: &mut Samples,
) -> Result<(), CommandError> {
    let cancel = CancelToken::new();
    let ms_since = |clock: Instant| clock.elapsed().as_secs_f64() * 1e3;
    let all = Instant::now();
    let view = picture.view().map_err(wrong)?;
    let (features, timing) = analyst.encode(&view, &cancel)?;
    times.add("preprocess", timing.preprocess);
    times.add("vision", timing.vision);
    let caption = prompts.get(..1).unwrap_or_default();
    let said = analyst.generate_with(&features, caption, 1, MAX_NEW_TOKENS, &cancel)?;
    if let Some(Generation { timing, .. }) = said.first() {
        times.add("encoder", timing.encoder_ms);
        times.add("prefill", timing.prefill_ms);
        if timing.steps > 0 {
            times.add("per token", timing.decode_ms / timing.steps as f64);
        }
    }
    times.add("answer", ms_since(all));
    Ok(())
}
