//! Where a graph's weights come from.

use crate::ModelError;

/// A source of weights in native names. [`Checkpoint`](super::Checkpoint) is one; tests and the synthetic model are
/// others.
pub trait Weights {
    /// The elements of a tensor, row-major, as f32, in the shape of the native layout.
    ///
    /// # Errors
    /// A tensor that is not there or cannot be read.
    fn read(&self, name: &str) -> Result<Vec<f32>, ModelError>;

    /// Whether the logits have a weight matrix of their own (`lm_head.weight`) instead of the embedding.
    fn untied_head(&self) -> bool {
        false
    }

    /// Whether the logits have a bias (`final_logits_bias`, `[1, vocabulary]`).
    fn logits_bias(&self) -> bool {
        false
    }
}
