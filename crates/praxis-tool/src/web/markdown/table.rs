//! A table of a page as one of Markdown (GitHub Flavored Markdown, "Tables"). Left out: whether it is a table or
//! arranges the page.

use praxis_sources::html::Table;

use crate::text::table_row;

/// Rows and columns beyond which a table is not read on.
const MOST_ROWS: usize = 5000;
const MOST_COLUMNS: usize = 100;

/// The rows of a table as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Vec<String>>);

impl Table for Rows {
    fn row(&mut self, mut cells: Vec<String>) {
        if self.0.len() < MOST_ROWS {
            cells.truncate(MOST_COLUMNS);
            self.0.push(cells);
        }
    }

    /// One of two columns and two rows at least is a table.
    fn finish(self) -> Result<String, String> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        if columns < 2 || self.0.len() < 2 {
            return Err(self.text());
        }
        let mut out = String::new();
        for (i, row) in self.0.iter().enumerate() {
            let cells = (0..columns).map(|c| row.get(c).map_or("", String::as_str));
            out.push_str(&table_row(cells.map(|cell| cell.replace('|', "\\|"))));
            if i == 0 {
                out.push_str(&table_row(std::iter::repeat_n("---", columns)));
            }
        }
        out.truncate(out.trim_end().len());
        Ok(out)
    }

    fn text(self) -> String {
        let line = |row: &Vec<String>| {
            let cells = row.iter().filter(|cell| !cell.is_empty());
            let cells: Vec<&str> = cells.map(String::as_str).collect();
            cells.join(" ")
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Rows {
        let mut table = Rows::default();
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()).collect());
        }
        table
    }

    #[test]
    fn each_row_has_all_columns() {
        let table = rows(&[&["City", "Weather", ""], &["Paris", "sun|rain"]]);
        assert_eq!(
            table.finish().unwrap(),
            "| City | Weather |  |\n| --- | --- | --- |\n| Paris | sun\\|rain |  |"
        );
    }

    #[test]
    fn one_column_or_one_row_is_no_table() {
        let row = rows(&[&["a|b", "", "c"]]);
        assert_eq!(row.finish(), Err("a|b c".to_owned()));
        let column = rows(&[&["a"], &["b"]]);
        assert_eq!(column.finish(), Err("a\nb".to_owned()));
        assert_eq!(Rows::default().finish(), Err(String::new()));
    }

    #[test]
    fn a_table_is_read_so_far() {
        let mut table = Rows::default();
        for _ in 0..MOST_ROWS + 9 {
            table.row(vec!["x".to_owned(); MOST_COLUMNS + 9]);
        }
        let text = table.text();
        assert_eq!(text.lines().count(), MOST_ROWS);
        assert_eq!(text.split_whitespace().count(), MOST_ROWS * MOST_COLUMNS);
    }
}
