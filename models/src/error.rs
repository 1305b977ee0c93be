//! What can go wrong between a checkpoint folder and a task's output.

use std::path::PathBuf;

/// Every failure of this crate. Each variant names the file, tensor or key that it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be opened, read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that should hold JSON does not.
    #[error("{path}: not valid JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the JSON parser said, with line and column.
        source: serde_json::Error,
    },
    /// The folder is not a Florence-2 checkpoint.
    #[error("{path}: not a Florence-2 checkpoint: {reason}")]
    NotFlorence {
        /// The folder, or the file that gave it away.
        path: PathBuf,
        /// What is missing or different.
        reason: String,
    },
    /// A configuration file holds a value that no Florence-2 model can have, or that is not supported.
    #[error("{path}: {key}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The key, dotted from the root of the file.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The header of a safetensors file cannot be read, or contradicts the file.
    #[error("{path}: bad safetensors file: {reason}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A safetensors file is shorter (or longer) than its header says.
    #[error(
        "{path}: the file holds {actual_bytes} bytes, its header describes {expected_bytes}: truncated or damaged"
    )]
    FileLength {
        /// The file.
        path: PathBuf,
        /// Bytes that header and tensors take.
        expected_bytes: u64,
        /// Bytes that are there.
        actual_bytes: u64,
    },
    /// A tensor that the model needs is in none of the files.
    #[error("{path}: tensor {tensor} of shape {expected:?} is missing")]
    MissingTensor {
        /// Its name in the layout of the file.
        tensor: String,
        /// The file (or the shard index) that was searched.
        path: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{path}: tensor {tensor} has shape {found:?}, the configuration asks for {expected:?}")]
    TensorShape {
        /// Its name in the layout of the file.
        tensor: String,
        /// The file that holds it.
        path: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not a weight type.
    #[error("{path}: tensor {tensor} is stored as {dtype}; F32, F16 and BF16 are understood")]
    TensorType {
        /// Its name in the layout of the file.
        tensor: String,
        /// The file that holds it.
        path: PathBuf,
        /// The type in the file.
        dtype: String,
    },
    /// A tensor was asked for that this model does not have.
    #[error("the model has no tensor {tensor}")]
    UnknownTensor {
        /// The native name that was asked for.
        tensor: String,
    },
    /// An image size that the vision tower cannot take.
    #[error("image size {width}x{height}: {reason}")]
    ImageSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Why not.
        reason: String,
    },
    /// A graph was asked for that cannot be built.
    #[error("graph {graph}: {reason}")]
    Graph {
        /// The graph's name.
        graph: String,
        /// What is wrong with the request.
        reason: String,
    },
}

impl ModelError {
    /// Attaches the path to an input/output error; for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ModelError {
        let path = path.into();
        move |source| ModelError::Io { path, source }
    }
}
