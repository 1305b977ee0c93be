use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use gstreamer_video::{VideoFrame, VideoInfo};
use tokio::sync::mpsc;

use super::SessionEvent;
use super::video_found::VideoFound;
use crate::captured_picture::CapturedPicture;
use crate::counters::count;
use crate::rate_gate::RateGate;
use crate::{Codec, Frame, LatestFrame};

/// Where decoded frames leave GStreamer: the rate gate behind the decoder and the callback of the sink.
/// Both run on GStreamer's threads, wait for nothing and let no panic unwind into C; the daemon's panics end the process
/// before they unwind.
#[derive(Debug)]
pub(crate) struct Tap {
    slot: Arc<LatestFrame>,
    gate: Mutex<RateGate>,
    started: Instant,
    /// Microseconds from `started` to the newest decoded frame; 0 before the first.
    last_decoded_us: AtomicU64,
    first_frame_sent: AtomicBool,
    copy_frames: AtomicBool,
    facts: Mutex<StreamFacts>,
    events: mpsc::Sender<SessionEvent>,
}

/// What is known of a stream, the more the further it has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamFacts {
    pub(super) video: VideoFound,
    pub(crate) codec: Option<Codec>,
    pub(crate) decoder: Option<String>,
    /// Sentences about decoders that did not start.
    pub(crate) decoders_failed: Vec<String>,
    /// What goes into the decoder.
    pub(crate) encoded_caps: Option<gst::Caps>,
    /// What comes out at the end.
    pub(crate) raw_caps: Option<gst::Caps>,
}

impl Tap {
    pub(crate) fn new(slot: Arc<LatestFrame>, fps: f64, events: mpsc::Sender<SessionEvent>) -> Self {
        Self {
            slot,
            gate: Mutex::new(RateGate::new(fps)),
            started: Instant::now(),
            last_decoded_us: AtomicU64::new(0),
            first_frame_sent: AtomicBool::new(false),
            copy_frames: AtomicBool::new(false),
            facts: Mutex::default(),
            events,
        }
    }

    pub(crate) fn last_decoded(&self) -> Option<Instant> {
        match self.last_decoded_us.load(Relaxed) {
            0 => None,
            us => Some(self.started + Duration::from_micros(us)),
        }
    }

    pub(crate) fn facts(&self) -> StreamFacts {
        lock(&self.facts).clone()
    }

    pub(crate) fn with_facts<T>(&self, change: impl FnOnce(&mut StreamFacts) -> T) -> T {
        change(&mut lock(&self.facts))
    }

    /// From now on frames are copied: their pool is too small for two of them to be kept.
    pub(crate) fn copy_frames(&self) {
        self.copy_frames.store(true, Relaxed);
    }

    /// Tells the supervision. Never waits.
    pub(crate) fn send(&self, event: SessionEvent) {
        let _ = self.events.try_send(event);
    }

    /// Drops unwanted frames at `pad`, before anything is done to them.
    pub(crate) fn gate(self: &Arc<Self>, pad: &gst::Pad) {
        let tap = Arc::clone(self);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let wanted = catch_unwind(AssertUnwindSafe(|| tap.wants_frame(Instant::now())));
            if wanted.unwrap_or(false) { gst::PadProbeReturn::Ok } else { gst::PadProbeReturn::Drop }
        });
    }

    fn wants_frame(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.started).as_micros();
        self.last_decoded_us.store(u64::try_from(since).unwrap_or(u64::MAX).max(1), Relaxed);
        let counters = self.slot.counters();
        count(&counters.decoded);
        let wanted = lock(&self.gate).admit(now);
        if !wanted {
            count(&counters.gated);
        }
        wanted
    }

    /// The sink at the end of the chain.
    pub(crate) fn sink(self: &Arc<Self>) -> AppSink {
        let tap = Arc::clone(self);
        let callbacks = AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if catch_unwind(AssertUnwindSafe(|| tap.take_sample(&sample))).is_err() {
                    count(&tap.slot.counters().unreadable);
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        let sink = AppSink::builder().max_buffers(1).drop(true).sync(false).callbacks(callbacks).build();
        // No preroll: the first frame is a sample like any other. No last sample: it would keep a buffer.
        sink.set_property("async", false);
        sink.set_property("enable-last-sample", false);
        sink.set_property("qos", false);
        sink
    }

    fn take_sample(&self, sample: &gst::Sample) {
        let received = Instant::now();
        let captured_at = SystemTime::now();
        let Some((picture, pts_ns)) = self.picture(sample) else {
            count(&self.slot.counters().unreadable);
            return;
        };
        if !self.first_frame_sent.load(Relaxed) {
            lock(&self.facts).raw_caps = sample.caps_owned();
        }
        let id = self.slot.next_id();
        self.slot.put(Frame {
            camera: self.slot.camera().clone(),
            id,
            captured_at,
            received,
            pts_ns,
            picture,
        });
        if !self.first_frame_sent.swap(true, Relaxed) {
            self.send(SessionEvent::FirstFrame);
        }
    }

    fn picture(&self, sample: &gst::Sample) -> Option<(CapturedPicture, Option<u64>)> {
        let info = VideoInfo::from_caps(sample.caps()?).ok()?;
        let mut buffer = sample.buffer_owned()?;
        if self.copy_frames.load(Relaxed) {
            buffer = buffer.copy_deep().ok()?;
        }
        let pts_ns = buffer.pts().map(gst::ClockTime::nseconds);
        let frame = VideoFrame::from_buffer_readable(buffer, &info).ok()?;
        Some((CapturedPicture::Mapped(Box::new(frame)), pts_ns))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
