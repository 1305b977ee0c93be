//! What is measured about one answer.

use serde::{Deserialize, Serialize};

/// What is measured about one region that the model gave for a phrase. Log-probabilities are natural ones, means over
/// tokens, at most 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The geometric mean of the probabilities of the region's four location tokens, from 0 to 1.
    pub location: f32,
    /// The log-probability of saying the phrase at all, and not nothing.
    pub label: f32,
    /// By how much more probable phrase and box are than they would be in a blank picture, a mean over their tokens.
    pub contrast: f32,
    /// The log-probability of the phrase as the answer to "what is in this region?"; absent where the others left no
    /// doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<f32>,
    /// The same of the best rival: another watched phrase, or what object detection calls the region; absent where
    /// there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rival: Option<f32>,
}
