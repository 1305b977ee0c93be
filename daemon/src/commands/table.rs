//! Tables for people.

/// Rows under a header, in columns as wide as they need to be: the first to the left, the others to
/// the right.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(&header).chain(rows);
    let width = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            line.push_str(&match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{gap}{cell:>width$}"),
            });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["vision".to_owned(), "1.5".to_owned()], vec!["é".to_owned(), "12.25".to_owned()]];
        assert_eq!(table(&["stage", "ms"], &rows), "stage      ms\nvision    1.5\né       12.25\n");
    }
}
