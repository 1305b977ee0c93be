//! The decode stage: an H.264 clip made here, decoded by the pipelines that watch cameras.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use belvedere_kernels::RgbImage;
use belvedere_pipelines::{AtEnd, Camera, CameraName, Scheduler, SourceSpec, SourceUrl, start_gstreamer};
use gstreamer::prelude::*;
use gstreamer::{ClockTime, MessageType, MessageView, State};

use super::super::CommandError;
use super::samples::Samples;

const FRAMES: u32 = 90;
const LIMIT: Duration = Duration::from_secs(60);
/// So often at most: each pass has `FRAMES` frames.
const MAX_PASSES: u32 = 10;

/// A clip of 1280x720 at 30 frames/s in a file, which goes when this is dropped.
pub(super) struct Clip {
    path: PathBuf,
}

impl Clip {
    pub(super) fn make() -> Result<Clip, CommandError> {
        start_gstreamer()?;
        let name = format!("belvedere-bench-{}-{:x}.mkv", std::process::id(), fastrand::u64(..));
        let clip = Clip { path: std::env::temp_dir().join(name) };
        let wrong = |error: &dyn std::fmt::Display| CommandError::Missed(format!("the clip: {error}"));
        let launch = format!(
            "videotestsrc num-buffers={FRAMES} pattern=ball background-color=0xff305070 \
             ! video/x-raw,width=1280,height=720,framerate=30/1 ! x264enc speed-preset=veryfast key-int-max=30 \
             ! h264parse ! matroskamux ! filesink name=out"
        );
        let pipeline = gstreamer::parse::launch(&launch).map_err(|error| wrong(&error))?;
        let bin = pipeline.downcast_ref::<gstreamer::Bin>().ok_or_else(|| wrong(&"no pipeline"))?;
        let sink = bin.by_name("out").ok_or_else(|| wrong(&"no file sink"))?;
        sink.set_property("location", clip.path.as_os_str().to_string_lossy().as_ref());
        let bus = pipeline.bus().ok_or_else(|| wrong(&"no bus"))?;
        pipeline.set_state(State::Playing).map_err(|error| wrong(&error))?;
        let ends = [MessageType::Eos, MessageType::Error];
        let end = bus.timed_pop_filtered(ClockTime::from_seconds(LIMIT.as_secs()), &ends);
        let made = match end.as_ref().map(|message| message.view()) {
            Some(MessageView::Eos(_)) => Ok(clip),
            Some(MessageView::Error(error)) => Err(wrong(&error.error())),
            _ => Err(wrong(&"not made in time")),
        };
        let _ = pipeline.set_state(State::Null);
        made
    }

    /// Decodes the clip again and again; a sample is the mean time of a frame in one pass. Gives a
    /// picture of it.
    pub(super) fn measure(&self, passes: u32, samples: &mut Samples) -> Result<RgbImage, CommandError> {
        let url = SourceUrl::parse(&format!("file://{}", self.path.display()))?;
        let mut spec = SourceSpec::new(CameraName::new("clip")?, url);
        spec.fps = 240.0;
        spec.at_end = AtEnd::Stop;
        let runtime = super::super::run::runtime()?;
        let scheduler = Scheduler::new();
        let mut picture = None;
        for _ in 0..passes.clamp(1, MAX_PASSES) {
            let pass = async {
                let mut camera = Camera::spawn(spec.clone(), &scheduler)?;
                let before = camera.counters().values().decoded;
                let mut status = camera.status();
                // The clock starts with the first frame: opening is no decoding.
                let _ = tokio::time::timeout(LIMIT, status.changed()).await;
                let (clock, first) = (Instant::now(), camera.counters().values().decoded);
                let ended = tokio::time::timeout(LIMIT, camera.ended()).await.is_ok();
                let decoded = camera.counters().values().decoded;
                let elapsed = clock.elapsed();
                camera.stop().await;
                Ok::<_, CommandError>((ended, decoded - before, decoded - first, elapsed))
            };
            let (ended, decoded, timed, elapsed) = runtime.block_on(pass)?;
            if !ended || decoded == 0 {
                return Err(CommandError::Missed(format!("the clip: {decoded} of {FRAMES} frames decoded")));
            }
            if timed > 0 {
                samples.add("stream decode", elapsed.as_secs_f64() * 1e3 / timed as f64);
            }
            if let Some(frame) = scheduler.try_next() {
                picture = Some(frame.view()?.to_rgb());
            }
        }
        runtime.shutdown_background();
        picture.ok_or_else(|| CommandError::Missed("the clip: no frame arrived".to_owned()))
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
