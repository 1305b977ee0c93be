//! A Florence-2 checkpoint folder as the model hub ships it: `config.json`, `preprocessor_config.json`,
//! `model.safetensors` (or shards), in either tensor layout (specification sections 1 and 2).

mod config;
mod config_json;
mod folder;
mod generation_json;
pub(crate) mod inventory;
mod layout;
mod preprocessor_json;
mod safetensors_file;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{FlorenceConfig, GenerationDefaults, Layout, TOKENIZER_ROWS, TextConfig, VisionConfig};
pub use folder::{Checkpoint, TensorInfo};
pub use inventory::TensorSpec;
pub use weights::Weights;
