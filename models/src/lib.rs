//! Florence-2 for Belvedere: from a checkpoint folder to task outputs.

pub mod checkpoint;
mod error;
pub mod graph;
pub mod synthetic;

pub use checkpoint::Checkpoint;
pub use error::ModelError;
