//! Pictures as decoders give them.

use belvedere_kernels::{Colorimetry, ImageView, PixelFormat, Plane, YuvMatrix, YuvRange};

/// A picture that owns its planes, rows of which may be longer than their pixels.
#[derive(Debug)]
pub(crate) struct Shot {
    format: PixelFormat,
    size: (u32, u32),
    strides: [usize; 3],
    planes: [Vec<u8>; 3],
    colorimetry: Colorimetry,
}

impl Shot {
    /// Of any layout, with both sides between 2 and `most` pixels.
    pub(crate) fn any(random: &mut fastrand::Rng, most: (u32, u32)) -> Shot {
        let size = (random.u32(2..=most.0), random.u32(2..=most.1));
        let format = [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Rgb8][random.usize(..3)];
        Shot::of(random, format, size)
    }

    /// Blocks of one colour each, so that pictures look different after they have been made smaller.
    pub(crate) fn of(random: &mut fastrand::Rng, format: PixelFormat, size: (u32, u32)) -> Shot {
        let (width, height) = (size.0 as usize, size.1 as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let rows = match format {
            PixelFormat::Nv12 => [(width, height), (2 * half_width, half_height), (0, 0)],
            PixelFormat::I420 => [(width, height), (half_width, half_height), (half_width, half_height)],
            PixelFormat::Rgb8 => [(3 * width, height), (0, 0), (0, 0)],
        };
        let strides = rows.map(|(row, _)| row + [0, 1, 4, 200][random.usize(..4)]);
        let planes = [0, 1, 2].map(|plane| {
            let (row, rows) = rows[plane];
            let bytes = if rows == 0 { 0 } else { strides[plane] * (rows - 1) + row };
            let levels: [u8; 37] = std::array::from_fn(|_| random.u8(..));
            (0..bytes).map(|at| levels[(at / 16 + at / strides[plane] / 8 * 5) % levels.len()]).collect()
        });
        let matrix = [YuvMatrix::Bt601, YuvMatrix::Bt709][random.usize(..2)];
        let range = [YuvRange::Limited, YuvRange::Full][random.usize(..2)];
        Shot { format, size, strides, planes, colorimetry: Colorimetry { matrix, range } }
    }

    pub(crate) fn view(&self) -> ImageView<'_> {
        let plane = |i: usize| Plane { bytes: &self.planes[i], stride: self.strides[i] };
        let (width, height) = self.size;
        let view = match self.format {
            PixelFormat::Nv12 => ImageView::nv12(width, height, plane(0), plane(1), self.colorimetry),
            PixelFormat::I420 => {
                ImageView::i420(width, height, plane(0), plane(1), plane(2), self.colorimetry)
            }
            PixelFormat::Rgb8 => ImageView::rgb8(width, height, plane(0)),
        };
        view.unwrap()
    }
}
