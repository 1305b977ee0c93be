//! One session at fixed shapes, whose inputs and outputs lie where its owner says.
//!
//! The `ort` crate's own binding copies an input that it does not own, once, when it is bound: right for values of the
//! host, and of no use for memory that changes between runs. So values and bindings are made with ONNX Runtime's C
//! functions, which take an address as it is.

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::path::Path;
use std::ptr::{self, NonNull};

use belvedere_cuda::CudaStream;
use belvedere_models::engine::tensorrt::{GraphName, Profile};
use belvedere_models::graph::Element;
use ort::AsPointer as _;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, Session};
use ort::sys::{
    ONNXTensorElementDataType, OrtIoBinding, OrtMemoryInfo, OrtMemoryInfoDeviceType, OrtStatusPtr, OrtValue,
};

use crate::{Capturing, FixedPort, OrtCudaError};

/// What runs a session, and where its tensors lie.
pub(crate) enum Provider<'a> {
    /// ONNX Runtime's own kernels, in memory of the host.
    Host,
    /// The CUDA provider on a GPU, in its memory, on this stream.
    Cuda { ordinal: usize, stream: &'a CudaStream, capturing: Capturing },
}

/// What a session is made from.
pub(crate) struct SessionSource<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) graph: GraphName,
    pub(crate) profile: &'a Profile,
    pub(crate) model: &'a Path,
    /// Numbers of the symbols in the graph's shapes.
    pub(crate) sides: &'a [(String, usize)],
    pub(crate) ports: &'a [FixedPort],
}

/// A session with its tensors bound to addresses.
pub(crate) struct BoundSession {
    // In the order in which they are to be destroyed.
    binding: Binding,
    options: RunOptions,
    memory: MemoryInfo<'static>,
    session: Session,
    graph: GraphName,
    /// By the places of the ports.
    addresses: Vec<Option<u64>>,
}

/// `OrtIoBinding`, released once.
struct Binding(NonNull<OrtIoBinding>);

impl fmt::Debug for BoundSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundSession").field("graph", &self.graph).finish_non_exhaustive()
    }
}

// SAFETY: a binding belongs to no thread; it is only used through `BoundSession`, by one thread at a time.
unsafe impl Send for Binding {}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: made by `CreateIoBinding` and released once; its session is dropped after it.
        unsafe { (ort::api().ReleaseIoBinding)(self.0.as_ptr()) };
    }
}

impl BoundSession {
    /// # Errors
    /// The provider cannot be used, the graph is refused, or something of it would be read on the CPU.
    pub(crate) fn open(source: &SessionSource<'_>, provider: &Provider<'_>) -> Result<Self, OrtCudaError> {
        let failed = |doing: &'static str| {
            let (graph, profile) = (source.graph.as_str(), source.profile.to_string());
            move |words: String| OrtCudaError::Session { graph, profile, doing, words }
        };
        let builder = Session::builder(source.environment).map_err(words).map_err(failed("session"))?;
        let builder = configure(builder, source.sides).map_err(failed("options"))?;
        let mut builder = match provider {
            Provider::Host => builder,
            Provider::Cuda { ordinal, stream, capturing } => {
                let options = cuda_options(*ordinal, Some(stream), *capturing);
                append_cuda(builder, &options).map_err(|words| OrtCudaError::Provider { words })?
            }
        };
        let session = builder.commit_from_file(source.model).map_err(words).map_err(failed("loading"))?;
        if let Provider::Cuda { .. } = provider {
            let on_cpu = on_cpu(&session).map_err(failed("asking where its tensors are"))?;
            if !on_cpu.is_empty() {
                let (graph, profile) = (source.graph.as_str(), source.profile.to_string());
                return Err(OrtCudaError::OnCpu { graph, profile, tensors: on_cpu });
            }
        }
        let made = || -> ort::Result<_> {
            let (device, ordinal) = match provider {
                Provider::Host => (AllocationDevice::CPU, 0),
                Provider::Cuda { ordinal, .. } => {
                    (AllocationDevice::CUDA, i32::try_from(*ordinal).unwrap_or(0))
                }
            };
            let memory = MemoryInfo::new(device, ordinal, AllocatorType::Device, MemoryType::Default)?;
            let mut options = RunOptions::new()?;
            if let Provider::Cuda { capturing, .. } = provider {
                options.disable_device_sync()?;
                if *capturing == Capturing::Engine {
                    // Neither captured nor replayed by the provider itself.
                    options.set("gpu_graph_id", "-1")?;
                }
            }
            let mut binding = ptr::null_mut();
            // SAFETY: the session is alive; the binding is written to where it is told.
            check(unsafe { (ort::api().CreateIoBinding)(session.ptr().cast_mut(), &raw mut binding) })?;
            let binding = NonNull::new(binding).ok_or_else(|| ort::Error::new("no binding was made"))?;
            Ok((memory, options, Binding(binding)))
        };
        let (memory, options, binding) = made().map_err(words).map_err(failed("binding"))?;
        let addresses = vec![None; source.ports.len()];
        Ok(BoundSession { binding, options, memory, session, graph: source.graph, addresses })
    }

    /// Says where a port's tensor lies: at `address` of the provider's memory, with all its bytes.
    ///
    /// # Errors
    /// ONNX Runtime knows no such input or output, or refuses the value.
    pub(crate) fn place(&mut self, place: usize, port: &FixedPort, address: u64) -> Result<(), OrtCudaError> {
        if self.addresses.get(place) == Some(&Some(address)) {
            return Ok(());
        }
        let shape: Vec<i64> = port.shape.iter().map(|side| *side as i64).collect();
        let element = match port.element {
            Some(Element::F32) => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            Some(Element::F16) => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
            None => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        };
        let bind = || -> Result<(), String> {
            let api = ort::api();
            let name = CString::new(port.name.as_str()).map_err(|error| error.to_string())?;
            let at = ptr::with_exposed_provenance_mut(
                usize::try_from(address).map_err(|error| error.to_string())?,
            );
            let mut value: *mut OrtValue = ptr::null_mut();
            // SAFETY: the shape lives through the call, which keeps the address and does not look behind it; the value is
            // written to where it is told. The bytes are those of shape and element.
            let made = unsafe {
                (api.CreateTensorWithDataAsOrtValue)(
                    self.memory.ptr(),
                    at,
                    port.bytes(),
                    shape.as_ptr(),
                    shape.len(),
                    element,
                    &raw mut value,
                )
            };
            check(made).map_err(words)?;
            let binding = self.binding.0.as_ptr();
            // SAFETY: binding, name and value are alive through the calls. The binding takes a share of the value, which
            // lies where the provider wants it (`on_cpu` found nothing elsewhere) and so is not copied; ours is released.
            let bound = unsafe {
                let bound = match port.is_input {
                    true => (api.BindInput)(binding, name.as_ptr(), value),
                    false => (api.BindOutput)(binding, name.as_ptr(), value),
                };
                (api.ReleaseValue)(value);
                bound
            };
            check(bound).map_err(words)
        };
        let bound = bind().map_err(|reason| OrtCudaError::Binding {
            graph: self.graph.as_str(),
            tensor: port.name.clone(),
            reason,
        });
        if let Some(known) = self.addresses.get_mut(place) {
            *known = bound.is_ok().then_some(address);
        }
        bound
    }

    /// One run; on the CUDA provider it is appended to its stream.
    ///
    /// # Errors
    /// ONNX Runtime refuses.
    ///
    /// # Safety
    /// Every port has been placed, and the memory at its address is alive, has its bytes and is used by nobody else in
    /// another way than by the order of the stream, until the run is done.
    pub(crate) unsafe fn run(&mut self) -> Result<(), OrtCudaError> {
        let (session, binding) = (self.session.ptr().cast_mut(), self.binding.0.as_ptr());
        // SAFETY: session, options and binding are alive and used by this thread alone; the memory is the caller's promise.
        let ran = check(unsafe { (ort::api().RunWithBinding)(session, self.options.ptr(), binding) });
        ran.map_err(|error| OrtCudaError::Run { graph: self.graph.as_str(), reason: error.to_string() })
    }
}

/// Loads the CUDA provider and has it take its options, as a session on a stream would; what it needs beside that, a session
/// finds out.
///
/// # Errors
/// It cannot be loaded, or does not know an option.
pub(crate) fn load_cuda(environment: &Environment, ordinal: usize) -> Result<(), OrtCudaError> {
    let builder = Session::builder(environment).map_err(words);
    let options = cuda_options(ordinal, None, Capturing::Engine);
    let appended = builder.and_then(|builder| append_cuda(builder, &options));
    appended.map(drop).map_err(|words| OrtCudaError::Provider { words })
}

fn words<R>(error: ort::Error<R>) -> String {
    error.to_string()
}

/// What a function of ONNX Runtime's has answered.
fn check(status: OrtStatusPtr) -> ort::Result<()> {
    // SAFETY: every caller hands over the answer of a function of ONNX Runtime's, once.
    unsafe { ort::Error::result_from_status(status) }
}

fn configure(builder: SessionBuilder, sides: &[(String, usize)]) -> Result<SessionBuilder, String> {
    let builder = builder.with_intra_threads(1).map_err(words)?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(words)?;
    // A pattern is found in one run and allocated in the next: one run more that takes memory.
    let mut builder = builder.with_memory_pattern(false).map_err(words)?;
    for (symbol, side) in sides {
        builder = builder.with_dimension_override(symbol, *side as i64).map_err(words)?;
    }
    Ok(builder)
}

/// Options of the CUDA provider. Whoever opens a session on a stream keeps a clone of it that is dropped after the session.
fn cuda_options(
    ordinal: usize,
    stream: Option<&CudaStream>,
    capturing: Capturing,
) -> [(&'static CStr, String); 7] {
    // Also where the engine captures: without it the provider gives pinned buffers back by a call that it appends to the
    // stream, which every replay would make again.
    let is_captured = u8::from(capturing != Capturing::Nobody);
    [
        (c"device_id", ordinal.to_string()),
        (c"has_user_compute_stream", u8::from(stream.is_some()).to_string()),
        (c"user_compute_stream", stream.map_or(0, |stream| stream.handle().addr()).to_string()),
        (c"enable_cuda_graph", is_captured.to_string()),
        // f32 is to be f32.
        (c"use_tf32", "0".to_owned()),
        (c"arena_extend_strategy", "kSameAsRequested".to_owned()),
        // Searching exhaustively may take minutes for the vision tower's many shapes.
        (c"cudnn_conv_algo_search", "HEURISTIC".to_owned()),
    ]
}

/// Adds the CUDA provider, which is loaded now. The `ort` crate does the same behind a feature, which would have everything
/// that depends on it compiled twice.
fn append_cuda(mut builder: SessionBuilder, options: &[(&CStr, String)]) -> Result<SessionBuilder, String> {
    let api = ort::api();
    let values: Vec<CString> = options
        .iter()
        .map(|(_, value)| CString::new(value.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let keys: Vec<*const c_char> = options.iter().map(|(key, _)| key.as_ptr()).collect();
    let values: Vec<*const c_char> = values.iter().map(|value| value.as_ptr()).collect();
    let mut made = ptr::null_mut();
    // SAFETY: the options are written to where they are told.
    check(unsafe { (api.CreateCUDAProviderOptions)(&raw mut made) }).map_err(words)?;
    // SAFETY: options, keys, values and the builder are alive through the calls, which copy what they keep; the stream among
    // the values outlives the session. The options are released once.
    let appended = unsafe {
        let updated = (api.UpdateCUDAProviderOptions)(made, keys.as_ptr(), values.as_ptr(), keys.len());
        let appended = check(updated).and_then(|()| {
            check((api.SessionOptionsAppendExecutionProvider_CUDA_V2)(builder.ptr_mut(), made))
        });
        (api.ReleaseCUDAProviderOptions)(made);
        appended
    };
    appended.map_err(words)?;
    Ok(builder)
}

/// Inputs and outputs that ONNX Runtime wants in memory of the host.
fn on_cpu(session: &Session) -> Result<Vec<String>, String> {
    let api = ort::api();
    let mut found = Vec::new();
    for (tensors, ask) in [
        (session.inputs(), api.SessionGetMemoryInfoForInputs),
        (session.outputs(), api.SessionGetMemoryInfoForOutputs),
    ] {
        let mut infos: Vec<*const OrtMemoryInfo> = vec![ptr::null(); tensors.len()];
        // SAFETY: the session is alive, and as many pointers are written as it has inputs or outputs.
        check(unsafe { ask(session.ptr(), infos.as_mut_ptr(), infos.len()) }).map_err(words)?;
        for (tensor, info) in tensors.iter().zip(infos) {
            let mut kind = OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
            if !info.is_null() {
                // SAFETY: the session keeps what it has just pointed to.
                unsafe { (api.MemoryInfoGetDeviceType)(info, &raw mut kind) };
            }
            if kind != OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_GPU {
                found.push(tensor.name().to_owned());
            }
        }
    }
    Ok(found)
}
