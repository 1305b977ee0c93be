use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::counters::count;
use crate::latest_frame::SlotClaim;
use crate::session::{self, Session, SessionEvent, SessionFailure};
use crate::status::StatusLatch;
use crate::{AtEnd, CameraStatus, FailureKind, SourceKind, SourceSpec, StreamFailure};

/// How many pipelines of one camera may hang at a time. With so many left behind no new one is built until
/// one of them comes back: a driver that swallows pipelines costs this many, and not all memory.
const HANGING_AT_MOST: usize = 4;

/// What a stop may take beside the state change it waits for.
const STOP_MARGIN: Duration = Duration::from_millis(250);

/// The shortest time from one start of a looping file to the next.
const LOOP_AT_LEAST: Duration = Duration::from_secs(1);

/// Keeps one camera's stream open, from outside its pipeline.
///
/// ```text
///              +-------------------------------------------+
///              v                                           |
///   start -> Connecting --first frame--> Streaming --> BackingOff
///              |   failure, deadline        |  failure, silence, end
///              +----------------------------+--> BackingOff, or Ended for a file that does not loop
/// ```
#[derive(Debug)]
pub(crate) struct Supervisor {
    spec: SourceSpec,
    claim: SlotClaim,
    stopped: watch::Receiver<bool>,
    status: watch::Sender<CameraStatus>,
    latch: StatusLatch,
    backoff: Backoff,
    /// Decoders that failed before their first frame.
    rejected: Vec<String>,
    hanging: Arc<AtomicUsize>,
    /// The stream failed since the last frame.
    failed_before: bool,
}

/// Where the supervision stands.
#[derive(Debug)]
enum Phase {
    /// A pipeline is to be built and to give its first frame.
    Connecting,
    /// Frames come.
    Streaming { session: Session, since: Instant },
    /// Nothing runs; the next try is due at `until`.
    BackingOff { until: Instant },
    /// The camera was stopped, or its file is over.
    Ended(StreamFailure),
}

/// What a wait ended with.
enum Woken {
    Stopped,
    Deadline,
    Event(SessionEvent),
}

impl Supervisor {
    pub(crate) fn new(
        spec: SourceSpec,
        claim: SlotClaim,
        stopped: watch::Receiver<bool>,
    ) -> (Self, watch::Receiver<CameraStatus>) {
        let latch = StatusLatch::new(spec.timeouts.offline_after);
        let (status, receiver) = watch::channel(latch.status().clone());
        let backoff =
            Backoff::new(spec.timeouts.backoff_first, spec.timeouts.backoff_longest, fastrand::Rng::new());
        let supervisor = Self {
            spec,
            claim,
            stopped,
            status,
            latch,
            backoff,
            rejected: Vec::new(),
            hanging: Arc::default(),
            failed_before: false,
        };
        (supervisor, receiver)
    }

    /// Runs until the camera is stopped or its file has ended. After a stop was asked for it ends within
    /// [`crate::Timeouts::state_change`] and [`STOP_MARGIN`], wherever it stands.
    pub(crate) async fn run(mut self) {
        let stopped = self.stopped.clone();
        let limit = self.spec.timeouts.state_change + STOP_MARGIN;
        let in_time =
            ends_before(self.supervise(), overdue(stopped, async { tokio::time::sleep(limit).await })).await;
        if !in_time {
            // A start that hung and a stop that hangs, one after the other. The session went with the
            // supervision; its pipeline is stopped in the background, if it ever can be.
            tracing::error!(camera = %self.spec.camera, "a pipeline neither starts nor stops and is left behind");
            count(&self.claim.slot().counters().abandoned);
            self.latch.ended(StreamFailure::new(FailureKind::Stopped));
            self.publish();
        }
    }

    async fn supervise(&mut self) {
        let mut phase = Phase::Connecting;
        loop {
            phase = match phase {
                Phase::Connecting => self.connect().await,
                Phase::Streaming { session, since } => self.stream(session, since).await,
                Phase::BackingOff { until } => self.back_off(until).await,
                Phase::Ended(reason) => {
                    tracing::info!(camera = %self.spec.camera, "{reason}");
                    self.latch.ended(reason);
                    self.publish();
                    return;
                }
            };
        }
    }

    async fn connect(&mut self) -> Phase {
        let started = Instant::now();
        if self.hanging.load(SeqCst) >= HANGING_AT_MOST {
            let detail = format!("{HANGING_AT_MOST} of them were left behind, no new one is built");
            return self.failed(StreamFailure::with_detail(FailureKind::Stuck, detail));
        }
        tracing::debug!(camera = %self.spec.camera, url = %self.spec.url, "connecting");
        let start = Session::start(&self.spec, Arc::clone(self.claim.slot()), &self.rejected, &self.hanging);
        let mut session = match start.await {
            Ok(session) => session,
            Err(failure) => return self.failed_to_connect(failure, started).await,
        };
        let deadline = started + self.spec.timeouts.first_frame;
        match self.wait(Some(&mut session), deadline).await {
            Woken::Event(SessionEvent::FirstFrame) => {
                if std::mem::take(&mut self.failed_before) {
                    count(&self.claim.slot().counters().reconnects);
                }
                self.latch.streaming();
                self.publish();
                let facts = session.facts();
                tracing::info!(
                    camera = %self.spec.camera,
                    codec = facts.codec.map(tracing::field::display),
                    decoder = facts.decoder,
                    "streaming"
                );
                Phase::Streaming { session, since: Instant::now() }
            }
            Woken::Event(SessionEvent::Failed(failure)) => {
                self.tear_down(session).await;
                self.failed_to_connect(failure, started).await
            }
            Woken::Event(SessionEvent::Ended) => {
                self.tear_down(session).await;
                let detail = "it ended before its first picture";
                self.failed(StreamFailure::with_detail(FailureKind::BadStream, detail))
            }
            Woken::Deadline => {
                self.tear_down(session).await;
                let kind = match self.spec.url.kind() {
                    // Some demuxers find nothing in a broken file and do not say so.
                    SourceKind::File(_) => FailureKind::BadStream,
                    _ => FailureKind::Timeout,
                };
                let detail = format!("no picture within {:?}", self.spec.timeouts.first_frame);
                self.failed(StreamFailure::with_detail(kind, detail))
            }
            Woken::Stopped => self.stop(session).await,
        }
    }

    async fn stream(&mut self, mut session: Session, since: Instant) -> Phase {
        let heard = session.last_decoded().unwrap_or(since);
        let deadline = heard + self.spec.timeouts.no_frame;
        let mut silent_since = None;
        let failure = match self.wait(Some(&mut session), deadline).await {
            Woken::Stopped => return self.stop(session).await,
            // Frames came meanwhile: the deadline has moved.
            Woken::Deadline if session.last_decoded().is_some_and(|newest| newest > heard) => {
                return Phase::Streaming { session, since };
            }
            Woken::Event(SessionEvent::FirstFrame) => return Phase::Streaming { session, since },
            Woken::Deadline => {
                silent_since = Some(heard);
                let detail = format!("none for {:?}", self.spec.timeouts.no_frame);
                StreamFailure::with_detail(FailureKind::Silent, detail)
            }
            Woken::Event(SessionEvent::Failed(failure)) => failure.failure,
            Woken::Event(SessionEvent::Ended) => StreamFailure::new(FailureKind::Ended),
        };
        // Tearing down may take a while.
        let silent_since = silent_since.unwrap_or_else(Instant::now);
        self.tear_down(session).await;
        if failure.kind == FailureKind::Ended && matches!(self.spec.url.kind(), SourceKind::File(_)) {
            return match self.spec.at_end {
                AtEnd::Stop => Phase::Ended(failure),
                AtEnd::Loop => Phase::BackingOff { until: since + LOOP_AT_LEAST },
            };
        }
        if since.elapsed() >= self.spec.timeouts.stable_after {
            self.backoff.reset();
            // What kept a decoder from working, such as others that had all of its sessions, may be over.
            self.rejected.clear();
        }
        self.failed_since(silent_since, failure)
    }

    async fn back_off(&mut self, until: Instant) -> Phase {
        match self.wait(None, until).await {
            Woken::Stopped => Phase::Ended(StreamFailure::new(FailureKind::Stopped)),
            Woken::Deadline | Woken::Event(_) => Phase::Connecting,
        }
    }

    /// A failure before the first frame: the decoder's fault, or that of what comes before it.
    async fn failed_to_connect(&mut self, failure: SessionFailure, started: Instant) -> Phase {
        let SessionFailure { failure, remedy } = failure;
        if failure.kind == FailureKind::Stuck {
            count(&self.claim.slot().counters().abandoned);
        }
        if let Some(remedy) = remedy
            && remedy.clone().apply(&mut self.spec, &mut self.rejected)
        {
            tracing::warn!(camera = %self.spec.camera, ?remedy, "{failure}; trying otherwise");
            return Phase::Connecting;
        }
        if failure.kind == FailureKind::DecoderFailed {
            // None is left. It may have been the stream after all: all of them get another chance.
            self.rejected.clear();
        }
        let failure = tokio::select! {
            failure = session::diagnose(&self.spec, failure, started.elapsed()) => failure,
            () = stop_asked(&mut self.stopped) => return Phase::Ended(StreamFailure::new(FailureKind::Stopped)),
        };
        self.failed(failure)
    }

    fn failed(&mut self, failure: StreamFailure) -> Phase {
        self.failed_since(Instant::now(), failure)
    }

    /// Counts, tells and waits. No frame has come since `since`.
    fn failed_since(&mut self, since: Instant, failure: StreamFailure) -> Phase {
        count(&self.claim.slot().counters().errors);
        self.failed_before = true;
        let wait = self.backoff.next_wait();
        tracing::warn!(camera = %self.spec.camera, wait_ms = wait.as_millis(), "{failure}");
        self.latch.failed(since, Instant::now(), failure);
        self.publish();
        Phase::BackingOff { until: Instant::now() + wait }
    }

    async fn stop(&mut self, session: Session) -> Phase {
        self.tear_down(session).await;
        Phase::Ended(StreamFailure::new(FailureKind::Stopped))
    }

    async fn tear_down(&mut self, session: Session) {
        if session.stop(self.spec.timeouts.state_change).await.is_err() {
            count(&self.claim.slot().counters().abandoned);
        }
    }

    /// Waits for whatever is first, and turns interruptions into outages meanwhile.
    async fn wait(&mut self, mut session: Option<&mut Session>, deadline: Instant) -> Woken {
        loop {
            let tick = self.latch.next_tick().map_or(deadline, |tick| tick.min(deadline));
            let event = async {
                match session.as_deref_mut() {
                    Some(session) => session.next_event().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop_asked(&mut self.stopped) => return Woken::Stopped,
                event = event => return Woken::Event(event),
                () = tokio::time::sleep_until(tick.into()) => {
                    self.latch.tick(Instant::now());
                    self.publish();
                    if Instant::now() >= deadline {
                        return Woken::Deadline;
                    }
                }
            }
        }
    }

    fn publish(&self) {
        self.status.send_if_modified(|status| {
            let changed = status != self.latch.status();
            if changed {
                status.clone_from(self.latch.status());
            }
            changed
        });
    }
}

/// Returns when the camera is to stop; a handle that is gone says the same.
async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Runs `supervision` to its end, or until it is `overdue`: false, and it is dropped.
async fn ends_before(supervision: impl Future<Output = ()>, overdue: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = supervision => true,
        () = overdue => false,
    }
}

/// Returns when `limit`, begun once the camera was to stop, is over.
async fn overdue(mut stopped: watch::Receiver<bool>, limit: impl Future<Output = ()>) {
    stop_asked(&mut stopped).await;
    limit.await;
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_supervision_that_does_not_end_is_left_in_time_once_it_is_to_stop_and_not_before() {
        let (stop, stopped) = watch::channel(false);
        let mut late = std::pin::pin!(overdue(stopped, ready(())));
        assert!(ends_before(ready(()), &mut late).await);
        // Nobody asked it to stop.
        let is_late = tokio::select! {
            biased;
            () = &mut late => true,
            () = ready(()) => false,
        };
        assert!(!is_late);

        stop.send_replace(true);
        assert!(!ends_before(pending(), late).await);
    }
}
