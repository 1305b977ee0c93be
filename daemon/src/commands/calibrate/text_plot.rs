//! The curve in characters.

use crate::roc::{Rates, RocCurve};

/// Characters along the false alarms.
const WIDTH: usize = 51;
/// Lines along the recall.
const HEIGHT: usize = 17;

/// The curve from the lower left to the upper right; `chosen` is marked with `O`.
pub(super) fn draw(curve: &RocCurve, chosen: Option<Rates>) -> String {
    let mut lines = vec![vec![' '; WIDTH]; HEIGHT];
    let place = |rates: Rates| {
        let column = (rates.false_alarms.get() * (WIDTH - 1) as f64).round() as usize;
        let row = (rates.recall.get() * (HEIGHT - 1) as f64).round() as usize;
        (column.min(WIDTH - 1), HEIGHT - 1 - row.min(HEIGHT - 1))
    };
    let mut put = |(column, row): (usize, usize), mark: char| {
        if let Some(cell) = lines.get_mut(row).and_then(|line| line.get_mut(column)) {
            *cell = mark;
        }
    };
    let mut last = None;
    for point in curve.points() {
        let (column, row) = place(point.rates);
        // Where both rates change at once the curve goes straight; elsewhere along one axis.
        let (from_column, from_row) = last.unwrap_or((column, row));
        let steps = column.abs_diff(from_column).max(row.abs_diff(from_row)).max(1);
        for step in 0..=steps {
            let along = |from: usize, to: usize| {
                let part = step as f64 / steps as f64;
                (from as f64 + (to as f64 - from as f64) * part).round() as usize
            };
            put((along(from_column, column), along(from_row, row)), '*');
        }
        last = Some((column, row));
    }
    if let Some(rates) = chosen {
        put(place(rates), 'O');
    }

    let mut text = String::from("recall\n");
    for (row, line) in lines.iter().enumerate() {
        let label = match row {
            0 => "1.0",
            row if row == (HEIGHT - 1) / 2 => "0.5",
            row if row == HEIGHT - 1 => "0.0",
            _ => "",
        };
        let line: String = line.iter().collect();
        text.push_str(format!("{label:>4} |{line}").trim_end());
        text.push('\n');
    }
    text.push_str(&format!("     +{}\n", "-".repeat(WIDTH)));
    // Each number ends under the end of its half.
    let half = WIDTH / 2 - 1;
    text.push_str(&format!("      0.0{:>half$}{:>half$}   false alarms\n", "0.5", "1.0"));
    text
}

#[cfg(test)]
mod tests {
    use super::{HEIGHT, draw};
    use crate::roc::RocCurve;

    fn lines(present: &[f64], absent: &[f64], threshold: f64) -> Vec<String> {
        let curve = RocCurve::new(present.to_vec(), absent.to_vec()).unwrap();
        let drawn = draw(&curve, Some(curve.at(threshold)));
        drawn.lines().skip(1).take(HEIGHT).map(|line| line.chars().skip(6).collect()).collect()
    }

    #[test]
    fn groups_that_separate_go_up_the_left_edge_and_along_the_top() {
        let lines = lines(&[0.9, 0.8], &[0.1, 0.2], 0.5);
        assert!(lines[0].starts_with("O***") && lines[0].ends_with('*'), "{lines:#?}");
        assert!(lines[1..].iter().all(|line| line == "*"), "{lines:#?}");
    }

    #[test]
    fn scores_that_say_nothing_are_the_diagonal() {
        let lines = lines(&[0.5; 3], &[0.5; 3], 1.0);
        assert!(lines[HEIGHT - 1].starts_with('O'), "{lines:#?}");
        let middle = &lines[HEIGHT / 2];
        assert!(
            middle.trim_start().starts_with('*') && middle.find('*').unwrap().abs_diff(25) <= 1,
            "{lines:#?}"
        );
    }
}
