//! The engine for GPUs: TensorRT runs the graphs, our kernels run between them, nothing waits for the host.
//!
//! The engine itself knows neither TensorRT nor CUDA. It asks a [`Device`](belvedere_kernels::device::Device) for memory
//! and order, and [`Networks`] for the graphs; tests give it the host and ONNX Runtime instead, with the same bindings in
//! the same order.

mod build_progress;
mod engine_files;
mod networks;
mod profiles;
mod trt_networks;

pub use build_progress::{BuildProgress, OnBuild};
pub use engine_files::{
    BuilderIdentity, BuiltEngine, EngineBuilder, EngineFiles, EngineRequest, GpuIdentity, MeasuredEngine,
    OnPhase, TensorRtBuilder, UsePlan,
};
pub use networks::{GraphName, Network, Networks};
pub use profiles::{Bucket, Profile, Profiles};
pub use trt_networks::{TensorRtNetwork, TensorRtNetworks};
