//! Why a question has no answer.

use std::path::PathBuf;

use belvedere_kernels::KernelError;
use belvedere_models::ModelError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The picture cannot be brought to the model's size.
    #[error(transparent)]
    Picture(#[from] KernelError),
    /// The checkpoint, the engine or the prompt is at fault, or the call was cancelled.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device that was asked for is not to be had, with what `doctor` says to do about it.
    #[error("{error}{}", .advice.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Unavailable {
        /// What the engine says.
        error: Box<ModelError>,
        /// Lines for people.
        advice: Vec<String>,
    },
    /// The bundled checkpoint cannot be unpacked.
    #[error("the bundled model cannot be written to {}: {reason}", dir.display())]
    Bundled {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl AnalysisError {
    /// Whether a device or a library that is needed is missing on this machine.
    pub fn is_unavailable(&self) -> bool {
        match self {
            AnalysisError::Unavailable { .. } => true,
            AnalysisError::Model(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// Whether the call was told to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, AnalysisError::Model(ModelError::Cancelled))
    }
}
