//! Text to token ids and back, with the checkpoint's own tokenizer.

mod added;
mod tokenizer;
mod vocabulary;

pub use tokenizer::Tokenizer;
pub(crate) use tokenizer::beginning;
pub(crate) use vocabulary::{LOCATION_BINS, MAX_TOKENS};
pub use vocabulary::{TokenKind, Vocabulary};
