//! Passes over a row of logits. A row has about 51 289 values and a step may have dozens of rows, so everything here
//! is one straight pass that vectorises; nothing sorts or copies a row.

/// Independent accumulators, so that the compiler may use vector registers for f32 sums and maxima.
const LANES: usize = 16;

/// Maximum and log of the sum of exponentials of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogSumExp {
    max: f32,
    log_sum: f32,
}

impl LogSumExp {
    /// Of a row that may contain −inf (banned tokens) but has one finite value. `None` for any other row.
    pub(crate) fn of(row: &[f32]) -> Option<Self> {
        let max = maximum(row);
        if !max.is_finite() {
            return None;
        }
        let (chunks, rest) = row.as_chunks::<LANES>();
        let mut lanes = [0.0_f32; LANES];
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += exp_of_negative(value - max);
            }
        }
        let rest: f64 = rest.iter().map(|value| f64::from(exp_of_negative(value - max))).sum();
        let sum = rest + lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
        Some(Self { max, log_sum: sum.ln() as f32 })
    }

    /// log-softmax of one value of the row.
    pub(crate) fn log_prob(self, logit: f32) -> f32 {
        logit - self.max - self.log_sum
    }
}

/// Whether every value is finite.
pub(crate) fn all_finite(row: &[f32]) -> bool {
    let (chunks, rest) = row.as_chunks::<LANES>();
    // x * 0 is 0 for finite x and NaN for the others, and NaN survives a sum.
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * 0.0;
        }
    }
    lanes.iter().all(|lane| *lane == 0.0) && rest.iter().all(|value| value.is_finite())
}

fn maximum(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |best, value| if *value > best { *value } else { best })
}

/// Index of the largest value, the lowest index among equals; `None` for an empty row.
pub(crate) fn argmax(row: &[f32]) -> Option<usize> {
    let best = maximum(row);
    row.iter().position(|value| *value == best)
}

/// e^x for x ≤ 0, to about 1 ulp of f32; below −87 a value that no sum notices.
/// Range reduction by ln 2 in two parts and a degree-6 polynomial (Cephes `expf`), written without branches or
/// calls so that it vectorises on any target.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let y = p * r * r + r + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    y * power
}

/// The best few values of a row, in one pass: a value is looked at closely only if it beats the worst kept.
/// Equal values keep the order of their indices.
#[derive(Debug)]
pub(crate) struct Best {
    kept: Vec<(f32, usize)>,
    keep: usize,
}

impl Best {
    pub(crate) fn new(keep: usize) -> Self {
        Self { kept: Vec::with_capacity(keep + 1), keep: keep.max(1) }
    }

    /// The best `keep` values of `row` as (value, index), best first. −inf never appears.
    pub(crate) fn of(&mut self, row: &[f32]) -> &[(f32, usize)] {
        self.kept.clear();
        let mut worst = f32::NEG_INFINITY;
        for (block, values) in row.chunks(4 * LANES).enumerate() {
            if maximum(values) > worst {
                for (offset, value) in values.iter().enumerate() {
                    if *value > worst {
                        let at = self.kept.partition_point(|(kept, _)| kept >= value);
                        self.kept.insert(at, (*value, block * 4 * LANES + offset));
                        self.kept.truncate(self.keep);
                        if self.kept.len() == self.keep {
                            worst = self.kept.last().map_or(worst, |(value, _)| *value);
                        }
                    }
                }
            }
        }
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small deterministic generator (splitmix64), so that the tests need no crate.
    pub(crate) fn noise(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 * 40.0 - 20.0
            })
            .collect()
    }

    #[test]
    fn log_softmax_agrees_with_double_precision() {
        for (seed, len) in [(1, 51289), (2, 17), (3, 1), (4, 16)] {
            let row = noise(seed, len);
            let max = row.iter().cloned().fold(f32::MIN, f32::max);
            let sum: f64 = row.iter().map(|x| (f64::from(*x) - f64::from(max)).exp()).sum();
            let of = LogSumExp::of(&row).expect("finite");
            for x in row.iter().take(50) {
                let expected = f64::from(*x) - f64::from(max) - sum.ln();
                assert!((f64::from(of.log_prob(*x)) - expected).abs() < 5e-6, "{x}: {expected}");
            }
        }
    }

    #[test]
    fn the_exponential_is_right_over_its_range() {
        for i in 0..8700 {
            let x = -(i as f32) / 100.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp_of_negative(x)) - expected).abs() / expected;
            assert!(error < 2.5e-7, "{x}: relative error {error}");
        }
    }

    #[test]
    fn banned_values_take_no_probability() {
        let row = [1.0, f32::NEG_INFINITY, 1.0];
        let of = LogSumExp::of(&row).expect("finite");
        assert!((of.log_prob(1.0) - 0.5_f32.ln()).abs() < 1e-6);
        assert_eq!(of.log_prob(f32::NEG_INFINITY), f32::NEG_INFINITY);
    }

    #[test]
    fn a_row_of_only_banned_values_has_no_distribution() {
        assert_eq!(LogSumExp::of(&[f32::NEG_INFINITY; 3]), None);
    }

    #[test]
    fn one_value_that_is_not_finite_is_seen_wherever_it_stands() {
        for at in [0, 15, 16, 31, 32, 36] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut row = noise(5, 37);
                assert!(all_finite(&row));
                row[at] = bad;
                assert!(!all_finite(&row), "{bad} at {at}");
            }
        }
    }

    #[test]
    fn equal_maxima_give_the_lowest_index() {
        let mut row = noise(6, 300);
        row[77] = 50.0;
        row[200] = 50.0;
        assert_eq!(argmax(&row), Some(77));
        assert_eq!(argmax(&[]), None);
    }

    #[test]
    fn the_best_values_are_those_of_a_full_sort() {
        for (seed, len, keep) in [(7, 51289, 6), (8, 65, 6), (9, 5, 6), (10, 1000, 20)] {
            // Rounded, so that equal values occur.
            let row: Vec<f32> = noise(seed, len).into_iter().map(f32::round).collect();
            let mut sorted: Vec<(f32, usize)> = row.iter().cloned().zip(0..).collect();
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            sorted.truncate(keep);
            assert_eq!(Best::new(keep).of(&row), sorted);
        }
    }
}
