//! Which items a step goes on with.

use super::NextRow;

/// The items that go on, by their places in the call before, and the rows of each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StepRows {
    pub(crate) items: Vec<usize>,
    pub(crate) rows_per_item: usize,
}

impl StepRows {
    /// What broke the rule.
    pub(crate) const RULE: &str = "rows must stand together by item, as many for each, at most the beams";

    /// By the rule of [`DecodeBatch::step`](super::DecodeBatch::step), after a call of `items` items with `rows_per_item`
    /// rows each; `None` for rows that break it.
    pub(crate) fn new(
        rows: &[NextRow],
        items: usize,
        rows_per_item: usize,
        beams: usize,
    ) -> Option<StepRows> {
        let of_rows: Option<Vec<usize>> =
            rows.iter().map(|row| row.parent.checked_div(rows_per_item)).collect();
        let of_rows = of_rows?;
        let counts: Vec<usize> = of_rows.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        let count = *counts.first()?;
        let mut going_on = of_rows;
        going_on.dedup();
        let holds = counts.iter().all(|other| *other == count)
            && (1..=beams).contains(&count)
            && going_on.is_sorted()
            && going_on.last() < Some(&items);
        holds.then_some(StepRows { items: going_on, rows_per_item: count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parents: &[usize]) -> Option<(Vec<usize>, usize)> {
        let rows: Vec<NextRow> = parents.iter().map(|parent| NextRow { parent: *parent, token: 0 }).collect();
        StepRows::new(&rows, 3, 2, 2).map(|step| (step.items, step.rows_per_item))
    }

    #[test]
    fn items_go_on_in_their_order_with_as_many_rows_each() {
        assert_eq!(of(&[0, 1, 2, 3, 4, 5]), Some((vec![0, 1, 2], 2)));
        assert_eq!(of(&[1, 1, 5, 4]), Some((vec![0, 2], 2)));
        assert_eq!(of(&[3]), Some((vec![1], 1)));
    }

    #[test]
    fn rows_that_break_the_rule_are_none() {
        for parents in [&[][..], &[2, 0], &[0, 2, 1], &[0, 1, 2], &[0, 0, 1], &[6], &[0, 1, 5, 6]] {
            assert_eq!(of(parents), None, "{parents:?}");
        }
        let row = [NextRow { parent: 0, token: 0 }];
        assert_eq!(StepRows::new(&row, 1, 0, 1), None, "a step before anything else");
    }
}
