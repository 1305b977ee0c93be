//! The two passes put together.

use fearless_simd::Level;

use super::pack::{TILE_BYTES, pack_rows, pack_strip};
use super::rows::{ChromaTerms, RgbRows, interleave};
use super::weights::WeightTable;
use super::{LANES, Quads, lanes};
use crate::error::KernelError;
use crate::image_view::ImageView;
use crate::preprocess::PreprocessSpec;
use crate::rgb_image::RgbImage;

/// Resizes pictures to one size exactly as Pillow 13.0 does it with `resample=BICUBIC`.
///
/// Weights and scratch memory belong to the last source size and are reused while pictures keep it. Scratch is
/// about three bytes for each source pixel or less (for a picture of few rows or columns: of the picture
/// rounded up to 16 of them).
#[derive(Debug)]
pub struct BicubicResize {
    level: Level,
    width: u32,
    height: u32,
    passes: Option<Passes>,
}

/// Everything that depends on the source size.
#[derive(Debug)]
struct Passes {
    source: (u32, u32),
    /// The vertical pass, where it is to be first.
    first: Option<(WeightTable, Vec<Quads>)>,
    horizontal: WeightTable,
    /// The vertical pass after the horizontal one; copies where it was first.
    vertical: WeightTable,
    terms: ChromaTerms,
    /// Sixteen rows of planar RGB, `row_bytes` a plane.
    planes: Vec<u8>,
    row_bytes: usize,
    strip: Vec<Quads>,
    /// Result of the horizontal pass: `columns[(row / 4 * 3 + channel) * blocks + x / 16]`.
    columns: Vec<Quads>,
}

impl BicubicResize {
    /// A resize to `width` by `height` pixels.
    ///
    /// # Errors
    /// [`KernelError::TargetSize`] for a side of 0 or above [`PreprocessSpec::MAX_SIDE_PX`].
    pub fn new(width: u32, height: u32) -> Result<Self, KernelError> {
        let max = PreprocessSpec::MAX_SIDE_PX;
        if !(1..=max).contains(&width) || !(1..=max).contains(&height) {
            return Err(KernelError::TargetSize { width, height, max });
        }
        Ok(BicubicResize { level: Level::new(), width, height, passes: None })
    }

    /// The resized picture.
    pub fn run(&mut self, picture: &ImageView<'_>) -> RgbImage {
        let rows = self.begin(picture);
        let width = rows.width();
        let mut planes = vec![0; 3 * width];
        let mut pixels = vec![0; 3 * width * rows.height()];
        for (row, packed) in pixels.chunks_exact_mut(3 * width).enumerate() {
            for (channel, plane) in planes.chunks_exact_mut(width).enumerate() {
                rows.read(channel, row, plane);
            }
            let (red, rest) = planes.split_at(width);
            let (green, blue) = rest.split_at(width);
            interleave(rows.level, [red, green, blue], packed);
        }
        RgbImage { width: self.width, height: self.height, pixels }
    }

    /// Runs everything but the last pass; its rows are then computed as they are asked for.
    pub(crate) fn begin(&mut self, picture: &ImageView<'_>) -> ResizedRows<'_> {
        let source = (picture.width(), picture.height());
        let passes = match self.passes.take() {
            Some(passes) if passes.source == source => passes,
            _ => Passes::new(source, (self.width, self.height)),
        };
        let passes = self.passes.insert(passes);
        passes.fill(picture, self.level);
        ResizedRows { passes, level: self.level }
    }
}

/// The rows of a resized picture.
pub(crate) struct ResizedRows<'a> {
    passes: &'a Passes,
    level: Level,
}

impl ResizedRows<'_> {
    pub(crate) fn width(&self) -> usize {
        self.passes.horizontal.target()
    }

    pub(crate) fn height(&self) -> usize {
        self.passes.vertical.target()
    }

    /// Writes one channel of one row; `out` is [`Self::width`] long.
    pub(crate) fn read(&self, channel: usize, row: usize, out: &mut [u8]) {
        vertical_row(self.level, &self.passes.vertical, &self.passes.columns, channel, row, out);
    }
}

/// One channel of row `row` of the vertical pass over `columns`, as wide as `out`.
fn vertical_row(
    level: Level,
    table: &WeightTable,
    columns: &[Quads],
    channel: usize,
    row: usize,
    out: &mut [u8],
) {
    let blocks = out.len().div_ceil(LANES);
    let (quad, weights) = table.taps(row);
    lanes::vertical(level, &columns[(quad * 3 + channel) * blocks..], 3 * blocks, weights, out);
}

impl Passes {
    fn new(source: (u32, u32), target: (u32, u32)) -> Self {
        let (width, height) = (source.0 as usize, source.1 as usize);
        let (target_width, target_height) = (target.0 as usize, target.1 as usize);
        let quads = |rows: usize, columns: usize| rows.div_ceil(4) * 3 * columns.div_ceil(LANES);
        let (first, rows) = if vertical_first(source, target) {
            let table = WeightTable::new(height, target_height);
            (Some((table, vec![[0; LANES]; quads(height, width)])), target_height)
        } else {
            (None, height)
        };
        let row_bytes = width.next_multiple_of(TILE_BYTES);
        Passes {
            source,
            first,
            horizontal: WeightTable::new(width, target_width),
            vertical: WeightTable::new(rows, target_height),
            terms: ChromaTerms::default(),
            planes: vec![0; LANES * 3 * row_bytes],
            row_bytes,
            strip: vec![[0; LANES]; row_bytes / 4 * 3],
            columns: vec![[0; LANES]; quads(rows, target_width)],
        }
    }

    /// Runs the passes over `picture` up to the last vertical one.
    fn fill(&mut self, picture: &ImageView<'_>, level: Level) {
        let mut rows = RgbRows::new(picture, &mut self.terms, level);
        let (width, row_bytes) = (picture.width() as usize, self.row_bytes);
        let rows_of = |planes: &mut [u8], row: usize, read: &mut dyn FnMut(usize, [&mut [u8]; 3])| {
            let (red, rest) = planes.split_at_mut(row_bytes);
            let (green, blue) = rest.split_at_mut(row_bytes);
            read(row, [&mut red[..width], &mut green[..width], &mut blue[..width]]);
        };
        if let Some((table, columns)) = &mut self.first {
            let blocks = width.div_ceil(LANES);
            for (quad, columns) in columns.chunks_exact_mut(3 * blocks).enumerate() {
                let height = table.source();
                for (row, planes) in
                    (4 * quad..height.min(4 * quad + 4)).zip(self.planes.chunks_exact_mut(3 * row_bytes))
                {
                    rows_of(planes, row, &mut |row, out| rows.read(row, out));
                }
                for (channel, columns) in columns.chunks_exact_mut(blocks).enumerate() {
                    let row = |row: usize| &self.planes[(row * 3 + channel) * row_bytes..][..row_bytes];
                    pack_rows(level, [row(0), row(1), row(2), row(3)], columns);
                }
            }
        }
        let mut read = |row: usize, out: [&mut [u8]; 3]| match &self.first {
            None => rows.read(row, out),
            Some((table, columns)) => out
                .into_iter()
                .enumerate()
                .for_each(|(channel, out)| vertical_row(level, table, columns, channel, row, out)),
        };
        let blocks = self.horizontal.target().div_ceil(LANES);
        let height = self.vertical.source();
        for (strip, columns) in self.columns.chunks_mut(LANES / 4 * 3 * blocks).enumerate() {
            let start = strip * LANES;
            for (row, planes) in
                (start..height.min(start + LANES)).zip(self.planes.chunks_exact_mut(3 * row_bytes))
            {
                rows_of(planes, row, &mut read);
            }
            pack_strip(level, &self.planes, row_bytes, &mut self.strip);
            lanes::horizontal(level, &self.strip, &self.horizontal, columns);
        }
    }
}

/// Which pass Pillow runs first. Before 13.0 it was always the horizontal one; since then it is the vertical one
/// where the height shrinks by more than twice as many pixels as the width does (python-pillow/Pillow pull
/// request 9549).
fn vertical_first(source: (u32, u32), target: (u32, u32)) -> bool {
    let lost = |source: u32, target: u32| i64::from(source) - i64::from(target);
    lost(source.1, target.1) > (2 * lost(source.0, target.0)).max(0)
}
