//! Documents to chunks, along their structure: a chunk never mixes sections that are large enough to
//! stand alone, keeps code and tables whole where they fit, and ends at a sentence otherwise.
//!
//! Structure beats cleverness here: see `docs/retrieval.md` for the sources. Where a document's structure misleads, it
//! can be cut without regard to it (`flow`).

mod flow;
mod sentences;
mod units;

use praxis_core::embed::TokenCounter;
use serde::{Deserialize, Serialize};

use crate::document::{Block, BlockKind, LoadedDocument, Segment};
use units::Unit;

/// Where chunks begin and end.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Along sections, tables, pieces of code and sentences.
    #[default]
    Structure,
    /// At the ends of sentences, as many to a chunk as fit, whatever heading they are under.
    Sentences,
    /// As long as may be, between words.
    Fixed,
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Structure => "structure",
            Self::Sentences => "sentences",
            Self::Fixed => "fixed",
        })
    }
}

/// How a document is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Where chunks begin and end.
    pub strategy: Strategy,
    /// The most tokens of a chunk's own text.
    pub max_tokens: usize,
    /// Sections below this are joined with their neighbours.
    pub min_tokens: usize,
}

/// Text under one heading path.
struct Section {
    headings: Vec<String>,
    units: Vec<Unit>,
    /// First character, its heading included, and the character after the last.
    range: (usize, usize),
}

/// A chunk on its way.
struct Piece {
    headings: Vec<String>,
    unit: Unit,
    section: (usize, usize),
    /// Number of that section.
    number: u32,
}

/// Cuts a document into chunks, in order, none over `max_tokens`, which together hold all of its
/// text but, where it is cut along its structure, the headings that chunks carry as their path.
pub fn segment(
    document: &LoadedDocument,
    options: SegmentOptions,
    count: &TokenCounter,
) -> Vec<Segment> {
    let pieces = match options.strategy {
        Strategy::Structure => structured(document, options, count),
        Strategy::Sentences | Strategy::Fixed => flow::pieces(document, options, count),
    };
    cut(document, pieces)
}

/// Pieces along the document's structure.
fn structured(
    document: &LoadedDocument,
    options: SegmentOptions,
    count: &TokenCounter,
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let sections = sections(document, |text, block, units| {
        units::add(text, block, options, count, units);
    });
    for (number, section) in (0..).zip(sections) {
        for unit in pack(&section.units, options.max_tokens) {
            match pieces.last_mut() {
                Some(last) if joins(&last.unit, &unit, options) => {
                    let common = last
                        .headings
                        .iter()
                        .zip(&section.headings)
                        .take_while(|(a, b)| a == b)
                        .count();
                    last.headings.truncate(common);
                    last.unit.end = unit.end;
                    last.unit.tokens += unit.tokens;
                    last.section.1 = section.range.1;
                }
                _ => pieces.push(Piece {
                    headings: section.headings.clone(),
                    unit,
                    section: section.range,
                    number,
                }),
            }
        }
    }
    pieces
}

/// The pieces with their text.
fn cut(document: &LoadedDocument, pieces: Vec<Piece>) -> Vec<Segment> {
    let mut cursor = Cursor::new(&document.text);
    // The header of a table is before the rows that need it: it has a walk of its own.
    let mut headers = Cursor::new(&document.text);
    pieces
        .into_iter()
        .map(
            |Piece {
                 headings,
                 unit,
                 section,
                 number,
             }| {
                let text = cursor.take(unit.start, unit.end);
                let text = match unit.header {
                    None => text.to_owned(),
                    Some(header) => {
                        format!("{}\n{text}", headers.take(header.start, header.end))
                    }
                };
                Segment {
                    headings,
                    page: unit.page,
                    start: unit.start,
                    end: unit.end,
                    text,
                    section,
                    number,
                }
            },
        )
        .collect()
}

/// Whether two neighbours are one chunk: one of them is too small to be found for itself.
fn joins(last: &Unit, next: &Unit, options: SegmentOptions) -> bool {
    last.tokens.min(next.tokens) < options.min_tokens
        && last.tokens + next.tokens <= options.max_tokens
}

/// Sections with the units that `add` gives for their blocks. A heading without any text below it is a section of its
/// own, so that nothing is lost.
fn sections(
    document: &LoadedDocument,
    mut add: impl FnMut(&str, &Block, &mut Vec<Unit>),
) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![Section {
        headings: Vec::new(),
        units: Vec::new(),
        range: (0, 0),
    }];
    let mut path: Vec<(u8, String)> = Vec::new();
    let mut cursor = Cursor::new(&document.text);
    for (i, block) in document.blocks.iter().enumerate() {
        let text = cursor.take(block.start, block.end);
        let BlockKind::Heading(level) = block.kind else {
            if let Some(section) = sections.last_mut() {
                add(text, block, &mut section.units);
                section.range.1 = block.end;
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
            range: (block.start, block.end),
        };
        if bare {
            section.headings.pop();
            add(text, block, &mut section.units);
        }
        sections.push(section);
    }
    sections
}

/// Joins units to chunks of even size: as few as fit, none much smaller than the others. A chunk that
/// begins with later rows of a table has the table's header before them.
fn pack(units: &[Unit], max: usize) -> Vec<Unit> {
    let total: usize = units.iter().map(|u| u.tokens).sum();
    let header = units
        .iter()
        .filter_map(|u| u.header)
        .map(|h| h.tokens)
        .max();
    let room = max.saturating_sub(header.unwrap_or(0)).max(1);
    let goal = total.div_ceil(total.div_ceil(room).max(1));
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
            _ => {
                let mut chunk = *unit;
                chunk.tokens += unit.header.map_or(0, |h| h.tokens);
                chunks.push(chunk);
            }
        }
    }
    chunks
}

/// Walks a text forwards, so that slices by character cost their own length only.
struct Cursor<'a> {
    text: &'a str,
    byte: usize,
    char: usize,
    /// Where the last slice began, which may be asked for again.
    last: (usize, usize),
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            byte: 0,
            char: 0,
            last: (0, 0),
        }
    }

    fn seek(&mut self, char: usize) -> usize {
        if char < self.char {
            (self.char, self.byte) = self.last;
        }
        let rest = &self.text[self.byte..];
        let step = char.saturating_sub(self.char);
        self.byte += rest.char_indices().nth(step).map_or(rest.len(), |(i, _)| i);
        self.char = char;
        self.byte
    }

    fn take(&mut self, start: usize, end: usize) -> &'a str {
        let from = self.seek(start);
        self.last = (start, from);
        let to = self.seek(end);
        &self.text[from..to]
    }
}

#[cfg(test)]
mod tests;
