//! So many of so many.

use super::interval::{Interval, Z};

/// So many of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub part: usize,
    /// Of how many; at least one in what this module returns.
    pub whole: usize,
}

impl Share {
    /// As a number from 0 to 1; 0 of an empty group.
    pub fn get(self) -> f64 {
        if self.whole == 0 { 0.0 } else { self.part as f64 / self.whole as f64 }
    }

    /// Wilson's interval for the share of all such pictures: none of 20 is not taken for never.
    pub fn interval(self) -> Interval {
        let (share, whole) = (self.get(), self.whole.max(1) as f64);
        let middle = share + Z * Z / (2.0 * whole);
        let half = Z * (share * (1.0 - share) / whole + Z * Z / (4.0 * whole * whole)).sqrt();
        let scale = 1.0 + Z * Z / whole;
        Interval { low: ((middle - half) / scale).max(0.0), high: ((middle + half) / scale).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        // Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, method 3, and z2 / (n + z2) by hand.
        for (part, whole, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = Share { part, whole }.interval();
            assert!((interval.low - low).abs() < 5e-5, "{part} of {whole}: {interval:?}");
            assert!((interval.high - high).abs() < 5e-5, "{part} of {whole}: {interval:?}");
        }
        let all = Share { part: 5, whole: 5 }.interval();
        assert!((all.low - 5.0 / (5.0 + 3.8415)).abs() < 1e-4 && all.high == 1.0, "{all:?}");
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!(Share { part: 0, whole: 0 }.get(), 0.0);
        let interval = Share { part: 0, whole: 0 }.interval();
        assert!(interval.low == 0.0 && interval.high <= 1.0);
    }
}
