//! Planar rows into the words that the passes sum.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u32x16};

use super::{LANES, Quads};

/// Blocks of 16 samples that make one square tile of 16 words by 16 rows.
pub(crate) const TILE_BLOCKS: usize = 4;

/// Packs 16 rows for the horizontal pass: `strip[quad * 3 + channel][row]` is four neighbouring samples.
///
/// `planes` holds 16 rows of three planes, each plane a multiple of [`TILE_BLOCKS`] long.
pub(crate) fn pack_strip(level: Level, planes: &[[u8; LANES]], strip: &mut [Quads]) {
    dispatch!(level, simd => transpose_tiles(simd, planes, strip));
}

#[inline(always)]
fn transpose_tiles<S: Simd>(simd: S, planes: &[[u8; LANES]], strip: &mut [Quads]) {
    let plane_blocks = planes.len() / (3 * LANES);
    for (tile, strip) in strip.chunks_exact_mut(3 * LANES).enumerate() {
        for channel in 0..3 {
            let mut words = [u32x16::splat(simd, 0); LANES];
            for (row, words) in words.iter_mut().enumerate() {
                let start = (row * 3 + channel) * plane_blocks + tile * TILE_BLOCKS;
                let bytes = planes[start..start + TILE_BLOCKS].as_flattened().as_chunks::<4>().0;
                let word: Quads = std::array::from_fn(|i| u32::from_le_bytes(bytes[i]));
                *words = word.simd_into(simd);
            }
            // Four times over, interleaving row i with row i + 8 transposes 16 rows.
            let words = interleave_halves(interleave_halves(interleave_halves(interleave_halves(words))));
            for (quad, words) in words.iter().enumerate() {
                strip[quad * 3 + channel] = (*words).into();
            }
        }
    }
}

#[inline(always)]
fn interleave_halves<S: Simd>(rows: [u32x16<S>; LANES]) -> [u32x16<S>; LANES] {
    let mut out = rows;
    for i in 0..LANES / 2 {
        out[2 * i] = rows[i].zip_low(rows[i + LANES / 2]);
        out[2 * i + 1] = rows[i].zip_high(rows[i + LANES / 2]);
    }
    out
}

/// Packs four rows of one plane for the vertical pass: lane `l` of `out[b]` is the four samples at `16 * b + l`.
pub(crate) fn pack_rows(level: Level, rows: [&[[u8; LANES]]; 4], out: &mut [Quads]) {
    #[inline(always)]
    fn run<S: Simd>(_: S, [a, b, c, d]: [&[[u8; LANES]]; 4], out: &mut [Quads]) {
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = std::array::from_fn(|i| u32::from_le_bytes([a[i], b[i], c[i], d[i]]));
        }
    }
    dispatch!(level, simd => run(simd, rows, out));
}
