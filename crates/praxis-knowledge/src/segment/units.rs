//! Blocks to pieces that are kept whole: a block that fits, or the rows of a table, the paragraphs of
//! code, the sentences of a text. Left out: which of them share a chunk.

use praxis_core::embed::TokenCounter;

use super::{SegmentOptions, Strategy, sentences};
use crate::document::{Block, BlockKind};
use crate::load::grid;

/// A piece of text that is kept whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// First character.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// Its tokens.
    pub tokens: usize,
    /// Page it begins on.
    pub page: Option<u32>,
    /// The first row of the table that it is a later row of.
    pub header: Option<Header>,
}

/// The first row of a table, which says what the columns are, with the line below it that makes it a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// First character.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// Its tokens.
    pub tokens: usize,
}

/// Adds the units of a block.
pub(super) fn add(
    text: &str,
    block: &Block,
    options: SegmentOptions,
    count: &TokenCounter,
    out: &mut Vec<Unit>,
) {
    let mut cut = Cut {
        options,
        count,
        page: block.page,
        header: None,
        out,
    };
    let is_text = !matches!(block.kind, BlockKind::Table | BlockKind::Code);
    if is_text && options.strategy == Strategy::Sentences {
        return cut.text(text, block.start);
    }
    if cut.whole(text, block.start) {
        return;
    }
    match block.kind {
        BlockKind::Table => cut.rows(text, block.start),
        BlockKind::Code => cut.code(text, block.start),
        _ => cut.text(text, block.start),
    }
}

struct Cut<'a> {
    options: SegmentOptions,
    count: &'a TokenCounter,
    page: Option<u32>,
    header: Option<Header>,
    out: &'a mut Vec<Unit>,
}

impl Cut<'_> {
    /// The most tokens of a unit: a header takes its part of the chunk.
    fn room(&self) -> usize {
        let header = self.header.map_or(0, |header| header.tokens);
        self.options.max_tokens.saturating_sub(header).max(1)
    }

    /// The counter is a tokenizer: it is not shown more text at once than a chunk could hold.
    fn most_chars(&self) -> usize {
        self.options.max_tokens.saturating_mul(8)
    }

    /// Adds a text as it is if it fits.
    fn whole(&mut self, text: &str, start: usize) -> bool {
        let length = text.chars().count();
        if length > self.most_chars() {
            return false;
        }
        let tokens = (self.count)(text);
        let fits = tokens <= self.room();
        if fits {
            self.push(start, start + length, tokens);
        }
        fits
    }

    fn push(&mut self, start: usize, end: usize, tokens: usize) {
        self.out.push(Unit {
            start,
            end,
            tokens,
            page: self.page,
            header: self.header,
        });
    }

    /// Row by row. The first row goes with each of the others, unless it is more than a third of a chunk: in nearly all
    /// tables it names the columns, also where nothing says so, as in CSV or without a line below it. Where it is a row
    /// like any other, that costs some tokens; values without their names would cost their meaning.
    fn rows(&mut self, text: &str, start: usize) {
        let mut at = start;
        for (i, line) in rows(text).enumerate() {
            let row = line.trim_end();
            if !row.is_empty() {
                self.piece(row, at);
            }
            let length = row.chars().count();
            if i == 0 && length <= self.most_chars() {
                let tokens = (self.count)(row);
                if tokens * 3 <= self.options.max_tokens {
                    self.header = Some(Header {
                        start: at,
                        end: at + length,
                        tokens,
                    });
                }
            }
            at += line.chars().count();
        }
    }

    /// At blank lines, and line by line where what is between them is still too long.
    fn code(&mut self, text: &str, start: usize) {
        let mut at = start;
        let mut paragraph: Option<(usize, String)> = None;
        for line in text.split_inclusive('\n').chain([""]) {
            if line.trim().is_empty() {
                if let Some((at, paragraph)) = paragraph.take() {
                    let paragraph = paragraph.trim_end();
                    if !self.whole(paragraph, at) {
                        self.lines(paragraph, at);
                    }
                }
            } else {
                let (_, paragraph) = paragraph.get_or_insert_with(|| (at, String::new()));
                paragraph.push_str(line);
            }
            at += line.chars().count();
        }
    }

    fn lines(&mut self, text: &str, start: usize) {
        let mut at = start;
        for line in text.split_inclusive('\n') {
            self.piece(line.trim_end(), at);
            at += line.chars().count();
        }
    }

    fn piece(&mut self, text: &str, start: usize) {
        if !text.trim().is_empty() && !self.whole(text, start) {
            self.text(text, start);
        }
    }

    /// Sentence by sentence, and pieces of one that is still too long.
    fn text(&mut self, text: &str, start: usize) {
        let pieces = sentences::split(text);
        if pieces.len() > 1 {
            let mut at = start;
            for piece in pieces {
                self.piece(piece.trim_end(), at);
                at += piece.chars().count();
            }
            return;
        }
        self.endless(text, start);
    }

    /// A sentence that is too long, in pieces that end at gaps between words.
    fn endless(&mut self, text: &str, start: usize) {
        let (mut rest, mut at) = (text, start);
        loop {
            let trimmed = rest.trim_start();
            at += rest[..rest.len() - trimmed.len()].chars().count();
            rest = trimmed;
            let window = rest.char_indices().nth(self.most_chars());
            let Some((bytes, _)) = window else { break };
            let cut = byte_of(rest, gap_near(&rest[..bytes], self.most_chars()));
            self.half(rest[..cut].trim_end(), at);
            at += rest[..cut].chars().count();
            rest = &rest[cut..];
        }
        self.half(rest.trim_end(), at);
    }

    /// A text that fits, or its halves.
    fn half(&mut self, text: &str, start: usize) {
        if text.is_empty() || self.whole(text, start) {
            return;
        }
        let length = text.chars().count();
        if length == 1 {
            // A single character is over the limit only if the limit is absurd: keep it.
            self.push(start, start + 1, self.room());
            return;
        }
        let cut = gap_near(text, length / 2);
        let (left, right) = text.split_at(byte_of(text, cut));
        self.half(left.trim_end(), start);
        let lead = right.chars().take_while(|c| c.is_whitespace()).count();
        self.half(right.trim(), start + cut + lead);
    }
}

/// The rows of a table with their ends. The line below the first one belongs to it.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let rule = lines.next().filter(|line| grid::is_rule(line.trim_end()));
    let (first, others) = text.split_at(first.len() + rule.map_or(0, str::len));
    std::iter::once(first).chain(others.split_inclusive('\n'))
}

/// The byte at which a character begins.
pub(super) fn byte_of(text: &str, char: usize) -> usize {
    text.char_indices()
        .nth(char)
        .map_or(text.len(), |(byte, _)| byte)
}

/// The character position after the last gap in the 40 characters before `at`, or `at`.
pub(super) fn gap_near(text: &str, at: usize) -> usize {
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
