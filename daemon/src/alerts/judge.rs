//! Whether a frame shows the phrase, by the settings.

use std::sync::Arc;

use super::{AlertSettings, CountedRegion, Moment, PictureBox, Sighting};

/// At most so many regions are kept, those with the highest scores: a message about hundreds of them
/// says nothing more.
const MAX_REGIONS: usize = 64;

/// A frame that shows the phrase.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) frame_id: u64,
    pub(super) captured: Moment,
    pub(super) width: u32,
    pub(super) height: u32,
    /// The highest of the regions.
    pub(super) score: f32,
    /// Those that count, the highest score first; at least one.
    pub(super) regions: Vec<CountedRegion>,
    /// The zones that any of the regions is in, in the camera's order.
    pub(super) zones: Vec<Arc<str>>,
}

/// What counts on a frame; `None` where nothing does. The schedule is not looked at.
///
/// A region counts where its score is a number of at least `min_score` (above 1 is 1), its box covers
/// a part of the picture, and size and zone are right.
pub(super) fn judge(settings: &AlertSettings, sighting: &Sighting) -> Option<Shown> {
    let mut zones = Vec::new();
    let mut regions = Vec::new();
    for (index, region) in sighting.regions.iter().enumerate() {
        // Not a number compares as neither.
        if !(region.score.is_finite() && is_least(region.score, settings.min_score.get())) {
            continue;
        }
        let Some(found) = PictureBox::from_pixels(region.box_px, sighting.width, sighting.height)
            .filter(|found| settings.size.allow(found))
            .and_then(|found| settings.zones.of(&found, settings.zone_test))
        else {
            continue;
        };
        zones.extend(found);
        let score = region.score.clamp(0.0, 1.0);
        regions.push(CountedRegion { index, score, box_px: region.box_px, evidence: region.evidence });
    }
    regions.sort_by(|one, other| other.score.total_cmp(&one.score));
    regions.truncate(MAX_REGIONS);
    zones.sort_unstable();
    zones.dedup();
    Some(Shown {
        frame_id: sighting.frame_id,
        captured: sighting.captured,
        width: sighting.width,
        height: sighting.height,
        score: regions.first()?.score,
        regions,
        zones: zones.into_iter().filter_map(|index| settings.zones.name(index).cloned()).collect(),
    })
}

/// Whether a score reaches a threshold that was written in decimals: 0.4 as `f32` is to reach 0.4.
fn is_least(score: f32, threshold: f64) -> bool {
    score >= threshold as f32
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{MAX_REGIONS, judge};
    use crate::alerts::{
        AlertSettings, Fraction, Moment, Polygon, SeenRegion, Sighting, SizeLimits, Zone, Zones,
    };

    fn sighting(regions: &[(f32, [f32; 4])]) -> Sighting {
        Sighting {
            frame_id: 7,
            captured: Moment { monotonic: Duration::ZERO, wall: SystemTime::UNIX_EPOCH },
            width: 100,
            height: 100,
            regions: regions
                .iter()
                .map(|&(score, box_px)| SeenRegion { score, box_px, evidence: None })
                .collect(),
        }
    }

    const MIDDLE: [f32; 4] = [40.0, 40.0, 60.0, 60.0];

    #[test]
    fn a_score_that_is_the_threshold_counts_and_one_below_does_not() {
        let settings = AlertSettings::default();
        assert_eq!(judge(&settings, &sighting(&[(0.4, MIDDLE)])).unwrap().score, 0.4);
        assert_eq!(judge(&settings, &sighting(&[(0.399_99, MIDDLE)])), None);
        assert_eq!(judge(&settings, &sighting(&[])), None);
    }

    #[test]
    fn scores_that_are_no_number_do_not_count_and_none_is_above_1() {
        let settings = AlertSettings { min_score: Fraction::ZERO, ..AlertSettings::default() };
        for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.1] {
            assert_eq!(judge(&settings, &sighting(&[(score, MIDDLE)])), None, "{score}");
        }
        assert_eq!(judge(&settings, &sighting(&[(7.0, MIDDLE)])).unwrap().score, 1.0);
    }

    #[test]
    fn only_regions_that_count_are_told_the_best_first_with_their_places() {
        let far_outside = [200.0, 0.0, 300.0, 50.0];
        let seen =
            sighting(&[(0.5, MIDDLE), (0.1, MIDDLE), (0.99, far_outside), (0.9, [0.0, 0.0, 9.0, 9.0])]);
        let shown = judge(&AlertSettings::default(), &seen).unwrap();
        assert_eq!(shown.regions.iter().map(|region| region.index).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(shown.score, 0.9);
    }

    #[test]
    fn size_and_zone_must_be_right_for_the_same_region() {
        let lower = Polygon::new(vec![[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]).unwrap();
        let settings = AlertSettings {
            zones: Zones::new(vec![Zone::new("lawn", lower).unwrap()], &["lawn"]).unwrap(),
            size: SizeLimits::new([None, None], [Some(Fraction::new(0.3).unwrap()), None]).unwrap(),
            ..AlertSettings::default()
        };
        let (small_inside, tall_outside) = ([40.0, 60.0, 60.0, 80.0], [40.0, 0.0, 60.0, 45.0]);
        assert_eq!(judge(&settings, &sighting(&[(0.9, small_inside), (0.9, tall_outside)])), None);
        let tall_inside = [40.0, 30.0, 60.0, 80.0];
        let shown = judge(&settings, &sighting(&[(0.9, small_inside), (0.8, tall_inside)])).unwrap();
        assert_eq!((shown.score, shown.regions.len(), &*shown.zones[0]), (0.8, 1, "lawn"));
    }

    #[test]
    fn of_hundreds_of_regions_the_best_are_kept() {
        let many: Vec<_> = (0..500).map(|index| (0.5 + index as f32 / 1000.0, MIDDLE)).collect();
        let shown = judge(&AlertSettings::default(), &sighting(&many)).unwrap();
        assert_eq!((shown.regions.len(), shown.regions[0].index), (MAX_REGIONS, 499));
    }
}
