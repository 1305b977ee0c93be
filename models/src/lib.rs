//! Florence-2: engines that run its graphs, the decode loop above them, and the crate's face, [`Florence`].
#![forbid(unsafe_code)]

pub mod decode;
pub mod engine;
mod error;
mod florence;

pub use decode::{EarlyStopping, Generation, GenerationOptions, StageTimes};
pub use engine::{CancelToken, Engine, ImageFeatures};
pub use error::ModelError;
pub use florence::{Device, Florence, LoadOptions, Precision};
