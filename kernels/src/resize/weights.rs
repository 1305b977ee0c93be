//! The filter of one axis.

/// Fixed-point places of a weight (Pillow: `PRECISION_BITS`).
pub(crate) const WEIGHT_BITS: u32 = 32 - 8 - 2;

/// Four neighbouring taps, aligned to a multiple of four in the source; taps outside the filter are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only x86 kernels want split weights"))]
pub(crate) struct QuadWeights {
    /// The weights, times 2^22.
    pub(crate) taps: [i32; 4],
    /// The same weights as signed digits to the base 256, least significant first: byte `j` of `digits[d]` is
    /// digit `d` of tap `j`. Three are enough: a tap stays under 1.2 * 2^22 (the largest, 1.125, where an
    /// enlargement's filter is cut in half by the picture's edge), three digits reach 1.98 * 2^22.
    pub(crate) digits: [i32; 3],
    /// And as `high * 4096 + low`, two 16-bit numbers to a word (the earlier tap in the low half): low of taps 0
    /// and 2, low of 1 and 3, high of 0 and 2, high of 1 and 3.
    pub(crate) pairs: [i32; 4],
}

impl QuadWeights {
    fn new(taps: [i32; 4]) -> Self {
        let mut digits = [0u32; 3];
        for (j, &tap) in taps.iter().enumerate() {
            let mut rest = tap;
            for digit in &mut digits {
                let low = rest as i8;
                *digit |= u32::from(low as u8) << (8 * j);
                rest = (rest - i32::from(low)) >> 8;
            }
            debug_assert_eq!(rest, 0, "the weight {tap} needs more than three digits");
        }
        let pair = |first: i32, second: i32| (first & 0xffff) | (second << 16);
        let [low, high] = [taps.map(|tap| tap & 0xfff), taps.map(|tap| tap >> 12)];
        let pairs =
            [pair(low[0], low[2]), pair(low[1], low[3]), pair(high[0], high[2]), pair(high[1], high[3])];
        QuadWeights { taps, digits: digits.map(|digit| digit as i32), pairs }
    }
}

/// The taps of every output along one axis.
#[derive(Debug)]
pub(crate) struct WeightTable {
    source: usize,
    spans: Vec<Span>,
    quads: Vec<QuadWeights>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    /// The first four source samples, as an index of quads.
    source_quad: usize,
    /// Where this output's weights begin.
    weights: usize,
}

impl WeightTable {
    /// The filter that turns `source` samples into `target` samples; both at least 1.
    ///
    /// `precompute_coeffs` and `normalize_coeffs_8bpc` of the reference, in the same float64 operations in the
    /// same order. Where the sizes agree Pillow skips the pass; a single tap of 1.0 gives the same bytes.
    pub(crate) fn new(source: usize, target: usize) -> Self {
        let mut table = WeightTable { source, spans: Vec::with_capacity(target + 1), quads: Vec::new() };
        let scale = source as f64 / target as f64;
        let filter_scale = scale.max(1.0);
        let support = 2.0 * filter_scale;
        let inverse = 1.0 / filter_scale;
        let mut weights = Vec::new();
        for output in 0..target {
            weights.clear();
            let low = if source == target {
                weights.push(1.0);
                output
            } else {
                let centre = (output as f64 + 0.5) * scale;
                // Casts truncate towards zero and saturate: a negative bound becomes 0 as in the reference.
                let low = (centre - support + 0.5) as usize;
                let high = ((centre + support + 0.5) as usize).min(source);
                weights.extend((low..high).map(|j| cubic((j as f64 - centre + 0.5) * inverse)));
                let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
                if sum != 0.0 {
                    weights.iter_mut().for_each(|weight| *weight /= sum);
                }
                low
            };
            table.push(low, &weights);
        }
        table.spans.push(Span { source_quad: 0, weights: table.quads.len() });
        table
    }

    fn push(&mut self, low: usize, weights: &[f64]) {
        self.spans.push(Span { source_quad: low / 4, weights: self.quads.len() });
        let mut taps = [0; 4];
        for (i, &weight) in weights.iter().enumerate() {
            let j = (low + i) % 4;
            taps[j] = fixed(weight);
            if j == 3 || i + 1 == weights.len() {
                self.quads.push(QuadWeights::new(taps));
                taps = [0; 4];
            }
        }
    }

    /// Samples along the axis before.
    pub(crate) fn source(&self) -> usize {
        self.source
    }

    /// Samples along the axis after.
    pub(crate) fn target(&self) -> usize {
        self.spans.len() - 1
    }

    /// The first source quad of `output`, and the weights from it on.
    #[inline(always)]
    pub(crate) fn taps(&self, output: usize) -> (usize, &[QuadWeights]) {
        let (span, next) = (self.spans[output], self.spans[output + 1]);
        (span.source_quad, &self.quads[span.weights..next.weights])
    }
}

/// The cubic convolution kernel with a = -0.5 (Keys 1981), as the reference evaluates it.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A weight in 22-bit fixed point, rounded half away from zero.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << WEIGHT_BITS);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(quad: &QuadWeights, j: usize) -> i32 {
        quad.digits.iter().rev().fold(0, |sum, digit| sum * 256 + i32::from(digit.to_le_bytes()[j] as i8))
    }

    #[test]
    fn digits_are_the_weights_for_every_shape_of_filter() {
        let sizes = [1, 2, 3, 4, 5, 7, 16, 31, 100, 767, 768, 769, 1080, 1920, 20000];
        for source in sizes {
            for target in sizes {
                for quad in &WeightTable::new(source, target).quads {
                    for j in 0..4 {
                        assert_eq!(value(quad, j), quad.taps[j], "{source} -> {target}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_of_an_output_sum_to_one_within_their_rounding() {
        for (source, target) in [(1, 768), (2, 5), (1920, 768), (768, 1920), (20000, 3), (3, 20000)] {
            let table = WeightTable::new(source, target);
            for output in 0..target {
                let (quad, weights) = table.taps(output);
                let sum: i64 = weights.iter().flat_map(|w| w.taps).map(i64::from).sum();
                assert!((sum - (1 << WEIGHT_BITS)).abs() <= 4 * weights.len() as i64);
                assert!(quad + weights.len() <= source.div_ceil(4));
            }
        }
    }

    #[test]
    fn an_unchanged_axis_copies() {
        let table = WeightTable::new(6, 6);
        assert_eq!(table.taps(5).0, 1);
        assert_eq!(table.taps(5).1, [QuadWeights::new([0, 1 << WEIGHT_BITS, 0, 0])]);
    }
}
