//! The two inner loops of a resize, for each kind of processor.

use fearless_simd::{Level, Simd, dispatch};

use super::weights::{QuadWeights, WEIGHT_BITS, WeightTable};
use super::{LANES, Quads, STRIP_QUADS};

/// The first pass of one strip of 16 rows.
///
/// `strip[quad * 3 + channel]` holds four neighbouring columns of the strip's 16 rows. For every output column
/// `x` and channel, rows `4 * k .. 4 * k + 4` of the result become lane `x % 16` of
/// `out[(k * 3 + channel) * blocks + x / 16]`, `blocks` being `ceil(target width / 16)`: the quads of the second
/// pass.
pub(crate) fn horizontal(level: Level, strip: &[Quads], table: &WeightTable, out: &mut [Quads]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = level.as_avx512() {
        return avx512_horizontal(avx512, strip, table, out);
    } else if let Some(avx2) = level.as_avx2() {
        return avx2_horizontal(avx2, strip, table, out);
    }
    dispatch!(level, simd => portable_horizontal(simd, strip, table, out));
}

/// One row of the second pass: `out[b][l]` is the weighted sum down lane `l` of `column[b + i * step]`.
pub(crate) fn vertical(
    level: Level,
    column: &[Quads],
    step: usize,
    weights: &[QuadWeights],
    out: &mut [[u8; LANES]],
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = level.as_avx512() {
        return avx512_vertical(avx512, column, step, weights, out);
    } else if let Some(avx2) = level.as_avx2() {
        return avx2_vertical(avx2, column, step, weights, out);
    }
    dispatch!(level, simd => portable_vertical(simd, column, step, weights, out));
}

#[inline(always)]
fn portable_horizontal<S: Simd>(_: S, strip: &[Quads], table: &WeightTable, out: &mut [Quads]) {
    horizontal_with(strip, table, out, portable_levels);
}

#[inline(always)]
fn portable_vertical<S: Simd>(
    _: S,
    column: &[Quads],
    step: usize,
    weights: &[QuadWeights],
    out: &mut [[u8; LANES]],
) {
    vertical_with(column, step, weights, out, portable_levels);
}

#[inline(always)]
fn horizontal_with(
    strip: &[Quads],
    table: &WeightTable,
    out: &mut [Quads],
    levels: impl Fn(&[Quads], usize, &[QuadWeights]) -> [u8; LANES],
) {
    let blocks = table.target().div_ceil(LANES);
    for block in 0..blocks {
        let columns = block * LANES..table.target().min(block * LANES + LANES);
        for channel in 0..3 {
            let mut rows = [[0; LANES]; LANES];
            for (x, rows) in columns.clone().zip(&mut rows) {
                let (quad, weights) = table.taps(x);
                *rows = levels(&strip[quad * 3 + channel..], 3, weights);
            }
            for (k, words) in out.chunks_exact_mut(3 * blocks).take(STRIP_QUADS).enumerate() {
                words[channel * blocks + block] =
                    std::array::from_fn(|x| u32::from_le_bytes(rows[x].as_chunks::<4>().0[k]));
            }
        }
    }
}

#[inline(always)]
fn vertical_with(
    column: &[Quads],
    step: usize,
    weights: &[QuadWeights],
    out: &mut [[u8; LANES]],
    levels: impl Fn(&[Quads], usize, &[QuadWeights]) -> [u8; LANES],
) {
    for (block, out) in out.iter_mut().enumerate() {
        *out = levels(&column[block..], step, weights);
    }
}

/// The sum of `quads[i * step]` weighted with `weights[i]`, rounded and clamped to 8 bits, lane by lane.
///
/// Written for the compiler to vectorise. Operations wrap because a partial sum may leave 32 bits; the whole
/// sum never does (weights sum to 1, their magnitudes to less than 2).
#[inline(always)]
fn portable_levels(quads: &[Quads], step: usize, weights: &[QuadWeights]) -> [u8; LANES] {
    let mut sums = [1i32 << (WEIGHT_BITS - 1); LANES];
    for (i, weights) in weights.iter().enumerate() {
        for (sum, quad) in sums.iter_mut().zip(quads[i * step]) {
            for (j, tap) in weights.taps.iter().enumerate() {
                *sum = sum.wrapping_add(((quad >> (8 * j) & 0xff) as i32).wrapping_mul(*tap));
            }
        }
    }
    sums.map(|sum| (sum >> WEIGHT_BITS).clamp(0, 255) as u8)
}

#[cfg(target_arch = "x86_64")]
use x86::{avx2_horizontal, avx2_vertical, avx512_horizontal, avx512_vertical};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use fearless_simd::{kernel, prelude::*, u8x16, u32x8, u32x16};

    use super::*;

    // `vpdpbusd` adds four products of an unsigned and a signed byte to a 32-bit lane, without saturation: one
    // of them for each digit of the weights.
    macro_rules! vnni_levels {
        ($token:ident) => {
            |quads: &[Quads], step: usize, weights: &[QuadWeights]| -> [u8; LANES] {
                let mut sums = [_mm512_setzero_si512(); 3];
                for (i, weights) in weights.iter().enumerate() {
                    let quad: __m512i = u32x16::from_slice($token, &quads[i * step]).into();
                    for (sum, digit) in sums.iter_mut().zip(weights.digits) {
                        *sum = _mm512_dpbusd_epi32(*sum, quad, _mm512_set1_epi32(digit));
                    }
                }
                let half = _mm512_set1_epi32(1 << (WEIGHT_BITS - 1));
                let high = _mm512_add_epi32(_mm512_slli_epi32::<8>(sums[2]), sums[1]);
                let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(high), _mm512_add_epi32(sums[0], half));
                let level = _mm512_srai_epi32::<WEIGHT_BITS>(sum);
                // The saturation of the narrowing is the clamp to 255.
                let level = _mm512_cvtusepi32_epi8(_mm512_max_epi32(level, _mm512_setzero_si512()));
                let level: u8x16<_> = level.simd_into($token);
                level.into()
            }
        };
    }

    kernel!(
        pub(super) fn avx512_horizontal(
            avx512: Avx512,
            strip: &[Quads],
            table: &WeightTable,
            out: &mut [Quads],
        ) {
            horizontal_with(strip, table, out, vnni_levels!(avx512));
        }
    );

    kernel!(
        pub(super) fn avx512_vertical(
            avx512: Avx512,
            column: &[Quads],
            step: usize,
            weights: &[QuadWeights],
            out: &mut [[u8; LANES]],
        ) {
            vertical_with(column, step, weights, out, vnni_levels!(avx512));
        }
    );

    // `vpmaddwd` adds two products of 16-bit numbers: one for each half of a pair of weights.
    macro_rules! madd_levels {
        ($token:ident) => {
            |quads: &[Quads], step: usize, weights: &[QuadWeights]| -> [u8; LANES] {
                let bytes = _mm256_set1_epi32(0x00ff_00ff);
                let mut low = [_mm256_setzero_si256(); 2];
                let mut high = [_mm256_setzero_si256(); 2];
                for (i, weights) in weights.iter().enumerate() {
                    let [low_02, low_13, high_02, high_13] =
                        weights.pairs.map(|pair| _mm256_set1_epi32(pair));
                    for (half, quad) in quads[i * step].as_chunks::<8>().0.iter().enumerate() {
                        let quad: __m256i = u32x8::from_slice($token, quad).into();
                        let (even, odd) = (
                            _mm256_and_si256(quad, bytes),
                            _mm256_and_si256(_mm256_srli_epi32::<8>(quad), bytes),
                        );
                        let sum =
                            _mm256_add_epi32(_mm256_madd_epi16(even, low_02), _mm256_madd_epi16(odd, low_13));
                        low[half] = _mm256_add_epi32(low[half], sum);
                        let sum = _mm256_add_epi32(
                            _mm256_madd_epi16(even, high_02),
                            _mm256_madd_epi16(odd, high_13),
                        );
                        high[half] = _mm256_add_epi32(high[half], sum);
                    }
                }
                let rounding = _mm256_set1_epi32(1 << (WEIGHT_BITS - 1));
                let level = |half: usize| {
                    let low = _mm256_add_epi32(low[half], rounding);
                    let sum = _mm256_add_epi32(_mm256_slli_epi32::<12>(high[half]), low);
                    _mm256_srai_epi32::<{ WEIGHT_BITS as i32 }>(sum)
                };
                // Narrowing interleaves 128-bit halves; the permutation puts them in order. Its saturations
                // are the clamp.
                let words = _mm256_permute4x64_epi64::<0xd8>(_mm256_packs_epi32(level(0), level(1)));
                let (first, second) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                let level: u8x16<_> = _mm_packus_epi16(first, second).simd_into($token);
                level.into()
            }
        };
    }

    kernel!(
        pub(super) fn avx2_horizontal(avx2: Avx2, strip: &[Quads], table: &WeightTable, out: &mut [Quads]) {
            horizontal_with(strip, table, out, madd_levels!(avx2));
        }
    );

    kernel!(
        pub(super) fn avx2_vertical(
            avx2: Avx2,
            column: &[Quads],
            step: usize,
            weights: &[QuadWeights],
            out: &mut [[u8; LANES]],
        ) {
            vertical_with(column, step, weights, out, madd_levels!(avx2));
        }
    );
}
