//! XLSX as tables, one of each sheet, by calamine. Left out: hidden sheets, and what formulas say.

use std::fs::File;
use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{DataRef, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx};
use zip::ZipArchive;

use super::cell::{Cell, MAX_COLUMNS};
use super::{Options, Stop, Wrong};

/// How many times the limit of a file's size a workbook may unpack to.
const INFLATION: u64 = 10;

/// A workbook.
pub(super) struct Workbook {
    book: Xlsx<BufReader<File>>,
    options: Options,
}

impl Workbook {
    /// # Errors
    /// A file that is no workbook, or unpacks to too much.
    pub fn open(path: &Path, options: Options) -> Result<Self, Wrong> {
        fits(path, options.file_bytes.saturating_mul(INFLATION))?;
        let file = File::open(path).map_err(|error| Wrong::new(&error))?;
        let book =
            contained(|| Xlsx::new(BufReader::new(file)).map_err(|error| Wrong::new(&error)))?;
        Ok(Self { book, options })
    }

    /// Names of its sheets.
    pub fn sheets(&self) -> Vec<String> {
        let sheets = self.book.sheets_metadata().iter();
        sheets
            .filter(|sheet| {
                sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet
            })
            .map(|sheet| sheet.name.clone())
            .collect()
    }

    /// Gives all rows of a sheet.
    ///
    /// # Errors
    /// A sheet that cannot be read, a value that is too long, or what `take` fails with.
    pub fn each(
        &mut self,
        sheet: &str,
        take: &mut dyn FnMut(Vec<Cell>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let options = self.options;
        contained(|| {
            let mut cells = self
                .book
                .worksheet_cells_reader(sheet)
                .map_err(|error| Stop::Wrong(Wrong::new(&error)))?;
            let mut open: Option<(u32, Vec<Cell>)> = None;
            while let Some(cell) = cells
                .next_cell()
                .map_err(|error| Stop::Wrong(Wrong::new(&error)))?
            {
                let (number, column) = cell.get_position();
                if open.as_ref().is_some_and(|(row, _)| *row != number)
                    && let Some((_, row)) = open.take()
                {
                    take(row)?;
                }
                let (_, row) = open.get_or_insert_with(|| (number, Vec::new()));
                let column = column as usize;
                if column < MAX_COLUMNS {
                    if row.len() <= column {
                        row.resize(column + 1, Cell::Empty);
                    }
                    if let Some(place) = row.get_mut(column) {
                        *place = options.fitting(value(cell.get_value()), || {
                            format!("cell {}{} of sheet {sheet}", letters(column), number + 1)
                        })?;
                    }
                }
            }
            match open {
                Some((_, row)) => take(row),
                None => Ok(()),
            }
        })
    }
}

/// A column as workbooks call it: A to Z, then AA.
fn letters(column: usize) -> String {
    let (mut left, mut letters) = (column + 1, Vec::new());
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'A' + (left % 26) as u8));
        left /= 26;
    }
    letters.iter().rev().collect()
}

fn value(cell: &DataRef<'_>) -> Cell {
    match cell {
        DataRef::Empty | DataRef::Error(_) => Cell::Empty,
        DataRef::String(text) => Cell::Text(text.clone()),
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        DataRef::Bool(value) => Cell::Bool(*value),
        DataRef::Int(value) => Cell::Int(*value),
        // A workbook knows no whole numbers: 3 is 3.0 there.
        DataRef::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
            Cell::Int(*value as i64)
        }
        DataRef::Float(value) => Cell::Real(*value),
        DataRef::DateTime(moment) => date(moment),
        DataRef::DateTimeIso(text) => match text.split_once('T') {
            Some((day, time)) => Cell::Moment(format!("{day} {time}")),
            None => Cell::Date(text.clone()),
        },
        DataRef::DurationIso(text) => Cell::Text(text.clone()),
    }
}

/// A date, with its time where it has one; a duration as hours, minutes and seconds.
fn date(moment: &ExcelDateTime) -> Cell {
    if moment.is_duration() {
        let seconds = (moment.as_f64() * 86_400.0).round() as i64;
        let sign = if seconds < 0 { "-" } else { "" };
        let seconds = seconds.unsigned_abs();
        return Cell::Text(format!(
            "{sign}{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ));
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    if moment.as_f64().fract() == 0.0 {
        return Cell::Date(date);
    }
    Cell::Moment(format!("{date} {hour:02}:{minute:02}:{second:02}"))
}

/// Unpacks a workbook and keeps nothing: calamine has no bound of its own.
fn fits(path: &Path, limit: u64) -> Result<(), Wrong> {
    let file = File::open(path).map_err(|error| Wrong::new(&error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| Wrong::new(&error))?;
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let Ok(part) = archive.by_index(index) else {
            continue;
        };
        let mut part = part.take(limit.saturating_add(1).saturating_sub(unpacked));
        unpacked += std::io::copy(&mut part, &mut std::io::sink()).unwrap_or(0);
        if unpacked > limit {
            return Err(Wrong::new(&format!(
                "it unpacks to more than {limit} bytes"
            )));
        }
    }
    Ok(())
}

/// Does what calamine may panic in: it computes places of cells without a look at their bounds.
fn contained<T, E: From<Wrong>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Wrong::new(&"a cell of it is out of bounds").into()))
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn columns_are_called_as_in_the_workbook() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(letters(column), name);
        }
    }
}
