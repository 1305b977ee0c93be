use super::generation::{EarlyStopping, Finished, GenerationOptions, Turn};
use super::processors::Processors;
use super::scan::{Best, LogSumExp};
use crate::engine::NextRow;

/// Score of a hypothesis that must lose against any real one. The reference's value, and f32 like there: what is
/// added to it is rounded away.
const LOST: f32 = -1e9;

/// A sequence with the log-probs of its generated tokens.
#[derive(Clone, Debug)]
struct Hypothesis {
    tokens: Vec<u32>,
    log_probs: Vec<f32>,
    score: f32,
    /// Of a running hypothesis: its place among the rows of the last step. Of a slot for results: whether it is taken.
    beam: usize,
    finished: bool,
}

/// Beam search over one item, the vectorised form of transformers 4.50 and later (spec 4.8): `K` running sequences,
/// `K` slots for finished ones, and `2K` candidates a step. Step numbers in the comments are those of the spec.
///
/// Equal scores keep the order of running sequences, then of token ids. The reference leaves it to `torch.topk`, which
/// gives equals in no stated order (on the CPU it changes with the number of candidates), so a tie cannot be promised
/// to fall as it does there. Ties do happen where logits depend on the last token alone: sequences that pass through
/// the same transitions in another order have the same sum, to the bit or to its rounding. A model that sees its whole
/// history does not make them.
#[derive(Debug)]
pub(crate) struct BeamSearch {
    beams: usize,
    processors: Processors,
    early_stopping: EarlyStopping,
    length_penalty: f32,
    running: Vec<Hypothesis>,
    slots: Vec<Hypothesis>,
    improving: bool,
    best: Best,
}

struct Candidate {
    score: f32,
    log_prob: f32,
    beam: usize,
    token: u32,
}

impl BeamSearch {
    /// Starts from `prefix`, whose tokens after the first (the decoder prompt, p = 1) were forced.
    pub(crate) fn new(options: &GenerationOptions, processors: Processors, prefix: &[u32]) -> Self {
        let GenerationOptions { beams, early_stopping, length_penalty, .. } = *options;
        let open = Hypothesis {
            tokens: prefix.to_vec(),
            log_probs: vec![0.0; prefix.len().saturating_sub(1)],
            score: LOST,
            beam: 0,
            finished: false,
        };
        let mut running = vec![open.clone(); beams];
        if let Some(first) = running.first_mut() {
            first.score = 0.0;
        }
        Self {
            beams,
            processors,
            early_stopping,
            length_penalty,
            running,
            slots: vec![open; beams],
            improving: true,
            best: Best::new(2 * beams),
        }
    }

    /// Advances by one token. `rows` are the rows of this item, the first of them number `first_row` of the batch:
    /// one for each running sequence, or a single one that all of them share (after the prefill).
    pub(crate) fn advance(&mut self, first_row: usize, rows: &mut [&mut [f32]]) -> Turn {
        let shared = rows.len() == 1;
        let candidates = self.candidates_from_logits(rows);
        self.choose(candidates, |beam| if shared { first_row } else { first_row + beam })
    }

    /// Advances by one token, the engine having looked through the logits. `best` holds for each running sequence its
    /// best 2K continuations as (log-probability, token), best first, the lowest token first among equals, banned ones
    /// left out; the logarithms are those before any ban. Rows of the result are numbered from 0.
    pub(crate) fn advance_best(&mut self, best: &[Vec<(f32, u32)>]) -> Turn {
        let candidates = self.candidates_from_best(best);
        self.choose(candidates, |beam| beam)
    }

    /// The running sequences, in the order of their rows.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = &[u32]> {
        self.running.iter().map(|running| running.tokens.as_slice())
    }

    fn length(&self) -> usize {
        self.running.first().map_or(0, |running| running.tokens.len())
    }

    /// Steps 3 to 8 on the best 2K candidates; `row` numbers the row that holds a running sequence.
    fn choose(&mut self, candidates: Vec<Candidate>, row: impl Fn(usize) -> usize) -> Turn {
        let length = self.length();

        // 3. What stops a candidate.
        let max_length = self.processors.max_length;
        let stops: Vec<bool> =
            candidates.iter().map(|c| c.token == self.processors.eos || length + 1 >= max_length).collect();

        // 4. The best K that go on; a stable sort keeps the candidates' order among equals.
        let mut order: Vec<(f32, usize)> = candidates
            .iter()
            .zip(&stops)
            .map(|(c, stop)| c.score + if *stop { LOST } else { 0.0 })
            .zip(0..)
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let next: Vec<Hypothesis> = order
            .iter()
            .take(self.beams)
            .filter_map(|(score, index)| candidates.get(*index).map(|c| self.extend(c, *score, false)))
            .collect();

        // 5. Finished candidates take slots.
        let full =
            self.early_stopping == EarlyStopping::AtOnce && self.slots.iter().all(|slot| slot.finished);
        let norm = self.norm(length); // cur + 1 − p generated tokens, with p = 1
        let mut merged = std::mem::take(&mut self.slots);
        for (place, (candidate, stop)) in candidates.iter().zip(&stops).enumerate() {
            let qualifies = *stop && place < self.beams;
            if qualifies && !full && self.improving {
                merged.push(self.extend(candidate, candidate.score / norm, true));
            }
        }
        merged.sort_by(|a, b| b.score.total_cmp(&a.score));
        merged.truncate(self.beams);
        self.slots = merged;
        self.running = next;

        // 7. Can a running sequence still beat the worst finished one?
        let hypothetical = if self.early_stopping == EarlyStopping::Never && self.length_penalty > 0.0 {
            self.norm(max_length - 1)
        } else {
            norm
        };
        let attainable = self.running.first().map_or(LOST, |r| r.score) / hypothetical;
        let lowest = self.slots.iter().map(|slot| slot.score).fold(f32::INFINITY, f32::min);
        // Slots are compared one by one in the reference: an open one counts as LOST.
        let beats_one = self.slots.iter().any(|slot| attainable > if slot.finished { lowest } else { LOST });
        self.improving = self.improving && beats_one;

        // 8.
        let all_full =
            self.early_stopping == EarlyStopping::AtOnce && self.slots.iter().all(|slot| slot.finished);
        if !self.improving || all_full || stops.iter().all(|stop| *stop) {
            return Turn::Finished(self.take_best());
        }
        let rows = self.running.iter().map(|r| NextRow {
            parent: row(r.beam),
            token: r.tokens.last().copied().unwrap_or(self.processors.eos),
        });
        Turn::Continue(rows.collect())
    }

    /// Steps 1 and 2: the best 2K continuations of all running sequences, best first.
    fn candidates_from_logits(&mut self, rows: &mut [&mut [f32]]) -> Vec<Candidate> {
        let (length, shared) = (self.length(), rows.len() == 1);
        let mut candidates = Vec::with_capacity(2 * self.beams * self.beams);
        // Bans differ between sequences only where their tokens do; after the prefill they share row and tokens.
        for (beam, running) in self.running.iter().enumerate() {
            if let Some(token) = self.processors.forced(length) {
                candidates.push(Candidate { score: running.score, log_prob: 0.0, beam, token });
                continue;
            }
            let Some(row) = rows.get_mut(if shared { 0 } else { beam }) else { continue };
            let Some(distribution) = LogSumExp::of(row) else { continue };
            // Log-softmax first and bans second, without renormalising: a ban takes no part in the sum.
            let banned: Vec<(usize, f32)> = self
                .processors
                .banned(&running.tokens)
                .filter_map(|id| row.get(id as usize).map(|logit| (id as usize, *logit)))
                .collect();
            for (id, _) in &banned {
                row[*id] = f32::NEG_INFINITY;
            }
            candidates.extend(self.best.of(row).iter().map(|(logit, id)| {
                let log_prob = distribution.log_prob(*logit);
                Candidate { score: log_prob + running.score, log_prob, beam, token: *id as u32 }
            }));
            for (id, logit) in banned.into_iter().rev() {
                row[id] = logit; // the row may be shared
            }
        }
        self.best_of(candidates)
    }

    /// The same where the best of each sequence are known.
    fn candidates_from_best(&self, best: &[Vec<(f32, u32)>]) -> Vec<Candidate> {
        let forced = self.processors.forced(self.length());
        let mut candidates = Vec::with_capacity(2 * self.beams * self.beams);
        for (beam, (running, best)) in self.running.iter().zip(best).enumerate() {
            match forced {
                Some(token) => {
                    candidates.push(Candidate { score: running.score, log_prob: 0.0, beam, token });
                }
                None => candidates.extend(best.iter().map(|&(log_prob, token)| Candidate {
                    score: log_prob + running.score,
                    log_prob,
                    beam,
                    token,
                })),
            }
        }
        self.best_of(candidates)
    }

    fn best_of(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        candidates.truncate(2 * self.beams);
        candidates
    }

    fn extend(&self, candidate: &Candidate, score: f32, finished: bool) -> Hypothesis {
        let (mut tokens, mut log_probs) = self
            .running
            .get(candidate.beam)
            .map(|r| (r.tokens.clone(), r.log_probs.clone()))
            .unwrap_or_default();
        tokens.push(candidate.token);
        log_probs.push(candidate.log_prob);
        Hypothesis { tokens, log_probs, score, beam: candidate.beam, finished }
    }

    fn norm(&self, generated: usize) -> f32 {
        (generated as f64).powf(f64::from(self.length_penalty)) as f32
    }

    /// The best finished sequence; the best running one where the search ended without any.
    fn take_best(&mut self) -> Finished {
        let slots = std::mem::take(&mut self.slots);
        let running = std::mem::take(&mut self.running);
        let best = slots.into_iter().find(|slot| slot.finished).or_else(|| running.into_iter().next());
        best.map_or_else(
            || Finished { token_ids: Vec::new(), log_probs: Vec::new() },
            |h| Finished { token_ids: h.tokens, log_probs: h.log_probs },
        )
    }
}
