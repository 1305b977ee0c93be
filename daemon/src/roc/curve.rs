//! The curve.

use super::interval::{Interval, Z};
use super::share::Share;

/// The scores of pictures that show a phrase and of pictures that do not: the receiver operating characteristic of
/// "there is an alarm where the score is at least a threshold".
#[derive(Debug, Clone, PartialEq)]
pub struct RocCurve {
    /// From the lowest to the highest; at least one.
    present: Vec<f64>,
    /// From the lowest to the highest; at least one.
    absent: Vec<f64>,
}

/// Scores that make no curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RocError {
    /// One of the two groups is empty.
    #[error("there is no score of pictures {group} the phrase")]
    Empty {
        /// `with` or `without`.
        group: &'static str,
    },
    /// A score cannot be compared with others.
    #[error("the score of a picture {group} the phrase is no number")]
    NotANumber {
        /// `with` or `without`.
        group: &'static str,
    },
}

/// What becomes of both groups at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Pictures with the phrase that alarm, of all of them.
    pub recall: Share,
    /// Pictures without it that alarm, of all of them.
    pub false_alarms: Share,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// The highest threshold that gives these rates; infinite for the first point, where nothing alarms.
    pub threshold: f64,
    /// What it gives.
    pub rates: Rates,
}

impl RocCurve {
    /// From one score for each picture, in any order.
    ///
    /// # Errors
    /// A group without a score, or a score that is no number.
    pub fn new(
        present: impl IntoIterator<Item = f64>,
        absent: impl IntoIterator<Item = f64>,
    ) -> Result<RocCurve, RocError> {
        let present = sorted(present.into_iter().collect(), "with")?;
        let absent = sorted(absent.into_iter().collect(), "without")?;
        Ok(RocCurve { present, absent })
    }

    /// The scores of the pictures with the phrase, from the lowest.
    pub fn present(&self) -> &[f64] {
        &self.present
    }

    /// The scores of the pictures without the phrase, from the lowest.
    pub fn absent(&self) -> &[f64] {
        &self.absent
    }

    /// What becomes of both groups where a score of at least `threshold` alarms.
    pub fn at(&self, threshold: f64) -> Rates {
        let share = |scores: &[f64]| Share {
            part: scores.len() - scores.partition_point(|score| *score < threshold),
            whole: scores.len(),
        };
        Rates { recall: share(&self.present), false_alarms: share(&self.absent) }
    }

    /// From the point where nothing alarms to the one where everything does: one more for each score that occurs.
    pub fn points(&self) -> Vec<RocPoint> {
        let mut thresholds: Vec<f64> = self.present.iter().chain(&self.absent).copied().collect();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        std::iter::once(f64::INFINITY)
            .chain(thresholds)
            .map(|threshold| RocPoint { threshold, rates: self.at(threshold) })
            .collect()
    }

    /// The area under the curve: how often a picture with the phrase has a higher score than one without it, where
    /// equal scores count half. 1 tells all apart, 0.5 is chance.
    pub fn area(&self) -> f64 {
        let doubled: usize = self
            .present
            .iter()
            .map(|score| {
                let lower = self.absent.partition_point(|other| other < score);
                let not_higher = self.absent.partition_point(|other| other <= score);
                lower + not_higher
            })
            .sum();
        doubled as f64 / (2 * self.present.len() * self.absent.len()) as f64
    }

    /// The interval for the area over all such pictures. Hanley and McNeil's variance, with the mean of the groups'
    /// sizes for both, is taken at the interval's ends and not at the area found (Newcombe 2006, method 5): five
    /// pictures of each that are told apart without a mistake are not taken for certainty.
    pub fn area_interval(&self) -> Interval {
        let area = self.area();
        // What mirrors the area mirrors the variance.
        Interval { low: self.lower_end(area), high: 1.0 - self.lower_end(1.0 - area) }
    }

    /// The least area that the one found is compatible with.
    fn lower_end(&self, area: f64) -> f64 {
        let (mut inside, mut outside) = (area, 0.0);
        // Halved until nothing is left of a double's digits.
        for _ in 0..60 {
            let middle = f64::midpoint(inside, outside);
            if area - middle > Z * self.variance(middle).sqrt() { outside = middle } else { inside = middle }
        }
        inside
    }

    fn variance(&self, area: f64) -> f64 {
        let (present, absent) = (self.present.len() as f64, self.absent.len() as f64);
        let others = f64::midpoint(present, absent) - 1.0;
        let spread = 1.0 + others * (1.0 - area) / (2.0 - area) + others * area / (1.0 + area);
        area * (1.0 - area) * spread / (present * absent)
    }
}

fn sorted(mut scores: Vec<f64>, group: &'static str) -> Result<Vec<f64>, RocError> {
    if scores.is_empty() {
        return Err(RocError::Empty { group });
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Err(RocError::NotANumber { group });
    }
    scores.sort_by(f64::total_cmp);
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::{RocCurve, RocError};

    fn curve(present: &[f64], absent: &[f64]) -> RocCurve {
        RocCurve::new(present.iter().copied(), absent.iter().copied()).unwrap()
    }

    /// With ties within and between the groups.
    fn with_ties() -> RocCurve {
        curve(
            &[0.9, 0.8, 0.8, 0.7, 0.55, 0.5, 0.3, 0.3, 0.0, 0.95],
            &[0.8, 0.6, 0.5, 0.4, 0.3, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.05],
        )
    }

    #[test]
    fn the_points_go_from_no_alarm_to_nothing_but_alarms() {
        // By hand: two and two that overlap.
        let curve = curve(&[0.9, 0.4], &[0.6, 0.1]);
        let points: Vec<_> = curve
            .points()
            .iter()
            .map(|point| (point.threshold, point.rates.false_alarms.part, point.rates.recall.part))
            .collect();
        assert_eq!(points, [(f64::INFINITY, 0, 0), (0.9, 0, 1), (0.6, 1, 1), (0.4, 1, 2), (0.1, 2, 2)]);
        assert_eq!(curve.area(), 0.75);
    }

    #[test]
    fn ties_are_counted_as_scikit_learn_counts_them() {
        // scikit-learn 1.9.1: roc_auc_score, and roc_curve with drop_intermediate=False, of the same scores.
        let curve = with_ties();
        assert!((curve.area() - 0.775).abs() < 1e-12, "{}", curve.area());
        let points: Vec<_> = curve
            .points()
            .iter()
            .map(|point| (point.threshold, point.rates.false_alarms.part, point.rates.recall.part))
            .collect();
        assert_eq!(
            points,
            [
                (f64::INFINITY, 0, 0),
                (0.95, 0, 1),
                (0.9, 0, 2),
                (0.8, 1, 4),
                (0.7, 1, 5),
                (0.6, 2, 5),
                (0.55, 2, 6),
                (0.5, 3, 7),
                (0.4, 4, 7),
                (0.3, 6, 9),
                (0.2, 7, 9),
                (0.1, 8, 9),
                (0.05, 9, 9),
                (0.0, 12, 10),
            ]
        );
    }

    #[test]
    fn a_score_at_the_threshold_alarms_and_one_below_does_not() {
        let curve = curve(&[0.5, 0.7], &[0.5, 0.2]);
        let parts = |threshold| {
            let rates = curve.at(threshold);
            (rates.recall.part, rates.false_alarms.part)
        };
        assert_eq!(parts(0.5), (2, 1));
        assert_eq!(parts(0.500_001), (1, 0));
        assert_eq!(parts(2.0), (0, 0));
    }

    #[test]
    fn the_area_is_one_where_all_are_told_apart_and_a_half_where_none_is() {
        assert_eq!(curve(&[0.6, 0.7], &[0.1, 0.5, 0.2]).area(), 1.0);
        assert_eq!(curve(&[0.1], &[0.6, 0.7]).area(), 0.0);
        assert_eq!(curve(&[0.0; 4], &[0.0; 7]).area(), 0.5);
    }

    #[test]
    fn an_interval_from_one_picture_each_is_wilsons_of_one_of_one() {
        // The variance is A (1 - A), so that the end is where 1 - A = z2 A: 1 / (1 + 3.8415).
        let interval = curve(&[1.0], &[0.0]).area_interval();
        assert!((interval.low - 0.206_549).abs() < 1e-6 && interval.high == 1.0, "{interval:?}");
    }

    #[test]
    fn an_interval_contains_the_area_and_narrows_with_more_pictures() {
        let mut before = 1.0;
        for times in [1, 4, 16] {
            let repeat = |scores: &[f64]| scores.repeat(times);
            let curve = curve(&repeat(with_ties().present()), &repeat(with_ties().absent()));
            let (area, interval) = (curve.area(), curve.area_interval());
            assert!(0.0 < interval.low && interval.low < area && area < interval.high && interval.high < 1.0);
            assert!(interval.high - interval.low < before);
            before = interval.high - interval.low;
        }
    }

    #[test]
    fn exchanging_the_groups_mirrors_area_and_interval() {
        let curve = with_ties();
        let mirrored = RocCurve::new(curve.absent().to_vec(), curve.present().to_vec()).unwrap();
        let (one, other) = (curve.area_interval(), mirrored.area_interval());
        assert!((curve.area() + mirrored.area() - 1.0).abs() < 1e-12);
        assert!((one.low + other.high - 1.0).abs() < 1e-9 && (one.high + other.low - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_group_without_scores_and_a_score_that_is_none_make_no_curve() {
        assert_eq!(RocCurve::new([], [0.5]), Err(RocError::Empty { group: "with" }));
        assert_eq!(RocCurve::new([0.5], []), Err(RocError::Empty { group: "without" }));
        assert_eq!(RocCurve::new([0.5], [f64::NAN]), Err(RocError::NotANumber { group: "without" }));
    }
}
