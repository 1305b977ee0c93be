//! Which tokens of an answer said a box.

use std::ops::Range;

use crate::tokens::{TokenKind, Tokenizer};

/// A box in an answer, by its tokens' places in the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaidBox {
    /// The words before it; empty where there are none.
    pub(super) label: Range<usize>,
    /// Its first location token; three more follow.
    pub(super) first_location: usize,
    /// x1, y1, x2, y2 in location bins, as they were said.
    pub(super) bins: [u16; 4],
}

impl SaidBox {
    /// Every box of an answer to open-vocabulary detection or phrase grounding, in its order. Polygons are none, and
    /// neither is what is left of a run of locations after its last four.
    pub(super) fn all(tokenizer: &Tokenizer, token_ids: &[u32]) -> Vec<SaidBox> {
        let mut boxes = Vec::new();
        let mut label = 0..0;
        let mut run: Vec<u16> = Vec::new();
        let mut is_polygon = false;
        // The decoder's start token is the same as the end's.
        for (index, id) in token_ids.iter().enumerate().skip(1) {
            match tokenizer.vocabulary().kind(*id) {
                TokenKind::Location(bin) if !is_polygon => {
                    run.push(bin);
                    if let [x1, y1, x2, y2] = run[..] {
                        boxes.push(SaidBox {
                            label: label.clone(),
                            first_location: index - 3,
                            bins: [x1, y1, x2, y2],
                        });
                        run.clear();
                    }
                }
                TokenKind::Text => {
                    run.clear();
                    label = if label.end == index { label.start..index + 1 } else { index..index + 1 };
                }
                TokenKind::PolygonStart => is_polygon = true,
                TokenKind::PolygonEnd => is_polygon = false,
                TokenKind::EndOfSequence => break,
                TokenKind::Location(_) | TokenKind::Separator => {}
                TokenKind::Ignored => run.clear(),
            }
        }
        boxes
    }

    /// The log-probabilities of the words and of the four locations. `log_probs[i]` belongs to token i + 1.
    pub(super) fn log_probs<'a>(&self, log_probs: &'a [f32]) -> (&'a [f32], &'a [f32]) {
        let of = |tokens: Range<usize>| {
            log_probs.get(tokens.start.saturating_sub(1)..tokens.end.saturating_sub(1)).unwrap_or_default()
        };
        (of(self.label.clone()), of(self.first_location..self.first_location + 4))
    }
}
