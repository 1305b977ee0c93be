//! The name of a phrase in topics and ids.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Phrase;

/// A phrase's name where only `[a-z0-9_]` may stand; 1 to [`Slug::MAX_CHARS`] of them.
///
/// The rule is a promise: a changed slug is a changed topic, which no subscriber would follow.
/// 1. The phrase in lower case; Latin letters lose their marks (`ü` is `u`, `é` is `e`) and ligatures
///    come apart (`ß` is `ss`, `æ` is `ae`), so that it does not matter whether a keyboard writes one
///    character or a letter and its mark.
/// 2. What is neither a letter `a`-`z` nor a digit then becomes `_`; several in a row become one, and
///    none stands at either end.
/// 3. Where that lost a letter or a sign outside ASCII, left nothing, or is longer than 48 characters
///    (it is cut there), `_` and eight hexadecimal digits follow: FNV-1a of the phrase's UTF-8, its
///    64 bits folded to 32. Where nothing is left, `phrase` stands before them.
///
/// Two phrases that differ only in case, accents or ASCII punctuation have the same slug;
/// [`slug_collisions`] finds them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(Arc<str>);

/// What is kept of the words where the slug is long.
const MAX_WORDS: usize = 48;

impl Slug {
    /// The most characters a slug has.
    pub const MAX_CHARS: usize = MAX_WORDS + 9;

    /// The slug of `phrase`.
    pub fn of(phrase: &Phrase) -> Slug {
        let mut words = String::new();
        let mut gap = false;
        let mut lost = false;
        for character in phrase.as_str().chars().flat_map(char::to_lowercase) {
            let letters = match character {
                'a'..='z' | '0'..='9' => Some(character.encode_utf8(&mut [0; 4]).to_owned()),
                _ => plain(character).map(str::to_owned),
            };
            match letters {
                Some(letters) => {
                    // A mark that stands alone leaves nothing, not even a gap.
                    if !letters.is_empty() && gap && !words.is_empty() {
                        words.push('_');
                    }
                    gap &= letters.is_empty();
                    words.push_str(&letters);
                }
                None => {
                    gap = true;
                    lost |= !character.is_ascii() && !character.is_whitespace();
                }
            }
        }
        if words.len() > MAX_WORDS {
            // All of it is ASCII.
            words.truncate(MAX_WORDS);
            words.truncate(words.trim_end_matches('_').len());
            lost = true;
        }
        if words.is_empty() {
            words.push_str("phrase");
            lost = true;
        }
        if lost {
            words.push_str(&format!("_{:08x}", fnv1a_32(phrase.as_str())));
        }
        Slug(words.into())
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lower-case Latin letter without its marks; `Some("")` for a mark alone, `None` for what is no
/// Latin letter.
fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ð' | 'ď' | 'đ' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ǐ' => "i",
        'ĳ' => "ij",
        'ĵ' => "j",
        'ķ' | 'ĸ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ŋ' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ǒ' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ſ' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ǔ' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '\u{0300}'..='\u{036f}' => "",
        _ => return None,
    })
}

/// FNV-1a with 64 bits (offset basis and prime as its authors give them), folded to 32.
fn fnv1a_32(text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash >> 32) ^ (hash & 0xffff_ffff)) as u32
}

/// Two phrases of one camera whose topics would be the same. Its `Display` is the reason to refuse
/// the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlugCollision {
    /// The place of the first in the list, from 0.
    pub first_index: usize,
    /// The place of the second in the list, from 0.
    pub second_index: usize,
    /// The phrase that came first.
    pub first: Phrase,
    /// The phrase that came second.
    pub second: Phrase,
    /// The slug of both.
    pub slug: Slug,
}

impl fmt::Display for SlugCollision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.second {
            write!(f, "{:?} is asked for already", self.second)
        } else {
            write!(
                f,
                "{:?} would be published where {:?} is, as {}; make one of them differ in a letter or a digit",
                self.second, self.first, self.slug
            )
        }
    }
}

/// The phrases of one camera that cannot stand beside an earlier one.
pub fn slug_collisions<'a>(phrases: impl IntoIterator<Item = &'a Phrase>) -> Vec<SlugCollision> {
    let mut taken: HashMap<Slug, (usize, &Phrase)> = HashMap::new();
    let mut collisions = Vec::new();
    for (second_index, second) in phrases.into_iter().enumerate() {
        let slug = Slug::of(second);
        if let Some((first_index, first)) = taken.get(&slug) {
            collisions.push(SlugCollision {
                first_index: *first_index,
                second_index,
                first: (*first).clone(),
                second: second.clone(),
                slug,
            });
        } else {
            taken.insert(slug, (second_index, second));
        }
    }
    collisions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Slug, fnv1a_32, slug_collisions};
    use crate::alerts::Phrase;

    fn slug(text: &str) -> String {
        Slug::of(&Phrase::new(text).unwrap()).to_string()
    }

    #[test]
    fn words_are_joined_by_one_underscore_each() {
        assert_eq!(slug("Person on a ladder"), "person_on_a_ladder");
        assert_eq!(slug("  (a)  \"red\" car, no. 2! "), "a_red_car_no_2");
    }

    #[test]
    fn letters_lose_their_marks_whichever_way_they_are_written() {
        assert_eq!(slug("Größe ÜBER Straße, café Ærø"), "grosse_uber_strasse_cafe_aero");
        assert_eq!(slug("u\u{308}ber"), slug("über"));
        assert_eq!(slug("a \u{308} b"), "a_b", "a mark that stands alone");
    }

    #[test]
    fn what_cannot_be_written_in_ascii_is_told_apart_by_a_number() {
        assert!(slug("a 🐕 runs").starts_with("a_runs_"));
        assert_ne!(slug("a 🐕 runs"), slug("a 🐈 runs"));
        assert!(slug("梯子上的人").starts_with("phrase_"));
        assert!(slug("!!!").starts_with("phrase_"));
        assert_ne!(slug("!!!"), slug("???"));
    }

    #[test]
    fn a_long_phrase_is_cut_and_told_apart_by_a_number() {
        let (one, two) = ("x".repeat(299) + "1", "x".repeat(299) + "2");
        assert_eq!(slug(&one).len(), Slug::MAX_CHARS);
        assert_ne!(slug(&one), slug(&two));
        assert_eq!(slug(&"x".repeat(48)), "x".repeat(48), "the longest that is not cut");
    }

    #[test]
    fn the_number_is_the_published_hash() {
        // FNV-1a 64 of "" and of "a" from the authors' test vectors, folded by hand.
        assert_eq!(fnv1a_32(""), 0xcbf2_9ce4 ^ 0x8422_2325);
        assert_eq!(fnv1a_32("a"), 0xaf63_dc4c ^ 0x8601_ec8c);
    }

    #[test]
    fn phrases_with_the_same_slug_are_found_with_the_reason() {
        let phrases = ["a dog", "a cat", "A  Dog!", "a cat"].map(|text| Phrase::new(text).unwrap());
        let collisions = slug_collisions(&phrases);
        assert_eq!(collisions.len(), 2);
        assert_eq!((collisions[0].first_index, collisions[0].second_index), (0, 2));
        assert!(collisions[0].to_string().contains("\"a dog\""), "{}", collisions[0]);
        assert!(collisions[0].to_string().contains("a_dog"), "{}", collisions[0]);
        assert_eq!(collisions[1].to_string(), "\"a cat\" is asked for already");
    }

    proptest! {
        #[test]
        fn any_phrase_has_a_slug_that_may_stand_in_a_topic(text in any::<String>()) {
            if let Ok(phrase) = Phrase::new(&text) {
                let slug = Slug::of(&phrase);
                prop_assert!((1..=Slug::MAX_CHARS).contains(&slug.as_str().len()), "{}", slug);
                let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                prop_assert!(slug.as_str().chars().all(allowed), "{}", slug);
                prop_assert!(!slug.as_str().starts_with('_') && !slug.as_str().ends_with('_'));
                prop_assert!(!slug.as_str().contains("__"));
            }
        }
    }
}
