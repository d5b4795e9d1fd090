//! PDF: each page's characters with their places (`content`, `font`, `encoding`), put into lines in
//! reading order (`layout`) and into blocks (`flow`, `margins`). Pages without text are drawn and recognized where
//! that is wanted (`scans`, `recognized`). Left out: pictures on pages with text, forms' fields and annotations.
//!
//! The syntax is read by hayro-syntax, which repairs broken files and undoes encryption with an empty
//! password. It has no bounds of its own: what it unpacks and walks through is measured before (`survey`). All else is
//! unpacked here (`streams`, `unpack`). A page that cannot be read costs that page only.

mod content;
mod encoding;
mod flow;
mod font;
mod glyph;
mod inflate;
mod layout;
mod lexer;
mod margins;
mod metrics;
mod nesting;
mod prose;
#[cfg(feature = "ocr")]
mod recognized;
mod rows;
#[cfg(feature = "ocr")]
mod scans;
mod streams;
mod stretches;
mod survey;
mod unpack;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::ocr::{Missing, Ocr};
use super::{LoadError, LoadLimits, Loading};
use crate::document::{Builder, LoadedDocument};
use flow::PageZones;
use font::Fonts;
use layout::Line;
#[cfg(feature = "ocr")]
pub(super) use recognized::Recognized;
use streams::Budget;

/// Bytes that a PDF's streams may unpack to one after the other, for each byte that its text may have: fonts and drawings
/// are part of them.
const UNPACKED: u64 = 8;

/// Bytes that one stream, or the content of one page, may unpack to, and those for each byte of the file.
const UNPACKED_AT_ONCE: u64 = 64 << 20;
const UNPACKED_OF_A_BYTE: u64 = 2;

/// Characters that may be shown, with the bytes of their texts, for each byte that the text may have.
const SHOWN: u64 = 16;

/// Bytes that the lines of all pages may take.
const MOST_OF_LINES: usize = 256 << 20;

/// The document of a PDF, with the page that each block begins on.
///
/// # Errors
/// [`LoadError::Encrypted`] for a password that is not empty, [`LoadError::Damaged`],
/// [`LoadError::TooLarge`] for what unpacks beyond the limit, [`LoadError::NoText`] for scans.
pub(super) fn load(bytes: &[u8], name: &str, how: &Loading) -> Result<LoadedDocument, LoadError> {
    let limits = how.limits;
    if nesting::is_abyss(bytes) {
        return Err(nesting::too_deep());
    }
    let surveyed = survey::survey(bytes, limits.max_bytes)?;
    how.go_on()?;
    let left_out = surveyed.left_out;
    let pdf = Pdf::new(surveyed.file).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => LoadError::Encrypted,
        LoadPdfError::Decryption(_) => {
            LoadError::Unsupported("a PDF with an unusual kind of encryption".to_owned())
        }
        LoadPdfError::Invalid if left_out > 0 => LoadError::Damaged(ODD.to_owned()),
        LoadPdfError::Invalid => {
            LoadError::Damaged("no page of it can be found; it may be cut short".to_owned())
        }
    })?;
    let mut budget = budget(bytes.len() as u64, limits);
    let mut fonts = Fonts::default();
    let mut pages = Vec::new();
    let mut tally = Tally {
        left_out,
        ..Tally::default()
    };
    let mut lines = 0;
    for (number, page) in (1u32..).zip(pdf.pages().iter()) {
        how.go_on()?;
        if lines > MOST_OF_LINES {
            budget.exhaust();
            break;
        }
        tally.pages += 1;
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut text = content::read(page, &mut fonts, &mut budget, &how.pulse);
            let glyphs = std::mem::take(&mut text.glyphs);
            tally.shown += glyphs.len();
            (layout::zones(glyphs), text)
        }));
        let Ok((zones, rest)) = read else {
            tally.broken.push(number);
            continue;
        };
        if rest.damaged {
            tally.broken.push(number);
        } else if zones.is_empty() && rest.unknown == 0 && rest.images > 0 {
            tally.pictures.push(number);
        } else if zones.is_empty() && rest.unknown > 0 {
            tally.mute.push((number, rest.unknown));
        }
        tally.unknown += rest.unknown;
        let of_page = zones.iter().flat_map(|zone| &zone.lines);
        lines += of_page.map(Line::bytes).sum::<usize>();
        pages.push(PageZones { number, zones });
    }
    how.go_on()?;
    match &how.ocr {
        #[cfg(feature = "ocr")]
        Ocr::Ready(reader) => tally.recognize(&pdf, &mut pages, reader, &how.pulse),
        Ocr::Missing(missing) => tally.missing = missing.clone(),
    }
    let mut builder = Builder::default();
    flow::blocks(pages, &mut builder);
    let title = pdf.metadata().title.as_deref().and_then(proper_title);
    let mut document = builder.finish(title, name);
    if document.blocks.is_empty() {
        return Err(tally.reason(&budget, limits));
    }
    document.notes = tally.notes(&budget);
    Ok(document)
}

/// What is said of a file with containers whose size is not certain.
const ODD: &str = "objects of it are packed as no program packs them";

/// What may be read of a file of that many bytes.
fn budget(file: u64, limits: LoadLimits) -> Budget {
    let times = |factor: u64| limits.max_bytes.saturating_mul(factor);
    let one = file.saturating_mul(UNPACKED_OF_A_BYTE);
    Budget::new(times(UNPACKED), one.max(UNPACKED_AT_ONCE), times(SHOWN))
}

/// Adds the blocks of pages that are pictures.
#[cfg(feature = "ocr")]
pub(super) fn recognized_blocks(pages: Vec<Recognized>, builder: &mut Builder) {
    let pages = recognized::zones(&pages, None).into_iter();
    let pages = pages.map(|(number, zones)| PageZones { number, zones });
    flow::blocks(pages.collect(), builder);
}

/// What the pages of a document held.
#[derive(Default)]
struct Tally {
    pages: usize,
    /// Numbers of the pages that could not be read.
    broken: Vec<u32>,
    /// Numbers of the pages that are pictures only.
    pictures: Vec<u32>,
    /// Numbers of the pages whose fonts do not tell a single character, and how many they show.
    mute: Vec<(u32, usize)>,
    shown: usize,
    unknown: usize,
    /// Containers that are not read.
    left_out: usize,
    /// Why pages without text were not recognized.
    missing: Missing,
    /// What came of their recognition.
    recognition: Vec<String>,
}

impl Tally {
    /// Gives pages without text what is recognized on them.
    #[cfg(feature = "ocr")]
    fn recognize(
        &mut self,
        pdf: &Pdf,
        pages: &mut [PageZones],
        reader: &super::ocr::Reader,
        pulse: &super::Pulse,
    ) {
        let mute = self.mute.iter().map(|(number, _)| *number);
        let mut wanted: Vec<u32> = self.pictures.drain(..).chain(mute).collect();
        wanted.sort_unstable();
        if wanted.is_empty() {
            return;
        }
        let scans = scans::recognize(pdf, &wanted, reader, pulse);
        // What is recognized is as large as what is printed on the other pages.
        let body = flow::has_lines(pages).then(|| flow::body_size(pages));
        for (number, zones) in recognized::zones(&scans.pages, body) {
            let mute = self.mute.iter().filter(|(page, _)| *page == number);
            self.unknown -= mute.map(|(_, unknown)| unknown).sum::<usize>();
            if let Some(page) = pages.iter_mut().find(|page| page.number == number) {
                page.zones = zones;
            }
        }
        self.recognition = scans.notes;
        if !scans.empty.is_empty() {
            self.recognition.push(format!(
                "no text is recognized on {}",
                page_list(&scans.empty)
            ));
        }
    }

    /// Why there is no text.
    fn reason(&self, budget: &Budget, limits: LoadLimits) -> LoadError {
        let pages = match self.pages {
            1 => "its page".to_owned(),
            n => format!("its {n} pages"),
        };
        if budget.exhausted() {
            LoadError::TooLarge {
                size: limits.max_bytes.saturating_mul(UNPACKED) + 1,
                limit: limits.max_bytes.saturating_mul(UNPACKED),
            }
        } else if self.pages == 0 || self.broken.len() == self.pages {
            LoadError::Damaged(match self.left_out {
                0 => format!("none of {pages} can be read"),
                _ => ODD.to_owned(),
            })
        } else if let Some(first) = self.recognition.first() {
            LoadError::NoText {
                reason: first.clone(),
                fix: "exclude it, or scan it anew, sharper and upright".to_owned(),
            }
        } else if self.unknown > 0 {
            let what = format!("the fonts on {pages} do not tell their characters");
            self.missing.no_text(what)
        } else if !self.pictures.is_empty() {
            let what = format!("there are only pictures on {pages}, as from a scanner");
            self.missing.no_text(what)
        } else if self.left_out > 0 {
            LoadError::Damaged(ODD.to_owned())
        } else {
            LoadError::Empty
        }
    }

    /// What of a document with text is missing all the same.
    fn notes(&self, budget: &Budget) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.broken.is_empty() {
            notes.push(format!(
                "{} cannot be read, at least in part",
                page_list(&self.broken)
            ));
        }
        if !self.pictures.is_empty() {
            let pages = page_list(&self.pictures);
            let why = match &self.missing.reason {
                Some(reason) => format!("not recognized, because {reason}"),
                None => "OCR would read it".to_owned(),
            };
            notes.push(format!("{pages} without text, as from a scanner: {why}"));
        }
        notes.extend(self.recognition.iter().cloned());
        if self.unknown * 20 > self.shown {
            notes.push(
                "some of its fonts do not tell their characters: OCR would read them".to_owned(),
            );
        }
        if self.left_out > 0 {
            notes.push(format!("{ODD}, and are left out"));
        }
        if budget.exhausted() {
            notes.push("it unpacks to more than is read: a part of it is missing".to_owned());
        }
        notes
    }
}

/// `page 3`, or `pages 3, 4, 5 and 20 more`.
fn page_list(numbers: &[u32]) -> String {
    const NAMED: usize = 8;
    let named: Vec<String> = numbers.iter().take(NAMED).map(u32::to_string).collect();
    let plural = if numbers.len() == 1 { "page" } else { "pages" };
    let more = match numbers.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{plural} {}{more}", named.join(", "))
}

/// A title that a person gave, unlike those that word processors fill in.
fn proper_title(bytes: &[u8]) -> Option<String> {
    let title = streams::text_string(bytes).trim().to_owned();
    let lower = title.to_lowercase();
    let made_up = lower.starts_with("microsoft ")
        || lower.starts_with("untitled")
        || lower.starts_with("(anonymous")
        || [
            ".doc", ".docx", ".pdf", ".tex", ".dvi", ".html", ".txt", ".ppt", ".pptx", ".indd",
        ]
        .iter()
        .any(|ending| lower.ends_with(ending))
        || !lower.contains(char::is_alphabetic);
    (!made_up).then_some(title)
}
