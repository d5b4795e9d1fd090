//! XLSX by calamine, cell by cell: its tables of whole sheets are as large as the farthest cell says.
//! Left out: what the cells of a merged range repeat.

use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxError};

use super::{Tables, Wanted, claims, number};
use crate::document::LoadedDocument;
use crate::load::package::Package;
use crate::load::{LoadError, LoadLimits};

/// The document of a workbook.
///
/// # Errors
/// [`LoadError::Damaged`], [`LoadError::Encrypted`], or [`LoadError::TooLarge`] for what unpacks beyond
/// the limit.
pub(in crate::load) fn load(
    bytes: &[u8],
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let mut package = Package::open(bytes, limits)?;
    package.check_size()?;
    claims::check(&mut package, limits)?;
    let (title, about) = package.properties()?;
    let mut book = contained(|| Xlsx::new(Cursor::new(bytes)).map_err(damaged))?;
    let from_1904 = book.has_1904_epoch();
    let mut tables = Tables::new(limits);
    let mut broken = 0usize;
    let sheets = book.sheets_metadata().to_vec();
    for sheet in &sheets {
        if sheet.visible != SheetVisible::Visible {
            tables.hidden(&sheet.name);
            continue;
        }
        if sheet.typ != SheetType::WorkSheet {
            continue;
        }
        tables.sheet(&sheet.name)?;
        match contained(|| read(&mut book, &sheet.name, from_1904, &mut tables)) {
            Ok(Wanted::More) => {}
            Ok(Wanted::Enough) => break,
            Err(error @ LoadError::TooLarge { .. }) => return Err(error),
            Err(error) => {
                broken += 1;
                tables.notes.push(format!(
                    "sheet `{}` {error}; its end is missing",
                    sheet.name
                ));
            }
        }
    }
    if broken > 0 && tables.cells == 0 {
        return Err(LoadError::Damaged("no sheet of it can be read".to_owned()));
    }
    let (builder, notes) = tables.finish()?;
    let mut document = builder.finish(title, name);
    document.notes = notes;
    document.metadata = about;
    Ok(document)
}

fn read(
    book: &mut Xlsx<Cursor<&[u8]>>,
    sheet: &str,
    from_1904: bool,
    tables: &mut Tables,
) -> Result<Wanted, LoadError> {
    let mut reader = book.worksheet_cells_reader(sheet).map_err(damaged)?;
    loop {
        let next = reader.next_cell_with_style_id();
        let Some((cell, style)) = next.map_err(damaged)? else {
            return Ok(Wanted::More);
        };
        let (row, column) = cell.get_position();
        let format = reader
            .styles()
            .get(style)
            .and_then(|style| style.number_format.as_ref())
            .map_or("", |format| format.format_code.as_str());
        let text = text(cell.get_value(), format, from_1904);
        if tables.cell(row, column, &text)? == Wanted::Enough {
            return Ok(Wanted::Enough);
        }
    }
}

/// A cell's text as shown. What many cells share is not copied.
fn text<'a>(value: &'a DataRef<'_>, format: &str, from_1904: bool) -> Cow<'a, str> {
    let shown = match value {
        DataRef::Empty => return Cow::Borrowed(""),
        DataRef::String(text) => return Cow::Borrowed(text),
        DataRef::SharedString(text) => return Cow::Borrowed(text),
        DataRef::Bool(true) => return Cow::Borrowed("TRUE"),
        DataRef::Bool(false) => return Cow::Borrowed("FALSE"),
        DataRef::Int(value) => number::show(*value as f64, format),
        DataRef::Float(value) => number::show(*value, format),
        DataRef::Error(error) => error.to_string(),
        DataRef::DateTime(moment) => {
            // Some formats of dates are known by their number only.
            let shown = number::moment(format).unwrap_or(number::Moment {
                date: true,
                time: moment.as_f64().fract() != 0.0,
            });
            number::date(moment.as_f64(), shown, from_1904)
                .unwrap_or_else(|| number::general(moment.as_f64()))
        }
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.replacen('T', " ", 1),
    };
    Cow::Owned(shown)
}

/// Does what calamine may panic in: it computes places of cells without a look at their bounds.
fn contained<T>(work: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(LoadError::Damaged(
            "a cell of it is out of bounds".to_owned(),
        ))
    })
}

fn damaged(error: XlsxError) -> LoadError {
    match error {
        XlsxError::Password => LoadError::Encrypted,
        error => LoadError::Damaged(error.to_string()),
    }
}
