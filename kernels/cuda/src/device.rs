//! A GPU as a device.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use belvedere_kernels::device::{Argument, Device, DeviceError, DeviceSlice, Launch, MemoryInfo, Pitched};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use crate::context::Context;
use crate::memory_info::memory_info;
use crate::{CudaError, CudaEvent, CudaGraph, CudaMemory, CudaPinned, CudaStream};

/// A GPU with the kernels loaded. A clone is the same GPU.
///
/// Memory that is used by queued work is only freed when that is done. Kernels and copies are refused unless all memory among
/// their arguments is alive; addresses that a kernel reads from memory are the caller's to keep good, as the kernels' own types
/// say.
#[derive(Debug, Clone)]
pub struct CudaDevice {
    context: Arc<Context>,
    /// Memory that is used by what is captured now, by stream.
    captures: Arc<Mutex<HashMap<usize, Vec<DeviceSlice>>>>,
}

impl CudaDevice {
    /// GPU number `ordinal` as the driver counts them, from 0.
    ///
    /// # Errors
    /// [`CudaError`]: no driver, an old one, no such GPU, or one that does not take the kernels.
    pub fn open(ordinal: usize) -> Result<CudaDevice, CudaError> {
        Ok(CudaDevice { context: Arc::new(Context::open(ordinal)?), captures: Arc::default() })
    }

    /// Makes the GPU's primary context current on this thread, for a library that is to use it there.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn make_current(&self) -> Result<(), DeviceError> {
        self.context.run(|| "making current".into(), || Ok(()))
    }

    /// Checks that memory which another library is about to use on `stream` is alive; if the stream is captured, replays check
    /// it again, as they do for kernels. Memory that is used by queued work is only freed when that is done, whoever queued it.
    ///
    /// # Errors
    /// A slice that does not lie inside one allocation.
    pub fn lend(&self, stream: &CudaStream, slices: &[DeviceSlice]) -> Result<(), DeviceError> {
        self.check(stream, || "lending memory to a library".to_owned(), slices)
    }

    fn captures(&self) -> MutexGuard<'_, HashMap<usize, Vec<DeviceSlice>>> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the memory that is to be used on `stream`, and notes it if the stream is captured.
    fn check(
        &self,
        stream: &CudaStream,
        doing: impl Fn() -> String,
        slices: &[DeviceSlice],
    ) -> Result<(), DeviceError> {
        self.context.check(doing, slices.iter().copied())?;
        if let Some(memory) = self.captures().get_mut(&(stream.raw as usize)) {
            memory.extend(slices);
        }
        Ok(())
    }
}

impl Device for CudaDevice {
    type Memory = CudaMemory;
    type Pinned = CudaPinned;
    type Stream = CudaStream;
    type Event = CudaEvent;
    type Graph = CudaGraph;

    fn description(&self) -> String {
        self.context.description.clone()
    }

    fn shares_memory(&self) -> bool {
        self.context.integrated
    }

    fn memory_info(&self) -> Result<MemoryInfo, DeviceError> {
        let integrated = self.context.integrated;
        self.context.run(|| "asking for memory".into(), || memory_info(integrated))
    }

    fn allocate(&self, bytes: usize) -> Result<CudaMemory, DeviceError> {
        CudaMemory::zeroed(&self.context, bytes)
    }

    fn pinned(&self, bytes: usize) -> Result<CudaPinned, DeviceError> {
        CudaPinned::zeroed(&self.context, bytes)
    }

    fn stream(&self) -> Result<CudaStream, DeviceError> {
        CudaStream::new(&self.context)
    }

    fn launch(&self, stream: &CudaStream, launch: &Launch) -> Result<(), DeviceError> {
        let doing = || launch.kernel.to_owned();
        let function = self.context.function(launch)?;
        self.check(stream, doing, &launch.memory().collect::<Vec<_>>())?;
        // A word for each argument, of which the driver reads the first 8 or 4 bytes.
        let word = |argument: &Argument| match *argument {
            Argument::Memory(slice) => slice.address().to_ne_bytes(),
            Argument::I32(value) => four(value.to_ne_bytes()),
            Argument::U32(value) => four(value.to_ne_bytes()),
            Argument::F32(value) => four(value.to_ne_bytes()),
        };
        let mut words: Vec<u64> =
            launch.arguments.iter().map(|argument| u64::from_ne_bytes(word(argument))).collect();
        let mut pointers: Vec<*mut c_void> = words.iter_mut().map(|word| (&raw mut *word).cast()).collect();
        let ([x, y, z], [a, b, c]) = (launch.grid, launch.block);
        // SAFETY: the function belongs to the context and takes as many arguments of these sizes (`Context::function`), which the
        // driver copies before it returns. The memory among them is alive (`check`) and freed only after what is queued is done.
        // The kernels are our own and stay inside what they are given: on the host the same sources run with every access checked.
        self.context.run(doing, || unsafe {
            result::launch_kernel(function, (x, y, z), (a, b, c), 0, stream.raw, &mut pointers)
        })
    }

    fn copy(&self, stream: &CudaStream, to: DeviceSlice, from: DeviceSlice) -> Result<(), DeviceError> {
        let doing = || format!("copying {} bytes to {}", from.bytes(), to.bytes());
        if to.bytes() != from.bytes() {
            return Err(self.context.error(doing(), "the sizes differ"));
        }
        self.check(stream, doing, &[to, from])?;
        // SAFETY: both ranges are alive, as `check` has found, and freed only after what is queued is done. Addresses say for
        // themselves of which kind of memory they are.
        self.context.run(doing, || unsafe {
            sys::cuMemcpyAsync(to.address(), from.address(), to.bytes(), stream.raw).result()
        })
    }

    fn copy_rows(
        &self,
        stream: &CudaStream,
        to: Pitched,
        from: Pitched,
        row_bytes: usize,
        rows: usize,
    ) -> Result<(), DeviceError> {
        let doing = || format!("copying {rows} rows of {row_bytes} bytes");
        for side in [to, from] {
            let fits = side.holds(row_bytes, rows);
            fits.map_err(|error| self.context.error(doing(), error.to_string()))?;
        }
        self.check(stream, doing, &[to.slice, from.slice])?;
        let copy = copy_of_rows(to, from, row_bytes, rows);
        // SAFETY: all rows lie inside the slices (`holds`), which are alive (`check`) and freed only after what is queued is done.
        // The driver reads the description before it returns.
        self.context.run(doing, || unsafe { sys::cuMemcpy2DAsync_v2(&raw const copy, stream.raw).result() })
    }

    fn record(&self, stream: &CudaStream) -> Result<CudaEvent, DeviceError> {
        CudaEvent::recorded(stream)
    }

    fn record_timed(&self, stream: &CudaStream) -> Result<CudaEvent, DeviceError> {
        CudaEvent::timed(stream)
    }

    fn elapsed(&self, from: &CudaEvent, to: &CudaEvent) -> Result<Option<Duration>, DeviceError> {
        let doing = || "asking for the time between two events".to_owned();
        // SAFETY: both are alive and were recorded. The driver refuses events without a clock and such as are not past.
        let ms = self.context.run(doing, || unsafe { result::event::elapsed(from.raw, to.raw) })?;
        Ok(Some(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3)))
    }

    fn stream_wait(&self, stream: &CudaStream, event: &CudaEvent) -> Result<(), DeviceError> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: both are alive.
        self.context.run(
            || "letting a stream wait".into(),
            || unsafe { result::stream::wait_event(stream.raw, event.raw, flags) },
        )
    }

    fn is_past(&self, event: &CudaEvent) -> Result<bool, DeviceError> {
        // SAFETY: the event is alive.
        self.context.run(
            || "asking for an event".into(),
            || match unsafe { result::event::query(event.raw) } {
                Ok(()) => Ok(true),
                Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_READY)) => Ok(false),
                Err(error) => Err(error),
            },
        )
    }

    fn wait(&self, event: &CudaEvent) -> Result<(), DeviceError> {
        // SAFETY: the event is alive.
        self.context
            .run(|| "waiting for an event".into(), || unsafe { result::event::synchronize(event.raw) })
    }

    fn begin_capture(&self, stream: &CudaStream) -> Result<(), DeviceError> {
        // Other threads may allocate meanwhile without spoiling it.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let begin = || {
            // SAFETY: the stream is alive.
            unsafe { result::stream::begin_capture(stream.raw, mode) }
        };
        self.context.run(|| "beginning a capture".into(), begin)?;
        self.captures().insert(stream.raw as usize, Vec::new());
        Ok(())
    }

    fn end_capture(&self, stream: &CudaStream) -> Result<CudaGraph, DeviceError> {
        let memory = self.captures().remove(&(stream.raw as usize));
        CudaGraph::captured(stream, memory.unwrap_or_default())
    }

    fn replay(&self, stream: &CudaStream, graph: &CudaGraph) -> Result<(), DeviceError> {
        graph.launch(stream)
    }
}

/// A copy of rows as the driver wants it told. No field may be left to zeros: the kind of memory has no kind 0.
fn copy_of_rows(to: Pitched, from: Pitched, row_bytes: usize, rows: usize) -> sys::CUDA_MEMCPY2D {
    // Addresses say for themselves of which kind of memory they are.
    let unified = sys::CUmemorytype::CU_MEMORYTYPE_UNIFIED;
    sys::CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: unified,
        srcHost: ptr::null(),
        srcDevice: from.slice.address(),
        srcArray: ptr::null_mut(),
        srcPitch: from.pitch,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: unified,
        dstHost: ptr::null_mut(),
        dstDevice: to.slice.address(),
        dstArray: ptr::null_mut(),
        dstPitch: to.pitch,
        WidthInBytes: row_bytes,
        Height: rows,
    }
}

/// The first half of a word.
fn four(bytes: [u8; 4]) -> [u8; 8] {
    let [a, b, c, d] = bytes;
    [a, b, c, d, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_rows_is_told_without_a_gpu() {
        let side = |address, bytes, pitch| Pitched { slice: DeviceSlice::new(address, bytes), pitch };
        let copy = copy_of_rows(side(0x1000, 64, 16), side(0x2000, 100, 25), 5, 4);
        let kinds = (copy.srcMemoryType as u32, copy.dstMemoryType as u32);
        assert_eq!(kinds, (4, 4), "as cuda.h numbers unified memory");
        assert_eq!((copy.dstDevice, copy.dstPitch), (0x1000, 16));
        assert_eq!((copy.srcDevice, copy.srcPitch), (0x2000, 25));
        assert_eq!((copy.WidthInBytes, copy.Height), (5, 4));
        assert_eq!([copy.srcXInBytes, copy.srcY, copy.dstXInBytes, copy.dstY], [0; 4]);
    }
}
