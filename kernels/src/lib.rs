//! Pixels in, model input out: the CPU reference of preprocessing, and the kernels that do the same, and decoding's small
//! steps, on a GPU.
//!
//! A decoded picture is borrowed as an [`ImageView`] (NV12, I420 or packed RGB). A [`PreprocessPlan`] turns
//! it into [`PixelValues`]: YUV to RGB as [`Colorimetry`] defines it, a resize that is equal to Pillow's
//! `BICUBIC` bit for bit, and the reference's rescale and normalisation in its own float order.
//!
//! ```
//! use belvedere_kernels::{ImageView, Plane, PreprocessPlan, PreprocessSpec};
//!
//! let pixels = [120u8; 4 * 2 * 3];
//! let picture = ImageView::rgb8(4, 2, Plane { bytes: &pixels, stride: 12 })?;
//! let mut plan = PreprocessPlan::new(PreprocessSpec::imagenet(768, 768))?;
//! let values = plan.run(&picture)?;
//! assert_eq!(values.data.len(), 3 * 768 * 768);
//! # Ok::<(), belvedere_kernels::KernelError>(())
//! ```

mod colorimetry;
pub mod device;
mod error;
mod image_view;
pub mod launch;
mod preprocess;
mod resize;
mod rgb_image;

pub use colorimetry::{Colorimetry, YuvMatrix, YuvRange};
pub use error::{KernelError, PlaneName};
pub use image_view::{ImageView, PixelFormat, Plane};
pub use preprocess::{PixelValues, PreprocessPlan, PreprocessSpec};
pub use resize::BicubicResize;
pub use rgb_image::RgbImage;
