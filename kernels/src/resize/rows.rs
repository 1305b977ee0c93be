//! A picture read row by row as three planes of RGB.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x16};

use super::LANES;

use crate::colorimetry::{COEFFICIENT_BITS, YuvToRgb};
use crate::image_view::{ImageView, Pixels};

/// What the chroma of one pair of rows adds to red, green and blue, one value a pixel; memory to be reused.
#[derive(Debug, Default)]
pub(crate) struct ChromaTerms {
    red: Vec<i32>,
    green: Vec<i32>,
    blue: Vec<i32>,
}

/// Rows of a picture as planar RGB. Cheapest when rows are read in order: two rows share their chroma.
pub(crate) struct RgbRows<'a> {
    level: Level,
    width: usize,
    pixels: Pixels<'a>,
    terms: &'a mut ChromaTerms,
    /// The chroma row that `terms` holds.
    chroma_row: Option<usize>,
}

impl<'a> RgbRows<'a> {
    pub(crate) fn new(picture: &ImageView<'a>, terms: &'a mut ChromaTerms, level: Level) -> Self {
        let width = picture.width() as usize;
        if !matches!(picture.pixels(), Pixels::Rgb8(_)) {
            let even = width.next_multiple_of(2);
            for plane in [&mut terms.red, &mut terms.green, &mut terms.blue] {
                plane.resize(even, 0);
            }
        }
        RgbRows { level, width, pixels: picture.pixels(), terms, chroma_row: None }
    }

    /// Writes row `row` of the picture; each slice of `out` is at least as long as the picture is wide, and left
    /// alone beyond.
    pub(crate) fn read(&mut self, row: usize, out: [&mut [u8]; 3]) {
        let (level, width) = (self.level, self.width);
        let chroma_width = width.div_ceil(2);
        match self.pixels {
            Pixels::Rgb8(rgb) => dispatch!(level, simd => split(simd, rgb.row(row, width * 3), out)),
            Pixels::Nv12 { y, uv, colorimetry } => {
                let convert = YuvToRgb::new(colorimetry);
                if self.chroma_row.replace(row / 2) != Some(row / 2) {
                    let chroma = uv.row(row / 2, chroma_width * 2).as_chunks::<2>().0;
                    let pairs = chroma.iter().map(|&[u, v]| (u, v));
                    dispatch!(level, simd => chroma_terms(simd, convert, pairs, self.terms));
                }
                dispatch!(level, simd => luma(simd, convert, y.row(row, width), self.terms, out));
            }
            Pixels::I420 { y, u, v, colorimetry } => {
                let convert = YuvToRgb::new(colorimetry);
                if self.chroma_row.replace(row / 2) != Some(row / 2) {
                    let (us, vs) = (u.row(row / 2, chroma_width), v.row(row / 2, chroma_width));
                    let pairs = us.iter().copied().zip(vs.iter().copied());
                    dispatch!(level, simd => chroma_terms(simd, convert, pairs, self.terms));
                }
                dispatch!(level, simd => luma(simd, convert, y.row(row, width), self.terms, out));
            }
        }
    }
}

#[inline(always)]
fn split<S: Simd>(simd: S, packed: &[u8], [red, green, blue]: [&mut [u8]; 3]) {
    // Sixteen pixels are three vectors; each gives every channel five or six of its samples.
    const PIXELS: usize = LANES;
    // (No closures: the vector operations are only inlined into this function itself.)
    const INDICES: [[[u8; LANES]; 3]; 3] = part_indices();
    let mut indices = [[u8x16::splat(simd, 0); 3]; 3];
    for (indices, constants) in indices.iter_mut().zip(INDICES) {
        for (index, constant) in indices.iter_mut().zip(constants) {
            *index = u8x16::from_slice(simd, &constant);
        }
    }
    let whole = packed.len() / (3 * PIXELS);
    let outs = red
        .as_chunks_mut::<PIXELS>()
        .0
        .iter_mut()
        .zip(green.as_chunks_mut::<PIXELS>().0)
        .zip(blue.as_chunks_mut::<PIXELS>().0);
    for (pixels, ((red, green), blue)) in packed.as_chunks::<{ 3 * PIXELS }>().0.iter().zip(outs) {
        let a = u8x16::from_slice(simd, &pixels[..LANES]);
        let b = u8x16::from_slice(simd, &pixels[LANES..2 * LANES]);
        let c = u8x16::from_slice(simd, &pixels[2 * LANES..]);
        for (out, [in_a, in_b, in_c]) in [red, green, blue].into_iter().zip(indices) {
            let samples =
                a.swizzle_dyn_precise(in_a) | b.swizzle_dyn_precise(in_b) | c.swizzle_dyn_precise(in_c);
            samples.store_slice(out);
        }
    }
    let rest = packed[whole * 3 * PIXELS..].as_chunks::<3>().0;
    for (x, pixel) in rest.iter().enumerate() {
        let x = whole * PIXELS + x;
        [red[x], green[x], blue[x]] = *pixel;
    }
}

/// `[channel][part][x]`: where sample `x` of a channel lies in that third of 16 packed pixels, or 255.
const fn part_indices() -> [[[u8; LANES]; 3]; 3] {
    let mut indices = [[[u8::MAX; LANES]; 3]; 3];
    let mut byte = 0;
    while byte < 3 * LANES {
        indices[byte % 3][byte / LANES][byte / 3] = (byte % LANES) as u8;
        byte += 1;
    }
    indices
}

/// Packs one row of planar RGB.
pub(crate) fn interleave(level: Level, [red, green, blue]: [&[u8]; 3], packed: &mut [u8]) {
    #[inline(always)]
    fn run<S: Simd>(_: S, red: &[u8], green: &[u8], blue: &[u8], packed: &mut [u8]) {
        for (((pixel, red), green), blue) in
            packed.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue)
        {
            *pixel = [*red, *green, *blue];
        }
    }
    dispatch!(level, simd => run(simd, red, green, blue, packed));
}

/// The chroma part of [`YuvToRgb`] with its rounding term, each value twice: it is the colour of two pixels.
#[inline(always)]
fn chroma_terms<S: Simd>(
    _: S,
    convert: YuvToRgb,
    pairs: impl Iterator<Item = (u8, u8)>,
    terms: &mut ChromaTerms,
) {
    let red = terms.red.as_chunks_mut::<2>().0;
    let green = terms.green.as_chunks_mut::<2>().0;
    let blue = terms.blue.as_chunks_mut::<2>().0;
    for ((((u, v), red), green), blue) in pairs.zip(red).zip(green).zip(blue) {
        let (u, v) = (i32::from(u).wrapping_sub(128), i32::from(v).wrapping_sub(128));
        let half = 1i32 << (COEFFICIENT_BITS - 1);
        *red = [half.wrapping_add(v.wrapping_mul(convert.red_v)); 2];
        let subtracted = u.wrapping_mul(convert.green_u).wrapping_add(v.wrapping_mul(convert.green_v));
        *green = [half.wrapping_sub(subtracted); 2];
        *blue = [half.wrapping_add(u.wrapping_mul(convert.blue_u)); 2];
    }
}

#[inline(always)]
fn luma<S: Simd>(_: S, convert: YuvToRgb, row: &[u8], terms: &ChromaTerms, out: [&mut [u8]; 3]) {
    for (out, terms) in out.into_iter().zip([&terms.red, &terms.green, &terms.blue]) {
        for ((level, term), y) in out.iter_mut().zip(terms).zip(row) {
            let luma = i32::from(*y).wrapping_sub(convert.luma_offset).wrapping_mul(convert.luma_gain);
            *level = (luma.wrapping_add(*term) >> COEFFICIENT_BITS).clamp(0, 255) as u8;
        }
    }
}
