//! One picture in every layout that decoders give.

use belvedere_kernels::{Colorimetry, ImageView, KernelError, Plane, RgbImage, YuvMatrix, YuvRange};

/// The picture as it is, and its bytes taken for the planes of NV12 and of I420. What is to be seen in those is nothing in
/// particular, and the same for everyone.
///
/// # Errors
/// A picture of no pixels.
pub(super) fn layouts(picture: &RgbImage) -> Result<[ImageView<'_>; 3], KernelError> {
    let (width, height) = (picture.width, picture.height);
    let (stride, half) = (width as usize, width.div_ceil(2) as usize);
    let (luma, chroma) = (stride * height as usize, half * height.div_ceil(2) as usize);
    let plane =
        |from: usize, stride: usize| Plane { bytes: picture.pixels.get(from..).unwrap_or_default(), stride };
    let colorimetry = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };
    let (y, u, v) = (plane(0, stride), plane(luma, half), plane(luma + chroma, half));
    Ok([
        picture.view()?,
        ImageView::nv12(width, height, y, plane(luma, 2 * half), colorimetry)?,
        ImageView::i420(width, height, y, u, v, colorimetry)?,
    ])
}

#[cfg(test)]
mod tests {
    use belvedere_kernels::PixelFormat;

    use super::*;

    #[test]
    fn every_layout_fits_into_a_pictures_bytes() {
        for (width, height) in [(2, 2), (5, 3), (640, 360)] {
            let pixels = vec![9; width as usize * height as usize * 3];
            let picture = RgbImage { width, height, pixels };
            let formats = layouts(&picture).unwrap().map(|view| view.format());
            assert_eq!(formats, [PixelFormat::Rgb8, PixelFormat::Nv12, PixelFormat::I420]);
        }
    }
}
