//! Running engines: runtime, engine, context.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use belvedere_cuda::CudaStream;

use crate::builder::{c_string, fill, owned, refused};
use crate::error::TensorRtError;
use crate::library::Library;
use crate::logger::Logger;
use crate::object::Object;
use crate::shim::{Extent, Kind, RawTensor};
use crate::tensor::TensorInfo;

/// Something that has a CUDA stream.
///
/// # Safety
/// The handle is a `cudaStream_t` (or `CUstream`, which is the same) of the device's primary context and is valid as long
/// as the value.
pub unsafe trait StreamHandle {
    /// The handle.
    fn handle(&self) -> *mut c_void;
}

// SAFETY: that is what the stream promises of its handle.
unsafe impl StreamHandle for CudaStream {
    fn handle(&self) -> *mut c_void {
        CudaStream::handle(self)
    }
}

/// Reads engines on the calling thread's current CUDA device; that of the executions is the same and must be current on
/// whatever thread runs them.
#[derive(Debug)]
pub struct Runtime {
    object: Arc<Object>,
}

/// An engine in device memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    graph: String,
    tensors: Vec<TensorInfo>,
    // In the order in which they are to be destroyed.
    object: Mutex<Object>,
    _runtime: Arc<Object>,
}

impl Runtime {
    /// # Errors
    /// The library makes none: mostly for lack of a GPU.
    pub fn new(library: &Library) -> Result<Runtime, TensorRtError> {
        let logger = Logger::new(library)?;
        let entry = library.runtime_entry().address();
        // SAFETY: the entry is `createInferRuntime_INTERNAL` of the library that this shim was compiled for; the
        // logger is never freed.
        let object = unsafe {
            let pointer = (library.shim().runtime_create)(entry, logger.object());
            Object::new(Kind::Runtime, pointer, &logger)
        };
        let object = object.ok_or_else(|| library.not_made("runtime", logger.said()))?;
        Ok(Runtime { object: Arc::new(object) })
    }

    /// Reads an engine, which may hold code for the GPU: only what this process or one like it has written may be given.
    ///
    /// # Errors
    /// Bytes of another version, for another device, or damaged.
    pub fn deserialize(&mut self, graph: &str, plan: &[u8]) -> Result<Engine, TensorRtError> {
        let (shim, logger) = (self.object.shim(), self.object.logger());
        // SAFETY: the bytes live through the call, which copies what it keeps.
        let object = unsafe {
            let pointer = (shim.engine_deserialize)(self.object.pointer(), plan.as_ptr().cast(), plan.len());
            Object::new(Kind::Engine, pointer, logger)
        };
        let object =
            object.ok_or_else(|| logger.library().not_made(format!("engine of {graph}"), logger.said()))?;
        let of_place = |place| {
            let mut raw = RawTensor::EMPTY;
            // SAFETY: the engine is alive, and keeps the name that it returns.
            unsafe {
                ((shim.engine_io)(object.pointer(), place, &raw mut raw) != 0).then(|| TensorInfo::new(&raw))
            }
        };
        let tensors = (0..).map_while(of_place).collect();
        Ok(Engine(Arc::new(Inner {
            graph: graph.to_owned(),
            tensors,
            object: Mutex::new(object),
            _runtime: Arc::clone(&self.object),
        })))
    }
}

impl Engine {
    fn with<T>(&self, ask: impl FnOnce(&Object) -> T) -> T {
        ask(&self.0.object.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Name of its graph.
    pub fn graph(&self) -> &str {
        &self.0.graph
    }

    /// Inputs and outputs.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.0.tensors
    }

    /// How many profiles it was built with.
    pub fn profiles(&self) -> usize {
        // SAFETY: the engine is alive.
        let count = self.with(|object| unsafe { (object.shim().engine_profiles)(object.pointer()) });
        usize::try_from(count).unwrap_or(0)
    }

    /// The largest shape of an input at a profile.
    pub fn largest_shape(&self, tensor: &str, profile: usize) -> Option<Vec<i64>> {
        let name = c_string(tensor.to_owned());
        let mut raw = RawTensor::EMPTY;
        // SAFETY: the engine is alive; the name lives through the call.
        let is_known = self.with(|object| unsafe {
            (object.shim().engine_profile_shape)(
                object.pointer(),
                name.as_ptr(),
                profile as i32,
                Extent::Most as i32,
                &raw mut raw,
            )
        });
        (is_known != 0).then(|| raw.shape())
    }

    /// Bytes of scratch memory that an execution at a profile needs.
    ///
    /// # Errors
    /// There is no such profile.
    pub fn scratch_bytes(&self, profile: usize) -> Result<usize, TensorRtError> {
        self.with(|object| {
            // SAFETY: the engine is alive.
            let bytes = unsafe { (object.shim().engine_scratch_bytes)(object.pointer(), profile as i32) };
            let doing = || format!("asking for the scratch memory of profile {profile}");
            usize::try_from(bytes).map_err(|_| refused(self.graph(), doing(), object.logger()))
        })
    }

    /// How many layers are left of the graph.
    pub fn layers(&self) -> usize {
        // SAFETY: the engine is alive.
        let layers = self.with(|object| unsafe { (object.shim().engine_layers)(object.pointer()) });
        usize::try_from(layers).unwrap_or(0)
    }

    /// What the layers are, in TensorRT's JSON; much where the engine was built with `is_detailed`.
    pub fn layers_json(&self) -> Option<String> {
        let mut text = String::new();
        // SAFETY: the engine is alive; `fill` is given the string that it asks for.
        let is_told = self.with(|object| unsafe {
            (object.shim().engine_inspect)(object.pointer(), fill, (&raw mut text).cast())
        });
        (is_told != 0).then_some(text)
    }

    /// An execution, which does nothing before [`Context::choose`].
    ///
    /// # Errors
    /// No memory left.
    pub fn context(&self) -> Result<Context, TensorRtError> {
        self.with(|object| {
            let (shim, logger) = (object.shim(), object.logger());
            // SAFETY: the engine is alive and held by the context.
            let context = unsafe {
                let pointer = (shim.context_create)(object.pointer());
                Object::new(Kind::Context, pointer, logger)
            };
            let context = context.ok_or_else(|| {
                logger.library().not_made(format!("execution of {}", self.graph()), logger.said())
            })?;
            let unbound = self.0.tensors.iter().map(|tensor| (tensor.name.clone(), false)).collect();
            Ok(Context { object: context, engine: self.clone(), is_bound: unbound, is_complete: false })
        })
    }
}

/// One execution of an engine, at one profile, with bindings and scratch memory of its own.
#[derive(Debug)]
pub struct Context {
    // In the order in which they are to be destroyed.
    object: Object,
    engine: Engine,
    is_bound: BTreeMap<String, bool>,
    is_complete: bool,
}

impl Context {
    /// Chooses the profile and the scratch memory: [`Engine::scratch_bytes`] of device memory from `scratch` on, aligned
    /// to 256 bytes, which no execution in flight at the same time may share. Comes before all shapes and addresses; what
    /// it appends to `stream` must be done before the first run, which is so when that follows on the same stream.
    ///
    /// # Errors
    /// No such profile, or too little memory for it.
    pub fn choose(
        &mut self,
        profile: usize,
        scratch: u64,
        scratch_bytes: usize,
        stream: &dyn StreamHandle,
    ) -> Result<(), TensorRtError> {
        let needed = self.engine.scratch_bytes(profile)?;
        if scratch_bytes < needed {
            let doing = format!(
                "running profile {profile} in {scratch_bytes} bytes of scratch memory where it needs {needed}"
            );
            return Err(refused(self.engine.graph(), doing, self.object.logger()));
        }
        let shim = self.object.shim();
        self.is_complete = false;
        // SAFETY: the context is alive; whoever has a stream promises that its handle is one; the address is the device's
        // and only ever used by it.
        let is_chosen = unsafe {
            let is_chosen =
                (shim.context_set_profile)(self.object.pointer(), profile as i32, stream.handle());
            (shim.context_set_scratch)(self.object.pointer(), scratch as *mut c_void, scratch_bytes as i64);
            is_chosen
        };
        if is_chosen == 0 {
            let doing = format!("choosing profile {profile}");
            return Err(refused(self.engine.graph(), doing, self.object.logger()));
        }
        Ok(())
    }

    /// Gives an input its shape.
    ///
    /// # Errors
    /// No such input, or a shape that the profile does not have.
    pub fn set_shape(&mut self, tensor: &str, shape: &[usize]) -> Result<(), TensorRtError> {
        let name = c_string(tensor.to_owned());
        let sides: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
        // SAFETY: the context is alive; name and sides live through the call.
        let is_set = unsafe {
            (self.object.shim().context_set_shape)(
                self.object.pointer(),
                name.as_ptr(),
                sides.as_ptr(),
                sides.len() as i32,
            )
        };
        self.is_complete = false;
        if is_set == 0 {
            Err(self.tensor_error(tensor, format!("the shape {shape:?} is refused")))
        } else {
            Ok(())
        }
    }

    /// The shape that an input or output has now; -1 for a side that is not known yet.
    ///
    /// # Errors
    /// No such tensor.
    pub fn shape(&self, tensor: &str) -> Result<Vec<i64>, TensorRtError> {
        let name = c_string(tensor.to_owned());
        let mut raw = RawTensor::EMPTY;
        // SAFETY: the context is alive; the name lives through the call.
        let is_known =
            unsafe { (self.object.shim().context_shape)(self.object.pointer(), name.as_ptr(), &raw mut raw) };
        if is_known == 0 {
            return Err(self.tensor_error(tensor, "it has no shape".to_owned()));
        }
        Ok(raw.shape())
    }

    /// Says where an input or output lies: `bytes` of device memory from `address` on.
    ///
    /// # Errors
    /// No such tensor, or it has another size.
    pub fn bind(&mut self, tensor: &str, address: u64, bytes: usize) -> Result<(), TensorRtError> {
        let Some(info) = self.engine.tensors().iter().find(|info| info.name == tensor) else {
            return Err(self.tensor_error(tensor, "there is no such input or output".to_owned()));
        };
        let shape = self.shape(tensor)?;
        let needed = info.element.bytes().and_then(|element| {
            let sides = shape.iter().map(|&side| usize::try_from(side).ok());
            sides.into_iter().try_fold(element, |bytes, side| bytes.checked_mul(side?))
        });
        if needed != Some(bytes) {
            let reason = format!("{bytes} bytes for shape {shape:?} of {:?}", info.element);
            return Err(self.tensor_error(tensor, reason));
        }
        let name = c_string(tensor.to_owned());
        // SAFETY: the context is alive; the address is the device's, of the tensor's size, and only used by the device.
        let is_bound = unsafe {
            (self.object.shim().context_bind)(self.object.pointer(), name.as_ptr(), address as *mut c_void)
        };
        if is_bound == 0 {
            return Err(self.tensor_error(tensor, format!("the address {address:#x} is refused")));
        }
        self.is_bound.insert(tensor.to_owned(), true);
        self.is_complete = false;
        Ok(())
    }

    /// Appends one run.
    ///
    /// # Errors
    /// A tensor without shape or memory, or TensorRT refuses the run. It may do so without a word, so that its answer
    /// counts and nothing else.
    pub fn enqueue(&mut self, stream: &dyn StreamHandle) -> Result<(), TensorRtError> {
        if !self.is_complete {
            self.complete()?;
            self.is_complete = true;
        }
        // SAFETY: the context is alive, everything is bound, and the stream's handle is one.
        let is_enqueued = unsafe { (self.object.shim().enqueue)(self.object.pointer(), stream.handle()) };
        if is_enqueued == 0 {
            return Err(refused(self.engine.graph(), "enqueuing a run".to_owned(), self.object.logger()));
        }
        Ok(())
    }

    /// Whether a run can be captured on this stream.
    pub fn is_capturable(&self, stream: &dyn StreamHandle) -> bool {
        // SAFETY: the context is alive, and the stream's handle is one.
        unsafe { (self.object.shim().context_is_capturable)(self.object.pointer(), stream.handle()) != 0 }
    }

    fn complete(&self) -> Result<(), TensorRtError> {
        if let Some((tensor, _)) = self.is_bound.iter().find(|(_, is_bound)| !**is_bound) {
            return Err(self.tensor_error(tensor, "it has no memory".to_owned()));
        }
        let mut first = std::ptr::null();
        // SAFETY: the context is alive, and keeps the name that it returns.
        let (missing, tensor) = unsafe {
            let missing = (self.object.shim().context_missing)(self.object.pointer(), &raw mut first);
            (missing, if missing > 0 { owned(first) } else { String::new() })
        };
        match missing {
            0 => Ok(()),
            1.. => Err(self.tensor_error(&tensor, "it has no shape or no memory".to_owned())),
            _ => Err(refused(
                self.engine.graph(),
                "deriving the shapes of the outputs".to_owned(),
                self.object.logger(),
            )),
        }
    }

    fn tensor_error(&self, tensor: &str, reason: String) -> TensorRtError {
        TensorRtError::Tensor {
            graph: self.engine.graph().to_owned(),
            tensor: tensor.to_owned(),
            reason,
            messages: self.object.logger().said(),
        }
    }
}
