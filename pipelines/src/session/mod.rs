//! One attempt at a stream: from building its pipeline to tearing it down.

mod bus;
mod diagnosis;
mod plugging;
mod source;
mod tap;
mod video_chain;
mod video_found;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::mpsc;

pub(crate) use self::tap::{StreamFacts, Tap};
use crate::state_change::{StateChangeFailure, SupervisedPipeline};
use crate::{DecoderChoice, FailureKind, LatestFrame, SourceKind, SourceSpec, StreamFailure, Transport};

/// A pipeline that runs, and what is heard of it.
#[derive(Debug)]
pub(crate) struct Session {
    pipeline: SupervisedPipeline,
    tap: Arc<Tap>,
    events: mpsc::Receiver<SessionEvent>,
}

/// What happens in a session, in order. Sent by GStreamer's threads, which never wait for the reader: what
/// finds no room is not sent, and the first failure is all that matters.
#[derive(Debug)]
pub(crate) enum SessionEvent {
    /// A frame is in the slot for the first time.
    FirstFrame,
    /// The source has no more to give.
    Ended,
    /// The pipeline failed.
    Failed(SessionFailure),
}

/// A failure and what the supervision needs to know to react.
#[derive(Debug, Clone)]
pub(crate) struct SessionFailure {
    pub(crate) failure: StreamFailure,
    /// What another try can do better at once.
    pub(crate) remedy: Option<Remedy>,
}

/// How the next try is to differ from the one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Without this decoder element.
    OtherDecoder(String),
    /// Over TCP: the packets sent by UDP do not arrive.
    OverTcp,
}

impl Remedy {
    /// Applies it to the specification or the list of rejected decoders. False where the user has chosen
    /// otherwise, or where it has been applied before.
    pub(crate) fn apply(self, spec: &mut SourceSpec, rejected: &mut Vec<String>) -> bool {
        match self {
            Self::OtherDecoder(decoder) => {
                let applies = spec.decoder == DecoderChoice::Auto && !rejected.contains(&decoder);
                if applies {
                    rejected.push(decoder);
                }
                applies
            }
            Self::OverTcp => std::mem::replace(&mut spec.transport, Transport::Tcp) == Transport::Auto,
        }
    }
}

impl SessionFailure {
    pub(crate) fn new(failure: StreamFailure) -> Self {
        Self { failure, remedy: None }
    }
}

/// Events between two looks of the reader; more than one of each kind has no meaning.
const EVENTS: usize = 16;

impl Session {
    /// Builds the pipeline of `spec`, frames to `slot`, without the decoders in `rejected`, and sets it
    /// playing. Returns before anything is connected.
    pub(crate) async fn start(
        spec: &SourceSpec,
        slot: Arc<LatestFrame>,
        rejected: &[String],
        abandoned_here: &Arc<AtomicUsize>,
    ) -> Result<Self, SessionFailure> {
        source::look(spec, abandoned_here).await.map_err(SessionFailure::new)?;
        let (sender, mut events) = mpsc::channel(EVENTS);
        let tap = Arc::new(Tap::new(slot, spec.fps, sender.clone()));
        let pipeline = gst::Pipeline::new();
        if let Some(bus) = pipeline.bus() {
            let tap = Arc::clone(&tap);
            bus.set_sync_handler(move |_, message| {
                let found = || tap.with_facts(|facts| facts.video.failure());
                if let Some(event) = bus::event(message, found) {
                    let _ = sender.try_send(event);
                }
                gst::BusSyncReply::Drop
            });
        }
        let chain = video_chain::VideoChain::new(&pipeline, spec, rejected, &tap);
        source::add_source(&pipeline, spec, chain).map_err(SessionFailure::new)?;
        let mut pipeline = SupervisedPipeline::new(pipeline, spec.camera.clone(), Arc::clone(abandoned_here));
        match pipeline.play(spec.timeouts.state_change).await {
            Ok(()) => Ok(Self { pipeline, tap, events }),
            Err(StateChangeFailure::Refused) => {
                // What refused said why on the bus, from within the state change.
                let said = std::iter::from_fn(|| events.try_recv().ok());
                let mut failures = said.filter_map(|event| match event {
                    SessionEvent::Failed(failure) => Some(failure),
                    SessionEvent::FirstFrame | SessionEvent::Ended => None,
                });
                let failure = failures.next();
                let _ = pipeline.stop(spec.timeouts.state_change).await;
                Err(failure.unwrap_or_else(|| SessionFailure::new(StreamFailure::new(FailureKind::Other))))
            }
            Err(StateChangeFailure::Stuck) => {
                Err(SessionFailure::new(StreamFailure::with_detail(FailureKind::Stuck, "while starting")))
            }
            Err(StateChangeFailure::NoThread) => Err(SessionFailure::new(StreamFailure::with_detail(
                FailureKind::Other,
                "no thread to be had",
            ))),
        }
    }

    /// The next event. Safe to cancel.
    pub(crate) async fn next_event(&mut self) -> SessionEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The pipeline holds a sender: this is not reached while it lives.
            None => SessionEvent::Ended,
        }
    }

    /// When the newest frame came out of the decoder.
    pub(crate) fn last_decoded(&self) -> Option<Instant> {
        self.tap.last_decoded()
    }

    /// What is known of the stream.
    pub(crate) fn facts(&self) -> StreamFacts {
        self.tap.facts()
    }

    /// Tears the pipeline down. `Err` if it hangs and was left behind.
    pub(crate) async fn stop(self, deadline: Duration) -> Result<(), StateChangeFailure> {
        self.pipeline.stop(deadline).await
    }
}

/// Looks closer at a failure that GStreamer gave no cause for. Takes at most twice `spec.timeouts.rtsp_answer`: for the
/// name and for the connection.
pub(crate) async fn diagnose(spec: &SourceSpec, failure: StreamFailure, lasted: Duration) -> StreamFailure {
    match spec.url.kind() {
        SourceKind::Rtsp | SourceKind::Rtsps if failure.kind == FailureKind::Unreachable => {
            diagnosis::connect(spec, lasted).await
        }
        _ => failure,
    }
}
