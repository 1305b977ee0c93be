//! Turning logits into token sequences, exactly as the reference does (spec 4.5 to 4.8).

mod beam;
mod forced;
mod generation;
mod greedy;
pub(crate) mod portions;
mod processors;
mod scan;

pub(crate) use beam::BeamSearch;
pub(crate) use forced::log_probs_of;
pub use generation::{DecoderConfig, EarlyStopping, Generation, GenerationOptions, StageTimes, generate};
pub(crate) use generation::{Finished, Opening, Turn};
