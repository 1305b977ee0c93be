use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::plugging::hold_back_until_plugged;
use super::video_chain::{Input, VideoChain, make};
use crate::state_change::{StateChangeFailure, on_a_thread};
use crate::test_picture::TestPattern;
use crate::{Codec, FailureKind, SourceKind, SourceSpec, StreamFailure, TestPicture, Transport};

/// How long the jitter buffer waits for a packet that is missing or late, ms. Packets in order do not wait.
const JITTER_BUFFER_MS: u32 = 200;

/// Looks whether the file or device of `spec` is there and may be read: an error of ours now rather than one of a
/// typefinder's later. On a thread of its own: a file may be on a server that has gone, and then each look at it hangs.
pub(super) async fn look(spec: &SourceSpec, abandoned_here: &Arc<AtomicUsize>) -> Result<(), StreamFailure> {
    let kind = spec.url.kind().clone();
    let (SourceKind::File(path) | SourceKind::V4l2(path)) = spec.url.kind() else { return Ok(()) };
    let looked =
        on_a_thread(&spec.camera, abandoned_here, spec.timeouts.state_change, move || look_at(&kind));
    match looked.await {
        Ok(found) => found,
        Err(StateChangeFailure::Stuck) => {
            let detail = format!("{} does not open", path.display());
            Err(StreamFailure::with_detail(FailureKind::Stuck, detail))
        }
        Err(_) => Err(StreamFailure::with_detail(FailureKind::Other, "no thread to be had")),
    }
}

fn look_at(kind: &SourceKind) -> Result<(), StreamFailure> {
    match kind {
        SourceKind::File(path) => {
            // Opening a pipe would hang until somebody writes into it.
            if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
                let detail = format!("{} is not a file", path.display());
                return Err(StreamFailure::with_detail(FailureKind::BadStream, detail));
            }
            std::fs::File::open(path).map(drop).map_err(|error| file_failure(path, &error))
        }
        SourceKind::V4l2(path) => {
            std::fs::metadata(path).map(drop).map_err(|error| file_failure(path, &error))
        }
        SourceKind::Rtsp | SourceKind::Rtsps | SourceKind::Test(_) => Ok(()),
    }
}

/// Adds the source of `spec` to the pipeline. `chain` is put behind it, now or when the source has found
/// its video.
pub(super) fn add_source(
    pipeline: &gst::Pipeline,
    spec: &SourceSpec,
    chain: VideoChain,
) -> Result<(), StreamFailure> {
    match spec.url.kind() {
        SourceKind::Rtsp | SourceKind::Rtsps => add_rtsp(pipeline, spec, chain),
        SourceKind::File(path) => {
            let source = make("filesrc")?;
            source.set_property("location", path);
            add_parsed(pipeline, &source, chain)
        }
        SourceKind::V4l2(path) => {
            let source = make("v4l2src")?;
            source.set_property("device", path.to_string_lossy().as_ref());
            add_parsed(pipeline, &source, chain)
        }
        SourceKind::Test(picture) => add_test(pipeline, picture, &chain),
    }
}

fn file_failure(path: &Path, error: &std::io::Error) -> StreamFailure {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => FailureKind::NotFound,
        std::io::ErrorKind::PermissionDenied => FailureKind::Forbidden,
        _ => FailureKind::Other,
    };
    let detail = match kind {
        FailureKind::Other => format!("{}: {error}", path.display()),
        _ => path.display().to_string(),
    };
    StreamFailure::with_detail(kind, detail)
}

fn broken(what: &str) -> StreamFailure {
    StreamFailure::with_detail(FailureKind::Other, format!("cannot link {what}"))
}

fn add_test(
    pipeline: &gst::Pipeline,
    picture: &TestPicture,
    chain: &VideoChain,
) -> Result<(), StreamFailure> {
    let source = make("videotestsrc")?;
    source.set_property("is-live", true);
    match picture.pattern {
        TestPattern::Bars => source.set_property_from_str("pattern", "smpte"),
        TestPattern::Ball => source.set_property_from_str("pattern", "ball"),
        TestPattern::Snow => source.set_property_from_str("pattern", "snow"),
        TestPattern::Solid(colour) => {
            source.set_property_from_str("pattern", "solid-color");
            source.set_property("foreground-color", 0xff00_0000 | colour);
        }
    }
    let filter = make("capsfilter")?;
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", side(picture.width_px))
        .field("height", side(picture.height_px))
        .field("framerate", gst::Fraction::new(side(picture.rate), 1))
        .build();
    filter.set_property("caps", caps);
    pipeline.add_many([&source, &filter]).map_err(|_| broken("the test picture"))?;
    source.link(&filter).map_err(|_| broken("the test picture"))?;
    let pad = filter.static_pad("src").ok_or_else(|| broken("the test picture"))?;
    chain.attach(&pad, Input::Elementary(Codec::Raw));
    Ok(())
}

/// Checked when the URL was read.
fn side(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A source of bytes or pictures, whatever they are: `parsebin` finds out.
fn add_parsed(
    pipeline: &gst::Pipeline,
    source: &gst::Element,
    chain: VideoChain,
) -> Result<(), StreamFailure> {
    let parser = make("parsebin")?;
    hold_back_until_plugged(&parser);
    pipeline.add_many([source, &parser]).map_err(|_| broken("the source"))?;
    source.link(&parser).map_err(|_| broken("the source"))?;
    let at_end = chain.clone();
    let weak_pipeline = pipeline.downgrade();
    parser.connect_pad_added(move |_, pad| {
        guarded(&chain, || {
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let media_type = caps.structure(0).map_or("", |structure| structure.name().as_str());
            match (Codec::from_media_type(media_type), offer(&chain, media_type)) {
                (Some(codec), true) => chain.attach(pad, Input::Elementary(codec)),
                _ => {
                    // A pad that leads nowhere could stop its demuxer.
                    if let Some(pipeline) = weak_pipeline.upgrade() {
                        discard(&pipeline, pad);
                    }
                }
            }
        });
    });
    parser.connect_no_more_pads(move |_| {
        if let Some(failure) = at_end.tap.with_facts(|facts| facts.video.failure()) {
            at_end.fail(failure);
        }
    });
    Ok(())
}

fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) {
    let Ok(sink) =
        gst::ElementFactory::make("fakesink").property("sync", false).property("async", false).build()
    else {
        return;
    };
    if pipeline.add(&sink).is_ok()
        && sink.sync_state_with_parent().is_ok()
        && let Some(entry) = sink.static_pad("sink")
    {
        let _ = pad.link(&entry);
    }
}

fn add_rtsp(pipeline: &gst::Pipeline, spec: &SourceSpec, chain: VideoChain) -> Result<(), StreamFailure> {
    let source = make("rtspsrc")?;
    source.set_property("location", spec.url.location());
    if let Some(credentials) = spec.effective_credentials() {
        source.set_property("user-id", credentials.user());
        source.set_property("user-pw", credentials.password());
    }
    let protocols = match spec.transport {
        Transport::Auto => "tcp+udp",
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    source.set_property_from_str("protocols", protocols);
    source.set_property("tcp-timeout", micros(spec.timeouts.rtsp_answer));
    source.set_property("timeout", micros(spec.timeouts.udp_silence));
    source.set_property("latency", JITTER_BUFFER_MS);
    source.set_property("drop-on-latency", true);
    if spec.trust_any_certificate {
        source.set_property_from_str("tls-validation-flags", "no-flags");
    }
    // Only the first video that can be decoded is set up: no audio, no second view.
    let select = chain.clone();
    source.connect("select-stream", false, move |values| {
        let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let wanted = catch_unwind(AssertUnwindSafe(|| caps.is_some_and(|caps| wants(&select, &caps))));
        Some(wanted.unwrap_or(false).to_value())
    });
    let at_end = chain.clone();
    source.connect_pad_added(move |_, pad| {
        guarded(&chain, || {
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            if let Some(codec) = rtp_encoding(&caps).and_then(|(_, name)| Codec::from_rtp_encoding(&name)) {
                chain.attach(pad, Input::Rtp(codec));
            }
        });
    });
    source.connect_no_more_pads(move |_| {
        if let Some(failure) = at_end.tap.with_facts(|facts| facts.video.failure()) {
            at_end.fail(failure);
        }
    });
    pipeline.add(&source).map_err(|_| broken("the RTSP source"))
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn wants(chain: &VideoChain, caps: &gst::Caps) -> bool {
    match rtp_encoding(caps) {
        Some((media, name)) if media == "video" => {
            let known = Codec::from_rtp_encoding(&name).is_some();
            chain.tap.with_facts(|facts| facts.video.note(known, &name))
        }
        _ => false,
    }
}

/// The media and the encoding name of an RTP stream.
fn rtp_encoding(caps: &gst::Caps) -> Option<(String, String)> {
    let structure = caps.structure(0)?;
    let media = structure.get::<String>("media").ok()?;
    // A static payload type has no name in the SDP; 26 is JPEG (RFC 3551).
    let name = structure.get::<String>("encoding-name").ok();
    let name = name.or_else(|| (structure.get::<i32>("payload") == Ok(26)).then(|| "JPEG".to_owned()))?;
    Some((media, name))
}

fn offer(chain: &VideoChain, media_type: &str) -> bool {
    let video = media_type.starts_with("video/") || media_type.starts_with("image/");
    let known = Codec::from_media_type(media_type).is_some();
    video && chain.tap.with_facts(|facts| facts.video.note(known, media_type))
}

/// Runs a callback of GStreamer's. A panic must not unwind into C: it becomes a failure of the stream, where the process
/// outlives it. The daemon's panics end the process before they unwind.
fn guarded(chain: &VideoChain, callback: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(callback)).is_err() {
        chain.fail(StreamFailure::with_detail(FailureKind::Other, "a fault in Belvedere"));
    }
}
