//! Pictures to the model's input, on a device.

mod filters;
mod frame_room;
mod frames;
mod kernels;
mod preprocessor;
mod staging_ring;
mod tables;

pub use frame_room::{FrameMemory, FrameRoom, PixelsIn};
pub use frames::{FrameSource, PictureShape};
pub use kernels::Preprocess;
pub use preprocessor::{DevicePreprocessor, PreprocessTimes};
pub use tables::ResizeTables;
