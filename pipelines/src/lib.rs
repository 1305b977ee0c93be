//! Cameras to frames: the GStreamer side of Belvedere.
//!
//! A [`SourceSpec`] says where a camera's pictures come from. [`Camera::spawn`] supervises it for ever: it
//! builds the pipeline, watches it from outside, tears it down under a deadline when it fails or falls
//! silent, and builds it again after a jittered backoff. Decoded pictures pass a rate gate and land in a
//! [`LatestFrame`], one slot per camera in which a newer frame replaces an older one. The [`Scheduler`]
//! takes frames out of the slots, the least recently served camera first.
//!
//! What holds everywhere in this crate:
//! - Frames are dropped, never queued; each drop is counted in [`CameraCounters`].
//! - No camera can stall another: GStreamer's callbacks never block, and a state change that hangs is left
//!   behind on its own thread.
//! - Credentials never leave: they are handed to GStreamer as properties, and every text that comes back
//!   passes a [`Redactor`].

mod backoff;
mod camera;
mod camera_name;
mod captured_picture;
mod codec;
mod colorimetry;
mod counters;
mod credentials;
mod decoder;
mod decoder_choice;
mod element_facts;
mod error;
mod failure;
mod frame;
mod gst_log;
mod latest_frame;
mod least_recently_served;
mod probe;
mod rate_gate;
mod redactor;
mod scheduler;
mod session;
mod source_spec;
mod source_url;
mod state_change;
mod status;
mod supervisor;
mod test_picture;

pub use camera::{Camera, CameraHandle};
pub use camera_name::CameraName;
pub use codec::Codec;
pub use counters::{CameraCounters, CounterValues};
pub use credentials::Credentials;
pub use decoder::available_decoders;
pub use decoder_choice::DecoderChoice;
pub use error::PipelineError;
pub use failure::{FailureKind, StreamFailure};
pub use frame::Frame;
pub use gst_log::start_gstreamer;
pub use latest_frame::LatestFrame;
pub use probe::{StreamReport, probe};
pub use redactor::Redactor;
pub use scheduler::Scheduler;
pub use source_spec::{AtEnd, SourceSpec, Timeouts, Transport};
pub use source_url::{SourceKind, SourceUrl};
pub use state_change::abandoned_pipelines;
pub use status::CameraStatus;
pub use test_picture::{TestPattern, TestPicture};
