//! Whether a phrase is there: what the model says of it, and how much that is worth.
//!
//! Florence-2 answers a question for a phrase with a box even where the thing is not there (spec section 8.4), so that
//! an answer alone is no alert. [`Evidence`] is what can be measured about one answer, cheapest first; [`Examiner`]
//! gathers it, and [`ScoreWeights`] make one score from 0 to 1 of it.

mod blank_prompts;
mod examiner;
mod form;
mod found;
mod parts;
mod said_box;
mod score;
mod watched_phrase;

pub use examiner::{Asked, Examiner, Look};
pub use form::PhraseForm;
pub use found::{FoundPhrase, FoundRegion};
pub use parts::Evidence;
pub use score::{ScoreWeights, Weights};
pub use watched_phrase::WatchedPhrase;
