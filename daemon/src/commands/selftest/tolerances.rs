//! How far a device may be from the reference.

use belvedere_models::Precision;
use serde::Serialize;

/// Limits, each of which a stage is held to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Tolerances {
    /// Of the pixels before normalisation, in levels of 255.
    pub(super) pixels_levels: f64,
    /// Of the image features: the length of the difference over that of the reference (relative L2).
    pub(super) features: f64,
    /// Of the log-probabilities of given tokens, on average.
    pub(super) scores_mean: f64,
    /// The same, of the worst token.
    pub(super) scores_worst: f64,
    /// Two tokens whose log-probabilities are no further apart are a choice that rounding may make.
    pub(super) near_tie: f64,
}

/// FP32 in another order of additions.
const SINGLE: Tolerances =
    Tolerances { pixels_levels: 1.0, features: 1e-3, scores_mean: 2e-3, scores_worst: 0.05, near_tie: 0.02 };
/// FP16 between FP32 islands.
const HALF: Tolerances =
    Tolerances { pixels_levels: 1.0, features: 0.01, scores_mean: 0.02, scores_worst: 0.5, near_tie: 0.2 };
/// bfloat16, and a decoder with 8-bit weights. Measured: features 1.7 % off with random full-size weights; 0.5 % with the
/// bundled model, and its scores 0.006 on average and 0.06 at worst.
const CPU_FAST: Tolerances =
    Tolerances { pixels_levels: 0.0, features: 0.05, scores_mean: 0.05, scores_worst: 1.0, near_tie: 0.3 };

impl Tolerances {
    /// Of a device by its description, at a precision.
    pub(super) fn of(device: &str, precision: Precision) -> Tolerances {
        match precision {
            Precision::Exact => SINGLE,
            Precision::Fast if device.starts_with("CPU") => CPU_FAST,
            Precision::Fast => HALF,
        }
    }
}
