//! The table that is open, row by row: cells over several columns and rows are written out, so that each row has all
//! its values. Left out: what becomes of rows, and whether the table only arranges the page.

use super::content::Kind;
use super::text::{Passage, one_line};

/// Columns and rows that one cell can be of.
const WIDEST: usize = 20;
const HIGHEST: usize = 200;

/// Columns that cells over several columns and rows are written out to; cells beyond them stand as they come.
const MOST_COLUMNS: usize = 100;

/// Bytes of a text that is said again in the rows below: a name, a date. What is longer is said once.
const LONGEST_REPEATED: usize = 200;

/// Bytes of a page that cells say again, and what a bar between cells counts: a small page cannot become a large one.
const MOST_REPEATED: usize = 1 << 20;
const BAR: usize = 3;

/// What is made of a table, row by row.
pub trait Table: Default {
    /// Adds a row: the texts of its cells, each on one line, one of them not empty.
    fn row(&mut self, cells: Vec<String>);

    /// The table.
    ///
    /// # Errors
    /// Its text, as that of [`Table::text`], where it is none.
    fn finish(self) -> Result<String, String>;

    /// Its text, a line a row: of what arranges the page and is no table.
    fn text(self) -> String;
}

/// The table that is open, and its open row.
#[derive(Debug, Default)]
pub(super) struct Grid<T> {
    table: T,
    row: Vec<String>,
    /// Columns and rows of the open cell.
    cell: Option<(usize, usize)>,
    /// What cells above put into the columns of the next rows, and how often.
    above: Vec<(usize, String)>,
    /// Bytes that cells said again, of all tables of the page.
    repeated: usize,
    /// Bytes that the page says in it, and those of them in links.
    size: usize,
    linked: usize,
}

impl<T: Table> Grid<T> {
    /// A table begins.
    pub fn begin(&mut self) {
        *self = Self {
            repeated: self.repeated,
            ..Self::default()
        };
    }

    /// A cell begins.
    pub fn begin_cell(&mut self, columns: usize, rows: usize) {
        self.cell = Some((columns.clamp(1, WIDEST), rows.clamp(1, HIGHEST)));
    }

    /// Whether a cell is open.
    pub fn in_cell(&self) -> bool {
        self.cell.is_some()
    }

    /// The open cell ends with this text.
    pub fn end_cell(&mut self, passage: &Passage) {
        let Some((columns, rows)) = self.cell.take() else {
            return;
        };
        self.size += passage.size;
        self.linked += passage.linked;
        self.put_above();
        let text = one_line(&passage.text);
        self.put(&text, rows);
        for _ in 1..columns {
            if self.row.len() < MOST_COLUMNS {
                self.put("", rows);
            }
        }
    }

    /// Adds a column of the open cell to the row, and to the next ones if the cell is of several.
    fn put(&mut self, text: &str, rows: usize) {
        let at = self.row.len();
        self.row.push(text.to_owned());
        if rows > 1 && at < MOST_COLUMNS {
            let again = if text.len() <= LONGEST_REPEATED {
                text
            } else {
                ""
            };
            if self.above.len() <= at {
                self.above.resize(at + 1, (0, String::new()));
            }
            if let Some(above) = self.above.get_mut(at) {
                *above = (rows - 1, again.to_owned());
            }
        }
    }

    /// Adds the cells of the open row that come from rows above it.
    fn put_above(&mut self) {
        while let Some((left, text)) = self.above.get_mut(self.row.len())
            && *left > 0
        {
            self.repeated += text.len() + BAR;
            if self.repeated > MOST_REPEATED {
                self.above.clear();
                return;
            }
            *left -= 1;
            let text = text.clone();
            self.row.push(text);
        }
    }

    /// The open row ends; one without cells is none.
    pub fn end_row(&mut self) {
        if self.row.is_empty() {
            return;
        }
        self.put_above();
        let row = std::mem::take(&mut self.row);
        if row.iter().any(|cell| !cell.is_empty()) {
            self.table.row(row);
        }
    }

    /// The table ends.
    pub fn finish(&mut self) -> Passage {
        self.end_row();
        let (kind, text) = match std::mem::take(&mut self.table).finish() {
            Ok(text) => (Kind::Table, text),
            Err(text) => (Kind::Paragraph, text),
        };
        self.passage(kind, text)
    }

    /// The table is none: it arranges the page.
    pub fn leave(&mut self) -> Passage {
        self.end_row();
        let text = std::mem::take(&mut self.table).text();
        self.passage(Kind::Paragraph, text)
    }

    fn passage(&mut self, kind: Kind, text: String) -> Passage {
        Passage {
            kind,
            text,
            size: std::mem::take(&mut self.size),
            linked: std::mem::take(&mut self.linked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as they come.
    #[derive(Debug, Default)]
    struct Rows(Vec<String>);

    impl Table for Rows {
        fn row(&mut self, cells: Vec<String>) {
            self.0.push(cells.join("|"));
        }

        fn finish(self) -> Result<String, String> {
            Ok(self.text())
        }

        fn text(self) -> String {
            self.0.join("\n")
        }
    }

    fn cell(grid: &mut Grid<Rows>, text: &str, columns: usize, rows: usize) {
        grid.begin_cell(columns, rows);
        grid.end_cell(&Passage {
            kind: Kind::Paragraph,
            text: text.to_owned(),
            size: text.len(),
            linked: 0,
        });
    }

    #[test]
    fn cells_over_rows_and_columns_are_written_out() {
        let mut grid = Grid::<Rows>::default();
        cell(&mut grid, "City", 1, 2);
        cell(&mut grid, "Weather", 2, 1);
        grid.end_row();
        cell(&mut grid, "sun", 1, 1);
        cell(&mut grid, " wind\n x ", 1, 1);
        grid.end_row();
        cell(&mut grid, "", 1, 1);
        let passage = grid.finish();
        assert_eq!(passage.text, "City|Weather|\nCity|sun|wind x");
        assert_eq!(passage.size, 4 + 7 + 3 + 9);
        grid.begin();
        assert_eq!(grid.finish().text, "");
    }

    #[test]
    fn what_is_said_again_is_bounded() {
        let mut grid = Grid::<Rows>::default();
        let long = "x".repeat(LONGEST_REPEATED + 1);
        cell(&mut grid, &long, 1, 2);
        grid.end_row();
        cell(&mut grid, "a", 1, 1);
        assert_eq!(grid.leave().text, format!("{long}\n|a"));
        // Cells that say much, each of them in many rows and in many tables.
        let name = "y".repeat(LONGEST_REPEATED);
        let mut bytes = 0;
        for _ in 0..20 {
            grid.begin();
            for _ in 0..MOST_COLUMNS {
                cell(&mut grid, &name, 1, HIGHEST);
            }
            for _ in 1..HIGHEST {
                grid.end_row();
                cell(&mut grid, "a", 1, 1);
            }
            bytes += grid.finish().text.len();
        }
        let once = 20 * (MOST_COLUMNS * (name.len() + BAR) + HIGHEST * 2);
        assert!(bytes < once + MOST_REPEATED, "{bytes}");
    }
}
