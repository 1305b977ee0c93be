//! The table that tells the kernels of each picture.

use super::tables::ResizeTables;
use crate::KernelError;
use crate::colorimetry::{Colorimetry, YuvToRgb};
use crate::device::DeviceSlice;
use crate::image_view::{ImageView, PixelFormat, Pixels, Plane};
use crate::launch::slices::Arguments;

/// A picture whose planes lie one after another in memory that the device reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureShape {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Layout of the pixels.
    pub format: PixelFormat,
    /// What the numbers mean; not looked at for RGB.
    pub colorimetry: Option<Colorimetry>,
    planes: [PlacedPlane; 3],
    count: usize,
}

/// A plane beside the others of its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PlacedPlane {
    offset: usize,
    pitch: usize,
    row_bytes: usize,
    rows: usize,
}

impl PlacedPlane {
    /// Up to and with the last pixel.
    fn bytes(&self) -> usize {
        self.pitch * (self.rows - 1) + self.row_bytes
    }
}

impl PictureShape {
    /// The shape of `picture` when its planes are moved: rows as they are where they begin at multiples of four bytes, which
    /// kernels read fastest, and are not much longer than their pixels.
    pub fn of(picture: &ImageView<'_>) -> PictureShape {
        let mut planes = [PlacedPlane::default(); 3];
        let mut offset = 0;
        let given = planes_of(picture);
        for ((plane, row_bytes, rows), placed) in given.iter().flatten().zip(&mut planes) {
            let tight = row_bytes.next_multiple_of(16);
            let as_it_is = plane.stride.is_multiple_of(4) && plane.stride <= tight + 128;
            *placed = PlacedPlane {
                offset,
                pitch: if as_it_is { plane.stride } else { tight },
                row_bytes: *row_bytes,
                rows: *rows,
            };
            offset = (offset + placed.bytes()).next_multiple_of(16);
        }
        let colorimetry = match picture.pixels() {
            Pixels::Rgb8(_) => None,
            Pixels::Nv12 { colorimetry, .. } | Pixels::I420 { colorimetry, .. } => Some(colorimetry),
        };
        let (width, height) = (picture.width(), picture.height());
        let count = given.iter().flatten().count();
        PictureShape { width, height, format: picture.format(), colorimetry, planes, count }
    }

    /// Bytes of all planes.
    pub fn bytes(&self) -> usize {
        self.planes[..self.count].iter().map(|plane| plane.offset + plane.bytes()).max().unwrap_or(0)
    }

    /// The planes of `picture`, whose shape this is, where the shape has them.
    pub fn packed(&self, picture: &ImageView<'_>) -> Vec<u8> {
        let mut packed = vec![0; self.bytes()];
        let Ok(()) = self.write(picture, |offset, bytes| {
            packed[offset..offset + bytes.len()].copy_from_slice(bytes);
            Ok::<_, std::convert::Infallible>(())
        });
        packed
    }

    /// Gives the bytes of `picture`, whose shape this is, to `write` with their offsets.
    pub(super) fn write<E>(
        &self,
        picture: &ImageView<'_>,
        mut write: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for ((plane, row_bytes, rows), placed) in planes_of(picture).into_iter().flatten().zip(&self.planes) {
            if plane.stride == placed.pitch {
                write(placed.offset, &plane.bytes[..placed.bytes()])?;
            } else {
                for row in 0..rows {
                    write(placed.offset + row * placed.pitch, plane.row(row, row_bytes))?;
                }
            }
        }
        Ok(())
    }
}

/// Planes with the bytes of their rows and their number of rows.
fn planes_of<'a>(picture: &ImageView<'a>) -> [Option<(Plane<'a>, usize, usize)>; 3] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    match picture.pixels() {
        Pixels::Rgb8(rgb) => [Some((rgb, 3 * width, height)), None, None],
        Pixels::Nv12 { y, uv, .. } => {
            [Some((y, width, height)), Some((uv, 2 * half_width, half_height)), None]
        }
        Pixels::I420 { y, u, v, .. } => {
            [Some((y, width, height)), Some((u, half_width, half_height)), Some((v, half_width, half_height))]
        }
    }
}

/// Words of an entry of the kernels' table.
pub(super) const FRAME_WORDS: usize = 18;

/// Where everything about one picture lies.
#[derive(Debug, Clone, Copy)]
pub struct FrameSource<'t> {
    /// The picture.
    pub shape: PictureShape,
    /// Its planes, at a multiple of 16 bytes.
    pub pixels: DeviceSlice,
    /// The filters for its size.
    pub tables: &'t ResizeTables,
    /// Where [`ResizeTables::bytes`] were put.
    pub table_memory: DeviceSlice,
    /// [`ResizeTables::between_bytes`] that nothing else uses meanwhile.
    pub between: DeviceSlice,
}

impl FrameSource<'_> {
    /// The entry of the kernels' table.
    pub(super) fn entry(&self, target: (u32, u32)) -> Result<[u64; FRAME_WORDS], KernelError> {
        let arguments = Arguments("preprocess");
        let shape = &self.shape;
        // A picture ends with its last pixel; only its beginning is aligned.
        if self.pixels.bytes() < shape.bytes() || !self.pixels.address().is_multiple_of(16) {
            let (needed, got, at) = (Some(shape.bytes()), self.pixels.bytes(), self.pixels.address());
            return Err(KernelError::Slice { kernel: arguments.0, argument: "pixels", needed, got, at });
        }
        arguments.memory("tables", self.table_memory, &[self.tables.bytes.len().div_ceil(16)], 16)?;
        arguments.memory("between", self.between, &[self.tables.between_bytes(target) / 4], 4)?;
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let mut pitch = [0; 3];
        for (pitch, plane) in pitch.iter_mut().zip(&shape.planes) {
            *pitch = arguments.count("pitch + 1", plane.pitch + 1, u32::MAX)? - 1;
        }
        let format = match shape.format {
            PixelFormat::Nv12 => 0,
            PixelFormat::I420 => 1,
            PixelFormat::Rgb8 => 2,
        };
        let [y, u, v] = shape.planes.map(|plane| self.pixels.address() + plane.offset as u64);
        let colours = shape.colorimetry.map(YuvToRgb::new);
        let colour = |of: fn(&YuvToRgb) -> i32| colours.as_ref().map_or(0, of) as u32;
        let [h_spans, h_weights, h_words, v_spans, v_weights, v_words] = self.tables.words(self.table_memory);
        Ok([
            y,
            u,
            v,
            pair(pitch[0], pitch[1]),
            pair(pitch[2], format),
            pair(shape.width, shape.height),
            pair(colour(|c| c.luma_offset), colour(|c| c.luma_gain)),
            pair(colour(|c| c.red_v), colour(|c| c.green_u)),
            pair(colour(|c| c.green_v), colour(|c| c.blue_u)),
            u64::from(self.tables.vertical_first),
            self.between.address(),
            h_spans,
            h_weights,
            h_words,
            v_spans,
            v_weights,
            v_words,
            0,
        ])
    }
}
