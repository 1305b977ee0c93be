use super::generation::{Finished, Turn};
use super::processors::Processors;
use super::scan::{LogSumExp, argmax};
use crate::engine::NextRow;

/// One sequence, always extended by its most likely token (spec 4.7). Ties take the lowest id.
#[derive(Debug)]
pub(crate) struct Greedy {
    processors: Processors,
    tokens: Vec<u32>,
    log_probs: Vec<f32>,
}

impl Greedy {
    /// Starts from `prefix`, whose tokens after the first were forced.
    pub(crate) fn new(processors: Processors, prefix: &[u32]) -> Self {
        Self { processors, tokens: prefix.to_vec(), log_probs: vec![0.0; prefix.len().saturating_sub(1)] }
    }

    /// Chooses the next token from the logits of `row`, which are processed in place.
    pub(crate) fn advance(&mut self, row: usize, logits: &mut [f32]) -> Turn {
        let (token, log_prob) = match self.processors.forced(self.tokens.len()) {
            Some(token) => (token, 0.0),
            None => {
                for banned in self.processors.banned(&self.tokens) {
                    if let Some(logit) = logits.get_mut(banned as usize) {
                        *logit = f32::NEG_INFINITY;
                    }
                }
                let best = argmax(logits).unwrap_or(0);
                let logit = logits.get(best).copied().unwrap_or(f32::NEG_INFINITY);
                let log_prob = LogSumExp::of(logits).map_or(f32::NEG_INFINITY, |of| of.log_prob(logit));
                (best as u32, log_prob)
            }
        };
        self.tokens.push(token);
        self.log_probs.push(log_prob);
        if token == self.processors.eos || self.tokens.len() >= self.processors.max_length {
            let (token_ids, log_probs) =
                (std::mem::take(&mut self.tokens), std::mem::take(&mut self.log_probs));
            return Turn::Finished(Finished { token_ids, log_probs });
        }
        Turn::Continue(vec![NextRow { parent: row, token }])
    }
}
