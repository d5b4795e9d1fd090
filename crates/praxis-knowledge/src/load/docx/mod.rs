//! DOCX (Office Open XML, ECMA-376): the main part's paragraphs, headings, lists, tables and notes.
//!
//! Read directly from its ZIP and XML: the crates that model the whole format refuse files that
//! word processors open, and only text is wanted here. Left out: headers, footers, comments, what is
//! deleted or hidden, and the table of contents, which repeats the headings.

mod body;
mod numbering;
mod styles;
mod xml;

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{LoadError, LoadLimits};
use crate::document::LoadedDocument;
use numbering::Numbering;
use styles::Styles;

/// The document of a DOCX file.
///
/// # Errors
/// [`LoadError::Damaged`], or [`LoadError::TooLarge`] for what unpacks beyond the limit.
pub(super) fn load(
    bytes: &[u8],
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let mut package = Package::open(bytes, limits)?;
    let main = package
        .relations("_rels/.rels")?
        .into_iter()
        .find(|(kind, _)| kind.ends_with("/officeDocument"))
        .map_or_else(|| "word/document.xml".to_owned(), |(_, target)| target);
    let text = package.part(&main)?.ok_or_else(|| {
        LoadError::Damaged(format!("it has no {main}, so it is no Word document"))
    })?;
    let beside = |part: &str| match main.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{part}"),
        None => part.to_owned(),
    };
    let mut parts = |part: &str| -> Result<String, LoadError> {
        Ok(package.part(&beside(part))?.unwrap_or_default())
    };
    let styles = Styles::read(&parts("styles.xml")?)?;
    let numbering = Numbering::read(&parts("numbering.xml")?)?;
    let notes = [
        body::notes(&parts("footnotes.xml")?)?,
        body::notes(&parts("endnotes.xml")?)?,
    ];
    let title = match package.part("docProps/core.xml")? {
        Some(core) => xml::element_text(&core, "title")?,
        None => None,
    };
    let builder = body::read(&text, &styles, numbering, &notes)?;
    Ok(builder.finish(title, name))
}

/// The archive, and how many bytes may still be unpacked from it.
struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limit: u64,
    left: u64,
}

impl<'a> Package<'a> {
    fn open(bytes: &'a [u8], limits: LoadLimits) -> Result<Self, LoadError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            LoadError::Damaged(format!(
                "its ZIP directory cannot be read ({error}); it may be cut short"
            ))
        })?;
        Ok(Self {
            archive,
            limit: limits.max_bytes,
            left: limits.max_bytes,
        })
    }

    /// A part as text, bounded: an archive may unpack to more than memory holds.
    fn part(&mut self, name: &str) -> Result<Option<String>, LoadError> {
        let Some(index) = self.archive.index_for_name(name) else {
            return Ok(None);
        };
        let damaged = |e: &dyn std::fmt::Display| LoadError::Damaged(format!("{name}: {e}"));
        let file = self.archive.by_index(index).map_err(|e| damaged(&e))?;
        let mut bytes = Vec::new();
        file.take(self.left + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(&e))?;
        let size = bytes.len() as u64;
        if size > self.left {
            return Err(LoadError::TooLarge {
                size: self.limit - self.left + size,
                limit: self.limit,
            });
        }
        self.left -= size;
        xml::decode(bytes).map(Some).map_err(|e| damaged(&e))
    }

    /// Kinds and targets of a relationship part, with paths from the package's root.
    fn relations(&mut self, name: &str) -> Result<Vec<(String, String)>, LoadError> {
        let Some(text) = self.part(name)? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        xml::each(&text, |event| {
            if let xml::Event::Start("Relationship", attributes) = event
                && let (Some(kind), Some(target)) =
                    (attributes.get("Type"), attributes.get("Target"))
            {
                all.push((kind, target.trim_start_matches('/').to_owned()));
            }
        })?;
        Ok(all)
    }
}
