//! Where the original looks for the log-probabilities of a box.

use std::ops::Range;

use super::super::answer::Answer;
use super::super::score::geometric_mean;
use crate::error::ModelError;
use crate::tokens::Tokenizer;

/// The text of a sequence decoded token by token, as the original does to align scores with characters. A character
/// of several tokens becomes several U+FFFD.
pub(super) struct SpannedText {
    text: String,
    /// For each token after the first its characters in `text`; both ends increase along the sequence.
    spans: Vec<Range<usize>>,
    log_probs: Vec<Option<f32>>,
}

impl SpannedText {
    /// Decodes every token after the first, the decoder's start token.
    pub(super) fn decode(tokenizer: &Tokenizer, answer: Answer<'_>) -> Result<Self, ModelError> {
        let ids = answer.token_ids.get(1..).unwrap_or_default();
        let mut spanned =
            Self { text: String::new(), spans: Vec::with_capacity(ids.len()), log_probs: Vec::new() };
        let mut at = 0;
        for id in ids {
            let piece = tokenizer.decode(&[*id])?;
            let end = at + piece.chars().count();
            spanned.text.push_str(&piece);
            spanned.spans.push(at..end);
            at = end;
        }
        spanned.log_probs = (0..ids.len()).map(|index| answer.log_probs.get(index).copied()).collect();
        Ok(spanned)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// exp of the mean log-probability of the tokens that overlap a range of characters.
    pub(super) fn score(&self, characters: Range<usize>) -> Option<f32> {
        let first = self.spans.partition_point(|span| span.end <= characters.start);
        let last = self.spans.partition_point(|span| span.start < characters.end);
        geometric_mean(self.log_probs.get(first..last)?.iter().copied())
    }
}
