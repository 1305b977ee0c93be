//! A decoded picture where it lies, checked once.

use crate::colorimetry::{Colorimetry, YuvToRgb};
use crate::error::{KernelError, PlaneName};
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
        let (width, height) = (self.width as usize, self.height as usize);
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in 0..height {
            match self.pixels {
                Pixels::Rgb8(rgb) => pixels.extend_from_slice(rgb.row(row, width * 3)),
                Pixels::Nv12 { y, uv, colorimetry } => {
                    let convert = YuvToRgb::new(colorimetry);
                    let chroma = uv.row(row / 2, width.div_ceil(2) * 2);
                    for (pair, uv) in y.row(row, width).chunks(2).zip(chroma.chunks_exact(2)) {
                        pair.iter().for_each(|&y| pixels.extend(convert.pixel(y, uv[0], uv[1])));
                    }
                }
                Pixels::I420 { y, u, v, colorimetry } => {
                    let convert = YuvToRgb::new(colorimetry);
                    let us = u.row(row / 2, width.div_ceil(2));
                    let vs = v.row(row / 2, width.div_ceil(2));
                    for (pair, (&u, &v)) in y.row(row, width).chunks(2).zip(us.iter().zip(vs)) {
                        pair.iter().for_each(|&y| pixels.extend(convert.pixel(y, u, v)));
                    }
                }
            }
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
