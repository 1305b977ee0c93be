//! What was found of a phrase.

use super::Evidence;

/// What was found of one phrase in one picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundPhrase {
    /// The best first; empty where the model gave no box. Of those that the region check was needed for, the best four.
    pub regions: Vec<FoundRegion>,
}

/// A part of the picture that the model took for a phrase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundRegion {
    /// x1, y1, x2, y2 in pixels of the picture.
    pub box_px: [f32; 4],
    /// How sure it is that this is the phrase, from 0 to 1.
    pub score: f32,
    /// What the score is made of.
    pub evidence: Evidence,
}
