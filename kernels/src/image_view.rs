//! A decoded picture where it lies, checked once.

use fearless_simd::Level;

use crate::colorimetry::Colorimetry;
use crate::error::{KernelError, PlaneName};
use crate::resize::{ChromaTerms, RgbRows, interleave};
use crate::rgb_image::RgbImage;

/// How the pixels of an [`ImageView`] are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// A Y plane, then one plane of interleaved U and V at half the width and height.
    Nv12,
    /// A Y plane, then a U and a V plane at half the width and height.
    I420,
    /// One plane of packed red, green, blue bytes.
    Rgb8,
}

/// One plane of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// From the first pixel on. Bytes after the last pixel are never read, nor is the padding of rows.
    pub bytes: &'a [u8],
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

impl<'a> Plane<'a> {
    /// The pixels of row `row`. In range for every view: its constructor checked the plane.
    pub(crate) fn row(&self, row: usize, row_bytes: usize) -> &'a [u8] {
        let start = row * self.stride;
        &self.bytes[start..start + row_bytes]
    }
}

/// A borrowed picture of at least one pixel, whose planes are known to hold all of their rows.
///
/// Chroma planes of NV12 and I420 are `ceil(width / 2)` by `ceil(height / 2)`. A chroma sample is taken as the
/// colour of its whole 2x2 block (no interpolation), whatever siting the stream declares.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    width: u32,
    height: u32,
    pixels: Pixels<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Pixels<'a> {
    Rgb8(Plane<'a>),
    Nv12 { y: Plane<'a>, uv: Plane<'a>, colorimetry: Colorimetry },
    I420 { y: Plane<'a>, u: Plane<'a>, v: Plane<'a>, colorimetry: Colorimetry },
}

impl<'a> ImageView<'a> {
    /// A picture of packed RGB bytes.
    ///
    /// # Errors
    /// [`KernelError::EmptyPicture`] for a side of 0; `StrideTooSmall`, `PlaneTooSmall`, `PlaneTooLarge` for
    /// a plane that cannot hold the picture.
    pub fn rgb8(width: u32, height: u32, rgb: Plane<'a>) -> Result<Self, KernelError> {
        let size = Size::new(width, height)?;
        size.check(PlaneName::Rgb, rgb, size.width.checked_mul(3), size.height)?;
        Ok(ImageView { width, height, pixels: Pixels::Rgb8(rgb) })
    }

    /// A picture of a luma plane and a plane of interleaved chroma (U first).
    ///
    /// # Errors
    /// As [`ImageView::rgb8`], naming the plane.
    pub fn nv12(
        width: u32,
        height: u32,
        y: Plane<'a>,
        uv: Plane<'a>,
        colorimetry: Colorimetry,
    ) -> Result<Self, KernelError> {
        let size = Size::new(width, height)?;
        size.check(PlaneName::Y, y, Some(size.width), size.height)?;
        size.check(PlaneName::Uv, uv, size.width.div_ceil(2).checked_mul(2), size.height.div_ceil(2))?;
        Ok(ImageView { width, height, pixels: Pixels::Nv12 { y, uv, colorimetry } })
    }

    /// A picture of a luma plane and two chroma planes.
    ///
    /// # Errors
    /// As [`ImageView::rgb8`], naming the plane.
    pub fn i420(
        width: u32,
        height: u32,
        y: Plane<'a>,
        u: Plane<'a>,
        v: Plane<'a>,
        colorimetry: Colorimetry,
    ) -> Result<Self, KernelError> {
        let size = Size::new(width, height)?;
        size.check(PlaneName::Y, y, Some(size.width), size.height)?;
        size.check(PlaneName::U, u, Some(size.width.div_ceil(2)), size.height.div_ceil(2))?;
        size.check(PlaneName::V, v, Some(size.width.div_ceil(2)), size.height.div_ceil(2))?;
        Ok(ImageView { width, height, pixels: Pixels::I420 { y, u, v, colorimetry } })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Layout of the pixels.
    pub fn format(&self) -> PixelFormat {
        match self.pixels {
            Pixels::Rgb8(_) => PixelFormat::Rgb8,
            Pixels::Nv12 { .. } => PixelFormat::Nv12,
            Pixels::I420 { .. } => PixelFormat::I420,
        }
    }

    /// The whole picture as packed RGB, each pixel as the crate's YUV conversion defines it.
    pub fn to_rgb(&self) -> RgbImage {
        let (width, level) = (self.width as usize, Level::new());
        let mut terms = ChromaTerms::default();
        let mut rows = RgbRows::new(self, &mut terms, level);
        let mut planes = vec![0; 3 * width];
        let (red, rest) = planes.split_at_mut(width);
        let (green, blue) = rest.split_at_mut(width);
        let mut pixels = vec![0; 3 * width * self.height as usize];
        for (row, packed) in pixels.chunks_exact_mut(3 * width).enumerate() {
            rows.read(row, [red, green, blue]);
            interleave(level, [red, green, blue], packed);
        }
        RgbImage { width: self.width, height: self.height, pixels }
    }

    pub(crate) fn pixels(&self) -> Pixels<'a> {
        self.pixels
    }
}

/// The size of a picture while its planes are checked.
struct Size {
    width: usize,
    height: usize,
    given: (u32, u32),
}

impl Size {
    fn new(width: u32, height: u32) -> Result<Self, KernelError> {
        if width == 0 || height == 0 {
            return Err(KernelError::EmptyPicture { width, height });
        }
        Ok(Size { width: width as usize, height: height as usize, given: (width, height) })
    }

    /// Checks that `plane` holds `rows` rows of `row_bytes` bytes (`None`: more than can be addressed).
    fn check(
        &self,
        name: PlaneName,
        plane: Plane<'_>,
        row_bytes: Option<usize>,
        rows: usize,
    ) -> Result<(), KernelError> {
        let (width, height) = self.given;
        let too_large = KernelError::PlaneTooLarge { plane: name, width, height, stride: plane.stride };
        let Some(row_bytes) = row_bytes else { return Err(too_large) };
        if plane.stride < row_bytes {
            let (needed, got) = (row_bytes, plane.stride);
            return Err(KernelError::StrideTooSmall { plane: name, width, height, needed, got });
        }
        let before_last = plane.stride.checked_mul(rows - 1);
        let Some(needed) = before_last.and_then(|bytes| bytes.checked_add(row_bytes)) else {
            return Err(too_large);
        };
        if plane.bytes.len() < needed {
            let (stride, got) = (plane.stride, plane.bytes.len());
            return Err(KernelError::PlaneTooSmall { plane: name, width, height, stride, needed, got });
        }
        Ok(())
    }
}
