//! What a camera is watched for.

use std::fmt;
use std::sync::Arc;

use super::AlertError;

/// A phrase that can be asked of the model, printed in a log line and shown in a message: 1 to
/// [`Phrase::MAX_CHARS`] characters, none of them a control character or one of the model's own
/// marks. White space around it is not a part of it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phrase(Arc<str>);

impl Phrase {
    /// The most characters (Unicode scalar values) a phrase has.
    pub const MAX_CHARS: usize = 300;

    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// [`AlertError::EmptyPhrase`], [`AlertError::LongPhrase`], or [`AlertError::CharacterInPhrase`]
    /// for control characters, for those that turn the direction of writing (they make a log line say
    /// something else than it does) and for `<` and `>`, in which the model's own tokens are written.
    pub fn new(text: &str) -> Result<Phrase, AlertError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AlertError::EmptyPhrase);
        }
        if let Some((character, why)) =
            text.chars().find_map(|character| Some((character, fault(character)?)))
        {
            return Err(AlertError::CharacterInPhrase { character, why });
        }
        let chars = text.chars().count();
        if chars > Phrase::MAX_CHARS {
            return Err(AlertError::LongPhrase { chars, max: Phrase::MAX_CHARS });
        }
        Ok(Phrase(text.into()))
    }

    /// The phrase as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fault(character: char) -> Option<&'static str> {
    match character {
        '<' | '>' => Some("the model's own marks are written with it"),
        '\u{2028}' | '\u{2029}' => Some("it begins a new line"),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some("it turns the direction of writing"),
        _ if character.is_control() => Some("it is a control character"),
        _ => None,
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Phrase;
    use crate::alerts::AlertError;

    #[test]
    fn quotes_umlauts_emoji_and_300_characters_are_all_right() {
        for text in ["person on a \"ladder\"", "Größe: übermäßig", "a 🐕‍🦺 at work", "梯子上的人", "it's; DROP"]
        {
            assert_eq!(Phrase::new(text).unwrap().as_str(), text);
        }
        assert!(Phrase::new(&"ü".repeat(300)).is_ok());
        assert_eq!(Phrase::new(&"ü".repeat(301)), Err(AlertError::LongPhrase { chars: 301, max: 300 }));
    }

    #[test]
    fn white_space_around_a_phrase_is_not_a_part_of_it() {
        assert_eq!(Phrase::new("  a dog\n").unwrap().as_str(), "a dog");
        assert_eq!(Phrase::new(" \t "), Err(AlertError::EmptyPhrase));
    }

    #[test]
    fn characters_that_would_deceive_a_log_or_the_model_are_refused_by_name() {
        for (text, culprit) in [
            ("a\ndog", '\n'),
            ("a\u{0}dog", '\0'),
            ("a\u{202e}god", '\u{202e}'),
            ("a dog<loc_5>", '<'),
            ("a\u{85}dog", '\u{85}'),
            ("a\u{2028}dog", '\u{2028}'),
        ] {
            match Phrase::new(text) {
                Err(AlertError::CharacterInPhrase { character, .. }) => assert_eq!(character, culprit),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
