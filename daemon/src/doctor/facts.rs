//! What was found.

use std::path::PathBuf;

use serde::Serialize;

use super::{DeviceNode, Jetson};

/// Something, or why it is not there: in the words of the loader or the driver, or that it took too long.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Found<T> {
    /// It is there.
    Here(T),
    /// It is not.
    Missing {
        /// Why.
        missing: String,
    },
}

impl<T> Found<T> {
    /// Not there, for this reason.
    pub fn missing(reason: impl ToString) -> Found<T> {
        Found::Missing { missing: reason.to_string() }
    }

    /// What was found.
    pub fn here(&self) -> Option<&T> {
        match self {
            Found::Here(here) => Some(here),
            Found::Missing { .. } => None,
        }
    }
}

impl<T, E: ToString> From<Result<T, E>> for Found<T> {
    fn from(result: Result<T, E>) -> Found<T> {
        match result {
            Ok(here) => Found::Here(here),
            Err(reason) => Found::missing(reason),
        }
    }
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The computer.
    pub machine: Machine,
    /// The board and its software, where it is a Jetson.
    pub jetson: Option<Jetson>,
    /// What the kernel shows of NVIDIA's hardware.
    pub nvidia: Nvidia,
    /// What CUDA shows of it.
    pub gpus: Found<Gpus>,
    /// Why it shows nothing, if so.
    pub cuda_failure: Option<CudaFailure>,
    /// TensorRT.
    pub tensorrt: TensorRt,
    /// ONNX Runtime.
    pub onnx_runtime: Found<OnnxRuntime>,
    /// GStreamer's decoders, codec by codec.
    pub decoders: Found<Vec<CodecDecoders>>,
    /// Engines that were built before.
    pub engines: Engines,
}

/// The computer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The distribution and its version, as it calls itself.
    pub system: String,
    /// The kernel's release.
    pub kernel: String,
    /// Such as `x86_64`.
    pub architecture: String,
    /// Its name, and the threads that this process may use.
    pub processor: String,
    /// Memory for programs, all of it.
    pub memory_bytes: Option<u64>,
    /// What kind of container this process is in.
    pub container: Option<String>,
    /// Whether this process is root's.
    pub is_root: bool,
}

/// What the kernel shows of NVIDIA's hardware, whatever libraries there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Nvidia {
    /// Graphics processors on the PCI bus, as `vendor:device`. A Jetson's is not on it.
    pub pci: Vec<String>,
    /// The version of the kernel's driver, once it is loaded.
    pub kernel_driver: Option<String>,
    /// The files through which programs reach it.
    pub nodes: Vec<DeviceNode>,
}

/// What CUDA shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpus {
    /// The newest CUDA that the driver takes, such as `12.6`.
    pub cuda: String,
    /// In CUDA's order; the first is used.
    pub devices: Vec<Gpu>,
}

/// Why CUDA shows nothing, by what is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CudaFailure {
    /// The driver's library cannot be loaded.
    NoLibrary,
    /// The driver is older than the kernels take.
    DriverTooOld,
    /// The library is of another version than the driver in the kernel.
    Mismatch,
    /// The driver refuses something else.
    Refuses,
    /// It has said nothing for too long.
    NoAnswer,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpu {
    /// As it calls itself.
    pub name: String,
    /// Major and minor.
    pub compute_capability: (u32, u32),
    /// Its memory.
    pub memory_bytes: u64,
    /// What of it is free; absent where the GPU cannot be opened.
    pub free_bytes: Option<u64>,
    /// Whether that is the computer's memory, as on a Jetson.
    pub is_memory_shared: bool,
}

/// TensorRT.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorRt {
    /// What this program was built for, such as `TensorRT 10.3.0`; empty where no headers were there.
    pub built_for: Vec<String>,
    /// The library that would be used.
    pub library: Found<TensorRtLibrary>,
    /// Files of TensorRT in the system's folders, whether or not they can be used.
    pub files: Vec<String>,
}

/// A library of TensorRT.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorRtLibrary {
    /// The file, as the loader was asked for it.
    pub path: PathBuf,
    /// `TensorRT` or `TensorRT-RTX`.
    pub flavour: String,
    /// Such as `10.3.0`.
    pub version: String,
    /// Why engines can be run but not built, if so: the parser of ONNX is a library of its own.
    pub parser_missing: Option<String>,
}

/// A library of ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnnxRuntime {
    /// The file.
    pub path: PathBuf,
    /// As it says.
    pub version: String,
    /// What it can run graphs on.
    pub providers: Vec<String>,
}

/// The decoders of a codec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodecDecoders {
    /// The codec.
    pub codec: String,
    /// GStreamer's elements, in the order in which they are tried.
    pub elements: Vec<String>,
}

/// Engines that were built before.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Engines {
    /// Where they are kept; absent for a user without a home.
    pub folder: Option<PathBuf>,
    /// Where the service keeps its own, if that is another folder.
    pub of_service: Option<PathBuf>,
    /// Those that are there, the newest first.
    pub files: Vec<EngineFile>,
}

/// A file in the folder of engines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Since it was built.
    pub age_s: u64,
}
