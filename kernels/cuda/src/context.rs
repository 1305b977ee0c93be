//! A GPU's primary context, and everything that is alive in it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use belvedere_kernels::device::{DeviceError, DeviceSlice, Launch};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use crate::CudaError;
use crate::driver;
use crate::ptx::{self, Ptx, Signature};

/// The primary context, which TensorRT uses too, with the kernels loaded. It is held until the last thing of it is dropped.
#[derive(Debug)]
pub(crate) struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
    pub(crate) description: String,
    /// Its memory is the host's.
    pub(crate) integrated: bool,
    kernels: HashMap<&'static str, Kernel>,
    /// What the kernels are in.
    modules: Vec<sys::CUmodule>,
    /// For zeroing memory, so that nothing needs to wait for the whole context: that would spoil another thread's capture.
    housekeeping: sys::CUstream,
    /// Bytes of everything that is allocated, by address.
    live: Mutex<BTreeMap<u64, usize>>,
}

#[derive(Debug)]
struct Kernel {
    function: sys::CUfunction,
    signature: Signature,
}

// SAFETY: a context and its functions may be used from any thread; each call makes the context current on its own thread first
// (`bind`), and the driver locks what it shares. Nothing of them is written here between `open` and `drop`.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn open(ordinal: usize) -> Result<Context, CudaError> {
        driver::initialise()?;
        let fail = |doing: &str| {
            let doing = format!("{doing} GPU {ordinal}");
            move |error| CudaError::Driver { doing, reason: driver::reason(error) }
        };
        let count = result::device::get_count().map_err(fail("counting before"))?;
        let count = usize::try_from(count).unwrap_or(0);
        let number = i32::try_from(ordinal).ok().filter(|_| ordinal < count);
        let number = number.ok_or(CudaError::NoDevice { ordinal, count })?;
        let device = result::device::get(number).map_err(fail("looking for"))?;
        let name = result::device::get_name(device).map_err(fail("asking for the name of"))?;
        let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED;
        // SAFETY: `device` was returned by the driver.
        let integrated = unsafe { result::device::get_attribute(device, attribute) };
        let integrated = integrated.map_err(fail("asking for the memory of"))? != 0;
        // SAFETY: as above.
        let context = unsafe { result::primary_ctx::retain(device) }.map_err(fail("opening"))?;
        let mut context = Context {
            device,
            context,
            description: format!("{name} (GPU {ordinal})"),
            integrated,
            kernels: HashMap::new(),
            modules: Vec::new(),
            housekeeping: ptr::null_mut(),
            live: Mutex::default(),
        };
        context.bind().map_err(fail("using"))?;
        let kind = result::stream::StreamKind::NonBlocking;
        context.housekeeping = result::stream::create(kind).map_err(fail("making a stream for"))?;
        for ptx in &ptx::ALL {
            let fail = |reason| CudaError::Kernels { file: ptx.file, reason };
            let module = load(ptx).map_err(fail)?;
            context.modules.push(module);
            // SAFETY: loaded just now, and unloaded when the context is dropped, the kernels with it.
            context.kernels.extend(unsafe { kernels(ptx, module) }.map_err(fail)?);
        }
        Ok(context)
    }

    /// Makes the context current on this thread, as the driver's functions want it.
    pub(crate) fn bind(&self) -> Result<(), DriverError> {
        // SAFETY: the context was retained in `open` and is released when `self` is dropped.
        unsafe { result::ctx::set_current(self.context) }
    }

    pub(crate) fn error(&self, doing: impl Into<String>, reason: impl Into<String>) -> DeviceError {
        DeviceError { device: self.description.clone(), doing: doing.into(), reason: reason.into() }
    }

    /// Runs `call` with the context current.
    pub(crate) fn run<T>(
        &self,
        doing: impl Fn() -> String,
        call: impl FnOnce() -> Result<T, DriverError>,
    ) -> Result<T, DeviceError> {
        self.bind().and_then(|()| call()).map_err(|error| self.error(doing(), driver::reason(error)))
    }

    /// Zeroes `slice`, whose memory is alive and used by nobody, and waits until that is done.
    pub(crate) fn zero(&self, slice: DeviceSlice) -> Result<(), DeviceError> {
        let (address, bytes, stream) = (slice.address(), slice.bytes(), self.housekeeping);
        self.check(|| "zeroing memory".into(), [slice])?;
        self.run(
            || format!("zeroing {bytes} bytes of memory"),
            || {
                // SAFETY: `check` has found the memory alive; the stream lives as long as `self`.
                unsafe { result::memset_d8_async(address, 0, bytes, stream) }?;
                // SAFETY: as above.
                unsafe { result::stream::synchronize(stream) }
            },
        )
    }

    /// The function of a launch, which fits it.
    pub(crate) fn function(&self, launch: &Launch) -> Result<sys::CUfunction, DeviceError> {
        let kernel = self.kernels.get(launch.kernel);
        let kernel = kernel.ok_or_else(|| self.error(launch.kernel, "there is no such kernel"))?;
        kernel.signature.check(launch).map_err(|reason| self.error(launch.kernel, reason))?;
        Ok(kernel.function)
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, slice: DeviceSlice) {
        self.live().insert(slice.address(), slice.bytes());
    }

    pub(crate) fn forget(&self, slice: DeviceSlice) {
        self.live().remove(&slice.address());
    }

    /// Checks that every slice lies inside one allocation that is alive.
    pub(crate) fn check(
        &self,
        doing: impl Fn() -> String,
        slices: impl IntoIterator<Item = DeviceSlice>,
    ) -> Result<(), DeviceError> {
        let live = self.live();
        for slice in slices {
            let inside = live.range(..=slice.address()).next_back().is_some_and(|(address, bytes)| {
                DeviceSlice::new(*address, *bytes)
                    .part((slice.address() - address) as usize, slice.bytes())
                    .is_ok()
            });
            if !inside {
                let reason = format!("{} bytes at {:#x} are not allocated", slice.bytes(), slice.address());
                return Err(self.error(doing(), reason));
            }
        }
        Ok(())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.bind().is_ok() {
            // The context outlives this where others retain it too, TensorRT for one: modules would stay with each model that was
            // loaded. What is queued may still run their kernels; where waiting fails they are left.
            if result::ctx::synchronize().is_ok() {
                for module in self.modules.drain(..) {
                    // SAFETY: loaded in `open`, unloaded once, and nothing that was queued is left. Functions and graphs made of it
                    // are gone: whoever has one keeps this alive.
                    let _ = unsafe { sys::cuModuleUnload(module) };
                }
            }
            if !self.housekeeping.is_null() {
                // SAFETY: made in `open`, destroyed once.
                let _ = unsafe { result::stream::destroy(self.housekeeping) };
            }
        }
        // SAFETY: `open` retained it once, and everything that was made in it keeps this alive.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// One source, compiled by the driver for the current context; its words where it does not.
fn load(ptx: &Ptx) -> Result<sys::CUmodule, String> {
    let text = CString::new(ptx.text).map_err(|error| error.to_string())?;
    let mut log = [0_u8; 4096];
    let mut options =
        [sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER, sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    let mut values: [*mut c_void; 2] = [log.as_mut_ptr().cast(), ptr::without_provenance_mut(log.len() - 1)];
    let mut module = ptr::null_mut();
    // SAFETY: the text ends with a zero, as an image of PTX must; there are two options with a value each: where the driver may
    // write words, and how many bytes (one less than there are, so that the last stays zero). All of it outlives the call.
    let loaded = unsafe {
        sys::cuModuleLoadDataEx(
            &raw mut module,
            text.as_ptr().cast(),
            2,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    loaded.result().map_err(|error| {
        let words = log.split(|byte| *byte == 0).next().unwrap_or_default();
        format!("{} {}", driver::reason(error), String::from_utf8_lossy(words).trim())
    })?;
    Ok(module)
}

/// The kernels of one source.
///
/// # Safety
/// `module` was loaded from it in the current context, and is not unloaded before the last use of them.
unsafe fn kernels(ptx: &Ptx, module: sys::CUmodule) -> Result<Vec<(&'static str, Kernel)>, String> {
    let mut kernels = Vec::new();
    for (name, signature) in ptx.signatures() {
        let c_name = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: the caller promises that the module is loaded.
        let function = unsafe { result::module::get_function(module, c_name) };
        let function = function.map_err(|error| format!("{name}: {}", driver::reason(error)))?;
        kernels.push((name, Kernel { function, signature }));
    }
    Ok(kernels)
}
