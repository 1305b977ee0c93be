//! What one analysed frame says about one phrase.

use belvedere_models::Evidence;

use super::Moment;

/// What one analysed frame says about one phrase. A frame on which nothing was found is a sighting
/// too, without regions: that it was looked at is what ends an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The frame's number. A rule takes a sighting with the number of the one before for a repetition.
    pub frame_id: u64,
    /// When the frame came from the camera, not when the model was done with it.
    pub captured: Moment,
    /// Of the frame, in pixels.
    pub width: u32,
    /// Of the frame, in pixels.
    pub height: u32,
    /// What the model took for the phrase, in any order.
    pub regions: Vec<SeenRegion>,
}

/// One thing that the model took for the phrase. All values are untrusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenRegion {
    /// How sure it is that this is the phrase, from 0 to 1.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels of the frame.
    pub box_px: [f32; 4],
    /// What the score is made of, to be told; no rule looks at it.
    pub evidence: Option<Evidence>,
}

/// A region that counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountedRegion {
    /// Its place in [`Sighting::regions`].
    pub index: usize,
    /// From 0 to 1.
    pub score: f32,
    /// As it was seen; finite, but perhaps partly outside the frame.
    pub box_px: [f32; 4],
    /// As it was seen.
    pub evidence: Option<Evidence>,
}
