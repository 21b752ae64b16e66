//! Tables of text that fit the terminal.

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// Columns with headings. The last column gives way when the lines would be too long.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: &str = "  ";

/// The last column keeps at least this many characters.
const LEAST_LAST_COLUMN: usize = 8;

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.iter().map(|cell| hazel_protocol::neutralise(cell)).collect());
    }

    /// The lines, headings first; none longer than `width` characters as far as the last column can give way.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&headings).chain(&self.rows).collect();
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|column| all.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or(0))
            .collect();
        if let (Some(width), Some((last, others))) = (width, widths.split_last_mut()) {
            let taken: usize = others.iter().map(|width| width + GAP.len()).sum();
            *last = (*last).min(width.saturating_sub(taken).max(LEAST_LAST_COLUMN));
        }
        all.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).zip(&self.columns).map(|((cell, width), (_, align))| {
            let cell = cut(cell, *width);
            let pad = " ".repeat(width.saturating_sub(length(&cell)));
            match align {
                Align::Left => format!("{cell}{pad}"),
                Align::Right => format!("{pad}{cell}"),
            }
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text, or its beginning and three dots.
fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(3)).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_gives_way() {
        let mut table = Table::new(&[("amount", Align::Right), ("memo", Align::Left)]);
        table.row(&["21".to_owned(), "for the \u{1b}[31mcoffee of yesterday".to_owned()]);
        table.row(&["100000".to_owned(), String::new()]);
        assert_eq!(table.lines(None), ["amount  memo", "    21  for the ?[31mcoffee of yesterday", "100000"]);
        let fitted = table.lines(Some(20));
        assert_eq!(fitted[1], "    21  for the ?...");
        assert!(fitted.iter().all(|line| length(line) <= 20));
        assert_eq!(table.lines(Some(3))[1], "    21  for t...");
    }
}
