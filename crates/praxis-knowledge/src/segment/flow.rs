//! Cutting a document as one run of text: sentence after sentence, or in windows of one size. Headings are text like any
//! other; a chunk's heading path is what all of its sections share.

use praxis_core::embed::TokenCounter;

use super::units::{self, Unit, byte_of, gap_near};
use super::{Cursor, Piece, Section, SegmentOptions, Strategy, sections};
use crate::document::LoadedDocument;

/// The pieces of a document.
pub(super) fn pieces(
    document: &LoadedDocument,
    options: SegmentOptions,
    count: &TokenCounter,
) -> Vec<Piece> {
    let sections = sections(document, |_, _, _| {});
    let units = match options.strategy {
        Strategy::Fixed => windows(document, options.max_tokens, count),
        _ => sentences(document, options, count),
    };
    let mut first = 0;
    units
        .into_iter()
        .map(|unit| {
            // Both are in order, so that each is passed once.
            while sections.get(first).is_some_and(|s| s.range.1 <= unit.start) {
                first += 1;
            }
            place(unit, first, &sections)
        })
        .collect()
}

/// A unit with what its sections, of which `first` is the first, have in common.
fn place(unit: Unit, first: usize, sections: &[Section]) -> Piece {
    let own = sections.iter().skip(first);
    let mut own = own.take_while(|section| section.range.0 < unit.end);
    let Some(begin) = own.next() else {
        return Piece {
            headings: Vec::new(),
            section: (unit.start, unit.end),
            unit,
            number: 0,
        };
    };
    let (mut headings, mut section) = (begin.headings.clone(), begin.range);
    for next in own {
        let common = headings.iter().zip(&next.headings);
        headings.truncate(common.take_while(|(a, b)| a == b).count());
        section.1 = next.range.1;
    }
    Piece {
        headings,
        unit,
        section,
        number: u32::try_from(first).unwrap_or(u32::MAX),
    }
}

/// As many sentences, rows and pieces of code to a chunk as fit.
fn sentences(
    document: &LoadedDocument,
    options: SegmentOptions,
    count: &TokenCounter,
) -> Vec<Unit> {
    let mut cursor = Cursor::new(&document.text);
    let mut chunks: Vec<Unit> = Vec::new();
    for block in &document.blocks {
        let mut units = Vec::new();
        let text = cursor.take(block.start, block.end);
        units::add(text, block, options, count, &mut units);
        for mut unit in units {
            match chunks.last_mut() {
                Some(last) if last.tokens + unit.tokens <= options.max_tokens => {
                    last.end = unit.end;
                    last.tokens += unit.tokens;
                }
                _ => {
                    unit.tokens += unit.header.map_or(0, |h| h.tokens);
                    chunks.push(unit);
                }
            }
        }
    }
    chunks
}

/// Windows of at most `max` tokens over all of the text, each but the last as long as may be.
fn windows(document: &LoadedDocument, max: usize, count: &TokenCounter) -> Vec<Unit> {
    let (mut rest, mut at) = (document.text.as_str(), 0);
    let mut blocks = document.blocks.iter().peekable();
    let mut chunks = Vec::new();
    loop {
        let trimmed = rest.trim_start();
        at += rest[..rest.len() - trimmed.len()].chars().count();
        rest = trimmed;
        if rest.is_empty() {
            return chunks;
        }
        let bytes = window(rest, max, count);
        let text = rest[..bytes].trim_end();
        while blocks.peek().is_some_and(|block| block.end <= at) {
            blocks.next();
        }
        chunks.push(Unit {
            start: at,
            end: at + text.chars().count(),
            tokens: count(text),
            page: blocks.peek().and_then(|block| block.page),
            header: None,
        });
        at += rest[..bytes].chars().count();
        rest = &rest[bytes..];
    }
}

/// Bytes of the longest beginning of a text that has at most `max` tokens and ends between words, as near as that is
/// found in a few tries; of one character at least.
fn window(text: &str, max: usize, count: &TokenCounter) -> usize {
    // The counter is a tokenizer: it is not shown more text at once than a chunk could hold.
    let most = byte_of(text, max.saturating_mul(8));
    if most == text.len() && count(text) <= max {
        return most;
    }
    let total = text[..most].chars().count();
    // Between a length that fits and one that does not.
    let (mut fits, mut over) = (0, total + 1);
    while over - fits > 1 + fits / 64 {
        let middle = fits + (over - fits) / 2;
        if count(&text[..byte_of(text, middle)]) <= max {
            fits = middle;
        } else {
            over = middle;
        }
    }
    let end = byte_of(text, fits.max(1));
    match gap_near(&text[..end], fits.max(1)) {
        0 => end,
        gap => byte_of(text, gap),
    }
}
