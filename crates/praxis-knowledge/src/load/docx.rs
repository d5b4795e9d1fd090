//! DOCX (Office Open XML, ECMA-376): the main part's paragraphs, headings, lists and tables.
//!
//! Read directly from its ZIP and XML: the crates that model the whole format refuse files that
//! word processors open, and only text is wanted here.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

use super::{LoadError, LoadLimits};
use crate::document::{BlockKind, Builder, LoadedDocument};

/// The document of a DOCX file.
///
/// # Errors
/// [`LoadError::Damaged`], or [`LoadError::TooLarge`] for what unpacks beyond the limit.
pub(super) fn load(
    bytes: &[u8],
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let damaged = |e: &dyn std::fmt::Display| LoadError::Damaged(e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let main = part(&mut archive, "word/document.xml", limits)?
        .ok_or_else(|| LoadError::Damaged("it has no word/document.xml".to_owned()))?;
    let title = match part(&mut archive, "docProps/core.xml", limits)? {
        Some(core) => element_text(&core, b"dc:title"),
        None => None,
    };
    let mut walk = Walk::default();
    let mut reader = Reader::from_str(&main);
    loop {
        match reader.read_event().map_err(|e| damaged(&e))? {
            Event::Start(e) => walk.start(e.name().as_ref(), attribute(&e, b"w:val").as_deref()),
            Event::Empty(e) => {
                walk.start(e.name().as_ref(), attribute(&e, b"w:val").as_deref());
                walk.end(e.name().as_ref());
            }
            Event::End(e) => walk.end(e.name().as_ref()),
            Event::Text(text) if walk.in_text => {
                walk.text.push_str(&text.decode().map_err(|e| damaged(&e))?);
            }
            Event::GeneralRef(entity) if walk.in_text => {
                let name = entity.decode().map_err(|e| damaged(&e))?;
                let character = entity.resolve_char_ref().ok().flatten();
                match (
                    character,
                    quick_xml::escape::resolve_predefined_entity(&name),
                ) {
                    (Some(c), _) => walk.text.push(c),
                    (None, Some(text)) => walk.text.push_str(text),
                    (None, None) => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(walk.builder.finish(title, name))
}

/// A part of the archive as text, bounded: an archive may unpack to more than memory holds.
fn part(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    limits: LoadLimits,
) -> Result<Option<String>, LoadError> {
    let Ok(file) = archive.by_name(name) else {
        return Ok(None);
    };
    let mut text = String::new();
    file.take(limits.max_bytes + 1)
        .read_to_string(&mut text)
        .map_err(|e| LoadError::Damaged(format!("{name}: {e}")))?;
    if text.len() as u64 > limits.max_bytes {
        return Err(LoadError::TooLarge {
            size: text.len() as u64,
            limit: limits.max_bytes,
        });
    }
    Ok(Some(text))
}

fn attribute(element: &quick_xml::events::BytesStart<'_>, name: &[u8]) -> Option<String> {
    let value = element.try_get_attribute(name).ok()??;
    Some(String::from_utf8_lossy(&value.value).into_owned())
}

fn element_text(xml: &str, name: &[u8]) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut inside = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(e) => inside = e.name().as_ref() == name,
            Event::Text(text) if inside => return Some(text.decode().ok()?.into_owned()),
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[derive(Default)]
struct Walk {
    builder: Builder,
    text: String,
    kind: Option<BlockKind>,
    in_text: bool,
    /// Depth of open tables; their cells are collected row by row.
    tables: usize,
}

impl Walk {
    fn start(&mut self, name: &[u8], value: Option<&str>) {
        match name {
            b"w:t" => self.in_text = true,
            b"w:tab" => self.text.push('\t'),
            b"w:br" | b"w:cr" => self.text.push('\n'),
            b"w:pStyle" if self.tables == 0 => self.kind = value.and_then(heading).or(self.kind),
            b"w:numPr" if self.tables == 0 && self.kind.is_none() => {
                self.kind = Some(BlockKind::ListItem);
                self.text.push_str("- ");
            }
            b"w:tbl" => {
                self.flush();
                self.tables += 1;
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        match name {
            b"w:t" => self.in_text = false,
            b"w:p" if self.tables == 0 => self.flush(),
            b"w:p" => self.text.push(' '),
            b"w:tc" => {
                self.trim_end();
                self.text.push_str(" | ");
            }
            b"w:tr" => {
                self.trim_end();
                self.text.push('\n');
            }
            b"w:tbl" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.kind = Some(BlockKind::Table);
                    self.flush();
                }
            }
            _ => {}
        }
    }

    fn trim_end(&mut self) {
        let end = self.text.trim_end_matches([' ', '|']).len();
        self.text.truncate(end);
    }

    fn flush(&mut self) {
        let kind = self.kind.take().unwrap_or(BlockKind::Paragraph);
        self.builder.push(kind, &self.text, None);
        self.text.clear();
    }
}

/// The heading of a paragraph style: `Heading1`, `heading 2`, `Title`, and the bare digits that
/// Chinese editions use.
fn heading(style: &str) -> Option<BlockKind> {
    let style = style.to_lowercase().replace(' ', "");
    if style == "title" {
        return Some(BlockKind::Heading(1));
    }
    let level: u8 = style
        .strip_prefix("heading")
        .unwrap_or(&style)
        .parse()
        .ok()?;
    (1..=9)
        .contains(&level)
        .then(|| BlockKind::Heading(level.min(6)))
}
