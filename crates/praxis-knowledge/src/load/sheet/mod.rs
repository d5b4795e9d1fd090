//! Spreadsheets and delimited text: each sheet a heading, its rows as tables. What the formats have in
//! common is here; each has a module for how it stores its cells. Left out: formulas, whose last results
//! are read, charts, comments, and sheets that are hidden, which a note tells.

mod biff;
mod delimited;
mod number;
mod ods;
mod xls;
mod xlsx;

use super::{LoadError, LoadLimits};
use crate::document::{BlockKind, Builder};

pub(super) use delimited::load as load_delimited;
pub(super) use ods::load as load_ods;
pub(super) use xls::load as load_xls;
pub(super) use xlsx::load as load_xlsx;

/// Cells of a file that are read: more of them are data for a program, not a text for a search.
const MAX_CELLS: usize = 2_000_000;

/// The cells of a workbook on their way to blocks.
struct Tables {
    builder: Builder,
    /// Rows of the table that is open, each with its filled cells by column.
    rows: Vec<Vec<(u32, String)>>,
    last_row: Option<u32>,
    cells: usize,
    /// Bytes of text that may still come: a text that many cells share is there once only in the file.
    left: u64,
    limit: u64,
    notes: Vec<String>,
}

/// Whether more rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted {
    More,
    Enough,
}

impl Tables {
    fn new(limits: LoadLimits) -> Self {
        Self {
            builder: Builder::default(),
            rows: Vec::new(),
            last_row: None,
            cells: 0,
            left: limits.max_bytes,
            limit: limits.max_bytes,
            notes: Vec::new(),
        }
    }

    /// Begins a sheet.
    fn sheet(&mut self, name: &str) -> Result<(), LoadError> {
        self.flush()?;
        self.builder.push(BlockKind::Heading(1), name, None);
        Ok(())
    }

    /// Adds a row; one that does not follow on the last begins another table.
    fn row(&mut self, number: u32, cells: Vec<(u32, String)>) -> Result<Wanted, LoadError> {
        let cells: Vec<(u32, String)> = cells
            .into_iter()
            .map(|(column, text)| (column, one_line(&text)))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        if cells.is_empty() {
            return Ok(Wanted::More);
        }
        if self
            .last_row
            .is_some_and(|last| last.checked_add(1) != Some(number))
        {
            self.flush()?;
        }
        if self.cells + cells.len() > MAX_CELLS {
            let note = format!("it has more than {MAX_CELLS} cells: the others are not read");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            return Ok(Wanted::Enough);
        }
        self.cells += cells.len();
        for (_, text) in &cells {
            self.charge(text.len())?;
        }
        self.last_row = Some(number);
        self.rows.push(cells);
        Ok(Wanted::More)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), LoadError> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(LoadError::TooLarge {
                    size: self.limit + 1,
                    limit: self.limit,
                });
            }
        }
        Ok(())
    }

    /// Ends the open table. Columns that are empty in all of it are left out; a line above it with one
    /// filled cell only is its caption.
    fn flush(&mut self) -> Result<(), LoadError> {
        self.last_row = None;
        let rows = std::mem::take(&mut self.rows);
        let mut columns: Vec<u32> = rows.iter().flatten().map(|(column, _)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut rows = rows.into_iter().peekable();
        if columns.len() > 1 {
            while let Some(caption) = rows.next_if(|row| row.len() == 1) {
                let text = caption.first().map_or("", |(_, text)| text);
                self.builder.push(BlockKind::Paragraph, text, None);
            }
        }
        let mut table = String::new();
        for row in rows {
            if !table.is_empty() {
                table.push('\n');
            }
            let mut place = 0;
            for (column, text) in row {
                let target = columns.binary_search(&column).unwrap_or(place);
                let gaps = target.saturating_sub(place);
                self.charge(gaps * 3)?;
                table.extend(std::iter::repeat_n(" | ", gaps));
                place = place.max(target);
                table.push_str(&text);
            }
        }
        self.builder.push(BlockKind::Table, &table, None);
        Ok(())
    }

    /// Notes that a sheet is hidden.
    fn hidden(&mut self, name: &str) {
        self.notes
            .push(format!("sheet `{name}` is hidden and left out"));
    }

    fn finish(mut self) -> Result<(Builder, Vec<String>), LoadError> {
        self.flush()?;
        Ok((self.builder, super::few(self.notes.into_iter())))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
