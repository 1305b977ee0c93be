//! The pieces of text that the original's regular expressions match.

use crate::tokens::LOCATION_BINS;

/// A location token at the start of `text` (`<loc_\d+>`): its bin and its length in bytes.
pub(super) fn location(text: &str) -> Option<(u16, usize)> {
    let number = text.strip_prefix("<loc_")?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || number.as_bytes().get(digits) != Some(&b'>') {
        return None;
    }
    let last = LOCATION_BINS - 1;
    let bin = number.get(..digits)?.parse().unwrap_or(last).min(last);
    Some((bin, "<loc_".len() + digits + ">".len()))
}

/// The locations at the start of `text` that follow each other, each with its end in bytes.
pub(super) fn locations(text: &str) -> impl Iterator<Item = (u16, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (bin, len) = location(text.get(at..)?)?;
        at += len;
        Some((bin, at))
    })
}

/// Bytes and number of consecutive tokens at the start of `text`, `token` giving the length of one.
fn run(text: &str, token: impl Fn(&str) -> Option<usize>) -> (usize, usize) {
    let (mut at, mut count) = (0, 0);
    while let Some(len) = text.get(at..).and_then(&token) {
        at += len;
        count += 1;
    }
    (at, count)
}

/// Least number of tokens in a chunk.
const CHUNK_TOKENS: usize = 4;

/// Matches of `[^<]+(?:token){4,}`.
pub(super) fn labelled(
    text: &str,
    token: impl Fn(&str) -> Option<usize> + Copy,
) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let label = rest.find('<')?;
            let (len, count) = run(&rest[label..], token);
            if label > 0 && count >= CHUNK_TOKENS {
                let (chunk, after) = rest.split_at(label + len);
                rest = after;
                return Some(chunk);
            }
            // No chunk starts before or at this `<`; one may start right after it, in the middle of a token.
            rest = &rest[label + 1..];
        }
    })
}

/// Matches of `(?:token){4,}`.
pub(super) fn unlabelled(
    text: &str,
    token: impl Fn(&str) -> Option<usize> + Copy,
) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('<')?..];
            let (len, count) = run(rest, token);
            let (chunk, after) = rest.split_at(len.max(1));
            rest = after;
            if count >= CHUNK_TOKENS {
                return Some(chunk);
            }
        }
    })
}

/// `^\s*(.*?)(?=end)` stripped, where `prefix` is the text up to the first `end`: a label with a line end inside
/// does not match.
pub(super) fn label(prefix: &str) -> Option<&str> {
    let label = prefix.trim_start_matches(is_space);
    (!label.contains('\n')).then(|| label.trim_end_matches(is_space))
}

/// The text without `<s>`, `</s>` and `<pad>`, removed in this order as the original does.
pub(super) fn without_specials(text: &str) -> String {
    text.replace("<s>", "").replace("</s>", "").replace("<pad>", "")
}

/// What Python's `\s` and `str.strip` take for white space.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
