//! How large a region must be to count.

use super::{AlertError, Fraction, PictureBox};

/// Limits of a region's size, both ends included. The region is what is left of it within the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeLimits {
    area: [Fraction; 2],
    height: [Fraction; 2],
}

/// Any size.
impl Default for SizeLimits {
    fn default() -> SizeLimits {
        let any = [Fraction::ZERO, Fraction::ONE];
        SizeLimits { area: any, height: any }
    }
}

impl SizeLimits {
    /// The least and the greatest `area`, as fractions of the picture's area, and `height`, as
    /// fractions of the picture's height; an end that is `None` is open.
    ///
    /// # Errors
    /// [`AlertError::SizeLimits`] where the least is above the greatest.
    pub fn new(area: [Option<Fraction>; 2], height: [Option<Fraction>; 2]) -> Result<SizeLimits, AlertError> {
        let closed = |what, [min, max]: [Option<Fraction>; 2]| {
            let (min, max) = (min.unwrap_or(Fraction::ZERO), max.unwrap_or(Fraction::ONE));
            if min > max {
                return Err(AlertError::SizeLimits { what, min: min.get(), max: max.get() });
            }
            Ok([min, max])
        };
        Ok(SizeLimits { area: closed("area", area)?, height: closed("height", height)? })
    }

    /// Whether a region of this size counts.
    pub fn allow(&self, region: &PictureBox) -> bool {
        let within = |[min, max]: [Fraction; 2], value: f64| (min.get()..=max.get()).contains(&value);
        within(self.area, region.area()) && within(self.height, region.height())
    }
}

#[cfg(test)]
mod tests {
    use super::SizeLimits;
    use crate::alerts::{AlertError, Fraction, PictureBox};

    fn at(value: f64) -> Option<Fraction> {
        Some(Fraction::new(value).unwrap())
    }

    #[test]
    fn a_region_is_held_to_both_limits_of_both_sizes() {
        // A quarter of the width by half of the height.
        let region = PictureBox::from_pixels([0.0, 0.0, 25.0, 50.0], 100, 100).unwrap();
        let allowed = |area, height| SizeLimits::new(area, height).unwrap().allow(&region);
        assert!(SizeLimits::default().allow(&region));
        assert!(allowed([at(0.125), at(0.125)], [at(0.5), at(0.5)]), "the limits are included");
        assert!(!allowed([at(0.13), None], [None, None]));
        assert!(!allowed([None, at(0.12)], [None, None]));
        assert!(!allowed([None, None], [at(0.51), None]));
        assert!(!allowed([None, None], [None, at(0.49)]));
    }

    #[test]
    fn limits_that_nothing_can_keep_are_refused() {
        assert_eq!(
            SizeLimits::new([None, None], [at(0.6), at(0.5)]),
            Err(AlertError::SizeLimits { what: "height", min: 0.6, max: 0.5 })
        );
    }
}
