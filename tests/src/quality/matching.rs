use std::ops::AddAssign;

use super::LabelledBox;

/// How much two boxes must have in common to be the same thing.
const SAME: f64 = 0.5;

/// What became of boxes that were found and boxes that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Found and there.
    pub matched: usize,
    /// There and not found.
    pub missed: usize,
    /// Found and not there.
    pub wrong: usize,
    /// Of the matched.
    pub iou_sum: f64,
}

impl Tally {
    /// The share of what is there that was found; 0 where nothing is there.
    pub fn recall(&self) -> f64 {
        share(self.matched, self.matched + self.missed)
    }

    /// The share of what was found that is there; 0 where nothing was found.
    pub fn precision(&self) -> f64 {
        share(self.matched, self.matched + self.wrong)
    }

    /// The harmonic mean of precision and recall; 0 where nothing matched.
    pub fn f1(&self) -> f64 {
        share(2 * self.matched, 2 * self.matched + self.missed + self.wrong)
    }

    /// Of the matched boxes; 0 where there are none.
    pub fn mean_iou(&self) -> f64 {
        if self.matched == 0 { 0.0 } else { self.iou_sum / self.matched as f64 }
    }

    /// What was found of what is there, in words.
    pub(super) fn in_words(&self) -> String {
        let Tally { matched, missed, .. } = self;
        format!("{matched} of {} boxes, precision {:.3}", matched + missed, self.precision())
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.matched += other.matched;
        self.missed += other.missed;
        self.wrong += other.wrong;
        self.iou_sum += other.iou_sum;
    }
}

pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Pairs boxes with equal labels and an IoU of at least 0.5, the best pairs first, each box at most once.
///
/// What is `ignored` is neither missed nor wrong: a box left over that matches one of these, whatever the labels, or
/// lies mostly inside it, does not count.
pub fn match_boxes(found: &[LabelledBox], there: &[LabelledBox], ignored: &[LabelledBox]) -> Tally {
    let mut pairs = Vec::new();
    for (f, found) in found.iter().enumerate() {
        for (t, there) in there.iter().enumerate() {
            let iou = found.iou(there);
            if found.label == there.label && iou >= SAME {
                pairs.push((iou, f, t));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found_taken, mut there_taken) = (vec![false; found.len()], vec![false; there.len()]);
    let mut tally = Tally::default();
    for (iou, f, t) in pairs {
        if !found_taken[f] && !there_taken[t] {
            (found_taken[f], there_taken[t]) = (true, true);
            tally.matched += 1;
            tally.iou_sum += iou;
        }
    }
    let excused = |found: &LabelledBox| {
        ignored.iter().any(|ignored| found.iou(ignored) >= SAME || found.share_inside(ignored) > 0.5)
    };
    tally.missed = there.len() - tally.matched;
    tally.wrong = found.iter().zip(found_taken).filter(|(found, taken)| !taken && !excused(found)).count();
    tally
}

#[cfg(test)]
mod tests {
    use super::{LabelledBox, Tally, match_boxes};

    fn car(x: f64, width: f64) -> LabelledBox {
        LabelledBox::new("car", [x, 0.0, x + width, 10.0])
    }

    #[test]
    fn every_box_is_matched_missed_or_wrong() {
        let there = [car(0.0, 10.0), car(100.0, 10.0)];
        let found = [car(0.0, 8.0), car(50.0, 10.0)];
        let tally = match_boxes(&found, &there, &[]);
        assert_eq!(tally, Tally { matched: 1, missed: 1, wrong: 1, iou_sum: 0.8 });
        assert_eq!((tally.precision(), tally.recall(), tally.f1(), tally.mean_iou()), (0.5, 0.5, 0.5, 0.8));
    }

    #[test]
    fn another_kind_in_the_right_place_is_missed_and_wrong() {
        let dog = LabelledBox::new("dog", [0.0, 0.0, 10.0, 10.0]);
        let tally = match_boxes(&[dog], &[car(0.0, 10.0)], &[]);
        assert_eq!((tally.matched, tally.missed, tally.wrong), (0, 1, 1));
    }

    #[test]
    fn a_second_box_of_the_same_thing_is_wrong_and_the_better_one_matches() {
        let tally = match_boxes(&[car(0.0, 6.0), car(0.0, 9.0)], &[car(0.0, 10.0)], &[]);
        assert_eq!(tally, Tally { matched: 1, missed: 0, wrong: 1, iou_sum: 0.9 });
    }

    #[test]
    fn the_best_pair_goes_first_even_where_that_leaves_another_without() {
        // The first box fits both; the second fits only what the first fits best.
        let tally = match_boxes(&[car(1.0, 10.0), car(-3.0, 10.0)], &[car(0.0, 10.0), car(3.0, 10.0)], &[]);
        assert_eq!((tally.matched, tally.missed, tally.wrong), (1, 1, 1));
    }

    #[test]
    fn an_iou_of_exactly_a_half_matches_and_less_does_not() {
        assert_eq!(match_boxes(&[car(0.0, 5.0)], &[car(0.0, 10.0)], &[]).matched, 1);
        assert_eq!(match_boxes(&[car(0.0, 4.9)], &[car(0.0, 10.0)], &[]).matched, 0);
    }

    #[test]
    fn what_is_ignored_is_neither_missed_nor_wrong() {
        let half_gone = LabelledBox::new("truck", [0.0, 0.0, 20.0, 10.0]);
        let ignored = std::slice::from_ref(&half_gone);
        assert_eq!(match_boxes(&[], &[], ignored), Tally::default());
        // At its place with another label, a part of it, and somewhere else.
        assert_eq!(match_boxes(&[car(0.0, 18.0)], &[], ignored).wrong, 0);
        assert_eq!(match_boxes(&[car(0.0, 4.0)], &[], ignored).wrong, 0);
        assert_eq!(match_boxes(&[car(30.0, 4.0)], &[], ignored).wrong, 1);
    }

    #[test]
    fn a_thing_before_an_ignored_one_still_counts() {
        let ignored = LabelledBox::new("truck", [0.0, 0.0, 20.0, 10.0]);
        let tally = match_boxes(&[car(0.0, 10.0)], &[car(0.0, 10.0)], &[ignored]);
        assert_eq!((tally.matched, tally.missed, tally.wrong), (1, 0, 0));
    }

    #[test]
    fn with_nothing_to_count_every_share_is_zero() {
        let tally = Tally::default();
        assert_eq!((tally.precision(), tally.recall(), tally.f1(), tally.mean_iou()), (0.0, 0.0, 0.0, 0.0));
    }
}
