use std::time::{Duration, Instant};

use super::beam::BeamSearch;
use super::greedy::Greedy;
use super::portions;
use super::processors::Processors;
use super::scan::all_finite;
use crate::ModelError;
use crate::checkpoint::FlorenceConfig;
use crate::engine::{BatchLimits, CancelToken, DecodeBatch, Engine, ImageFeatures, Logits, NextRow};

/// What decoding needs to know of a checkpoint (spec 1.3, 4.5). All ids come from its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// Tokens of the tokenizer; logits from here on belong to no token and are cut off.
    pub vocabulary: usize,
    /// First decoder input (`</s>`).
    pub decoder_start: u32,
    /// End of a sequence.
    pub eos: u32,
    /// Token forced at index 1, if any.
    pub forced_bos: Option<u32>,
    /// Token forced at the last index, if any.
    pub forced_eos: Option<u32>,
    /// Length of the n-grams that may not repeat; 0 for no such rule.
    pub no_repeat_ngram: usize,
    /// When a beam search may end, where nobody asks for anything else.
    pub early_stopping: EarlyStopping,
    /// Decoder positions; a sequence has at most one token more.
    pub max_positions: usize,
}

impl DecoderConfig {
    /// Of a checkpoint.
    pub fn new(config: &FlorenceConfig) -> DecoderConfig {
        let generation = &config.generation;
        DecoderConfig {
            vocabulary: config.logit_rows(),
            decoder_start: generation.decoder_start,
            eos: generation.eos,
            forced_bos: generation.forced_bos,
            forced_eos: generation.forced_eos,
            no_repeat_ngram: generation.no_repeat_ngram,
            early_stopping: generation.early_stopping,
            max_positions: config.text.max_positions,
        }
    }
}

/// When a beam search may end (spec 4.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyStopping {
    /// As soon as K sequences have finished (`true`; what Florence-2's own configuration says).
    #[default]
    AtOnce,
    /// When no running sequence, judged at its present length, beats the finished ones (`false`).
    WhenUnlikely,
    /// When no running sequence can beat them at any length (`"never"`).
    Never,
}

/// How to generate.
#[derive(Clone, Debug)]
pub struct GenerationOptions {
    /// 1 is greedy. The reference's own default is 3.
    pub beams: usize,
    /// Tokens after the start token, the forced first and last ones included. More than the decoder has positions
    /// for is cut to those.
    pub max_new_tokens: usize,
    /// Tokens after the start token before which a sequence may not end by itself; 0 for no such rule. The forced end
    /// at `max_new_tokens` comes whatever this says: with both equal, every sequence has exactly that many.
    pub min_new_tokens: usize,
    /// Beam search only.
    pub early_stopping: EarlyStopping,
    /// Beam search only: finished scores are divided by length to this power.
    pub length_penalty: f32,
}

impl Default for GenerationOptions {
    fn default() -> Self {
        Self {
            beams: 1,
            max_new_tokens: 1024,
            min_new_tokens: 0,
            early_stopping: EarlyStopping::default(),
            length_penalty: 1.0,
        }
    }
}

/// Where the time of a generation went. Where an engine decodes a call's prompts in batches, they share one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Waiting for a place among the sequences that run together.
    pub queued_ms: f64,
    /// Encoding prompts and picture, cross keys and values included.
    pub encoder_ms: f64,
    /// Feeding the forced first tokens.
    pub prefill_ms: f64,
    /// All steps, choosing tokens included.
    pub decode_ms: f64,
    /// Steps made.
    pub steps: usize,
}

/// One prompt's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The whole sequence as the reference returns it: start token, forced first token, …, end token. No padding.
    pub token_ids: Vec<u32>,
    /// Log-prob of every token after the first, as spec "Per-token scores" has it: forced tokens are 0; greedy
    /// normalises after the bans, beam search before them.
    pub log_probs: Vec<f32>,
    /// The times of the call that made it.
    pub timing: StageTimes,
}

/// A sequence that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) token_ids: Vec<u32>,
    pub(crate) log_probs: Vec<f32>,
}

/// What an item does after a step.
#[derive(Debug)]
pub(crate) enum Turn {
    Continue(Vec<NextRow>),
    Finished(Finished),
}

#[derive(Debug)]
enum Search {
    Greedy(Greedy),
    Beam(BeamSearch),
}

/// An item still being decoded and the rows that the last call made for it.
struct Active {
    item: usize,
    search: Search,
    first_row: usize,
    rows: usize,
}

/// Decodes prompts over one picture in batches of a bounded size. Results stand in the order of the prompts and are the
/// same whatever else is asked with them, up to the engine's own rounding.
///
/// # Errors
/// Options out of range, anything the engine reports, logits that are not finite, cancellation (checked before every
/// call into the engine).
pub fn generate(
    engine: &mut dyn Engine,
    features: &ImageFeatures,
    prompts: &[&[u32]],
    config: &DecoderConfig,
    options: &GenerationOptions,
    cancel: &CancelToken,
) -> Result<Vec<Generation>, ModelError> {
    let opening = Opening::new(config, options)?;
    if prompts.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(done) = opening.complete() {
        return Ok(vec![done; prompts.len()]);
    }
    let mut timing = StageTimes::default();
    let mut finished = Vec::with_capacity(prompts.len());
    for portion in portions::of_prompts(prompts.len(), options.beams) {
        let prompts = prompts.get(portion).unwrap_or_default();
        let limits = BatchLimits { beams: options.beams, max_length: opening.processors.max_length };
        let mut clock = Instant::now();
        cancel.check()?;
        let precision = engine.precision();
        let mut batch = engine.start(features, prompts, limits, cancel)?;
        timing.encoder_ms += lap_ms(&mut clock);
        let tokens = Tokens { vocabulary: config.vocabulary, precision };
        finished.extend(decode(
            batch.as_mut(),
            prompts.len(),
            &opening,
            options,
            tokens,
            &mut timing,
            cancel,
        )?);
    }
    Ok(finished
        .into_iter()
        .map(|Finished { token_ids, log_probs }| Generation { token_ids, log_probs, timing })
        .collect())
}

/// Decodes a batch of `items` prompts, from its first step to the last item's end.
fn decode(
    batch: &mut dyn DecodeBatch,
    items: usize,
    Opening { processors, prefix }: &Opening,
    options: &GenerationOptions,
    tokens: Tokens,
    timing: &mut StageTimes,
    cancel: &CancelToken,
) -> Result<impl Iterator<Item = Finished>, ModelError> {
    let mut clock = Instant::now();
    let mut finished: Vec<Option<Finished>> = (0..items).map(|_| None).collect();
    let mut active: Vec<Active> = (0..items)
        .map(|item| Active { item, search: search(options, *processors, prefix), first_row: item, rows: 1 })
        .collect();
    let mut next: Vec<NextRow> = Vec::with_capacity(items * options.beams);

    cancel.check()?;
    for step in 0.. {
        let logits = if step == 0 { batch.prefill(prefix)? } else { batch.step(&next)? };
        if step == 0 {
            timing.prefill_ms += lap_ms(&mut clock);
        }
        let mut rows = tokens.rows(logits, step)?;
        next.clear();
        active = active
            .into_iter()
            .filter_map(|mut active| match active.advance(&mut rows) {
                Turn::Continue(rows) => {
                    active.first_row = next.len();
                    active.rows = rows.len();
                    next.extend(rows);
                    Some(active)
                }
                Turn::Finished(result) => {
                    if let Some(slot) = finished.get_mut(active.item) {
                        *slot = Some(result);
                    }
                    None
                }
            })
            .collect();
        if active.is_empty() {
            break;
        }
        timing.steps += 1;
        cancel.check()?;
    }
    timing.decode_ms += lap_ms(&mut clock);
    Ok(finished.into_iter().flatten())
}

/// What is known of a sequence before the model runs. Forced tokens need no logits.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) processors: Processors,
    /// The start token, and the token that is forced behind it, if one is.
    pub(crate) prefix: Vec<u32>,
}

impl Opening {
    /// # Errors
    /// Options out of range.
    pub(crate) fn new(config: &DecoderConfig, options: &GenerationOptions) -> Result<Opening, ModelError> {
        check(config, options)?;
        let processors = Processors {
            no_repeat_ngram: config.no_repeat_ngram,
            eos: config.eos,
            min_new_tokens: options.min_new_tokens,
            forced_bos: config.forced_bos,
            forced_eos: config.forced_eos,
            max_length: options.max_new_tokens.min(config.max_positions).saturating_add(1),
        };
        let prefix = std::iter::once(config.decoder_start).chain(processors.forced(1)).collect();
        Ok(Opening { processors, prefix })
    }

    /// The whole sequence, where the forced token ends it.
    pub(crate) fn complete(&self) -> Option<Generation> {
        let forced = *self.prefix.get(1)?;
        let is_complete = self.prefix.len() >= self.processors.max_length || forced == self.processors.eos;
        let timing = StageTimes::default();
        is_complete.then(|| Generation { token_ids: self.prefix.clone(), log_probs: vec![0.0], timing })
    }
}

impl Active {
    fn advance(&mut self, rows: &mut [&mut [f32]]) -> Turn {
        let own = rows.get_mut(self.first_row..self.first_row + self.rows).unwrap_or_default();
        match &mut self.search {
            Search::Greedy(greedy) => {
                greedy.advance(self.first_row, own.first_mut().map_or(&mut [], |row| row))
            }
            Search::Beam(beam) => beam.advance(self.first_row, own),
        }
    }
}

fn search(options: &GenerationOptions, processors: Processors, prefix: &[u32]) -> Search {
    if options.beams == 1 {
        return Search::Greedy(Greedy::new(processors, prefix));
    }
    Search::Beam(BeamSearch::new(options, processors, prefix))
}

/// The tokens that can be chosen, and the precision in which they are weighed.
#[derive(Clone, Copy)]
struct Tokens {
    vocabulary: usize,
    precision: &'static str,
}

impl Tokens {
    /// The rows, cut to the tokens there are, every value known to be finite.
    fn rows<'l>(self, logits: Logits<'l>, step: usize) -> Result<Vec<&'l mut [f32]>, ModelError> {
        let Tokens { vocabulary, precision } = self;
        let rows: Vec<&mut [f32]> = logits.into_rows().map(|row| cut(row, vocabulary)).collect();
        match rows.iter().position(|row| !all_finite(row)) {
            Some(row) => Err(ModelError::LogitsNotFinite { step, row, precision }),
            None => Ok(rows),
        }
    }
}

fn cut(row: &mut [f32], columns: usize) -> &mut [f32] {
    let end = columns.min(row.len());
    &mut row[..end]
}

fn check(config: &DecoderConfig, options: &GenerationOptions) -> Result<(), ModelError> {
    let refuse = |what, reason: String| Err(ModelError::Request { what, reason });
    if !(1..=16).contains(&options.beams) {
        return refuse("beams", format!("{} is not between 1 and 16", options.beams));
    }
    if options.max_new_tokens == 0 {
        return refuse("max_new_tokens", "must be at least 1".to_owned());
    }
    if !options.length_penalty.is_finite() {
        return refuse("length_penalty", format!("{} is not finite", options.length_penalty));
    }
    if config.vocabulary < 2 * options.beams + 1 {
        return refuse(
            "beams",
            format!("{} beams need more than {} tokens", options.beams, config.vocabulary),
        );
    }
    Ok(())
}

fn lap_ms(clock: &mut Instant) -> f64 {
    let now = Instant::now();
    let lap: Duration = now.duration_since(*clock);
    *clock = now;
    lap.as_secs_f64() * 1e3
}
