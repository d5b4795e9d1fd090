//! XLS (BIFF8, of Excel 97 to 2003): the records of cells. Read by ourselves, because calamine makes a
//! table as large as the farthest cell says and copies a shared text for each cell that shows it. Left
//! out: older versions, and what stands in merged, deleted or hidden cells.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Read};

use super::biff::{Strings, built_in, characters, double, long, long_text, records, short, unpack};
use super::{MAX_CELLS, Tables, Wanted, number};
use crate::document::LoadedDocument;
use crate::load::{LoadError, LoadLimits};

/// The version that a stream of BIFF8 begins with.
const BIFF8: u16 = 0x0600;

/// The document of a workbook.
///
/// # Errors
/// [`LoadError::Damaged`], [`LoadError::Encrypted`], [`LoadError::Unsupported`] for what is older.
pub(in crate::load) fn load(
    bytes: &[u8],
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let damaged = |e: &dyn std::fmt::Display| LoadError::Damaged(e.to_string());
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let stream = file
        .open_stream("/Workbook")
        .or_else(|_| file.open_stream("/Book"))
        .map_err(|e| damaged(&e))?;
    let mut stream = stream.take(limits.max_bytes);
    let mut data = Vec::new();
    // A stream that ends too early is read as far as it goes.
    let cut = stream.read_to_end(&mut data).is_err();
    let book = Workbook::read(&data)?;
    let mut tables = Tables::new(limits);
    if cut {
        tables.notes.push("its end is missing".to_owned());
    }
    // Sheets do not share their bytes, so that a file of many sheets costs no more than one of few.
    let mut bounds: Vec<usize> = book.sheets.iter().map(|s| s.offset).collect();
    bounds.push(data.len());
    bounds.sort_unstable();
    for sheet in &book.sheets {
        let begin = bounds.partition_point(|b| *b < sheet.offset);
        let end = bounds.get(begin + 1).copied().unwrap_or(data.len());
        if sheet.hidden {
            tables.hidden(&sheet.name);
            continue;
        }
        tables.sheet(&sheet.name)?;
        let cells = book.cells(data.get(sheet.offset..end).unwrap_or_default());
        if add(&book, cells, &mut tables)? == Wanted::Enough {
            break;
        }
    }
    let (builder, notes) = tables.finish()?;
    let mut document = builder.finish(None, name);
    document.notes = notes;
    Ok(document)
}

/// Adds the cells of a sheet, row by row.
fn add(
    book: &Workbook,
    mut cells: Vec<(u32, u32, Value)>,
    tables: &mut Tables,
) -> Result<Wanted, LoadError> {
    cells.sort_by_key(|(row, column, _)| (*row, *column));
    for (row, column, value) in &cells {
        if tables.cell(*row, *column, &book.text(value))? == Wanted::Enough {
            return Ok(Wanted::Enough);
        }
    }
    Ok(Wanted::More)
}

struct Sheet {
    name: String,
    hidden: bool,
    offset: usize,
}

/// What the sheets of a workbook share.
#[derive(Default)]
struct Workbook {
    sheets: Vec<Sheet>,
    strings: Vec<String>,
    formats: HashMap<u16, String>,
    /// The format of each style.
    styles: Vec<u16>,
    from_1904: bool,
}

/// What a cell holds.
enum Value {
    Shared(usize),
    Text(String),
    Number { value: f64, style: u16 },
}

impl Workbook {
    fn read(data: &[u8]) -> Result<Self, LoadError> {
        let mut book = Self::default();
        let mut all = records(data).peekable();
        match all.next() {
            Some((0x0809, begin)) if short(begin, 0) == Some(BIFF8) => {}
            Some((0x0009 | 0x0209 | 0x0409 | 0x0809, _)) => {
                return Err(LoadError::Unsupported(
                    "an Excel workbook from before 1997".to_owned(),
                ));
            }
            _ => {
                return Err(LoadError::Damaged(
                    "it does not begin as a workbook".to_owned(),
                ));
            }
        }
        while let Some((kind, record)) = all.next() {
            match kind {
                0x000a => break,
                0x002f => return Err(LoadError::Encrypted),
                0x0022 => book.from_1904 = short(record, 0) == Some(1),
                0x0085 => book.sheets.extend(sheet(record)),
                0x00e0 => book.styles.push(short(record, 2).unwrap_or(0)),
                0x041e => {
                    if let (Some(id), Some(text)) =
                        (short(record, 0), record.get(2..).and_then(long_text))
                    {
                        book.formats.insert(id, text);
                    }
                }
                0x00fc => {
                    let mut parts = vec![record];
                    while let Some((_, more)) = all.next_if(|(kind, _)| *kind == 0x003c) {
                        parts.push(more);
                    }
                    book.strings = Strings::new(parts).read();
                }
                _ => {}
            }
        }
        Ok(book)
    }

    /// The cells of the sheet that these bytes begin with.
    fn cells(&self, data: &[u8]) -> Vec<(u32, u32, Value)> {
        let mut cells = Vec::new();
        // Charts inside of a sheet are streams of their own.
        let mut depth = 0usize;
        // A formula whose text is in the next record.
        let mut waiting: Option<(u32, u32)> = None;
        for (kind, record) in records(data) {
            match kind {
                0x0809 => depth += 1,
                0x000a if depth <= 1 => break,
                0x000a => depth -= 1,
                _ => {}
            }
            if depth != 1 || cells.len() > MAX_CELLS {
                continue;
            }
            if kind == 0x0207 {
                if let (Some((row, column)), Some(text)) = (waiting.take(), long_text(record)) {
                    cells.push((row, column, Value::Text(text)));
                }
                continue;
            }
            let (Some(row), Some(column), Some(style)) =
                (short(record, 0), short(record, 2), short(record, 4))
            else {
                continue;
            };
            let (row, column) = (u32::from(row), u32::from(column));
            let value = match kind {
                0x0203 => double(record, 6).map(|value| Value::Number { value, style }),
                0x027e => long(record, 6).map(|rk| Value::Number {
                    value: unpack(rk),
                    style,
                }),
                0x00fd => long(record, 6).map(|index| Value::Shared(index as usize)),
                0x0204 => record.get(6..).and_then(long_text).map(Value::Text),
                0x0205 => truth(record.get(6..8).unwrap_or_default()),
                0x00bd => {
                    for (column, pair) in (column..).zip(record[4..].chunks_exact(6)) {
                        if let (Some(style), Some(rk)) = (short(pair, 0), long(pair, 2)) {
                            cells.push((
                                row,
                                column,
                                Value::Number {
                                    value: unpack(rk),
                                    style,
                                },
                            ));
                        }
                    }
                    None
                }
                0x0006 => match record.get(6..14) {
                    Some([0, .., 0xff, 0xff]) => {
                        waiting = Some((row, column));
                        None
                    }
                    Some([kind @ (1 | 2), _, value, .., 0xff, 0xff]) => {
                        truth(&[*value, u8::from(*kind == 2)])
                    }
                    Some([.., 0xff, 0xff]) => None,
                    _ => double(record, 6).map(|value| Value::Number { value, style }),
                },
                _ => None,
            };
            cells.extend(value.map(|value| (row, column, value)));
        }
        cells
    }

    /// The text of a cell. What many cells share is not copied.
    fn text<'a>(&'a self, value: &'a Value) -> Cow<'a, str> {
        match value {
            Value::Text(text) => Cow::Borrowed(text),
            Value::Shared(index) => {
                Cow::Borrowed(self.strings.get(*index).map_or("", String::as_str))
            }
            Value::Number { value, style } => {
                let id = self.styles.get(usize::from(*style)).copied();
                let id = id.unwrap_or(0);
                let format = self
                    .formats
                    .get(&id)
                    .map_or_else(|| built_in(id), String::as_str);
                let shown = number::moment(format)
                    .and_then(|moment| number::date(*value, moment, self.from_1904))
                    .unwrap_or_else(|| number::show(*value, format));
                Cow::Owned(shown)
            }
        }
    }
}

fn sheet(record: &[u8]) -> Option<Sheet> {
    // Macros and charts have kinds of their own.
    if *record.get(5)? != 0 {
        return None;
    }
    let (length, wide) = (usize::from(*record.get(6)?), record.get(7)? & 1 == 1);
    Some(Sheet {
        name: characters(record.get(8..)?, length, wide).0,
        hidden: record.get(4)? & 3 != 0,
        offset: long(record, 0)? as usize,
    })
}

/// A boolean or an error.
fn truth(pair: &[u8]) -> Option<Value> {
    let text = match *pair {
        [0, 0] => "FALSE",
        [_, 0] => "TRUE",
        [0x00, _] => "#NULL!",
        [0x07, _] => "#DIV/0!",
        [0x0f, _] => "#VALUE!",
        [0x17, _] => "#REF!",
        [0x1d, _] => "#NAME?",
        [0x24, _] => "#NUM!",
        [_, _] => "#N/A",
        _ => return None,
    };
    Some(Value::Text(text.to_owned()))
}
