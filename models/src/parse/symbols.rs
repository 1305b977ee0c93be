//! Token ids to the symbols of the answer grammars.

use std::ops::Range;

use super::answer::Answer;
use crate::error::ModelError;
use crate::tokens::{TokenKind, Tokenizer};

/// A location token with the model's confidence in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Location {
    /// Bin of the axis, below 1000.
    pub(crate) bin: u16,
    /// The token's place in the sequence.
    pub(crate) place: usize,
    /// Log-probability of the token, where it is known.
    pub(crate) log_prob: Option<f32>,
}

/// A symbol of the answer grammars of spec section 7.2.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Symbol {
    /// Words between other symbols.
    Words {
        /// One line, trimmed, never empty.
        text: String,
        /// Their tokens' places in the sequence, and those of tokens that mean nothing among them.
        tokens: Range<usize>,
    },
    /// Location tokens with nothing between them.
    Locations(Vec<Location>),
    /// `<sep>`
    Separator,
    /// `<poly>`
    PolygonStart,
    /// `</poly>`
    PolygonEnd,
}

/// The part of a sequence that the model said, as (index, id): the decoder's start token is left out, so are `<s>`,
/// `<pad>` and ids outside the vocabulary, and it ends at the first `</s>` after the start.
pub(super) fn said<'a>(
    tokenizer: &'a Tokenizer,
    token_ids: &'a [u32],
) -> impl Iterator<Item = (usize, u32, TokenKind)> + 'a {
    let classified =
        token_ids.iter().enumerate().map(|(index, id)| (index, *id, tokenizer.vocabulary().kind(*id)));
    classified
        .skip_while(|(index, _, kind)| *index == 0 && *kind == TokenKind::EndOfSequence)
        .take_while(|(_, _, kind)| *kind != TokenKind::EndOfSequence)
        .filter(|(_, _, kind)| *kind != TokenKind::Ignored)
}

/// The symbols of an answer.
///
/// Words are decoded a run at a time, so that characters of several tokens stay whole; special tokens among them are
/// dropped. White space alone is no symbol, though it ends a run of locations.
pub(crate) fn symbols(tokenizer: &Tokenizer, answer: Answer<'_>) -> Result<Vec<Symbol>, ModelError> {
    let mut symbols = Vec::new();
    let mut words: Vec<(usize, u32)> = Vec::new();
    let mut locations: Vec<Location> = Vec::new();
    for (index, id, kind) in said(tokenizer, answer.token_ids) {
        if kind != TokenKind::Text {
            flush_words(tokenizer, &mut words, &mut symbols)?;
        }
        if !matches!(kind, TokenKind::Location(_)) {
            flush_locations(&mut locations, &mut symbols);
        }
        match kind {
            TokenKind::Text => words.push((index, id)),
            TokenKind::Location(bin) => {
                let log_prob = index.checked_sub(1).and_then(|index| answer.log_probs.get(index)).copied();
                locations.push(Location { bin, place: index, log_prob });
            }
            TokenKind::Separator => symbols.push(Symbol::Separator),
            TokenKind::PolygonStart => symbols.push(Symbol::PolygonStart),
            TokenKind::PolygonEnd => symbols.push(Symbol::PolygonEnd),
            // Not among what was said.
            TokenKind::EndOfSequence | TokenKind::Ignored => {}
        }
    }
    flush_words(tokenizer, &mut words, &mut symbols)?;
    flush_locations(&mut locations, &mut symbols);
    Ok(symbols)
}

fn flush_words(
    tokenizer: &Tokenizer,
    words: &mut Vec<(usize, u32)>,
    symbols: &mut Vec<Symbol>,
) -> Result<(), ModelError> {
    let words = std::mem::take(words);
    let (Some((first, _)), Some((last, _))) = (words.first(), words.last()) else { return Ok(()) };
    let tokens = *first..last + 1;
    let ids: Vec<u32> = words.into_iter().map(|(_, id)| id).collect();
    let text = one_line(&tokenizer.decode_plain(&ids)?);
    if !text.is_empty() {
        symbols.push(Symbol::Words { text, tokens });
    }
    Ok(())
}

fn flush_locations(locations: &mut Vec<Location>, symbols: &mut Vec<Symbol>) {
    if !locations.is_empty() {
        symbols.push(Symbol::Locations(std::mem::take(locations)));
    }
}

/// A text trimmed, its lines joined by spaces: the 4k large model puts line ends between pieces of text.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
