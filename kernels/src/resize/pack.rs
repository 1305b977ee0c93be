//! Planar rows into the words that the passes sum.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u32x16};

use super::{LANES, Quads};

/// Bytes of a row that make one square tile of 16 words by 16 rows.
pub(crate) const TILE_BYTES: usize = 4 * LANES;

/// Packs 16 rows for the horizontal pass: `strip[quad * 3 + channel][row]` is four neighbouring samples.
///
/// `planes` holds 16 rows of three planes, each plane `row_bytes` long, a multiple of [`TILE_BYTES`].
pub(crate) fn pack_strip(level: Level, planes: &[u8], row_bytes: usize, strip: &mut [Quads]) {
    dispatch!(level, simd => transpose_tiles(simd, planes, row_bytes, strip));
}

#[inline(always)]
fn transpose_tiles<S: Simd>(simd: S, planes: &[u8], row_bytes: usize, strip: &mut [Quads]) {
    for (tile, strip) in strip.chunks_exact_mut(3 * LANES).enumerate() {
        for channel in 0..3 {
            let mut words = [u32x16::splat(simd, 0); LANES];
            for (row, words) in words.iter_mut().enumerate() {
                let start = (row * 3 + channel) * row_bytes + tile * TILE_BYTES;
                let bytes = planes[start..start + TILE_BYTES].as_chunks::<4>().0;
                let word: Quads = std::array::from_fn(|i| u32::from_le_bytes(bytes[i]));
                *words = word.simd_into(simd);
            }
            // Interleaving row i with row i + 8, four times over, transposes 16 rows.
            for _ in 0..4 {
                let before = words;
                for i in 0..LANES / 2 {
                    words[2 * i] = before[i].zip_low(before[i + LANES / 2]);
                    words[2 * i + 1] = before[i].zip_high(before[i + LANES / 2]);
                }
            }
            for (quad, words) in words.iter().enumerate() {
                strip[quad * 3 + channel] = (*words).into();
            }
        }
    }
}

/// Packs four rows of one plane for the vertical pass: lane `x % 16` of `out[x / 16]` is the four samples at `x`.
pub(crate) fn pack_rows(level: Level, rows: [&[u8]; 4], out: &mut [Quads]) {
    #[inline(always)]
    fn run<S: Simd>(_: S, rows: [&[u8]; 4], out: &mut [Quads]) {
        let [a, b, c, d] = rows.map(|row| row.as_chunks::<LANES>().0);
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = std::array::from_fn(|i| u32::from_le_bytes([a[i], b[i], c[i], d[i]]));
        }
    }
    dispatch!(level, simd => run(simd, rows, out));
}
