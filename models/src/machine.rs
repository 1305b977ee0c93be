//! What this machine has for the `tensorrt` engine, for those who only want to know.

pub use belvedere_cuda::{CudaError, DeviceFacts, devices as cuda_devices};
pub use belvedere_tensorrt::{
    Found as TensorRtFound, LIBRARY_VARIABLE, built_for as tensorrt_built_for, find as find_tensorrt,
};
