//! Pixels to location bins and back (spec section 7.1).

use std::fmt;

use crate::tokens::LOCATION_BINS;

/// Size of the original picture: what location tokens are fractions of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureSize {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl PictureSize {
    /// A size of `width` by `height` pixels.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// The middle of column `bin`, in pixels.
    pub fn x_px(self, bin: u16) -> f32 {
        centre(bin, self.width)
    }

    /// The middle of row `bin`, in pixels.
    pub fn y_px(self, bin: u16) -> f32 {
        centre(bin, self.height)
    }

    /// The box with corners x1, y1, x2, y2 in location bins, in pixels: turned the right way round if it is inverted.
    pub fn box_px(self, [x1, y1, x2, y2]: [u16; 4]) -> [f32; 4] {
        [self.x_px(x1.min(x2)), self.y_px(y1.min(y2)), self.x_px(x1.max(x2)), self.y_px(y1.max(y2))]
    }

    /// The column that holds `x_px`, clamped into the picture.
    pub fn x_bin(self, x_px: f32) -> u16 {
        bin(x_px, self.width)
    }

    /// The row that holds `y_px`, clamped into the picture.
    pub fn y_bin(self, y_px: f32) -> u16 {
        bin(y_px, self.height)
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Pixels of one bin, rounded to `f32` as the reference's tensors do: pixel values then agree to the last bit, and
/// with them their truncation to integers.
fn bin_px(size: u32) -> f32 {
    (f64::from(size) / f64::from(LOCATION_BINS)) as f32
}

fn centre(bin: u16, size: u32) -> f32 {
    (f32::from(bin.min(LOCATION_BINS - 1)) + 0.5) * bin_px(size)
}

fn bin(px: f32, size: u32) -> u16 {
    let bin = (px / bin_px(size)).floor();
    // `as` saturates and takes NaN (0 / 0) as 0.
    (bin as u16).min(LOCATION_BINS - 1)
}
