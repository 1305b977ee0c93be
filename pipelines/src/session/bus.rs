use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer::{CoreError, ResourceError, StreamError, glib};

use super::video_chain::{DECODER, DOWNLOAD};
use super::{Remedy, SessionEvent, SessionFailure};
use crate::{FailureKind, Redactor, StreamFailure};

/// What a message on the bus means to the supervision; `None` for the many that mean nothing. `found` says
/// why the video that was found is of no use, if it is of none.
pub(super) fn event(
    message: &gst::Message,
    found: impl FnOnce() -> Option<StreamFailure>,
) -> Option<SessionEvent> {
    match message.view() {
        // A source whose streams are all of no use comes to its end at once.
        gst::MessageView::Eos(_) => Some(match found() {
            Some(failure) => SessionEvent::Failed(SessionFailure::new(failure)),
            None => SessionEvent::Ended,
        }),
        gst::MessageView::Error(error) => {
            let decoder = error.src().and_then(to_blame);
            let kind = if decoder.is_some() {
                FailureKind::DecoderFailed
            } else {
                kind(&error.error(), error.debug().as_deref().unwrap_or(""))
            };
            let mut failure = StreamFailure::with_detail(kind, detail(kind, &error.error()));
            // `rtspsrc` says this of a stream without video, too, for it was told to leave out the rest.
            if kind == FailureKind::UnsupportedCodec
                && let Some(found) = found()
            {
                failure = found;
            }
            Some(SessionEvent::Failed(SessionFailure { failure, remedy: decoder.map(Remedy::OtherDecoder) }))
        }
        gst::MessageView::Warning(warning) => {
            let text = format!("{}: {}", warning.error(), warning.debug().unwrap_or_default());
            tracing::info!("GStreamer warns: {}", Redactor::process().redact(&text));
            // `rtspsrc` says so and then begins again over TCP with new pads. A new pipeline does that better.
            if text.contains("UDP packets") {
                let failure = StreamFailure::with_detail(FailureKind::Timeout, "no packet came by UDP");
                return Some(SessionEvent::Failed(SessionFailure { failure, remedy: Some(Remedy::OverTcp) }));
            }
            None
        }
        _ => None,
    }
}

/// The decoder's factory, if the object is the decoder, belongs to it, or downloads its pictures.
fn to_blame(object: &gst::Object) -> Option<String> {
    let mut object = Some(object.clone());
    while let Some(at) = object {
        if let Some(element) = at.downcast_ref::<gst::Element>()
            && (element.name() == DECODER || element.name() == DOWNLOAD)
        {
            return element.factory().map(|factory| factory.name().to_string());
        }
        object = at.parent();
    }
    None
}

fn kind(error: &glib::Error, debug: &str) -> FailureKind {
    if let Some(resource) = error.kind::<ResourceError>() {
        return match resource {
            ResourceError::NotAuthorized => FailureKind::Unauthorised,
            ResourceError::NotFound => FailureKind::NotFound,
            // v4l2src gives the cause only here; the C library's words, in the C locale.
            _ if debug.contains("No such file or directory") => FailureKind::NotFound,
            _ if debug.contains("Permission denied") => FailureKind::Forbidden,
            _ if debug.contains("Unauthorized") => FailureKind::Unauthorised,
            // "Generic error" is all that rtspsrc says of any failed connection: looked into by `diagnosis`.
            _ if debug.contains("Failed to connect") => FailureKind::Unreachable,
            _ if debug.contains("imeout") || debug.contains("UDP packets") => FailureKind::Timeout,
            _ => FailureKind::Other,
        };
    }
    if let Some(stream) = error.kind::<StreamError>() {
        return match stream {
            StreamError::CodecNotFound => FailureKind::UnsupportedCodec,
            StreamError::NotImplemented => FailureKind::Other,
            _ => FailureKind::BadStream,
        };
    }
    match error.kind::<CoreError>() {
        Some(CoreError::MissingPlugin) => FailureKind::MissingElement,
        _ => FailureKind::Other,
    }
}

/// GStreamer's sentence, where ours does not say it already.
fn detail(kind: FailureKind, error: &glib::Error) -> String {
    match kind {
        FailureKind::Unauthorised
        | FailureKind::NotFound
        | FailureKind::Forbidden
        | FailureKind::Unreachable => String::new(),
        _ => {
            let text = error.to_string();
            Redactor::process().redact(text.trim_end_matches('.')).into_owned()
        }
    }
}
