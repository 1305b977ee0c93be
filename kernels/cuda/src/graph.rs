//! Captured work.

use std::sync::Arc;

use belvedere_kernels::device::{DeviceError, DeviceSlice};
use cudarc::driver::{result, sys};

use crate::context::Context;
use crate::stream::CudaStream;

/// Work that was captured, made ready to be launched as one.
#[derive(Debug)]
pub struct CudaGraph {
    context: Arc<Context>,
    executable: sys::CUgraphExec,
    /// Memory that our own work in it uses.
    pub(crate) memory: Vec<DeviceSlice>,
}

// SAFETY: a graph may be used from any thread, by one at a time; it is not `Sync`.
unsafe impl Send for CudaGraph {}

impl CudaGraph {
    /// Ends the capture of `stream`.
    pub(crate) fn captured(stream: &CudaStream, memory: Vec<DeviceSlice>) -> Result<CudaGraph, DeviceError> {
        let doing = || "ending a capture".to_owned();
        let context = &stream.context;
        // SAFETY: the stream is alive.
        let graph = context.run(doing, || unsafe { result::stream::end_capture(stream.raw) })?;
        if graph.is_null() {
            return Err(context.error(doing(), "it is of no use"));
        }
        let flags = sys::CUgraphInstantiate_flags(0);
        // SAFETY: the graph was made above, and is destroyed once, after the last use.
        let executable = context.run(doing, || unsafe {
            let executable = result::graph::instantiate(graph, flags);
            let _ = result::graph::destroy(graph);
            executable
        })?;
        Ok(CudaGraph { context: context.clone(), executable, memory })
    }

    pub(crate) fn launch(&self, stream: &CudaStream) -> Result<(), DeviceError> {
        let doing = || "replaying a graph".to_owned();
        self.context.check(doing, self.memory.iter().copied())?;
        // SAFETY: both are alive, and `self` is not shared between threads.
        self.context.run(doing, || unsafe { result::graph::launch(self.executable, stream.raw) })
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        // SAFETY: made in `captured` and destroyed once; the driver finishes what is queued.
        let _ = self.context.bind().and_then(|()| unsafe { result::graph::exec_destroy(self.executable) });
    }
}
