//! The engine for GPUs: TensorRT runs the graphs, our kernels run between them, nothing waits for the host.
//!
//! The engine itself knows neither TensorRT nor CUDA. It asks a [`Device`](belvedere_kernels::device::Device) for memory
//! and order, and [`Networks`] for the graphs; tests give it the host and ONNX Runtime instead, with the same bindings in
//! the same order.

mod admission;
mod beam_group;
mod broken;
mod bucket_move;
mod build_progress;
mod cross_source;
mod device_batch;
mod device_engine;
mod engine_files;
mod engine_graphs;
mod fitting;
mod held_memory;
mod joining;
mod load;
mod memory_plan;
mod memory_reading;
mod model_shape;
mod networks;
mod open;
mod picture_encoder;
mod pool;
mod profiles;
mod prompt_encoder;
mod reading;
mod room;
mod row_state;
mod running_batch;
mod sequence;
mod staging;
mod step_kernels;
mod step_ring;
mod step_variant;
mod trt_networks;
mod view_encoding;
mod waiting;
mod workspace;

pub use build_progress::{BuildProgress, OnBuild};
pub use device_engine::{DeviceEngine, LARGEST_FRAME_PX};
pub use engine_files::{
    BuilderIdentity, BuiltEngine, EngineBuilder, EngineFiles, EngineRequest, GpuIdentity, MeasuredEngine,
    OnPhase, TensorRtBuilder, UsePlan,
};
pub use engine_graphs::EngineGraphs;
pub(crate) use load::GpuMachine;
pub use memory_plan::{HEADROOM_BYTES, MemoryPlan, Purpose, ScratchBytes};
pub use model_shape::ModelShape;
pub use networks::{GraphName, Network, Networks};
pub use profiles::{Bucket, Profile, Profiles};
pub use trt_networks::{TensorRtNetwork, TensorRtNetworks};
