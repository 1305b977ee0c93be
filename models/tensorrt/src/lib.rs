//! TensorRT, loaded at run time: building engines from ONNX, and running them.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use belvedere_tensorrt::{BuildOptions, Builder, Library, Runtime, ShapeProfile};
//!
//! let library = Library::find()?;
//! let mut builder = Builder::new(&library)?;
//! let mut network = builder.parse("vision", &std::fs::read("vision.onnx")?, "vision.onnx".as_ref())?;
//! let profile = ShapeProfile::new().fixed("pixel_values", vec![1, 3, 768, 768]);
//! let options = BuildOptions {
//!     workspace_bytes: 1 << 30,
//!     optimization_level: None,
//!     auxiliary_streams: Some(0),
//!     capabilities: vec![],
//!     is_detailed: false,
//! };
//! let built = network.build(&[profile], &options, None, &|_, _| true)?;
//! let engine = Runtime::new(&library)?.deserialize("vision", built.plan.bytes())?;
//! println!("{} bytes of scratch memory", engine.scratch_bytes(0)?);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of TensorRT is linked. The binary holds one shim for each TensorRT whose headers were there when it was
//! compiled, and none where there were none: everything here then answers [`TensorRtError::NotBuilt`].

mod builder;
mod engine;
mod error;
mod library;
mod logger;
mod object;
mod progress;
mod shim;
mod tensor;
mod version;

pub use builder::{BuildOptions, Builder, Built, Network, SerializedEngine, ShapeProfile};
pub use engine::{Context, CudaStream, Engine, Runtime};
pub use error::{Attempt, TensorRtError};
pub use library::{Found, LIBRARY_VARIABLE, Library, built_for, find};
pub use progress::OnProgress;
pub use tensor::{Element, TensorInfo};
pub use version::{Flavour, Version};
