//! PDF by pdf-extract: text page by page, lines joined to paragraphs.

use pdf_extract::OutputError;

use super::LoadError;
use crate::document::{BlockKind, Builder, LoadedDocument};

/// A document with one or more paragraphs for each page.
///
/// # Errors
/// [`LoadError::Encrypted`] or [`LoadError::Damaged`].
pub(super) fn load(bytes: &[u8], name: &str) -> Result<LoadedDocument, LoadError> {
    let pages =
        pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| match &error {
            OutputError::PdfError(inner) if inner.to_string().to_lowercase().contains("crypt") => {
                LoadError::Encrypted
            }
            _ => LoadError::Damaged(error.to_string()),
        })?;
    let mut builder = Builder::default();
    for (number, page) in pages.iter().enumerate() {
        for paragraph in paragraphs(page) {
            builder.push(BlockKind::Paragraph, &paragraph, Some(number as u32 + 1));
        }
    }
    Ok(builder.finish(None, name))
}

/// Lines of a page as paragraphs: a blank line ends one, a hyphen at a line's end is undone, and
/// lines of Chinese are joined without a space.
fn paragraphs(page: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    for line in page.lines().chain([""]) {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            if !current.is_empty() {
                all.push(std::mem::take(&mut current));
            }
            continue;
        }
        let last = current.chars().last();
        let hyphenated = current.ends_with('-') && line.starts_with(char::is_lowercase);
        if hyphenated {
            current.pop();
        } else if last.is_some_and(|c| !is_wide(c)) {
            current.push(' ');
        }
        current.push_str(&line);
    }
    all
}

fn is_wide(c: char) -> bool {
    praxis_core::language::is_han(c)
        || matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff60}')
}
