//! What the host knows of a row that is being decoded.

use std::time::Instant;

use belvedere_kernels::launch::{ChosenToken, RowLimits, RowMode};

use super::workspace::failure;
use crate::ModelError;
use crate::decode::{Generation, Opening, StageTimes};
use crate::engine::Ticket;

/// When what happened to a sequence, as far as the host can see: a thing has happened when the host knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    joined: Instant,
    admitted: Instant,
    encoded: Instant,
    fed: Option<Instant>,
    steps: usize,
}

impl Stopwatch {
    /// Starts at joining.
    pub(super) fn start() -> Stopwatch {
        let now = Instant::now();
        Stopwatch { joined: now, admitted: now, encoded: now, fed: None, steps: 0 }
    }

    /// The sequence has a place, and its prompt is being encoded where it was not before.
    pub(super) fn admit(&mut self) {
        self.admitted = Instant::now();
        self.encoded = self.admitted;
    }

    /// Its prompt was encoded by then.
    pub(super) fn encode(&mut self, at: Instant) {
        self.encoded = at;
    }

    /// A step has been made, after which there are `length` tokens, `prefix` of them forced.
    pub(super) fn step(&mut self, length: usize, prefix: usize) {
        if length > prefix {
            match self.fed {
                None => self.fed = Some(Instant::now()),
                Some(_) => self.steps += 1,
            }
        }
    }

    /// Where the time went until now.
    pub(super) fn stop(&self) -> StageTimes {
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        let now = Instant::now();
        let fed = self.fed.unwrap_or(now);
        StageTimes {
            queued_ms: ms(self.joined, self.admitted),
            encoder_ms: ms(self.admitted, self.encoded),
            prefill_ms: ms(self.encoded, fed),
            decode_ms: ms(fed, now),
            steps: self.steps,
        }
    }
}

/// How one row is decoded by the device alone.
#[derive(Debug)]
pub(super) struct RowPlan {
    /// What the row begins with; the first token is fed, the others are forced.
    pub(super) prefix: Vec<u32>,
    pub(super) limits: RowLimits,
}

impl RowPlan {
    /// Greedy generation.
    pub(super) fn generate(opening: &Opening) -> RowPlan {
        let processors = &opening.processors;
        let limits = RowLimits {
            max_length: number(processors.max_length),
            // Tokens there are, the start token included, where `min_new_tokens` counts without it.
            least_length: number(processors.min_new_tokens.saturating_add(1)),
            mode: RowMode::Generate,
            forced_eos: processors.forced_eos.map(|token| number(token as usize)),
        };
        RowPlan { prefix: opening.prefix.clone(), limits }
    }

    /// A given sequence.
    pub(super) fn follow(tokens: &[u32]) -> RowPlan {
        let limits = RowLimits {
            max_length: number(tokens.len()),
            least_length: 0,
            mode: RowMode::Score,
            forced_eos: None,
        };
        RowPlan { prefix: tokens.to_vec(), limits }
    }

    /// Tokens of the longest sequence.
    pub(super) fn max_length(&self) -> usize {
        usize::try_from(self.limits.max_length).unwrap_or(0)
    }
}

fn number(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A row's sequence.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) ticket: Ticket,
    pub(super) clock: Stopwatch,
    tokens: Vec<u32>,
    log_probs: Vec<f32>,
    /// Tokens that are not the model's choice.
    prefix: usize,
    mode: RowMode,
    max_length: usize,
    /// Steps that are in the stream since it joined, or were made.
    enqueued: usize,
}

/// What has become of a sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Observed {
    GoesOn,
    Ended,
    NotFinite,
}

impl Sequence {
    pub(super) fn new(ticket: Ticket, clock: Stopwatch, plan: &RowPlan) -> Sequence {
        Sequence {
            ticket,
            clock,
            tokens: plan.prefix.iter().take(1).copied().collect(),
            log_probs: Vec::new(),
            // Of a given sequence the forced beginning is two tokens, as of others.
            prefix: if plan.limits.mode == RowMode::Score { 2 } else { plan.prefix.len() },
            mode: plan.limits.mode,
            max_length: plan.max_length(),
            enqueued: 0,
        }
    }

    /// Places in the caches that the next step needs; `None` where the sequence has ended by then at the latest.
    pub(super) fn next_places(&self) -> Option<usize> {
        // The last token is never fed.
        (self.enqueued + 1 < self.max_length).then_some(self.enqueued + 1)
    }

    pub(super) fn enqueue_step(&mut self) {
        self.enqueued += 1;
    }

    /// Takes what a step did to the row.
    ///
    /// # Errors
    /// It belongs to another place of the sequence.
    pub(super) fn observe(&mut self, chosen: ChosenToken) -> Result<Observed, ModelError> {
        if chosen.not_finite {
            return Ok(Observed::NotFinite);
        }
        let Some(token) = chosen.token.filter(|_| chosen.position as usize == self.tokens.len()) else {
            let reason = format!("{chosen:?} for a sequence of {} tokens", self.tokens.len());
            return Err(failure("reading a step's result", reason));
        };
        // The second token of a given sequence is forced in generation.
        let is_second = self.mode == RowMode::Score && self.log_probs.is_empty();
        self.log_probs.push(if is_second { 0.0 } else { chosen.log_prob });
        self.tokens.push(token);
        self.clock.step(self.tokens.len(), self.prefix);
        Ok(if chosen.done { Observed::Ended } else { Observed::GoesOn })
    }

    /// The step that was observed last, from 0.
    pub(super) fn last_step(&self) -> usize {
        self.log_probs.len()
    }

    pub(super) fn finish(self) -> Generation {
        Generation { token_ids: self.tokens, log_probs: self.log_probs, timing: self.clock.stop() }
    }
}
