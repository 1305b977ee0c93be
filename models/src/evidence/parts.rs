//! What is measured about one answer.

use serde::Serialize;

/// What is measured about one region that the model gave for a phrase. Log-probabilities are natural ones, means over
/// tokens, at most 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evidence {
    /// The geometric mean of the probabilities of the region's four location tokens, from 0 to 1.
    pub location: f32,
    /// The log-probability of saying the phrase at all.
    pub label: f32,
    /// By how much the picture made phrase and box more probable than a blank picture does; absent where it was not
    /// asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contrast: Option<f32>,
    /// The log-probability of the phrase as the answer to "what is in this region?"; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<f32>,
    /// The same of the best rival: another watched phrase, or what object detection calls the region; absent where
    /// there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rival: Option<f32>,
}
