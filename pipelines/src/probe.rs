use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_kernels::Colorimetry;
use gstreamer_video::VideoInfo;

use crate::colorimetry::colorimetry;
use crate::session::{self, Session, SessionEvent, SessionFailure, StreamFacts};
use crate::{Codec, FailureKind, LatestFrame, PipelineError, Redactor, Scheduler, SourceSpec, StreamFailure};

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
    /// Decoders that were tried before, and why they are not used.
    pub decoders_failed: Vec<String>,
    /// From the start of the pipeline to the first frame, connecting included.
    pub time_to_first_frame: Duration,
}

/// Opens the stream once, waits for its first frame and closes it again.
///
/// # Errors
/// [`PipelineError::Stream`] with what is wrong in plain words; a `deadline` that passes is one of those.
/// Besides, what [`crate::Camera::spawn`] refuses.
pub async fn probe(spec: &SourceSpec, deadline: Duration) -> Result<StreamReport, PipelineError> {
    spec.validate()?;
    spec.add_secrets_to(Redactor::process());
    crate::start_gstreamer()?;
    let failed = |failure| PipelineError::Stream { camera: spec.camera.clone(), failure };
    match tokio::time::timeout(deadline, probe_until_first_frame(spec)).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(failure)) => Err(failed(failure)),
        Err(_) => {
            let detail = format!("no picture within {deadline:?}");
            Err(failed(StreamFailure::with_detail(FailureKind::Timeout, detail)))
        }
    }
}

async fn probe_until_first_frame(spec: &SourceSpec) -> Result<StreamReport, StreamFailure> {
    let mut spec = spec.clone();
    let mut rejected = Vec::new();
    loop {
        let started = Instant::now();
        let slot = Scheduler::new().slot(&spec.camera);
        let SessionFailure { failure, remedy } = match probe_once(&spec, slot, &rejected, started).await {
            Ok(report) => return Ok(report),
            Err(failure) => failure,
        };
        if !remedy.is_some_and(|remedy| remedy.apply(&mut spec, &mut rejected)) {
            return Err(session::diagnose(&spec, failure, started.elapsed()).await);
        }
    }
}

async fn probe_once(
    spec: &SourceSpec,
    slot: Arc<LatestFrame>,
    rejected: &[String],
    started: Instant,
) -> Result<StreamReport, SessionFailure> {
    let mut session = Session::start(spec, slot, rejected, &Arc::default()).await?;
    let event = session.next_event().await;
    let time_to_first_frame = started.elapsed();
    let facts = session.facts();
    // A pipeline that hangs was logged and left behind; the report stands.
    let _ = session.stop(spec.timeouts.state_change).await;
    match event {
        SessionEvent::FirstFrame => report(facts, time_to_first_frame).map_err(SessionFailure::new),
        SessionEvent::Failed(failure) => Err(failure),
        SessionEvent::Ended => {
            let detail = "it ended before its first picture";
            Err(SessionFailure::new(StreamFailure::with_detail(FailureKind::BadStream, detail)))
        }
    }
}

fn report(facts: StreamFacts, time_to_first_frame: Duration) -> Result<StreamReport, StreamFailure> {
    let unknown = || StreamFailure::with_detail(FailureKind::BadStream, "its format is not known");
    let codec = facts.codec.ok_or_else(unknown)?;
    let info = facts.raw_caps.and_then(|caps| VideoInfo::from_caps(&caps).ok()).ok_or_else(unknown)?;
    let encoded = facts.encoded_caps.as_ref().and_then(|caps| caps.structure(0));
    let rate = |fraction: gstreamer::Fraction| {
        (fraction.numer() > 0 && fraction.denom() > 0)
            .then(|| f64::from(fraction.numer()) / f64::from(fraction.denom()))
    };
    let frame_rate = rate(info.fps())
        .or_else(|| encoded.and_then(|encoded| rate(encoded.get::<gstreamer::Fraction>("framerate").ok()?)));
    Ok(StreamReport {
        codec,
        profile: encoded.and_then(|encoded| encoded.get::<String>("profile").ok()),
        width_px: info.width(),
        height_px: info.height(),
        frame_rate,
        colorimetry: info.is_yuv().then(|| colorimetry(&info.colorimetry(), info.height())),
        pixel_format: info.name().to_owned(),
        decoder: facts.decoder,
        decoders_failed: facts.decoders_failed,
        time_to_first_frame,
    })
}
