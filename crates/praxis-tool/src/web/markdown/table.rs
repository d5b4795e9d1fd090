//! A table of a page as one of Markdown (GitHub Flavored Markdown, "Tables"): cells over several columns and rows are
//! written out, so that each row has all its values. Left out: whether it is a table or arranges the page.

/// Rows and columns beyond which a table is not read on.
const MOST_ROWS: usize = 5000;
const MOST_COLUMNS: usize = 100;

/// Columns and rows that one cell can be of.
const WIDEST: usize = 20;
const HIGHEST: usize = 200;

/// A table as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    /// Columns and rows of the open cell.
    cell: Option<(usize, usize)>,
    /// What cells above put into the columns of the next rows, and how often.
    above: Vec<(usize, String)>,
}

impl Table {
    /// A row begins; `text` is that of the open cell.
    pub fn row(&mut self, text: &str) {
        self.end_row(text);
    }

    /// A cell begins; `text` is that of the one before it.
    pub fn cell(&mut self, text: &str, columns: usize, rows: usize) {
        self.end_cell(text);
        self.put_above();
        self.cell = Some((columns.clamp(1, WIDEST), rows.clamp(1, HIGHEST)));
    }

    /// Whether a cell is open.
    pub fn in_cell(&self) -> bool {
        self.cell.is_some()
    }

    /// Cells of the open row that come from rows above it.
    fn put_above(&mut self) {
        while let Some((left, text)) = self.above.get_mut(self.row.len())
            && *left > 0
        {
            *left -= 1;
            let text = text.clone();
            self.row.push(text);
        }
    }

    fn end_cell(&mut self, text: &str) {
        let Some((columns, rows)) = self.cell.take() else {
            return;
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ").replace('|', "\\|");
        for i in 0..columns {
            let at = self.row.len();
            if at >= MOST_COLUMNS {
                return;
            }
            let text = if i == 0 { text.clone() } else { String::new() };
            if rows > 1 {
                if self.above.len() <= at {
                    self.above.resize(at + 1, (0, String::new()));
                }
                self.above[at] = (rows - 1, text.clone());
            }
            self.row.push(text);
        }
    }

    fn end_row(&mut self, text: &str) {
        self.end_cell(text);
        if self.row.is_empty() {
            return;
        }
        self.put_above();
        let row = std::mem::take(&mut self.row);
        if self.rows.len() < MOST_ROWS && row.iter().any(|cell| !cell.is_empty()) {
            self.rows.push(row);
        }
    }

    /// The rows, each as one line of text: of what is no table after all.
    pub fn lines(mut self, text: &str) -> Vec<String> {
        self.end_row(text);
        let full = |row: &Vec<String>| {
            let cells = row.iter().filter(|cell| !cell.is_empty());
            let cells: Vec<&str> = cells.map(String::as_str).collect();
            cells.join(" ").replace("\\|", "|")
        };
        self.rows.iter().map(full).collect()
    }

    /// The table as Markdown, if it is one: two columns and two rows at least.
    ///
    /// # Errors
    /// Its rows as lines, where it is none.
    pub fn finish(mut self, text: &str) -> Result<String, Vec<String>> {
        self.end_row(text);
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        if columns < 2 || self.rows.len() < 2 {
            return Err(self.lines(""));
        }
        let mut out = String::new();
        for (i, row) in self.rows.iter().enumerate() {
            let cells = (0..columns).map(|c| row.get(c).map_or("", String::as_str));
            let cells: Vec<&str> = cells.collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
            if i == 0 {
                out.push_str(&format!("|{}\n", " --- |".repeat(columns)));
            }
        }
        out.truncate(out.trim_end().len());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_over_rows_and_columns_are_written_out() {
        let mut table = Table::default();
        table.cell("", 1, 2);
        table.cell("City", 2, 1);
        table.row("Weather");
        table.cell("", 1, 1);
        table.cell("sun|rain", 1, 1);
        let text = table.finish(" wind\n ").unwrap();
        assert_eq!(
            text,
            "| City | Weather |  |\n| --- | --- | --- |\n| City | sun\\|rain | wind |"
        );
    }

    #[test]
    fn one_column_or_one_row_is_no_table() {
        let mut table = Table::default();
        table.cell("", 1, 1);
        table.cell("a|b", 1, 1);
        assert_eq!(table.finish("c"), Err(vec!["a|b c".to_owned()]));
        assert_eq!(Table::default().finish("x"), Err(Vec::new()));
    }
}
