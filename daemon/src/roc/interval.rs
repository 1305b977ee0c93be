//! Between which numbers the truth probably is.

/// The standard normal distribution's 97.5 % point: intervals are of 95 %.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// An interval of 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}
