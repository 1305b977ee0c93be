use std::path::Path;

use anyhow::{Context, Result, bail};
use gstreamer as gst;
use gstreamer::prelude::*;

/// Writes an MP4 file of H.264, 320x240 at 10 frames per second, with `frames` frames.
pub fn write_video(path: &Path, frames: u32) -> Result<()> {
    gst::init()?;
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,format=I420,width=320,height=240,framerate=10/1 \
         ! x264enc speed-preset=ultrafast threads=1 key-int-max=10 ! h264parse ! mp4mux ! filesink name=sink"
    ))?
    .downcast::<gst::Pipeline>()
    .ok()
    .context("no pipeline")?;
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
