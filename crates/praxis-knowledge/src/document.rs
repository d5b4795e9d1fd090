//! What loading and segmentation make of a file. All offsets are characters (Unicode scalar values)
//! of the document's canonical text.

use praxis_core::Metadata;

use crate::load::Format;

/// A document as text with structure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadedDocument {
    /// Its title.
    pub title: String,
    /// Canonical text: blocks separated by blank lines, good to be read by a person.
    pub text: String,
    /// Its blocks, in order, not overlapping.
    pub blocks: Vec<Block>,
    /// What of the file could not be read, for its owner; empty for nearly all files.
    pub notes: Vec<String>,
    /// How the file was read.
    pub format: Option<Format>,
    /// What it says of itself: title, author, date, and all that its front matter has.
    pub metadata: Metadata,
}

/// A piece of structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// First character.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// Page it begins on, from 1, where the format has pages.
    pub page: Option<u32>,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// A heading of this level, 1 being the outermost.
    Heading(u8),
    /// Running text.
    Paragraph,
    /// An item of a list.
    ListItem,
    /// Program text, kept as it is.
    Code,
    /// A table as Markdown: a line a row, the second one of dashes. One of a single column is its lines.
    Table,
}

/// A chunk to be: a passage with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Page it begins on.
    pub page: Option<u32>,
    /// First character.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// The text between them; of a table that had to be cut, with the table's first row and the line below that before
    /// it.
    pub text: String,
    /// First character of the section that it is from, its heading included, and the character after
    /// the last: what to show of the document around it.
    pub section: (usize, usize),
    /// Number of that section in the document, from 0; of a chunk of several, that of the first.
    pub number: u32,
}

/// Spaces before an item of a list inside another, at most.
const MAX_INDENT: usize = 16;

/// The deepest level of headings.
const MAX_LEVEL: u8 = 9;

/// Puts a document together block by block.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    text: String,
    length: usize,
    blocks: Vec<Block>,
}

impl Builder {
    /// Adds a block; empty text adds nothing.
    pub fn push(&mut self, kind: BlockKind, text: &str, page: Option<u32>) {
        let text = text
            .trim_matches(|c: char| c == '\n' || c == '\r')
            .trim_end();
        let (indent, text) = if kind == BlockKind::Code {
            (0, text)
        } else {
            let inner = text.trim_start();
            (text.len() - inner.len(), inner)
        };
        if text.trim().is_empty() {
            return;
        }
        if !self.text.is_empty() {
            let tight = kind == BlockKind::ListItem
                && self
                    .blocks
                    .last()
                    .is_some_and(|b| b.kind == BlockKind::ListItem);
            let gap = if tight { "\n" } else { "\n\n" };
            self.text.push_str(gap);
            self.length += gap.len();
            if tight {
                let indent = indent.min(MAX_INDENT);
                self.text.extend(std::iter::repeat_n(' ', indent));
                self.length += indent;
            }
        }
        let start = self.length;
        self.text.push_str(text);
        self.length += text.chars().count();
        self.blocks.push(Block {
            kind,
            start,
            end: self.length,
            page,
        });
    }

    /// Adds the blocks of a document inside of this one, its headings so many levels deeper.
    pub fn append(&mut self, document: &LoadedDocument, deeper: u8, page: Option<u32>) {
        if document.blocks.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
            self.length += 2;
        }
        let offset = self.length;
        self.text.push_str(&document.text);
        self.length += document.text.chars().count();
        self.blocks
            .extend(document.blocks.iter().map(|block| Block {
                kind: match block.kind {
                    BlockKind::Heading(level) => {
                        BlockKind::Heading(level.saturating_add(deeper).min(MAX_LEVEL))
                    }
                    kind => kind,
                },
                start: block.start + offset,
                end: block.end + offset,
                page: page.or(block.page),
            }));
    }

    /// Bytes of text so far.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The document; without a title of its own it is called after its first heading, then `name`.
    pub fn finish(self, title: Option<String>, name: &str) -> LoadedDocument {
        let first_heading = || {
            let block = self
                .blocks
                .iter()
                .find(|b| matches!(b.kind, BlockKind::Heading(_)))?;
            Some(slice(&self.text, block.start, block.end).to_owned())
        };
        let title = title
            .map(|t| t.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|t| !t.is_empty())
            .or_else(first_heading)
            .unwrap_or_else(|| name.to_owned());
        LoadedDocument {
            title,
            text: self.text,
            blocks: self.blocks,
            notes: Vec::new(),
            format: None,
            metadata: Metadata::new(),
        }
    }
}

/// The characters `start..end` of a text.
pub(crate) fn slice(text: &str, start: usize, end: usize) -> &str {
    let mut indices = text.char_indices().map(|(i, _)| i);
    let from = indices.by_ref().nth(start).unwrap_or(text.len());
    let to = if end > start {
        indices.nth(end - start - 1).unwrap_or(text.len())
    } else {
        from
    };
    &text[from..to]
}
