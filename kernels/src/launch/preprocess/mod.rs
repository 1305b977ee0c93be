//! Pictures to the model's input, on a device.

mod frames;
mod kernels;
mod preprocessor;
mod tables;

pub use frames::{FrameSource, PictureShape};
pub use kernels::Preprocess;
pub use preprocessor::{DevicePreprocessor, PixelsIn};
pub use tables::ResizeTables;
