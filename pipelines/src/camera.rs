use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::supervisor::Supervisor;
use crate::{CameraCounters, CameraName, CameraStatus, PipelineError, Redactor, Scheduler, SourceSpec};

/// A supervised camera.
#[derive(Debug)]
pub struct Camera;

impl Camera {
    /// Starts to supervise the camera of `spec` as a task of the current tokio runtime and returns at once.
    /// Its frames go to its slot in `scheduler`. From then on the stream is opened, watched and opened
    /// again for ever: what goes wrong with it shows in [`CameraHandle::status`].
    ///
    /// # Errors
    /// A number of the specification out of its range, GStreamer missing, a second camera of the same name
    /// while the first one runs.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(spec: SourceSpec, scheduler: &Scheduler) -> Result<CameraHandle, PipelineError> {
        spec.validate()?;
        spec.add_secrets_to(Redactor::process());
        crate::start_gstreamer()?;
        let slot = scheduler.slot(&spec.camera);
        let Some(claim) = slot.claim() else {
            return Err(PipelineError::CameraInUse { camera: spec.camera });
        };
        let name = spec.camera.clone();
        let counters = Arc::clone(slot.counters());
        let (stop, stopped) = watch::channel(false);
        let (supervisor, status) = Supervisor::new(spec, claim, stopped);
        let task = tokio::spawn(supervisor.run());
        Ok(CameraHandle { name, status, counters, stop, task })
    }
}

/// A running camera. Dropping the handle stops the camera too, without waiting for it.
#[derive(Debug)]
pub struct CameraHandle {
    name: CameraName,
    status: watch::Receiver<CameraStatus>,
    counters: Arc<CameraCounters>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl CameraHandle {
    /// The camera's name.
    pub fn name(&self) -> &CameraName {
        &self.name
    }

    /// The camera's status, always the newest. Its sender is gone once the supervision has ended.
    pub fn status(&self) -> watch::Receiver<CameraStatus> {
        self.status.clone()
    }

    /// The camera's counters.
    pub fn counters(&self) -> &Arc<CameraCounters> {
        &self.counters
    }

    /// Waits until the supervision ends by itself: when a file has ended that does not loop. Safe to cancel.
    pub async fn ended(&mut self) {
        if !self.task.is_finished() {
            // An error here is a panic in the task, and an end too.
            let _ = (&mut self.task).await;
        }
    }

    /// Stops the camera and waits until its pipeline is gone or was left behind: no longer than one
    /// [`crate::Timeouts::state_change`] and a quarter of a second, even if the pipeline was about to start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.ended().await;
    }
}
