//! What can go wrong, each with what locates it.

use belvedere_cuda::CudaError;
use belvedere_kernels::device::DeviceError;
use belvedere_models::ModelError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum OrtCudaError {
    /// The library has no CUDA provider, or the provider cannot be loaded or started.
    #[error(
        "ONNX Runtime's CUDA provider cannot be used: {words} (it is libonnxruntime_providers_cuda.so beside the library, \
         and needs the driver's libcuda.so.1 and CUDA 13's libcudart.so.13, libcublas.so.13, libcublasLt.so.13 and \
         libcudnn.so.9, as PyTorch's packages have them, on LD_LIBRARY_PATH)"
    )]
    Provider {
        /// What ONNX Runtime says.
        words: String,
    },
    /// A graph is refused.
    #[error("graph {graph} ({profile}): {doing}: {words}")]
    Session {
        /// The graph.
        graph: &'static str,
        /// Its profile.
        profile: String,
        /// What was asked.
        doing: &'static str,
        /// What ONNX Runtime says.
        words: String,
    },
    /// Something is read or written by nodes that ONNX Runtime has put on the CPU. Bound to memory of the GPU it would be
    /// copied when it is bound, and be out of date at every run.
    #[error("graph {graph} ({profile}): {} used on the CPU", .tensors.join(", "))]
    OnCpu {
        /// The graph.
        graph: &'static str,
        /// Its profile.
        profile: String,
        /// Inputs and outputs.
        tensors: Vec<String>,
    },
    /// A binding that does not fit.
    #[error("graph {graph}: {tensor}: {reason}")]
    Binding {
        /// The graph.
        graph: &'static str,
        /// An input or output, or what was taken for one.
        tensor: String,
        /// Why.
        reason: String,
    },
    /// A run that is refused.
    #[error("graph {graph}: running: {reason}")]
    Run {
        /// The graph.
        graph: &'static str,
        /// Why, in ONNX Runtime's words or ours.
        reason: String,
    },
    /// The GPU refuses.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// There is no GPU to be used.
    #[error(transparent)]
    NoGpu(#[from] CudaError),
    /// The model's graphs or weights.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<OrtCudaError> for ModelError {
    fn from(error: OrtCudaError) -> ModelError {
        match error {
            OrtCudaError::Model(error) => error,
            error => ModelError::Engine {
                engine: "onnxruntime-cuda",
                doing: "graphs of the engine for GPUs".to_owned(),
                reason: error.to_string(),
            },
        }
    }
}
