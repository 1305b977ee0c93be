//! The curve and the scores as a picture.

use belvedere_kernels::RgbImage;

use super::canvas::{Align, Canvas, Colour};
use super::report::Report;

const WIDTH: u32 = 1160;
const HEIGHT: u32 = 600;
const INK: Colour = [40, 40, 40];
const PALE: Colour = [210, 210, 210];
const PRESENT: Colour = [30, 110, 200];
const ABSENT: Colour = [215, 110, 20];
const CHOSEN: Colour = [190, 30, 60];
/// Bars of each group in the histogram.
const BARS: usize = 25;
/// Characters of the phrase that fit into the title.
const TITLE: usize = 34;

/// Where a diagram's axes are, in pixels.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl Frame {
    /// A place given by shares of the width, from the left, and of the height, from below.
    fn at(self, x: f64, y: f64) -> (i32, i32) {
        let along = |share: f64, length: i32| (share.clamp(0.0, 1.0) * f64::from(length)).round() as i32;
        (self.left + along(x, self.width), self.top + self.height - along(y, self.height))
    }
}

/// On the left the curve, on the right the scores of both groups, pictures with the phrase above the line.
pub(super) fn draw(report: &Report<'_>) -> RgbImage {
    let mut canvas = Canvas::white(WIDTH, HEIGHT);
    let mut phrase: String = report.phrase.chars().take(TITLE).collect();
    if phrase.len() < report.phrase.len() {
        phrase.push_str("...");
    }
    let title = format!("\"{phrase}\": area under the curve {:.3}", report.curve.area());
    canvas.text((40, 20), Align::Left, 2, &title, INK);
    curve(&mut canvas, report, Frame { left: 90, top: 100, width: 400, height: 400 });
    scores(&mut canvas, report, Frame { left: 640, top: 100, width: 480, height: 400 });
    canvas.into_picture()
}

fn axes(canvas: &mut Canvas, frame: Frame) {
    let (right, bottom) = (frame.left + frame.width, frame.top + frame.height);
    for (from, to) in [
        ((frame.left, frame.top), (frame.left, bottom)),
        ((frame.left, bottom), (right, bottom)),
        ((right, frame.top), (right, bottom)),
        ((frame.left, frame.top), (right, frame.top)),
    ] {
        canvas.line(from, to, 2, INK);
    }
}

fn curve(canvas: &mut Canvas, report: &Report<'_>, frame: Frame) {
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let (x, bottom) = frame.at(share, 0.0);
        let (left, y) = frame.at(0.0, share);
        canvas.line((x, frame.top), (x, bottom), 1, PALE);
        canvas.line((left, y), (left + frame.width, y), 1, PALE);
        canvas.text((x, bottom + 12), Align::Middle, 2, &format!("{share:.1}"), INK);
        canvas.text((left - 10, y - 8), Align::Right, 2, &format!("{share:.1}"), INK);
    }
    axes(canvas, frame);
    canvas.text((frame.left, frame.top - 28), Align::Left, 2, "recall", INK);
    let (middle, bottom) = frame.at(0.5, 0.0);
    canvas.text((middle, bottom + 44), Align::Middle, 2, "share of false alarms", INK);
    canvas.dots(frame.at(0.0, 0.0), frame.at(1.0, 1.0), INK);
    let mut last = frame.at(0.0, 0.0);
    for point in report.curve.points() {
        let here = frame.at(point.rates.false_alarms.get(), point.rates.recall.get());
        canvas.line(last, here, 4, PRESENT);
        last = here;
    }
    if let Some(threshold) = report.threshold {
        let rates = report.curve.at(threshold.value);
        let (x, y) = frame.at(rates.false_alarms.get(), rates.recall.get());
        canvas.fill(x - 8, y - 8, 16, 16, CHOSEN);
        let label = format!("min_score {}", threshold.value);
        // Below the mark, or above it where the axis is near.
        let below = if y + 40 < bottom { y + 14 } else { y - 30 };
        let align = if x > middle { Align::Right } else { Align::Left };
        canvas.text((x + if x > middle { -12 } else { 12 }, below), align, 2, &label, CHOSEN);
    }
}

fn scores(canvas: &mut Canvas, report: &Report<'_>, frame: Frame) {
    let curve = report.curve;
    let chosen = report.threshold.map(|threshold| threshold.value);
    let highest = [curve.present().last(), curve.absent().last(), chosen.as_ref()];
    let end = end_of_axis(highest.into_iter().flatten().copied().fold(0.0, f64::max));
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let (x, bottom) = frame.at(share, 0.0);
        canvas.line((x, frame.top), (x, bottom), 1, PALE);
        // As many decimals as the steps of the axis have.
        let decimals = if end >= 0.5 {
            1
        } else if end >= 0.05 {
            2
        } else {
            3
        };
        canvas.text((x, bottom + 12), Align::Middle, 2, &format!("{:.decimals$}", share * end), INK);
    }
    let (present, absent) = (bars(curve.present(), end), bars(curve.absent(), end));
    let tallest = present.iter().chain(&absent).copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let zero = frame.top + frame.height / 2;
    // Room for the groups' names above and below the tallest bar.
    let longest = f64::from(frame.height / 2 - 30);
    let step = f64::from(frame.width) / BARS as f64;
    for (index, (present, absent)) in present.iter().zip(&absent).enumerate() {
        let x = frame.left + (step * index as f64).round() as i32;
        let length = |share: f64| (longest * share / tallest).round() as i32;
        let width = step as i32 - 2;
        canvas.fill(x + 1, zero - length(*present), width, length(*present), PRESENT);
        canvas.fill(x + 1, zero, width, length(*absent), ABSENT);
    }
    canvas.line((frame.left, zero), (frame.left + frame.width, zero), 2, INK);
    axes(canvas, frame);
    if let Some(chosen) = chosen {
        let (x, bottom) = frame.at(chosen / end, 0.0);
        canvas.line((x, frame.top), (x, bottom), 2, CHOSEN);
    }
    canvas.text((frame.left, frame.top - 28), Align::Left, 2, "how many pictures (share)", INK);
    let (middle, bottom) = frame.at(0.5, 0.0);
    canvas.text((middle, bottom + 44), Align::Middle, 2, "score", INK);
    let group = |name: &str, scores: &[f64]| format!("{name} ({})", scores.len());
    let right = frame.left + frame.width - 8;
    let with = group("with the phrase", curve.present());
    canvas.text((right, frame.top + 8), Align::Right, 2, &with, PRESENT);
    canvas.text((right, bottom - 24), Align::Right, 2, &group("without it", curve.absent()), ABSENT);
}

/// The share of `scores` in each of equal parts from 0 to `end`.
fn bars(scores: &[f64], end: f64) -> [f64; BARS] {
    let mut bars = [0.0; BARS];
    for score in scores {
        let bar = (score / end * BARS as f64).clamp(0.0, (BARS - 1) as f64) as usize;
        if let Some(bar) = bars.get_mut(bar) {
            *bar += 1.0 / scores.len() as f64;
        }
    }
    bars
}

/// The least of 0.01, 0.02, 0.05, 0.1, ..., 1 that no score is above.
fn end_of_axis(highest: f64) -> f64 {
    let ends = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
    ends.into_iter().find(|end| highest <= *end).unwrap_or(highest.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::{ABSENT, CHOSEN, HEIGHT, PRESENT, Report, WIDTH, bars, draw, end_of_axis};
    use crate::roc::{RocCurve, Threshold};

    fn drawn(phrase: &str, present: &[f64], absent: &[f64]) -> belvedere_kernels::RgbImage {
        let curve = RocCurve::new(present.to_vec(), absent.to_vec()).unwrap();
        let threshold = Threshold::fit(&curve, 0.02);
        draw(&Report {
            phrase,
            model: String::new(),
            false_alarms: 0.02,
            threshold,
            curve: &curve,
            current: &[],
            camera: None,
        })
    }

    fn has(picture: &belvedere_kernels::RgbImage, colour: [u8; 3]) -> bool {
        picture.pixels.chunks_exact(3).any(|pixel| pixel == colour)
    }

    #[test]
    fn both_groups_and_the_threshold_are_drawn() {
        let picture = drawn("red car", &[0.9, 0.8], &[0.0, 0.3]);
        assert_eq!((picture.width, picture.height), (WIDTH, HEIGHT));
        assert!(has(&picture, PRESENT) && has(&picture, ABSENT) && has(&picture, CHOSEN));
    }

    #[test]
    fn without_a_threshold_none_is_drawn() {
        assert!(!has(&drawn("red car", &[0.1], &[0.9]), CHOSEN));
    }

    #[test]
    fn any_phrase_and_any_score_can_be_drawn() {
        drawn(&"梯子上的人 \"größer\" 🐕".repeat(15), &[0.0, 1.0], &[0.0]);
        drawn("a", &[0.0], &[0.0]);
        drawn("a", &[f64::INFINITY, 7.0], &[-3.0]);
    }

    #[test]
    fn a_bar_is_the_share_of_a_group_and_the_highest_score_is_in_the_last() {
        let bars = bars(&[0.0, 0.01, 0.5, 1.0], 1.0);
        assert_eq!((bars[0], bars[12], bars[24]), (0.5, 0.25, 0.25));
        assert_eq!((end_of_axis(0.07), end_of_axis(0.97), end_of_axis(0.0)), (0.1, 1.0, 0.01));
    }
}
