//! A part of a whole.

use super::AlertError;

/// A number from 0 to 1, both included.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// Nothing.
    pub const ZERO: Fraction = Fraction(0.0);
    /// All.
    pub const ONE: Fraction = Fraction(1.0);
    /// The default of `min_score`.
    pub(super) const DEFAULT_MIN_SCORE: Fraction = Fraction(0.4);

    /// Keeps `value`.
    ///
    /// # Errors
    /// [`AlertError::NotAFraction`] for what is below 0 or above 1, or no number.
    pub fn new(value: f64) -> Result<Fraction, AlertError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Fraction(value))
        } else {
            Err(AlertError::NotAFraction { value })
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Fraction;

    #[test]
    fn only_numbers_from_0_to_1_are_fractions() {
        for right in [0.0, 0.4, 1.0] {
            assert_eq!(Fraction::new(right).unwrap().get(), right);
        }
        for wrong in [-0.1, 1.000_001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Fraction::new(wrong).is_err(), "{wrong}");
        }
    }
}
