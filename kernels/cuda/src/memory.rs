//! Memory that a GPU reaches.

use std::ptr;
use std::sync::Arc;

use belvedere_kernels::device::{DeviceError, DeviceSlice, Memory, PinnedMemory};
use cudarc::driver::{result, sys};

use crate::context::Context;

/// Device memory.
#[derive(Debug)]
pub struct CudaMemory {
    context: Arc<Context>,
    slice: DeviceSlice,
}

impl CudaMemory {
    pub(crate) fn zeroed(context: &Arc<Context>, bytes: usize) -> Result<CudaMemory, DeviceError> {
        let doing = || format!("allocating {bytes} bytes of memory");
        let address = context.run(doing, || {
            // SAFETY: all of the memory is written before anyone gets to know its address.
            unsafe { result::malloc_sync(bytes) }
        })?;
        let memory = CudaMemory { context: context.clone(), slice: DeviceSlice::new(address, bytes) };
        context.note(memory.slice);
        context.run(doing, || {
            // SAFETY: these are the bytes just allocated. The stream of this call is the null stream, for which the streams made
            // here do not wait; hence the synchronisation.
            unsafe { result::memset_d8_sync(address, 0, bytes) }?;
            result::ctx::synchronize()
        })?;
        Ok(memory)
    }
}

impl Memory for CudaMemory {
    fn slice(&self) -> DeviceSlice {
        self.slice
    }
}

impl Drop for CudaMemory {
    fn drop(&mut self) {
        self.context.forget(self.slice);
        // What is queued may still use it. Where waiting fails (a kernel that failed, a capture on this thread) it is leaked.
        if self.context.bind().and_then(|()| result::ctx::synchronize()).is_ok() {
            // SAFETY: allocated in `zeroed`, freed once, and nothing that was queued is left.
            let _ = unsafe { result::free_sync(self.slice.address()) };
        }
    }
}

/// Pinned host memory, mapped for the GPU.
#[derive(Debug)]
pub struct CudaPinned {
    context: Arc<Context>,
    host: *mut u8,
    slice: DeviceSlice,
}

// SAFETY: the memory belongs to this value and to the GPU, to no thread.
unsafe impl Send for CudaPinned {}
// SAFETY: through a shared reference it is only copied from; what the GPU writes meanwhile is bytes, any of which are valid.
unsafe impl Sync for CudaPinned {}

impl CudaPinned {
    pub(crate) fn zeroed(context: &Arc<Context>, bytes: usize) -> Result<CudaPinned, DeviceError> {
        let doing = || format!("allocating {bytes} bytes of pinned memory");
        let flags = sys::CU_MEMHOSTALLOC_PORTABLE | sys::CU_MEMHOSTALLOC_DEVICEMAP;
        // SAFETY: all of the memory is written before anyone gets to know its address.
        let host = context.run(doing, || unsafe { result::malloc_host(bytes, flags) })?.cast::<u8>();
        // SAFETY: these are the bytes just allocated, which nobody else knows.
        unsafe { ptr::write_bytes(host, 0, bytes) };
        let mut address = 0;
        let mapped = context.run(doing, || {
            // SAFETY: the memory was allocated as mapped; the address is written to where it is told.
            unsafe { sys::cuMemHostGetDevicePointer_v2(&raw mut address, host.cast(), 0) }.result()
        });
        let pinned = CudaPinned { context: context.clone(), host, slice: DeviceSlice::new(address, bytes) };
        mapped?;
        context.note(pinned.slice);
        Ok(pinned)
    }

    /// Where `bytes` from `offset` on are for the host.
    fn place(&self, doing: &str, offset: usize, bytes: usize) -> Result<*mut u8, DeviceError> {
        let part = self.slice.part(offset, bytes);
        part.map_err(|error| self.context.error(format!("{doing} pinned memory"), error.to_string()))?;
        Ok(self.host.wrapping_add(offset))
    }
}

impl Memory for CudaPinned {
    fn slice(&self) -> DeviceSlice {
        self.slice
    }
}

impl PinnedMemory for CudaPinned {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), DeviceError> {
        let from = self.place("reading", offset, into.len())?;
        // SAFETY: `place` has found the range inside the allocation, which is alive with `self` and which no reference points
        // into; `into` is other memory. The GPU may write while this copies, as the interface says ("as they are now"): then some
        // bytes are old and some new, none invalid.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        let to = self.place("writing", offset, bytes.len())?;
        // SAFETY: as for reading, with the memory borrowed mutably.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }
}

impl Drop for CudaPinned {
    fn drop(&mut self) {
        self.context.forget(self.slice);
        // As for device memory.
        if self.context.bind().and_then(|()| result::ctx::synchronize()).is_ok() {
            // SAFETY: allocated in `zeroed`, freed once, and nothing that was queued is left.
            let _ = unsafe { result::free_host(self.host.cast()) };
        }
    }
}
