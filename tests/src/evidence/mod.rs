//! What the scores of phrases are worth: phrases that are in made-up scenes beside phrases that are not.

mod questions;
mod table;

pub use questions::{PhraseFrame, questions};
pub use table::EvidenceTable;
