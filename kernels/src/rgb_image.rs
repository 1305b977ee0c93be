//! A picture that owns its pixels.

use crate::error::KernelError;
use crate::image_view::{ImageView, Plane};

/// Packed RGB, 8 bits a channel, no padding: `width * height * 3` bytes, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Red, green, blue of each pixel.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// This picture borrowed.
    ///
    /// # Errors
    /// As [`ImageView::rgb8`]: the fields are public and need not agree.
    pub fn view(&self) -> Result<ImageView<'_>, KernelError> {
        let stride = (self.width as usize).saturating_mul(3);
        ImageView::rgb8(self.width, self.height, Plane { bytes: &self.pixels, stride })
    }
}
