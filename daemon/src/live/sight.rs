//! What was found in a frame, beside its picture.

use std::time::SystemTime;

use belvedere_models::{Region, Task};
use serde::{Serialize, Serializer};

use crate::messages::rfc3339_ms;

/// Everything that was found in one frame.
#[derive(Debug, Clone, Serialize)]
pub struct Sight {
    /// The camera's name.
    pub camera: String,
    /// The frame's number.
    pub frame_id: u64,
    /// When the frame came from the camera.
    #[serde(serialize_with = "moment")]
    pub captured_at: SystemTime,
    /// How old the frame was when its results were published.
    pub age_ms: u64,
    /// Of the frame; what the regions are in.
    pub width: u32,
    /// Of the frame.
    pub height: u32,
    /// The answers to the camera's tasks.
    pub results: Vec<SightResult>,
    /// The phrases that were looked for.
    pub phrases: Vec<SightPhrase>,
}

/// The answer to one task.
#[derive(Debug, Clone, Serialize)]
pub struct SightResult {
    /// What was asked.
    pub task: Task,
    /// The text that the task was asked about; null where it takes none.
    pub input: Option<String>,
    /// The answer as text.
    pub text: String,
    /// The answer's regions, in pixels of the frame.
    pub regions: Vec<Region>,
}

/// What was found of one phrase.
#[derive(Debug, Clone, Serialize)]
pub struct SightPhrase {
    /// The phrase.
    pub phrase: String,
    /// Its name in topics and metrics.
    pub slug: String,
    /// What counts.
    pub min_score: f64,
    /// The best first.
    pub regions: Vec<SightRegion>,
}

/// A part of the frame that was taken for a phrase.
#[derive(Debug, Clone, Serialize)]
pub struct SightRegion {
    /// How sure it is that this is the phrase, from 0 to 1.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels of the frame.
    #[serde(rename = "box")]
    pub box_px: [f32; 4],
}

fn moment<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_ms(*time))
}
