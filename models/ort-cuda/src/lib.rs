//! The graphs of the engine for GPUs on ONNX Runtime's CUDA provider: for measuring on GPUs that TensorRT-RTX does not
//! serve and that have no other TensorRT. The daemon does not offer it.
//!
//! Every execution is a session of its own, with fixed shapes, on the engine's stream, reading and writing the engine's
//! memory where it lies. Nothing is waited for, so that our kernels order with it by the stream. [`HostExecution`] is the
//! same with another provider, in memory that is lent for a run: what tests can run anywhere is all but the provider.

mod bound_session;
mod capturing;
mod cuda_execution;
mod engine;
mod error;
mod fixed_port;
mod graph_files;
mod host_execution;
mod networks;

pub use capturing::Capturing;
pub use cuda_execution::CudaExecution;
pub use engine::{OrtCudaOptions, engine, probe};
pub use error::OrtCudaError;
pub use fixed_port::{Bindings, FixedPort};
pub use graph_files::GraphFiles;
pub use host_execution::HostExecution;
pub use networks::{OrtCudaNetwork, OrtCudaNetworks};
