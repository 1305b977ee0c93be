//! Where to put `min_score`.

use super::curve::RocCurve;

/// The place between two scores: what is at least [`Threshold::value`] alarms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Above `below` and at most `above`, in the middle half between them, with as few decimals as that allows.
    pub value: f64,
    /// The highest score without the phrase that does not alarm.
    pub below: f64,
    /// The lowest score with the phrase that alarms.
    pub above: f64,
}

impl Threshold {
    /// The threshold that lets as many pictures with the phrase alarm as it can while at most the share
    /// `false_alarms` of those without it do, and of those thresholds the one with the fewest false alarms. `None`
    /// where that leaves no picture with the phrase: it cannot be told apart.
    pub fn fit(curve: &RocCurve, false_alarms: f64) -> Option<Threshold> {
        let absent = curve.absent();
        // A hair more, so that 0.29 of 100 is 29 and not 28.999...
        let allowed = (false_alarms * absent.len() as f64 + 1e-9) as usize;
        // Of so many, the highest scores may alarm; the next may not, and neither may a picture without any box.
        let highest_silent = absent.iter().rev().nth(allowed).copied().unwrap_or(0.0).max(0.0);
        let above = curve.present().iter().copied().find(|score| *score > highest_silent)?;
        // False alarms that are allowed and cost nothing to avoid.
        let below = absent.iter().rev().copied().find(|score| *score < above);
        let below = below.unwrap_or(0.0).max(highest_silent);
        Some(Threshold { value: between(below, above), below, above })
    }
}

/// A number in the middle half between the two, as short as that allows; `below` < `above`.
fn between(below: f64, above: f64) -> f64 {
    let (middle, quarter) = (f64::midpoint(below, above), (above - below) / 4.0);
    if middle <= below {
        // Neighbours: there is nothing between them.
        return above;
    }
    for decimals in 2..=9 {
        let scale = 10_f64.powi(decimals);
        let rounded = (middle * scale).round() / scale;
        if (rounded - middle).abs() <= quarter {
            return rounded;
        }
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::{RocCurve, Threshold};

    fn fit(present: &[f64], absent: &[f64], false_alarms: f64) -> Option<Threshold> {
        Threshold::fit(&RocCurve::new(present.iter().copied(), absent.iter().copied()).unwrap(), false_alarms)
    }

    #[test]
    fn between_groups_that_separate_it_is_in_the_middle() {
        let found = fit(&[0.9, 0.7], &[0.1, 0.3, 0.0], 0.02).unwrap();
        assert_eq!(found, Threshold { value: 0.5, below: 0.3, above: 0.7 });
        // However many false alarms were allowed.
        assert_eq!(fit(&[0.9, 0.7], &[0.1, 0.3, 0.0], 0.5), Some(found));
    }

    #[test]
    fn where_groups_overlap_as_many_absent_pictures_alarm_as_are_allowed() {
        let (present, absent) = ([0.2, 0.5, 0.6, 0.9], [0.0, 0.1, 0.3, 0.8]);
        // None of four may: only the highest is above 0.8.
        assert_eq!(fit(&present, &absent, 0.02).unwrap().value, 0.85);
        // One may: what is above 0.3 counts.
        assert_eq!(fit(&present, &absent, 0.25).unwrap().value, 0.4);
        // Two may: all count.
        assert_eq!(fit(&present, &absent, 0.5).unwrap().value, 0.15);
    }

    #[test]
    fn a_share_that_is_a_whole_number_of_pictures_allows_just_so_many() {
        let absent: Vec<f64> = (0..100).map(f64::from).collect();
        // 29 of 100: the scores 71 to 99 may alarm, 70 may not.
        let found = fit(&[70.5, 200.0], &absent, 0.29).unwrap();
        assert_eq!((found.below, found.above), (70.0, 70.5));
        assert_eq!(fit(&[69.5, 200.0], &absent, 0.29).unwrap().above, 200.0);
    }

    #[test]
    fn a_phrase_without_a_score_above_those_of_the_others_has_no_threshold() {
        assert_eq!(fit(&[0.1, 0.2], &[0.2, 0.1], 0.02), None);
        assert_eq!(fit(&[0.0, 0.0], &[0.0, 0.0], 1.0), None);
        assert_eq!(fit(&[0.5], &[0.5], 0.0), None);
    }

    #[test]
    fn a_picture_without_a_box_never_alarms() {
        assert_eq!(fit(&[0.0, 0.5], &[0.0], 1.0).unwrap().value, 0.25);
        assert_eq!(fit(&[0.3], &[0.9], 1.0).unwrap().value, 0.15);
    }

    #[test]
    fn it_is_as_short_as_the_room_allows_and_never_outside() {
        assert_eq!(fit(&[0.0061], &[0.004], 0.0).unwrap().value, 0.005);
        assert_eq!(fit(&[0.301], &[0.3], 0.0).unwrap().value, 0.3005);
        let next = 0.3_f64.next_up();
        assert_eq!(fit(&[next], &[0.3], 0.0).unwrap().value, next);
    }
}
