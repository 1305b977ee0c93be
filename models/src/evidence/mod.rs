//! Whether a phrase is there: what the model says of it, and how much that is worth.
//!
//! Florence-2 answers a question for a phrase with a box even where the thing is not there (spec section 8.4), so that
//! an answer alone is no alert. [`Evidence`] is what can be measured about one answer; a [`score`](FoundRegion::score)
//! from 0 to 1 is made of it.

mod found;
mod parts;
mod watched_phrase;

pub use found::{FoundPhrase, FoundRegion};
pub use parts::Evidence;
pub use watched_phrase::WatchedPhrase;
