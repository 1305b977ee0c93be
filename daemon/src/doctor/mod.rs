//! `belvedere doctor`: what this machine has, what will run the model, and what to do about what is missing.
//!
//! [`look`] finds facts and never judges; [`Diagnosis`] judges and never looks, so that every kind of machine can be tested
//! on any. Nothing here fails: a fact that cannot be had is a fact with a reason.

mod device_node;
mod diagnosis;
mod facts;
mod finding;
mod jetson;
mod look;
mod obstacles;
mod report;
mod system;

#[cfg(test)]
mod machines;

use belvedere_models::Device;

pub use device_node::DeviceNode;
pub use diagnosis::{Choice, Diagnosis};
pub use facts::{
    CodecDecoders, CudaFailure, EngineFile, Engines, Facts, Found, Gpu, Gpus, Machine, Nvidia, OnnxRuntime,
    TensorRt, TensorRtLibrary,
};
pub use finding::{Finding, Level};
pub use jetson::Jetson;
pub use look::{engine_files, look};
pub use report::Report;

/// What to do so that `device` can run here, as lines for people; nothing where it can.
pub fn advice(device: Device) -> Vec<String> {
    let facts = look::look_at_devices();
    let diagnosis = Diagnosis::of(&facts, device);
    if diagnosis.can_run() {
        return Vec::new();
    }
    let missing = diagnosis.findings.iter().filter(|finding| finding.level == Level::Missing);
    missing.map(ToString::to_string).collect()
}

/// Why `device` comes to what it comes to here, for the log.
pub fn reason(device: Device) -> String {
    match Diagnosis::of(&look::look_at_devices(), device).choice {
        Choice::TensorRt(why) | Choice::Cpu(why) | Choice::Nothing(why) => why,
    }
}
