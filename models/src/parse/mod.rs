//! The model's answers, from token ids to text and regions.
//!
//! Model output is untrusted input: no sequence of ids makes a parser fail, and every coordinate lies inside the
//! picture.

mod answer;
mod grammar;
mod output;
mod reference;
mod score;
mod symbols;

pub use answer::{Answer, ParseMode};
pub use output::{Region, Shape, TaskOutput};
pub(crate) use symbols::{Symbol, symbols};

/// Labels that phrase grounding leaves out: they name nothing that a box could show (spec section 7.3). Compared
/// with their case.
const UNGROUNDED: [&str; 72] = [
    "it",
    "I",
    "me",
    "mine",
    "you",
    "your",
    "yours",
    "he",
    "him",
    "his",
    "she",
    "her",
    "hers",
    "they",
    "them",
    "their",
    "theirs",
    "one",
    "oneself",
    "we",
    "us",
    "our",
    "ours",
    "its",
    "myself",
    "yourself",
    "himself",
    "herself",
    "itself",
    "ourselves",
    "yourselves",
    "themselves",
    "this",
    "that",
    "these",
    "those",
    "who",
    "whom",
    "whose",
    "which",
    "what",
    "all",
    "another",
    "any",
    "anybody",
    "anyone",
    "anything",
    "each",
    "everybody",
    "everyone",
    "everything",
    "few",
    "many",
    "nobody",
    "none",
    "several",
    "some",
    "somebody",
    "someone",
    "something",
    "each other",
    "one another",
    "the image",
    "image",
    "images",
    "the",
    "a",
    "an",
    "a group",
    "other objects",
    "lots",
    "a set",
];
