//! Belvedere's kernels on an NVIDIA GPU: [`belvedere_kernels::device::Device`] over the CUDA driver, which is loaded at run
//! time. Nothing of CUDA is needed to build this or to start it.
//!
//! Kernels come as PTX inside the binary, which the driver compiles for the GPU that it finds and keeps in its own cache.

mod context;
mod device;
mod driver;
mod error;
mod facts;
mod graph;
mod memory;
mod memory_info;
mod ptx;
mod stream;

pub use device::CudaDevice;
pub use error::CudaError;
pub use facts::{DeviceFacts, devices};
pub use graph::CudaGraph;
pub use memory::{CudaMemory, CudaPinned};
pub use stream::{CudaEvent, CudaStream};
