//! EPUB 2 and 3: the chapters in reading order, each a page of HTML. Left out: the table of contents,
//! which repeats the headings, and books behind copy protection.

use std::collections::{HashMap, HashSet};

use super::package::{Package, resolve};
use super::xml::{self, Event};
use super::{LoadError, LoadLimits, html, text};
use crate::document::{BlockKind, Builder, LoadedDocument};

/// The document of a book.
///
/// # Errors
/// [`LoadError::Damaged`], [`LoadError::Encrypted`], or [`LoadError::TooLarge`] for what unpacks beyond
/// the limit.
pub(super) fn load(
    bytes: &[u8],
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let mut package = Package::open(bytes, limits)?;
    let container = package.part("META-INF/container.xml")?.unwrap_or_default();
    let mut path = None;
    xml::each_lenient(&container, |event| {
        if let Event::Start("rootfile", a) = event
            && path.is_none()
        {
            path = a.get("full-path");
        }
    })?;
    let path =
        path.ok_or_else(|| LoadError::Damaged("it does not name its contents".to_owned()))?;
    let opf = package
        .part(&path)?
        .ok_or_else(|| LoadError::Damaged(format!("it has no {path}")))?;
    let book = Book::read(&opf)?;
    let encryption = package.part("META-INF/encryption.xml")?.unwrap_or_default();
    let locked = locked(&encryption)?;

    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut builder = Builder::default();
    let mut notes = Vec::new();
    for href in &book.chapters {
        let path = resolve(folder, &unescape(href));
        if locked.contains(&path) {
            return Err(LoadError::Encrypted);
        }
        let chapter = match package.bytes(&path) {
            Ok(Some(bytes)) => chapter(&bytes),
            Ok(None) => Err(LoadError::Damaged("is missing".to_owned())),
            Err(error @ LoadError::TooLarge { .. }) => return Err(error),
            Err(error) => Err(error),
        };
        match chapter {
            Ok(chapter) => add(&chapter, book.title.as_deref(), &mut builder),
            Err(LoadError::Empty) => {}
            Err(error) => notes.push(format!("chapter {path} {error}")),
        }
    }
    if builder.size() == 0 && !notes.is_empty() {
        return Err(LoadError::Damaged(
            "no chapter of it can be read".to_owned(),
        ));
    }
    let mut document = builder.finish(book.title, name);
    document.notes = super::few(notes.into_iter());
    Ok(document)
}

fn chapter(bytes: &[u8]) -> Result<LoadedDocument, LoadError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(LoadError::Empty);
    }
    let decoded = text::decode(bytes, html::declared(bytes))?;
    Ok(html::load(&decoded.text, ""))
}

/// Adds a chapter; one without headings has its title as heading, unless that is the book's.
fn add(chapter: &LoadedDocument, book: Option<&str>, builder: &mut Builder) {
    let headed = chapter
        .blocks
        .iter()
        .any(|b| matches!(b.kind, BlockKind::Heading(_)));
    if !headed && !chapter.blocks.is_empty() && Some(chapter.title.as_str()) != book {
        builder.push(BlockKind::Heading(1), &chapter.title, None);
    }
    builder.append(chapter, 0, None);
}

/// What the package document says of a book.
#[derive(Default)]
struct Book {
    title: Option<String>,
    /// Chapters in reading order, as paths from the package document.
    chapters: Vec<String>,
}

impl Book {
    fn read(opf: &str) -> Result<Self, LoadError> {
        let mut book = Self::default();
        let mut items: HashMap<String, String> = HashMap::new();
        let mut in_title = false;
        xml::each_lenient(opf, |event| match event {
            Event::Start("title", _) => in_title = book.title.is_none(),
            Event::End("title") => in_title = false,
            Event::Text(text) if in_title => book.title.get_or_insert_default().push_str(text),
            Event::Start("item", a) => {
                let contents = a
                    .get("properties")
                    .is_some_and(|p| p.split_whitespace().any(|p| p == "nav"));
                let page = matches!(
                    a.get("media-type").as_deref(),
                    None | Some("application/xhtml+xml" | "text/html" | "text/x-oeb1-document")
                );
                if let (Some(id), Some(href), true) =
                    (a.get("id"), a.get("href"), page && !contents)
                {
                    items.insert(id, href);
                }
            }
            Event::Start("itemref", a) => {
                // Each chapter once, however often it is named.
                let item = a.get("idref").and_then(|id| items.remove(&id));
                book.chapters.extend(item);
            }
            _ => {}
        })?;
        Ok(book)
    }
}

/// The parts that are encrypted; fonts often are, which locks nobody out.
fn locked(encryption: &str) -> Result<HashSet<String>, LoadError> {
    let mut paths = HashSet::new();
    xml::each_lenient(encryption, |event| {
        if let Event::Start("CipherReference", a) = event {
            paths.extend(a.get("URI").map(|uri| resolve("", &unescape(&uri))));
        }
    })?;
    Ok(paths)
}

/// A path without the escapes of URLs, and without what stands after `#`.
fn unescape(href: &str) -> String {
    let href = href.split('#').next().unwrap_or_default();
    let bytes = href.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = href
            .get(at + 1..at + 3)
            .filter(|_| *byte == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
