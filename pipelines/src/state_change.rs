use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::oneshot;

use crate::CameraName;

static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// Pipelines of this process that hang in a state change now, or hung before they were built. One that comes back is not
/// counted any more.
pub fn abandoned_pipelines() -> usize {
    ABANDONED.load(SeqCst)
}

/// A pipeline whose state is changed on threads of their own, each under a deadline.
///
/// GStreamer's state changes are synchronous and wait for elements to give way; one that hangs in a driver
/// or in a lock never comes back. Such a pipeline is left behind together with its thread, on purpose: the
/// thread stops the pipeline if it ever gets the chance. How many may be left behind is for the owner to
/// bound, by `abandoned_here`.
///
/// Dropped, the pipeline is stopped in the background.
#[derive(Debug)]
pub(crate) struct SupervisedPipeline {
    pipeline: Option<gst::Pipeline>,
    camera: CameraName,
    abandoned_here: Arc<AtomicUsize>,
}

/// How a state change ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateChangeFailure {
    /// An element refused. The reason is on the bus.
    Refused,
    /// The deadline passed; the pipeline was left behind.
    Stuck,
    /// No thread could be had.
    NoThread,
}

impl SupervisedPipeline {
    /// `abandoned_here` counts what hangs of this camera now.
    pub(crate) fn new(pipeline: gst::Pipeline, camera: CameraName, abandoned_here: Arc<AtomicUsize>) -> Self {
        Self { pipeline: Some(pipeline), camera, abandoned_here }
    }

    /// Sets it playing. Live sources go on connecting after this has returned.
    pub(crate) async fn play(&mut self, deadline: Duration) -> Result<(), StateChangeFailure> {
        self.change(gst::State::Playing, deadline).await
    }

    /// Stops it and lets go of it.
    pub(crate) async fn stop(mut self, deadline: Duration) -> Result<(), StateChangeFailure> {
        self.change(gst::State::Null, deadline).await?;
        self.pipeline = None;
        Ok(())
    }

    async fn change(&mut self, to: gst::State, deadline: Duration) -> Result<(), StateChangeFailure> {
        let Some(pipeline) = self.pipeline.clone() else { return Err(StateChangeFailure::Stuck) };
        let (done, mut outcome) = oneshot::channel();
        let ticket = self.set_state_on_a_thread(pipeline, to, Some(done))?;
        tokio::select! {
            outcome = &mut outcome => outcome.unwrap_or(Err(StateChangeFailure::Refused)),
            () = tokio::time::sleep(deadline) => {
                // The thread may have come back in this very moment.
                if !ticket.abandon() {
                    return outcome.await.unwrap_or(Err(StateChangeFailure::Refused));
                }
                self.pipeline = None;
                tracing::error!(
                    camera = %self.camera,
                    state = ?to,
                    hanging = abandoned_pipelines(),
                    "a pipeline hangs in a state change and is left behind"
                );
                Err(StateChangeFailure::Stuck)
            }
        }
    }

    fn set_state_on_a_thread(
        &self,
        pipeline: gst::Pipeline,
        to: gst::State,
        done: Option<oneshot::Sender<Result<(), StateChangeFailure>>>,
    ) -> Result<Ticket, StateChangeFailure> {
        let ticket = Ticket { over: Arc::default(), abandoned_here: Arc::clone(&self.abandoned_here) };
        let thread_ticket = ticket.clone();
        let change = move || {
            let outcome = pipeline.set_state(to).map(drop).map_err(|_| StateChangeFailure::Refused);
            if thread_ticket.returned() {
                // Nobody waits for it any more.
                let _ = pipeline.set_state(gst::State::Null);
                thread_ticket.back();
            }
            drop(pipeline);
            if let Some(done) = done {
                let _ = done.send(outcome);
            }
        };
        // Linux keeps 15 characters of a thread's name.
        std::thread::Builder::new()
            .name(format!("state-{}", self.camera))
            .spawn(change)
            .map(|_| ticket)
            .map_err(|_| StateChangeFailure::NoThread)
    }
}

impl Drop for SupervisedPipeline {
    fn drop(&mut self) {
        if let Some(pipeline) = self.pipeline.take()
            && self.set_state_on_a_thread(pipeline.clone(), gst::State::Null, None).is_err()
        {
            // Without a thread the choice is to block here or to leak. A leak cannot stall another camera.
            std::mem::forget(pipeline);
        }
    }
}

/// Does `work`, which may hang in the system, on a thread of its own. One that hangs is left behind like a pipeline that
/// does, and counted with them.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    camera: &CameraName,
    abandoned_here: &Arc<AtomicUsize>,
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StateChangeFailure> {
    let ticket = Ticket { over: Arc::default(), abandoned_here: Arc::clone(abandoned_here) };
    let thread_ticket = ticket.clone();
    let (done, mut outcome) = oneshot::channel();
    let work = move || {
        let result = work();
        if thread_ticket.returned() {
            thread_ticket.back();
        }
        let _ = done.send(result);
    };
    std::thread::Builder::new()
        .name(format!("open-{camera}"))
        .spawn(work)
        .map_err(|_| StateChangeFailure::NoThread)?;
    tokio::select! {
        result = &mut outcome => result.map_err(|_| StateChangeFailure::Refused),
        () = tokio::time::sleep(deadline) => {
            // The thread may have come back in this very moment.
            if !ticket.abandon() {
                return outcome.await.map_err(|_| StateChangeFailure::Refused);
            }
            tracing::error!(%camera, hanging = abandoned_pipelines(), "a file or a device does not open");
            Err(StateChangeFailure::Stuck)
        }
    }
}

/// Settles which came first: the end of the state change or its deadline.
#[derive(Clone)]
struct Ticket {
    over: Arc<AtomicBool>,
    abandoned_here: Arc<AtomicUsize>,
}

impl Ticket {
    /// By the waiting side; false if the change has ended.
    fn abandon(&self) -> bool {
        // Counted before it is settled, so that `back` never runs first.
        self.abandoned_here.fetch_add(1, SeqCst);
        ABANDONED.fetch_add(1, SeqCst);
        let abandoned = !self.over.swap(true, SeqCst);
        if !abandoned {
            self.back();
        }
        abandoned
    }

    /// By the thread; true if the change was abandoned before.
    fn returned(&self) -> bool {
        self.over.swap(true, SeqCst)
    }

    fn back(&self) {
        self.abandoned_here.fetch_sub(1, SeqCst);
        ABANDONED.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::time::Instant;

    use super::*;

    type Door = Arc<(Mutex<bool>, Condvar)>;

    /// A pipeline whose streaming thread is held inside a probe until the door is opened; the receiver hears
    /// when it is.
    fn hanging_pipeline() -> (gst::Pipeline, Door, std::sync::mpsc::Receiver<()>) {
        crate::start_gstreamer().unwrap();
        let pipeline = gst::parse::launch("videotestsrc ! fakesink name=sink async=false").unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let door = Arc::new((Mutex::new(false), Condvar::new()));
        let (held, is_held) = std::sync::mpsc::channel();
        let pad = pipeline.by_name("sink").unwrap().static_pad("sink").unwrap();
        let inside = Arc::clone(&door);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let _ = held.send(());
            let open = inside.0.lock().unwrap();
            drop(inside.1.wait_while(open, |open| !*open).unwrap());
            gst::PadProbeReturn::Ok
        });
        (pipeline, door, is_held)
    }

    #[tokio::test]
    async fn a_stop_that_hangs_is_left_behind_in_time_and_counted_until_it_comes_back() {
        let (pipeline, door, is_held) = hanging_pipeline();
        let weak = pipeline.downgrade();
        let here = Arc::new(AtomicUsize::new(0));
        let camera = CameraName::new("hangs").unwrap();
        let mut supervised = SupervisedPipeline::new(pipeline, camera, Arc::clone(&here));
        supervised.play(Duration::from_secs(5)).await.unwrap();
        is_held.recv_timeout(Duration::from_secs(5)).unwrap();

        let start = Instant::now();
        assert_eq!(supervised.stop(Duration::from_millis(100)).await, Err(StateChangeFailure::Stuck));
        assert!(start.elapsed() < Duration::from_secs(3));
        assert_eq!(here.load(SeqCst), 1);

        *door.0.lock().unwrap() = true;
        door.1.notify_all();
        let deadline = Instant::now() + Duration::from_secs(5);
        while here.load(SeqCst) != 0 || weak.upgrade().is_some() {
            assert!(Instant::now() < deadline, "the pipeline did not come back");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_hangs_in_the_system_is_left_behind_in_time_and_counted_until_it_comes_back() {
        let (camera, here) = (CameraName::new("mount").unwrap(), Arc::new(AtomicUsize::new(0)));
        let (door, closed) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = closed.recv();
        };
        let left = on_a_thread(&camera, &here, Duration::from_millis(50), hang).await;
        assert_eq!((left, here.load(SeqCst)), (Err(StateChangeFailure::Stuck), 1));
        drop(door);
        let deadline = Instant::now() + Duration::from_secs(5);
        while here.load(SeqCst) != 0 {
            assert!(Instant::now() < deadline, "the thread did not come back");
            tokio::task::yield_now().await;
        }
        let answer = on_a_thread(&camera, &here, Duration::from_secs(5), || 7).await;
        assert_eq!((answer, here.load(SeqCst)), (Ok(7), 0));
    }

    #[tokio::test]
    async fn a_pipeline_that_is_dropped_is_stopped_and_freed() {
        crate::start_gstreamer().unwrap();
        let pipeline = gst::parse::launch("videotestsrc ! fakesink").unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let weak = pipeline.downgrade();
        let camera = CameraName::new("dropped").unwrap();
        let mut supervised = SupervisedPipeline::new(pipeline, camera, Arc::default());
        supervised.play(Duration::from_secs(5)).await.unwrap();
        drop(supervised);
        let deadline = Instant::now() + Duration::from_secs(5);
        while weak.upgrade().is_some() {
            assert!(Instant::now() < deadline, "the pipeline was not freed");
            tokio::task::yield_now().await;
        }
    }
}
