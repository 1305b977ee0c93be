//! The two passes put together.

use fearless_simd::Level;

use super::pack::{TILE_BLOCKS, pack_rows, pack_strip};
use super::rows::{ChromaTerms, RgbRows, interleave};
use super::weights::WeightTable;
use super::window::VerticalPass;
use super::{LANES, Quads, STRIP_QUADS, lanes};
use crate::error::KernelError;
use crate::image_view::ImageView;
use crate::preprocess::PreprocessSpec;
use crate::rgb_image::RgbImage;

/// Resizes pictures to one size exactly as Pillow 13.0 does it with `resample=BICUBIC`.
///
/// Weights and scratch memory belong to the last source size and are reused while pictures keep it. Scratch is
/// some dozens of source rows and never more than a few times the picture (sides rounded up to 64).
#[derive(Debug)]
pub struct BicubicResize {
    pub(super) level: Level,
    width: u32,
    height: u32,
    passes: Option<Passes>,
}

/// Everything that depends on the source size.
#[derive(Debug)]
struct Passes {
    source: (u32, u32),
    /// The vertical pass, where it is to be first.
    first: Option<TallPass>,
    horizontal: WeightTable,
    /// The vertical pass after the horizontal one; copies where it was first.
    vertical: VerticalPass,
    terms: ChromaTerms,
    /// Sixteen rows of planar RGB, each plane of a row `plane_blocks` long: whole tiles for packing.
    planes: Vec<[u8; LANES]>,
    plane_blocks: usize,
    strip: Vec<Quads>,
    /// One row of the result, three planes.
    row: Vec<[u8; LANES]>,
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
        let mut resized = RgbImage { width: 0, height: 0, pixels: Vec::new() };
        self.run_into(picture, &mut resized);
        resized
    }

    /// As [`BicubicResize::run`], into `resized`, whose memory is reused whatever it held.
    pub fn run_into(&mut self, picture: &ImageView<'_>, resized: &mut RgbImage) {
        let (level, row_bytes) = (self.level, 3 * self.width as usize);
        (resized.width, resized.height) = (self.width, self.height);
        let pixels = &mut resized.pixels;
        pixels.resize(row_bytes * self.height as usize, 0);
        self.run_rows(picture, |row, planes| {
            interleave(level, planes, &mut pixels[row * row_bytes..][..row_bytes]);
        });
    }

    /// Gives each row of the resized picture to `sink`, from the top, as planes of red, green and blue.
    pub(crate) fn run_rows(&mut self, picture: &ImageView<'_>, sink: impl FnMut(usize, [&[u8]; 3])) {
        let source = (picture.width(), picture.height());
        let passes = match self.passes.take() {
            Some(passes) if passes.source == source => passes,
            _ => Passes::new(source, (self.width, self.height)),
        };
        self.passes.insert(passes).run(picture, self.level, sink);
    }
}

impl Passes {
    fn new(source: (u32, u32), target: (u32, u32)) -> Self {
        let (width, height) = (source.0 as usize, source.1 as usize);
        let (target_width, target_height) = (target.0 as usize, target.1 as usize);
        let (first, rows) = if vertical_first(source, target) {
            (Some(TallPass::new(WeightTable::new(height, target_height), width)), target_height)
        } else {
            (None, height)
        };
        let plane_blocks = width.div_ceil(LANES).next_multiple_of(TILE_BLOCKS);
        Passes {
            source,
            first,
            horizontal: WeightTable::new(width, target_width),
            vertical: VerticalPass::new(WeightTable::new(rows, target_height), target_width, STRIP_QUADS),
            terms: ChromaTerms::default(),
            planes: vec![[0; LANES]; LANES * 3 * plane_blocks],
            plane_blocks,
            strip: vec![[0; LANES]; plane_blocks * LANES / 4 * 3],
            row: vec![[0; LANES]; 3 * target_width.div_ceil(LANES)],
        }
    }

    /// Pulls the rows of the result one by one; each pass pulls what it needs from the one before.
    fn run(&mut self, picture: &ImageView<'_>, level: Level, mut sink: impl FnMut(usize, [&[u8]; 3])) {
        let Passes { first, horizontal, vertical, terms, planes, strip, row, .. } = self;
        let plane_len = 3 * self.plane_blocks;
        let mut rows = RgbRows::new(picture, terms, level);
        vertical.restart();
        if let Some(first) = first {
            first.pass.restart();
        }
        let height = vertical.source();
        for y in 0..vertical.target() {
            vertical.row(level, y, row, |quad, columns| {
                let strip_rows = 4 * quad..height.min(4 * quad + LANES);
                for (y, planes) in strip_rows.zip(planes.chunks_exact_mut(plane_len)) {
                    match first {
                        None => rows.read(y, thirds_mut(planes)),
                        Some(first) => {
                            let from = first.row(level, y, &mut rows);
                            for (to, from) in thirds_mut(planes).into_iter().zip(from) {
                                to[..from.len()].copy_from_slice(from);
                            }
                        }
                    }
                }
                pack_strip(level, planes, strip);
                lanes::horizontal(level, strip, horizontal, columns);
            });
            sink(y, thirds(row).map(|plane| &plane[..horizontal.target()]));
        }
    }
}

/// A vertical pass straight over the picture, as wide as the picture.
#[derive(Debug)]
struct TallPass {
    pass: VerticalPass,
    /// Four source rows, three planes each.
    quad: [Vec<[u8; LANES]>; 4],
    /// One row of the result, three planes.
    row: Vec<[u8; LANES]>,
}

impl TallPass {
    fn new(table: WeightTable, width: usize) -> Self {
        let row = vec![[0; LANES]; 3 * width.div_ceil(LANES)];
        TallPass { pass: VerticalPass::new(table, width, 1), quad: [(); 4].map(|()| row.clone()), row }
    }

    /// Row `y` of the result, planes of whole blocks. Rows are to be asked for in order.
    fn row(&mut self, level: Level, y: usize, rows: &mut RgbRows<'_>) -> [&[u8]; 3] {
        let TallPass { pass, quad, row } = self;
        let (height, blocks) = (pass.source(), row.len() / 3);
        pass.row(level, y, row, |number, columns| {
            for (y, planes) in (4 * number..height.min(4 * number + 4)).zip(quad.iter_mut()) {
                rows.read(y, thirds_mut(planes));
            }
            for (channel, columns) in columns.chunks_exact_mut(blocks).enumerate() {
                pack_rows(
                    level,
                    quad.each_ref().map(|planes| &planes[channel * blocks..][..blocks]),
                    columns,
                );
            }
        });
        thirds(row)
    }
}

/// The red, green and blue planes of one row.
fn thirds(planes: &[[u8; LANES]]) -> [&[u8]; 3] {
    let blocks = planes.len() / 3;
    [0, 1, 2].map(|channel| planes[channel * blocks..][..blocks].as_flattened())
}

/// The red, green and blue planes of one row.
fn thirds_mut(planes: &mut [[u8; LANES]]) -> [&mut [u8]; 3] {
    let blocks = planes.len() / 3;
    let (red, rest) = planes.split_at_mut(blocks);
    let (green, blue) = rest.split_at_mut(blocks);
    [red.as_flattened_mut(), green.as_flattened_mut(), blue.as_flattened_mut()]
}

/// Which pass Pillow runs first. Before 13.0 it was always the horizontal one; since then it is the vertical one
/// where the height shrinks by more than twice as many pixels as the width does (python-pillow/Pillow pull
/// request 9549).
pub(crate) fn vertical_first(source: (u32, u32), target: (u32, u32)) -> bool {
    let lost = |source: u32, target: u32| i64::from(source) - i64::from(target);
    lost(source.1, target.1) > (2 * lost(source.0, target.0)).max(0)
}
