//! What was measured, for people and for machines.

use serde::Serialize;

use super::super::table::table;
use super::samples::Summary;

/// The JSON of `bench --format json`. `decode` covers prefill and all steps; `answer` everything from
/// pixels to regions; `stream decode` a frame of an H.264 clip; `publish` a result from the outbox to a
/// subscriber.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) device: String,
    pub(super) processor: String,
    pub(super) model: String,
    pub(super) precision: &'static str,
    pub(super) beams: u16,
    /// Width and height of the picture before preprocessing.
    pub(super) picture: [u32; 2],
    pub(super) prompt: String,
    pub(super) prompt_token_ids: Vec<u32>,
    pub(super) iterations: u32,
    /// After the start token.
    pub(super) tokens: usize,
    /// The answer, start token included: the same in each iteration.
    pub(super) token_ids: Vec<u32>,
    pub(super) load_ms: f64,
    pub(super) peak_memory_bytes: u64,
    /// One over the median of `answer`.
    pub(super) frames_per_second: Option<f64>,
    /// Absent where phrases were not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phrases: Option<PhraseCosts>,
    pub(super) stages: Vec<Summary>,
}

/// The time of a frame that is searched for N phrases over that of one with a single phrase.
#[derive(Debug, Serialize)]
pub(super) struct PhraseCosts {
    /// N.
    pub(super) count: u16,
    /// With a question for each.
    pub(super) each: f64,
    /// With one question for all.
    pub(super) grouped: f64,
}

impl Report {
    pub(super) fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .stages
            .iter()
            .map(|stage| {
                let (p50, p95) = (format!("{:.2}", stage.p50_ms), format!("{:.2}", stage.p95_ms));
                vec![stage.stage.to_owned(), p50, p95, stage.samples_ms.len().to_string()]
            })
            .collect();
        let mut text = format!(
            "device     {}\nprocessor  {}\nmodel      {}, {}, {} beam(s)\npicture    {}x{}\n\n{}\n",
            self.device,
            self.processor,
            self.model,
            self.precision,
            self.beams,
            self.picture[0],
            self.picture[1],
            table(&["stage", "p50 ms", "p95 ms", "samples"], &rows)
        );
        if let Some(frames) = self.frames_per_second {
            text.push_str(&format!("frames per second  {frames:.2}\n"));
        }
        if let Some(PhraseCosts { count, each, grouped }) = &self.phrases {
            text.push_str(&format!(
                "{count} phrases for 1   each {each:.2} times, grouped {grouped:.2} times\n"
            ));
        }
        text.push_str(&format!("model loaded in    {:.0} ms\n", self.load_ms));
        text.push_str(&format!("peak memory        {:.0} MB\n", self.peak_memory_bytes as f64 / 1e6));
        text.push_str(&format!("tokens an answer   {}\n", self.tokens));
        text
    }
}
