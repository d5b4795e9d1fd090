//! Jupyter notebooks: their text and code, cell by cell. Left out: what the code printed and drew.

use serde::Deserialize;

use super::{LoadError, markdown};
use crate::document::{BlockKind, Builder, LoadedDocument};

#[derive(Deserialize)]
struct Notebook {
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    #[serde(default)]
    cell_type: String,
    #[serde(default)]
    source: Source,
}

/// The text of a cell, whole or line by line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
    Whole(String),
    Lines(Vec<String>),
}

impl Default for Source {
    fn default() -> Self {
        Self::Whole(String::new())
    }
}

/// The document of a notebook.
///
/// # Errors
/// [`LoadError::Damaged`] for what has no cells.
pub(super) fn load(source: &str, name: &str) -> Result<LoadedDocument, LoadError> {
    let notebook: Notebook = serde_json::from_str(source)
        .map_err(|error| LoadError::Damaged(format!("it is no notebook: {error}")))?;
    let mut builder = Builder::default();
    for cell in notebook.cells {
        let text = match cell.source {
            Source::Whole(text) => text,
            Source::Lines(lines) => lines.concat(),
        };
        match cell.cell_type.as_str() {
            "markdown" => builder.append(&markdown::load(&text, ""), 0, None),
            "code" => builder.push(BlockKind::Code, &text, None),
            _ => builder.push(BlockKind::Paragraph, &text, None),
        }
    }
    Ok(builder.finish(None, name))
}
