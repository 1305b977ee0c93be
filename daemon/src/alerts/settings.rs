//! When a phrase counts.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Fraction, Schedule, SizeLimits, UNWATCHED_AFTER, ZoneTest, Zones};

/// The settings of one phrase on one camera; every value of these types has a meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSettings {
    /// The least score of a region that counts. Default 0.4.
    pub min_score: Fraction,
    /// So many consecutive analysed frames must show the phrase before it is true. Default 2.
    pub min_frames: NonZeroU32,
    /// A phrase that no frame has shown for so long is no longer true. Default 10 s.
    pub clear_after: Duration,
    /// Where no frame at all was analysed, the phrase stays true for so long beyond `clear_after`.
    /// Default 60 s; must be well above the time between two analysed frames of the camera.
    pub unwatched_after: Duration,
    /// The least time from one `new` to the next; 0 is none. Default 60 s.
    pub cooldown: Duration,
    /// Where a region counts. Default: anywhere.
    pub zones: Zones,
    /// When a region is in a zone. Default: when the middle of its lower edge is.
    pub zone_test: ZoneTest,
    /// How large a region must be. Default: any size.
    pub size: SizeLimits,
    /// When the phrase is looked for. Default: always.
    pub schedule: Option<Schedule>,
    /// Whether events come with a picture. Default: they do.
    pub snapshot: bool,
}

impl Default for AlertSettings {
    fn default() -> AlertSettings {
        AlertSettings {
            min_score: Fraction::DEFAULT_MIN_SCORE,
            min_frames: NonZeroU32::MIN.saturating_add(1),
            clear_after: Duration::from_secs(10),
            unwatched_after: UNWATCHED_AFTER,
            cooldown: Duration::from_secs(60),
            zones: Zones::default(),
            zone_test: ZoneTest::default(),
            size: SizeLimits::default(),
            schedule: None,
            snapshot: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AlertSettings;

    #[test]
    fn the_defaults_are_the_promised_ones() {
        let settings = AlertSettings::default();
        assert_eq!((settings.min_score.get(), settings.min_frames.get()), (0.4, 2));
        assert_eq!((settings.clear_after.as_secs(), settings.cooldown.as_secs()), (10, 60));
        assert!(settings.snapshot && settings.schedule.is_none());
    }
}
