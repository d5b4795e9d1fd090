//! ODS (OpenDocument, ISO/IEC 26300): its cells carry their text as it was shown. Read by ourselves,
//! because calamine repeats cells as often as a file asks for, whatever that costs.

use std::collections::HashSet;

use super::{MAX_COLUMNS, Tables, Wanted};
use crate::document::LoadedDocument;
use crate::load::package::Package;
use crate::load::xml::{self, Attributes, Event};
use crate::load::{LoadError, LoadLimits};

/// The document of a spreadsheet.
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
    let manifest = package.bytes("META-INF/manifest.xml")?.unwrap_or_default();
    if memchr::memmem::find(&manifest, b"encryption-data").is_some() {
        return Err(LoadError::Encrypted);
    }
    let content = package.part("content.xml")?.ok_or_else(|| {
        LoadError::Damaged("it has no content.xml, so it is no spreadsheet".to_owned())
    })?;
    let title = match package.part("meta.xml")? {
        Some(meta) => xml::element_text(&meta, "title")?,
        None => None,
    };
    let mut walk = Walk {
        tables: Tables::new(limits),
        error: None,
        styles: Styles::default(),
        hidden: false,
        depth: 0,
        row: 0,
        row_repeat: 1,
        column: 0,
        cells: Vec::new(),
        cell: None,
        annotation: 0,
    };
    xml::each(&content, |event| walk.event(event))?;
    if let Some(error) = walk.error {
        return Err(error);
    }
    let (builder, notes) = walk.tables.finish()?;
    let mut document = builder.finish(title, name);
    document.notes = notes;
    Ok(document)
}

/// Styles of sheets that hide them.
#[derive(Default)]
struct Styles {
    open: String,
    hiding: HashSet<String>,
}

struct Cell {
    text: String,
    repeat: u32,
    in_paragraph: bool,
}

struct Walk {
    tables: Tables,
    /// Why nothing more is read.
    error: Option<LoadError>,
    styles: Styles,
    /// Whether the open sheet is hidden.
    hidden: bool,
    /// Tables that are open; those inside of others are none of ours.
    depth: usize,
    row: u32,
    row_repeat: u32,
    column: u32,
    /// Filled cells of the open row: column, how often, text.
    cells: Vec<(u32, u32, String)>,
    cell: Option<Cell>,
    annotation: usize,
}

impl Walk {
    fn event(&mut self, event: Event<'_>) {
        match event {
            _ if self.error.is_some() => {}
            Event::Start(name, attributes) => self.start(name, &attributes),
            Event::End(name) => self.end(name),
            Event::Text(text) => {
                if let Some(cell) = &mut self.cell
                    && cell.in_paragraph
                    && self.annotation == 0
                {
                    cell.text.push_str(text);
                }
            }
        }
    }

    fn start(&mut self, name: &str, attributes: &Attributes<'_>) {
        let repeat = |name: &str| {
            let repeat = attributes.get(name).and_then(|n| n.parse().ok());
            repeat.unwrap_or(1u32).max(1)
        };
        match name {
            "style" => self.styles.open = attributes.get("name").unwrap_or_default(),
            "table-properties" if attributes.get("display").as_deref() == Some("false") => {
                self.styles.hiding.insert(self.styles.open.clone());
            }
            "table" => {
                self.depth += 1;
                if self.depth == 1 {
                    self.sheet(attributes);
                }
            }
            "table-row" if self.depth == 1 => {
                self.column = 0;
                self.row_repeat = repeat("number-rows-repeated");
            }
            "table-cell" | "covered-table-cell" if self.depth == 1 => {
                self.cell = Some(Cell {
                    text: String::new(),
                    repeat: repeat("number-columns-repeated"),
                    in_paragraph: false,
                });
            }
            "annotation" => self.annotation += 1,
            "p" | "s" | "tab" | "line-break" => {
                if let Some(cell) = &mut self.cell
                    && self.annotation == 0
                {
                    cell.in_paragraph |= name == "p";
                    cell.text.push(' ');
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "table" => self.depth = self.depth.saturating_sub(1),
            "annotation" => self.annotation = self.annotation.saturating_sub(1),
            "p" => {
                if let Some(cell) = &mut self.cell {
                    cell.in_paragraph = false;
                }
            }
            "table-cell" | "covered-table-cell" if self.depth == 1 => self.end_cell(),
            "table-row" if self.depth == 1 => self.end_row(),
            _ => {}
        }
    }

    fn sheet(&mut self, attributes: &Attributes<'_>) {
        self.row = 0;
        let name = attributes.get("name").unwrap_or_default();
        let style = attributes.get("style-name").unwrap_or_default();
        self.hidden = self.styles.hiding.contains(&style);
        if self.hidden {
            self.tables.hidden(&name);
        } else if let Err(error) = self.tables.sheet(&name) {
            self.error = Some(error);
        }
    }

    fn end_cell(&mut self) {
        let Some(cell) = self.cell.take() else { return };
        let text = super::one_line(&cell.text);
        if !text.is_empty() {
            let repeat = cell.repeat.min(MAX_COLUMNS);
            self.cells.push((self.column, repeat, text));
        }
        self.column = self.column.saturating_add(cell.repeat);
    }

    fn end_row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        if !cells.is_empty()
            && !self.hidden
            && let Err(error) = self.repeat(&cells)
        {
            self.error = Some(error);
        }
        self.row = self.row.saturating_add(self.row_repeat);
    }

    /// Adds the cells of a row, as often as the row and each of them is repeated.
    fn repeat(&mut self, cells: &[(u32, u32, String)]) -> Result<(), LoadError> {
        for row in 0..self.row_repeat {
            let row = self.row.saturating_add(row);
            for (first, repeat, text) in cells {
                for column in 0..*repeat {
                    let column = first.saturating_add(column);
                    if self.tables.cell(row, column, text)? == Wanted::Enough {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}
