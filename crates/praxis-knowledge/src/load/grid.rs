//! Tables on their way to text: rows of cells, written as Markdown (GitHub Flavored Markdown, "Tables"), whatever format
//! they come from. Left out: where rows and cells come from.

/// What stands in a row below the first for a column that is empty.
const EMPTY: &str = "  |";

/// Bytes that an empty cell takes, and those that a column takes in the first row and in the line below it.
pub(super) const EMPTY_BYTES: usize = EMPTY.len();
/// See [`EMPTY_BYTES`].
pub(super) const COLUMN_BYTES: usize = EMPTY.len() + RULE.len();

/// A column in the line below the first row.
const RULE: &str = " --- |";

/// Whether a line is the one below the first row of a table.
pub(crate) fn is_rule(line: &str) -> bool {
    line.strip_prefix('|').is_some_and(|columns| {
        !columns.is_empty() && columns.split_inclusive('|').all(|column| column == RULE)
    })
}

/// Writes a table row by row. The first row has all columns, and the line below it tells that they are a table; a later
/// row ends with its last filled cell, which means the same as empty cells after it. A table of one column is a list of
/// lines, without bars.
#[derive(Debug)]
pub(super) struct Writer {
    text: String,
    columns: usize,
    rows: usize,
}

impl Writer {
    /// A table of so many columns.
    pub fn new(columns: usize) -> Self {
        Self {
            text: String::new(),
            columns,
            rows: 0,
        }
    }

    /// Adds a row: its filled cells by column, from left to right.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = (usize, &'a str)>) {
        if self.rows > 0 {
            self.text.push('\n');
        }
        self.rows += 1;
        if self.columns < 2 {
            for (_, text) in cells {
                self.cell(text);
            }
            return;
        }
        self.text.push('|');
        let mut next = 0;
        for (column, text) in cells {
            self.empty(column.saturating_sub(next));
            self.text.push(' ');
            self.cell(text);
            self.text.push_str(" |");
            next = column + 1;
        }
        if self.rows == 1 {
            self.empty(self.columns.saturating_sub(next));
            self.text.push_str("\n|");
            self.text.extend(std::iter::repeat_n(RULE, self.columns));
        }
    }

    /// The table's text.
    pub fn finish(self) -> String {
        self.text
    }

    fn empty(&mut self, cells: usize) {
        self.text.extend(std::iter::repeat_n(EMPTY, cells));
    }

    /// A cell's text, on one line; a bar in it is text.
    fn cell(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '|' if self.columns > 1 => self.text.push_str("\\|"),
                '\n' | '\r' => self.text.push(' '),
                c => self.text.push(c),
            }
        }
    }
}

/// A table that is being read: the cells of each row that something stands in, by column.
#[derive(Debug, Default)]
pub(super) struct Grid(Vec<Vec<(usize, String)>>);

impl Grid {
    /// Begins a row.
    pub fn row(&mut self) {
        self.0.push(Vec::new());
    }

    /// The text of a cell of the open row.
    pub fn cell(&mut self, column: usize) -> &mut String {
        if self.0.is_empty() {
            self.row();
        }
        let last = self.0.len() - 1;
        let row = &mut self.0[last];
        // Nearly always cells come one after the other.
        let known = match row.last() {
            Some((at, _)) if *at >= column => row.iter().rposition(|(c, _)| *c == column),
            _ => None,
        };
        let at = known.unwrap_or(row.len());
        if known.is_none() {
            row.push((column, String::new()));
        }
        &mut row[at].1
    }

    /// Adds words to a cell of the open row.
    pub fn add(&mut self, column: usize, words: &str) {
        if words.is_empty() {
            return;
        }
        let cell = self.cell(column);
        if !cell.is_empty() {
            cell.push(' ');
        }
        cell.push_str(words);
    }

    /// The table's text, without rows and columns that are empty as a whole.
    pub fn finish(self) -> String {
        let mut rows = self.0;
        for row in &mut rows {
            row.retain(|(_, text)| !text.trim().is_empty());
            row.sort_by_key(|(column, _)| *column);
        }
        rows.retain(|row| !row.is_empty());
        let mut columns: Vec<usize> = rows.iter().flatten().map(|(column, _)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut writer = Writer::new(columns.len());
        for row in &rows {
            writer.row(row.iter().map(|(column, text)| {
                // Each column of a row is among them.
                let place = columns.binary_search(column).unwrap_or_default();
                (place, text.trim())
            }));
        }
        writer.finish()
    }

    /// Its text where it only arranges things on a page: a line a row.
    pub fn lines(self) -> String {
        let line = |row: Vec<(usize, String)>| {
            let texts = row.into_iter().map(|(_, text)| text);
            let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
            texts.join(" ")
        };
        let lines: Vec<String> = self.0.into_iter().map(line).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> String {
        let mut grid = Grid::default();
        for row in rows {
            grid.row();
            for (column, text) in row.iter().enumerate() {
                grid.add(column, text);
            }
        }
        grid.finish()
    }

    #[test]
    fn empty_cells_keep_their_columns() {
        for (rows, expected) in [
            (
                &[&["a", "b", "c"][..], &["", "", "d"], &["e", ""]][..],
                "| a | b | c |\n| --- | --- | --- |\n|  |  | d |\n| e |",
            ),
            (
                &[&["", "b"], &["c", "d"]],
                "|  | b |\n| --- | --- |\n| c | d |",
            ),
            (&[&["a"], &["b", "c"]], "| a |  |\n| --- | --- |\n| b | c |"),
        ] {
            assert_eq!(table(rows), expected);
        }
    }

    #[test]
    fn what_is_empty_as_a_whole_is_left_out_and_one_column_is_a_list() {
        assert_eq!(
            table(&[&["", "", ""], &["a", "", "b"], &["c", "", "d"]]),
            "| a | b |\n| --- | --- |\n| c | d |"
        );
        assert_eq!(table(&[&["", "a|b"], &["", "c"]]), "a|b\nc");
        assert_eq!(table(&[&[""]]), "");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn bars_and_line_ends_of_a_cell_stay_in_it() {
        assert_eq!(
            table(&[&["a|b", "c\nd"], &["e\\", "f"]]),
            "| a\\|b | c d |\n| --- | --- |\n| e\\ | f |"
        );
    }

    #[test]
    fn a_cell_that_goes_on_is_found_again() {
        let mut grid = Grid::default();
        grid.add(0, "a");
        grid.add(2, "c");
        grid.add(0, "b");
        *grid.cell(1) = "x".to_owned();
        assert_eq!(grid.finish(), "| a b | x | c |\n| --- | --- | --- |");
    }

    #[test]
    fn the_line_below_the_first_row_is_told() {
        for (line, told) in [
            ("| --- | --- |", true),
            ("| --- |", true),
            ("| a | --- |", false),
            ("|---|---|", false),
            ("| --- | ---", false),
            ("|", false),
            ("", false),
        ] {
            assert_eq!(is_rule(line), told, "{line}");
        }
    }
}
