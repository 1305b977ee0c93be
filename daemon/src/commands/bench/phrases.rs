//! What phrases cost: a frame that is searched for one, beside a frame that is searched for many.

use std::time::Instant;

use belvedere_kernels::RgbImage;
use belvedere_models::evidence::{Asked, Look};
use belvedere_models::{CancelToken, Generation, PhraseForm, PictureSize, Prompt, WatchedPhrase};

use super::samples::Samples;
use super::{CommandError, ms_since};
use crate::analyst::{AnalysisError, Analyst};

const COLOURS: [&str; 8] = ["red", "blue", "green", "white", "black", "yellow", "orange", "purple"];
const KINDS: [&str; 8] = ["car", "person", "dog", "truck", "bicycle", "ball", "box", "cone"];
/// One phrase in so many is taken to be there.
const THERE: usize = 4;

/// The names of the stages: a frame with one phrase, with all, and with all in one question.
const ONE: &str = "1 phrase";
const EACH: &str = "N phrases, each";
const GROUPED: &str = "N phrases, grouped";

/// Measures whole frames, from pixels to scores, that are searched for 1 and for `count` phrases, by turns.
///
/// What an untrained model says is of no use to its evidence: instead of it every fourth phrase, and the only one, gets a
/// box, in answers of the length that these have. Every region is asked back, the dearest case.
pub(super) fn measure(
    analyst: &mut Analyst,
    picture: &RgbImage,
    count: usize,
    (warm_up, iterations): (u32, u32),
    samples: &mut Samples,
) -> Result<(), CommandError> {
    let texts = (0..count).map(|i| format!("{} {}", COLOURS[i / 8 % 8], KINDS[i % 8]));
    let phrases: Vec<WatchedPhrase> =
        texts.map(|text| analyst.watched_phrase(&text)).collect::<Result<_, _>>()?;
    let phrases: Vec<&WatchedPhrase> = phrases.iter().collect();
    analyst.check_every_region();
    let cases =
        [(ONE, 1, PhraseForm::Each), (EACH, count, PhraseForm::Each), (GROUPED, count, PhraseForm::Grouped)];
    for round in 0..warm_up + iterations {
        for (stage, count, form) in cases {
            let ms = frame(analyst, picture, phrases.get(..count).unwrap_or_default(), form)?;
            if round >= warm_up {
                samples.add(stage, ms);
            }
        }
    }
    Ok(())
}

/// How much dearer a frame with all phrases is than one with a single phrase, each and grouped: medians.
pub(super) fn ratios(samples: &Samples) -> Option<(f64, f64)> {
    let one = samples.median(ONE)?;
    Some((samples.median(EACH)? / one, samples.median(GROUPED)? / one))
}

/// One frame; its time in ms.
fn frame(
    analyst: &mut Analyst,
    picture: &RgbImage,
    phrases: &[&WatchedPhrase],
    form: PhraseForm,
) -> Result<f64, CommandError> {
    let cancel = CancelToken::new();
    let clock = Instant::now();
    let view = picture.view().map_err(AnalysisError::from)?;
    let (features, _) = analyst.encode(&view, &cancel)?;
    let questions = analyst.questions(phrases, form)?;
    let mut said: Vec<Vec<u32>> = Vec::with_capacity(questions.len());
    for (_, asked) in &questions {
        let there = asked.iter().filter(|place| **place % THERE == 0);
        let boxes = there.filter_map(|place| phrases.get(*place));
        let boxes: String =
            boxes.map(|phrase| format!("{}<loc_100><loc_200><loc_500><loc_700>", phrase.text())).collect();
        said.push(analyst.sequence(&boxes)?);
    }
    let longest = said.iter().map(Vec::len).max().unwrap_or(2);
    analyst.answer_with_exactly(longest - 1);
    let prompts: Vec<Prompt> = questions.iter().map(|(prompt, _)| prompt.clone()).collect();
    let generated = analyst.generate(&features, &prompts, &cancel)?;
    let answers: Vec<Generation> = generated
        .into_iter()
        .zip(said)
        .map(|(generation, token_ids)| {
            let log_probs = vec![-0.5; token_ids.len().saturating_sub(1)];
            Generation { token_ids, log_probs, ..generation }
        })
        .collect();
    let asked: Vec<Asked<'_>> = questions
        .iter()
        .zip(&answers)
        .map(|((prompt, phrases), answer)| Asked { prompt, phrases, answer })
        .collect();
    let size = PictureSize::new(picture.width, picture.height);
    let look = Look { features: &features, picture: size, phrases, asked: &asked, detected: &[] };
    analyst.examine(look, &cancel)?;
    Ok(ms_since(clock))
}
