//! Documents to chunks, along their structure: a chunk never mixes sections that are large enough to
//! stand alone, keeps code and tables whole where they fit, and ends at a sentence otherwise.
//!
//! Structure beats cleverness here: see `docs/retrieval.md` for the sources.

mod sentences;

use praxis_core::embed::TokenCounter;

use crate::document::{BlockKind, LoadedDocument, Segment, slice};

/// How large chunks become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// The most tokens of a chunk's own text.
    pub max_tokens: usize,
    /// Sections below this are joined with their neighbours.
    pub min_tokens: usize,
}

/// A piece of text that is kept whole.
#[derive(Debug, Clone, Copy)]
struct Unit {
    start: usize,
    end: usize,
    tokens: usize,
    page: Option<u32>,
}

/// Text under one heading path.
struct Section {
    headings: Vec<String>,
    units: Vec<Unit>,
}

/// Cuts a document into chunks, in order, none over `max_tokens`, which together hold all of its
/// text but the headings that chunks carry as their path.
pub fn segment(
    document: &LoadedDocument,
    options: SegmentOptions,
    count: &TokenCounter,
) -> Vec<Segment> {
    let mut chunks: Vec<(Vec<String>, Unit)> = Vec::new();
    for section in sections(document, options, count) {
        for chunk in pack(&section.units, options.max_tokens) {
            match chunks.last_mut() {
                Some((headings, last)) if joins(last, &chunk, options) => {
                    let common = headings
                        .iter()
                        .zip(&section.headings)
                        .take_while(|(a, b)| a == b)
                        .count();
                    headings.truncate(common);
                    last.end = chunk.end;
                    last.tokens += chunk.tokens;
                }
                _ => chunks.push((section.headings.clone(), chunk)),
            }
        }
    }
    let mut cursor = Cursor {
        text: &document.text,
        byte: 0,
        char: 0,
    };
    chunks
        .into_iter()
        .map(|(headings, unit)| Segment {
            headings,
            page: unit.page,
            start: unit.start,
            end: unit.end,
            text: cursor.take(unit.start, unit.end).to_owned(),
        })
        .collect()
}

/// Whether two neighbours are one chunk: one of them is too small to be found for itself.
fn joins(last: &Unit, next: &Unit, options: SegmentOptions) -> bool {
    last.tokens.min(next.tokens) < options.min_tokens
        && last.tokens + next.tokens <= options.max_tokens
}

/// Sections with their units. A heading without any text below it is a section of its own, so that
/// nothing is lost.
fn sections(
    document: &LoadedDocument,
    options: SegmentOptions,
    count: &TokenCounter,
) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![Section {
        headings: Vec::new(),
        units: Vec::new(),
    }];
    let mut path: Vec<(u8, String)> = Vec::new();
    let mut cursor = Cursor {
        text: &document.text,
        byte: 0,
        char: 0,
    };
    for (i, block) in document.blocks.iter().enumerate() {
        let text = cursor.take(block.start, block.end);
        let add = |units_of: &mut Vec<Unit>| {
            units(text, block.start, block.page, options, count, units_of);
        };
        let BlockKind::Heading(level) = block.kind else {
            if let Some(section) = sections.last_mut() {
                add(&mut section.units);
            }
            continue;
        };
        path.retain(|(l, _)| *l < level);
        path.push((level, text.split_whitespace().collect::<Vec<_>>().join(" ")));
        let next = document.blocks.get(i + 1).map(|b| b.kind);
        let bare = match next {
            None => true,
            Some(BlockKind::Heading(below)) => below <= level,
            Some(_) => false,
        };
        let mut section = Section {
            headings: path.iter().map(|(_, h)| h.clone()).collect(),
            units: Vec::new(),
        };
        if bare {
            section.headings.pop();
            add(&mut section.units);
        }
        sections.push(section);
    }
    sections
}

/// A block as units: itself if it fits, else its sentences, else pieces of them.
fn units(
    text: &str,
    start: usize,
    page: Option<u32>,
    options: SegmentOptions,
    count: &TokenCounter,
    out: &mut Vec<Unit>,
) {
    // The counter is a tokenizer: it is not shown more text at once than a chunk could hold.
    let most_chars = options.max_tokens.saturating_mul(8);
    let length = text.chars().count();
    if length <= most_chars {
        let tokens = count(text);
        if tokens <= options.max_tokens {
            out.push(Unit {
                start,
                end: start + length,
                tokens,
                page,
            });
            return;
        }
    }
    let pieces = sentences::split(text);
    if pieces.len() > 1 {
        let mut at = start;
        for piece in pieces {
            let length = piece.chars().count();
            let inner = piece.trim_end().chars().count();
            if inner > 0 {
                units(piece.trim_end(), at, page, options, count, out);
            }
            at += length;
        }
        return;
    }
    // One endless sentence: halve it at a gap between words.
    let half = length.min(most_chars * 2) / 2;
    let cut = gap_near(text, half.max(1));
    let (left, right) = (slice(text, 0, cut), slice(text, cut, length));
    for (piece, at) in [(left, start), (right, start + cut)] {
        let lead = piece.chars().take_while(|c| c.is_whitespace()).count();
        let trimmed = piece.trim();
        if trimmed.is_empty() {
            continue;
        }
        if trimmed.chars().count() <= 1 || trimmed.len() == text.len() {
            // A single character is over the limit only if the limit is absurd: keep it.
            let tokens = count(trimmed).min(options.max_tokens);
            out.push(Unit {
                start: at + lead,
                end: at + lead + trimmed.chars().count(),
                tokens,
                page,
            });
        } else {
            units(trimmed, at + lead, page, options, count, out);
        }
    }
}

/// The character position after the last gap in the 40 characters before `at`, or `at`.
fn gap_near(text: &str, at: usize) -> usize {
    let window: Vec<char> = text
        .chars()
        .skip(at.saturating_sub(40))
        .take(at.min(40))
        .collect();
    window
        .iter()
        .rposition(|c| c.is_whitespace() || matches!(c, '，' | ',' | '、' | '；' | ';' | '：'))
        .map_or(at, |i| at.saturating_sub(window.len()) + i + 1)
}

/// Joins units to chunks of even size: as few as fit, none much smaller than the others.
fn pack(units: &[Unit], max: usize) -> Vec<Unit> {
    let total: usize = units.iter().map(|u| u.tokens).sum();
    let goal = total.div_ceil(total.div_ceil(max).max(1));
    let mut chunks: Vec<Unit> = Vec::new();
    for unit in units {
        match chunks.last_mut() {
            // Half of a unit over the goal is nearer to even than none of it.
            Some(last)
                if last.tokens + unit.tokens <= max && last.tokens + unit.tokens / 2 <= goal =>
            {
                last.end = unit.end;
                last.tokens += unit.tokens;
            }
            _ => chunks.push(*unit),
        }
    }
    chunks
}

/// Walks a text forwards, so that slices by character cost their own length only.
struct Cursor<'a> {
    text: &'a str,
    byte: usize,
    char: usize,
}

impl<'a> Cursor<'a> {
    fn seek(&mut self, char: usize) -> usize {
        let rest = &self.text[self.byte..];
        let step = char - self.char;
        self.byte += rest.char_indices().nth(step).map_or(rest.len(), |(i, _)| i);
        self.char = char;
        self.byte
    }

    fn take(&mut self, start: usize, end: usize) -> &'a str {
        let from = self.seek(start);
        let to = self.seek(end);
        &self.text[from..to]
    }
}

#[cfg(test)]
mod tests;
