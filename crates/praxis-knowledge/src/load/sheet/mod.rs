//! Spreadsheets and delimited text: each sheet a heading, its rows as tables. What the formats have in
//! common is here; each has a module for how it stores its cells. Left out: formulas, whose last results
//! are read, charts, comments, and sheets that are hidden, which a note tells.

mod biff;
mod claims;
mod delimited;
mod number;
mod ods;
mod xls;
mod xlsx;

use super::{LoadError, LoadLimits, grid};
use crate::document::{BlockKind, Builder};

pub(super) use delimited::load as load_delimited;
pub(super) use ods::load as load_ods;
pub(super) use xls::load as load_xls;
pub(super) use xlsx::load as load_xlsx;

/// Cells of a file that are read: more of them are data for a program, not a text for a search.
const MAX_CELLS: usize = 2_000_000;

/// Columns of a sheet, of which no program allows more.
const MAX_COLUMNS: u32 = 16_384;

/// The cells of a workbook on their way to blocks.
struct Tables {
    builder: Builder,
    /// Rows of the table that is open, each with its filled cells by column.
    rows: Vec<Vec<(u32, String)>>,
    last_row: Option<u32>,
    cells: usize,
    /// Whether there are more columns and cells than are read.
    has_more_columns: bool,
    has_more_cells: bool,
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
            has_more_columns: false,
            has_more_cells: false,
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

    /// Adds a cell. Rows come from above, and one that does not follow on the last begins another table. A cell is
    /// counted and charged before its text is copied: many may show one text, which is there once only in the file.
    fn cell(&mut self, row: u32, column: u32, text: &str) -> Result<Wanted, LoadError> {
        self.charge(text.len())?;
        if column >= MAX_COLUMNS {
            self.has_more_columns |= !text.is_empty();
            return Ok(Wanted::More);
        }
        let text = one_line(text);
        if text.is_empty() {
            return Ok(Wanted::More);
        }
        if self.cells >= MAX_CELLS {
            self.has_more_cells = true;
            return Ok(Wanted::Enough);
        }
        self.cells += 1;
        if self.last_row != Some(row) {
            let follows = |last: u32| last.checked_add(1) == Some(row);
            if !self.last_row.is_none_or(follows) {
                self.flush()?;
            }
            self.last_row = Some(row);
            self.rows.push(Vec::with_capacity(1));
        }
        if let Some(cells) = self.rows.last_mut() {
            cells.push((column, text));
        }
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
        let mut rows = std::mem::take(&mut self.rows);
        for row in &mut rows {
            row.sort_by_key(|(column, _)| *column);
            row.dedup_by_key(|(column, _)| *column);
        }
        let mut places = rows.iter().flatten().map(|(column, _)| *column);
        let first = places.next();
        let captions = if places.any(|column| Some(column) != first) {
            rows.iter().take_while(|row| row.len() == 1).count()
        } else {
            0
        };
        let table = rows.split_off(captions);
        for (_, text) in rows.iter().flatten() {
            self.builder.push(BlockKind::Paragraph, text, None);
        }
        let mut columns: Vec<u32> = table.iter().flatten().map(|(column, _)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        self.charge(columns.len() * grid::COLUMN_BYTES)?;
        let mut writer = grid::Writer::new(columns.len());
        for row in &table {
            // Each column of a row is among them.
            let place = |column: u32| columns.binary_search(&column).unwrap_or_default();
            let last = row.last().map_or(0, |(column, _)| place(*column) + 1);
            self.charge((last - row.len().min(last)) * grid::EMPTY_BYTES)?;
            writer.row(
                row.iter()
                    .map(|(column, text)| (place(*column), text.as_str())),
            );
        }
        self.builder.push(BlockKind::Table, &writer.finish(), None);
        Ok(())
    }

    /// Notes that a sheet is hidden.
    fn hidden(&mut self, name: &str) {
        self.notes
            .push(format!("sheet `{name}` is hidden and left out"));
    }

    fn finish(mut self) -> Result<(Builder, Vec<String>), LoadError> {
        self.flush()?;
        for (has_more, what, most) in [
            (self.has_more_columns, "columns", MAX_COLUMNS as usize),
            (self.has_more_cells, "cells", MAX_CELLS),
        ] {
            if has_more {
                self.notes.push(format!(
                    "it has more than {most} {what}: the others are not read"
                ));
            }
        }
        Ok((self.builder, super::few(self.notes.into_iter())))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
