use std::sync::Arc;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use super::{SessionEvent, SessionFailure, Tap};
use crate::decoder::{Decoder, candidates};
use crate::element_facts::ElementFacts;
use crate::{Codec, DecoderChoice, FailureKind, Redactor, SourceSpec, StreamFailure};

/// The decoder's name in its pipeline.
pub(super) const DECODER: &str = "decoder";
/// The name of the element that brings pictures down from the decoder's memory.
pub(super) const DOWNLOAD: &str = "download";

/// What the source hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// RTP packets of this codec.
    Rtp(Codec),
    /// The codec's own data.
    Elementary(Codec),
}

/// Everything behind the source: depayload, parse, decode, gate, convert, sink. Built when the source
/// knows what it has, on the thread that found it out.
#[derive(Clone)]
pub(super) struct VideoChain {
    /// Weak: it lives in callbacks of the pipeline's own elements.
    pipeline: glib::WeakRef<gst::Pipeline>,
    choice: DecoderChoice,
    rejected: Vec<String>,
    /// Frames come as fast as they are read and have to be held back to their times.
    paced: bool,
    pub(super) tap: Arc<Tap>,
}

impl VideoChain {
    pub(super) fn new(
        pipeline: &gst::Pipeline,
        spec: &SourceSpec,
        rejected: &[String],
        tap: &Arc<Tap>,
    ) -> Self {
        Self {
            pipeline: pipeline.downgrade(),
            choice: spec.decoder.clone(),
            rejected: rejected.to_vec(),
            paced: matches!(spec.url.kind(), crate::SourceKind::File(_)),
            tap: Arc::clone(tap),
        }
    }

    /// Tells the supervision that there will be no pictures.
    pub(super) fn fail(&self, failure: StreamFailure) {
        self.tap.send(SessionEvent::Failed(SessionFailure::new(failure)));
    }

    /// Puts the chain behind `pad`, or tells the supervision why not.
    pub(super) fn attach(&self, pad: &gst::Pad, input: Input) {
        if let Err(failure) = self.try_attach(pad, input) {
            self.fail(failure);
        }
    }

    fn try_attach(&self, pad: &gst::Pad, input: Input) -> Result<(), StreamFailure> {
        // Gone: the pipeline is being torn down.
        let Some(pipeline) = self.pipeline.upgrade() else { return Ok(()) };
        let codec = match input {
            Input::Rtp(codec) | Input::Elementary(codec) => codec,
        };
        let mut elements = Vec::new();
        if let Input::Rtp(_) = input {
            elements.extend(depayloader(codec).map(make).transpose()?);
        }
        elements.extend(parser(codec).map(make).transpose()?);
        // The pad behind which a picture is a picture; for raw video that is where it comes in.
        let mut pictures = pad.clone();
        if let Some((decoder, element)) = self.decoder(codec)? {
            pictures = static_pad(&element, "src")?;
            self.watch_encoded_caps(&element);
            elements.push(element);
            if self.paced {
                let pacer = make("identity")?;
                pacer.set_property("sync", true);
                pictures = static_pad(&pacer, "src")?;
                elements.push(pacer);
            }
            if let Some(download) = decoder.download {
                elements.push(named(download.element, DOWNLOAD)?);
                if let Some(format) = download.format {
                    let filter = make("capsfilter")?;
                    let caps = gst::Caps::builder("video/x-raw").field("format", format).build();
                    filter.set_property("caps", caps);
                    elements.push(filter);
                }
            }
            if decoder.small_pool {
                self.tap.copy_frames();
            }
            self.tap.with_facts(|facts| facts.decoder = Some(decoder.element));
        } else {
            // A capture device has few buffers.
            self.tap.copy_frames();
        }
        self.tap.with_facts(|facts| {
            facts.codec = Some(codec);
            facts.video.taken();
        });
        // Passes the formats of the filter behind it through untouched.
        elements.push(make("videoconvert")?);
        let filter = make("capsfilter")?;
        let formats = gst::List::new(["NV12", "I420", "RGB"]);
        filter.set_property("caps", gst::Caps::builder("video/x-raw").field("format", formats).build());
        elements.push(filter);
        elements.push(self.tap.sink().upcast());
        self.tap.gate(&pictures);

        let broken =
            |what: &str| StreamFailure::with_detail(FailureKind::Other, format!("{what} the video chain"));
        pipeline.add_many(&elements).map_err(|_| broken("cannot add"))?;
        gst::Element::link_many(&elements).map_err(|_| broken("cannot link"))?;
        // From the sink up: no element gets data before the next one is ready for it.
        for element in elements.iter().rev() {
            element.sync_state_with_parent().map_err(|_| broken("cannot start"))?;
        }
        let first = elements.first().ok_or_else(|| broken("nothing in"))?;
        let entry = static_pad(first, "sink")?;
        pad.link(&entry).map_err(|error| {
            StreamFailure::with_detail(FailureKind::BadStream, format!("{codec} stream not usable: {error}"))
        })?;
        Ok(())
    }

    /// The first decoder that gets ready, of those not rejected; `None` for raw video.
    fn decoder(&self, codec: Codec) -> Result<Option<(Decoder, gst::Element)>, StreamFailure> {
        if codec == Codec::Raw {
            return Ok(None);
        }
        let found = candidates(&self.choice, codec, ElementFacts::of).map_err(|names| {
            StreamFailure::with_detail(FailureKind::MissingElement, format!("no {codec} decoder: {names}"))
        })?;
        let mut last = StreamFailure::new(FailureKind::DecoderFailed);
        for decoder in found {
            if self.rejected.contains(&decoder.element) {
                self.decoder_failed(&decoder.element, "it failed before its first frame");
                continue;
            }
            let element = named(&decoder.element, DECODER)?;
            for switch in decoder.switches {
                turn_on(&element, switch);
            }
            // A hardware decoder opens its device here, and says no here.
            if element.set_state(gst::State::Ready).is_ok() {
                return Ok(Some((decoder, element)));
            }
            let _ = element.set_state(gst::State::Null);
            self.decoder_failed(&decoder.element, "it does not start");
            last = StreamFailure::with_detail(
                FailureKind::DecoderFailed,
                format!("{} does not start", decoder.element),
            );
        }
        Err(last)
    }

    fn decoder_failed(&self, element: &str, why: &str) {
        tracing::warn!(decoder = element, "decoder {element} is not used: {why}");
        self.tap.with_facts(|facts| facts.decoders_failed.push(format!("{element}: {why}")));
    }

    fn watch_encoded_caps(&self, decoder: &gst::Element) {
        let Some(pad) = decoder.static_pad("sink") else { return };
        let tap = Arc::clone(&self.tap);
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &info.data
                && let gst::EventView::Caps(caps) = event.view()
            {
                tap.with_facts(|facts| facts.encoded_caps = Some(caps.caps_owned()));
            }
            gst::PadProbeReturn::Ok
        });
    }
}

fn depayloader(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::H264 => Some("rtph264depay"),
        Codec::H265 => Some("rtph265depay"),
        Codec::Mjpeg => Some("rtpjpegdepay"),
        Codec::Raw => None,
    }
}

/// `rtpjpegdepay` and the demuxers give whole pictures: JPEG needs no parser.
fn parser(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::H264 => Some("h264parse"),
        Codec::H265 => Some("h265parse"),
        Codec::Mjpeg | Codec::Raw => None,
    }
}

pub(super) fn make(factory: &str) -> Result<gst::Element, StreamFailure> {
    gst::ElementFactory::make(factory).build().map_err(|_| missing(factory))
}

fn named(factory: &str, name: &str) -> Result<gst::Element, StreamFailure> {
    gst::ElementFactory::make(factory).name(name).build().map_err(|_| missing(factory))
}

/// Sets a property to true where the element has it: which ones there are depends on the board and its software.
fn turn_on(element: &gst::Element, switch: &str) {
    let is_switch = |property: glib::ParamSpec| property.value_type() == glib::Type::BOOL;
    if element.find_property(switch).is_some_and(is_switch) {
        element.set_property(switch, true);
    }
}

fn missing(factory: &str) -> StreamFailure {
    StreamFailure::with_detail(FailureKind::MissingElement, Redactor::process().redact(factory).into_owned())
}

fn static_pad(element: &gst::Element, name: &str) -> Result<gst::Pad, StreamFailure> {
    element.static_pad(name).ok_or_else(|| {
        let detail = format!("{} has no {name} pad", element.name());
        StreamFailure::with_detail(FailureKind::DecoderFailed, detail)
    })
}
