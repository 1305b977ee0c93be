//! Orders of work, and points in them.

use std::ffi::c_void;
use std::sync::Arc;

use belvedere_kernels::device::DeviceError;
use cudarc::driver::{result, sys};

use crate::context::Context;

/// An order of work that waits for no other. A clone is the same stream, which lives until the last of them is dropped: a
/// library that keeps the handle keeps a clone beside it.
#[derive(Debug, Clone)]
pub struct CudaStream {
    pub(crate) context: Arc<Context>,
    pub(crate) raw: sys::CUstream,
    _made: Arc<Made>,
}

/// Destroys the stream.
#[derive(Debug)]
struct Made {
    context: Arc<Context>,
    raw: sys::CUstream,
}

// SAFETY: as for the stream.
unsafe impl Send for Made {}
// SAFETY: as above.
unsafe impl Sync for Made {}

// SAFETY: a stream may be used from any thread; the driver locks it.
unsafe impl Send for CudaStream {}
// SAFETY: as above.
unsafe impl Sync for CudaStream {}

impl CudaStream {
    pub(crate) fn new(context: &Arc<Context>) -> Result<CudaStream, DeviceError> {
        let kind = result::stream::StreamKind::NonBlocking;
        let raw = context.run(|| "making a stream".into(), || result::stream::create(kind))?;
        let made = Arc::new(Made { context: context.clone(), raw });
        Ok(CudaStream { context: context.clone(), raw, _made: made })
    }

    /// The stream as CUDA's runtime knows it, a `cudaStream_t` of the device's primary context, for a library that is to append
    /// work to it. Good as long as `self`.
    pub fn handle(&self) -> *mut c_void {
        self.raw.cast()
    }

    /// Whether what is appended is kept instead of done.
    ///
    /// # Errors
    /// The device refuses.
    pub fn is_capturing(&self) -> Result<bool, DeviceError> {
        let doing = || "asking for a capture".to_owned();
        // SAFETY: the stream is alive.
        let status = self.context.run(doing, || unsafe { result::stream::is_capturing(self.raw) })?;
        Ok(status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
    }
}

impl PartialEq for CudaStream {
    fn eq(&self, other: &CudaStream) -> bool {
        self.raw == other.raw
    }
}

impl Eq for CudaStream {}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: made in `CudaStream::new` and destroyed once. What is queued is still done.
        let _ = self.context.bind().and_then(|()| unsafe { result::stream::destroy(self.raw) });
    }
}

/// A point in a stream.
#[derive(Debug)]
pub struct CudaEvent {
    pub(crate) context: Arc<Context>,
    pub(crate) raw: sys::CUevent,
}

// SAFETY: an event may be used from any thread; the driver locks it.
unsafe impl Send for CudaEvent {}
// SAFETY: as above.
unsafe impl Sync for CudaEvent {}

impl CudaEvent {
    /// Without a clock: hardly anybody asks, and it is quicker.
    pub(crate) fn recorded(stream: &CudaStream) -> Result<CudaEvent, DeviceError> {
        CudaEvent::with(stream, sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
    }

    /// With the time at which the stream passes it.
    pub(crate) fn timed(stream: &CudaStream) -> Result<CudaEvent, DeviceError> {
        CudaEvent::with(stream, sys::CUevent_flags::CU_EVENT_DEFAULT)
    }

    fn with(stream: &CudaStream, flags: sys::CUevent_flags) -> Result<CudaEvent, DeviceError> {
        let doing = || "recording an event".to_owned();
        let raw = stream.context.run(doing, || result::event::create(flags))?;
        let event = CudaEvent { context: stream.context.clone(), raw };
        // SAFETY: both are alive.
        stream.context.run(doing, || unsafe { result::event::record(event.raw, stream.raw) })?;
        Ok(event)
    }
}

impl Drop for CudaEvent {
    fn drop(&mut self) {
        // SAFETY: made in `with` and destroyed once; the driver keeps what streams still wait for.
        let _ = self.context.bind().and_then(|()| unsafe { result::event::destroy(self.raw) });
    }
}
