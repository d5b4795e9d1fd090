//! DOCX (Office Open XML, ECMA-376): the main part's paragraphs, headings, lists, tables and notes.
//!
//! Read directly from its ZIP and XML: the crates that model the whole format refuse files that
//! word processors open, and only text is wanted here. Left out: headers, footers, comments, what is
//! deleted or hidden, and the table of contents, which repeats the headings.

mod body;
mod numbering;
mod styles;

use super::package::Package;
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
    let main = package.main_part("word/document.xml")?;
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
    let (title, about) = package.properties()?;
    let builder = body::read(&text, &styles, numbering, &notes)?;
    let mut document = builder.finish(title, name);
    document.metadata = about;
    Ok(document)
}
