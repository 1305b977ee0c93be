use std::path::Path;

use anyhow::{Context, Result, bail};
use gstreamer as gst;
use gstreamer::prelude::*;

/// The film of the demonstration.
const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny/demo.mp4");

/// Writes an MP4 file of H.264 with the first pictures of the demonstration's film, 1920x1080 and so noisy that each of
/// them is more than 1 MiB as a good JPEG.
pub fn write_noisy_film(path: &Path) -> Result<()> {
    write(
        path,
        &format!(
            "filesrc location={FILM:?} ! qtdemux ! h264parse ! decodebin ! identity eos-after=6 ! videoscale ! videoconvert \
             ! video/x-raw,format=I420,width=1920,height=1080 ! compositor name=mixed sink_1::alpha=0.2 \
             ! video/x-raw,format=I420,width=1920,height=1080 \
             ! x264enc speed-preset=ultrafast pass=quant quantizer=8 key-int-max=5 ! h264parse ! mp4mux ! filesink name=sink \
             videotestsrc pattern=snow num-buffers=6 ! video/x-raw,format=I420,width=1920,height=1080,framerate=15/1 ! mixed."
        ),
    )
}

/// Writes an MP4 file of H.264 with the demonstration's film in that size, `fps` of its pictures a second, without B frames and with
/// a key frame each second.
pub fn write_film(path: &Path, width_px: u32, height_px: u32, fps: u32) -> Result<()> {
    write(
        path,
        &format!(
            "filesrc location={FILM:?} ! qtdemux ! h264parse ! decodebin ! videorate ! videoscale ! videoconvert \
             ! video/x-raw,format=I420,width={width_px},height={height_px},framerate={fps}/1 \
             ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={fps} bitrate=4000 ! h264parse ! mp4mux ! filesink name=sink"
        ),
    )
}

/// Writes an MP4 file of H.264, 320x240 at 10 frames per second, with `frames` frames.
pub fn write_video(path: &Path, frames: u32) -> Result<()> {
    write(
        path,
        &format!(
            "videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,format=I420,width=320,height=240,framerate=10/1 \
         ! x264enc speed-preset=ultrafast threads=1 key-int-max=10 ! h264parse ! mp4mux ! filesink name=sink"
        ),
    )
}

/// Runs a pipeline to its end, whose element `sink` writes the file.
fn write(path: &Path, pipeline: &str) -> Result<()> {
    gst::init()?;
    let pipeline = gst::parse::launch(pipeline)?.downcast::<gst::Pipeline>().ok().context("no pipeline")?;
    pipeline.by_name("sink").context("no sink")?.set_property("location", path.to_string_lossy().as_ref());
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().context("no bus")?;
    let ended = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(60),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null)?;
    match ended.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        other => bail!("writing {}: {other:?}", path.display()),
    }
}
