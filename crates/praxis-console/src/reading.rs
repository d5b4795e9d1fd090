//! A document's canonical text laid out for reading, with a passage marked. Text is all that the
//! store keeps, so what was a heading, list or table is told from its shape; a wrong guess costs
//! some beauty and no word.

use std::collections::HashMap;
use std::ops::Range;

use praxis_core::language::is_han;

/// Lines at least this long were broken by an editor, and may flow anew.
const WRAPPED: usize = 60;

/// A line longer than this is no heading.
const HEADING: usize = 60;

/// Between the cells of a table's row, in documents that were read before tables were Markdown.
const CELL: &str = " | ";

/// A part of the page.
#[derive(Debug, PartialEq)]
pub(crate) enum Block {
    /// A heading, 1 being the outermost level.
    Heading(usize, Vec<Piece>),
    /// Running text.
    Prose(Vec<Piece>),
    /// An item of a list, with its mark; 0 being the outermost level.
    Item(usize, Vec<Piece>),
    /// Lines to be kept as they are.
    Lines(Vec<Piece>),
    /// Rows of cells.
    Table(Vec<Vec<Vec<Piece>>>),
}

impl Block {
    /// Whether this is an unmarked heading of these words.
    pub(crate) fn repeats(&self, title: &str) -> bool {
        matches!(self, Block::Heading(_, pieces)
            if matches!(pieces.as_slice(), [one] if !one.marked && one.text == title))
    }
}

/// A run of characters that are all marked, or all not.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) marked: bool,
    /// Whether the marked passage begins here.
    pub(crate) first: bool,
}

/// The blocks of a text. `mark` is in characters; `headings` are those of the document's chunks.
pub(crate) fn blocks<'a>(
    text: &str,
    mark: Range<usize>,
    headings: impl Iterator<Item = &'a [String]>,
) -> Vec<Block> {
    let mut levels: HashMap<&str, usize> = HashMap::new();
    for path in headings {
        for (depth, heading) in path.iter().enumerate() {
            levels.entry(heading).or_insert(depth + 1);
        }
    }
    let mut layout = Layout {
        levels,
        pen: Pen { mark, begun: false },
        blocks: Vec::new(),
    };
    let mut at = 0;
    for part in text.split("\n\n") {
        if !part.trim().is_empty() {
            layout.part(part, at);
        }
        at += part.chars().count() + 2;
    }
    layout.guess_headings();
    layout.blocks
}

struct Layout<'a> {
    levels: HashMap<&'a str, usize>,
    pen: Pen,
    blocks: Vec<Block>,
}

impl Layout<'_> {
    fn part(&mut self, part: &str, at: usize) {
        let lines: Vec<&str> = part.split('\n').collect();
        let block = if let Some(level) = self.levels.get(part) {
            Block::Heading(*level, self.pen.pieces(part, at))
        } else if is_table(&lines) {
            Block::Table(self.rows(&lines, at))
        } else if is_item(lines[0]) {
            return self.items(&lines, at);
        } else if is_prose(&lines) {
            Block::Prose(self.pen.pieces(part, at))
        } else {
            Block::Lines(self.pen.pieces(part, at))
        };
        self.blocks.push(block);
    }

    /// Chunks know the headings above them, not those inside: a short line with a capital and no
    /// full stop, before something else, is taken for one.
    fn guess_headings(&mut self) {
        let last = self.blocks.len().saturating_sub(1);
        for block in &mut self.blocks[..last] {
            if let Block::Prose(pieces) = block
                && looks_like_heading(pieces)
            {
                *block = Block::Heading(2, std::mem::take(pieces));
            }
        }
    }

    fn rows(&mut self, lines: &[&str], mut at: usize) -> Vec<Vec<Vec<Piece>>> {
        let mut rows = Vec::new();
        for line in lines {
            if !is_rule(line) {
                let cells = cells(line).into_iter();
                let row = cells.map(|(offset, cell)| self.pen.pieces(cell, at + offset));
                rows.push(row.collect());
            }
            at += line.chars().count() + 1;
        }
        rows
    }

    fn items(&mut self, lines: &[&str], mut at: usize) {
        let mut rest = lines;
        while !rest.is_empty() {
            let more = rest.iter().skip(1).take_while(|l| !is_item(l)).count();
            let item = rest[..=more].join("\n");
            let depth = rest[0].chars().take_while(|c| *c == ' ').count() / 2;
            let pieces = self.pen.pieces(&item, at);
            self.blocks.push(Block::Item(depth.min(3), pieces));
            at += item.chars().count() + 1;
            rest = &rest[more + 1..];
        }
    }
}

fn is_table(lines: &[&str]) -> bool {
    let cells = |line: &str| line.matches(CELL).count();
    let is_plain = || {
        let most = cells(lines[0]);
        lines.iter().all(|l| (1..=most).contains(&cells(l)))
    };
    lines.len() > 1 && (lines.iter().all(|l| is_drawn(l)) || is_plain())
}

/// Whether a line is one of a table as Markdown has it.
fn is_drawn(line: &str) -> bool {
    line.len() > 3 && line.starts_with("| ") && line.ends_with(" |")
}

/// Whether it is the one below the first row.
fn is_rule(line: &str) -> bool {
    is_drawn(line) && line.contains("---") && line.chars().all(|c| "|- ".contains(c))
}

/// The cells of a row, each with the character that it begins at.
fn cells(line: &str) -> Vec<(usize, &str)> {
    let (mut cells, mut at) = (Vec::new(), 0);
    if !is_drawn(line) {
        for cell in line.split(CELL) {
            cells.push((at, cell));
            at += cell.chars().count() + CELL.len();
        }
        return cells;
    }
    let inner = &line[1..line.len() - 1];
    let (mut from, mut escaped) = (0, false);
    for (end, byte) in inner.bytes().enumerate().chain([(inner.len(), b'|')]) {
        // A bar after a backslash is text.
        if byte == b'|' && !escaped {
            let part = &inner[from..end];
            let cell = part.trim_start();
            let before = part.chars().count() - cell.chars().count();
            cells.push((at + 1 + before, cell.trim_end()));
            at += 1 + part.chars().count();
            from = end + 1;
        }
        escaped = byte == b'\\';
    }
    cells
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    line.starts_with("- ") || (1..4).contains(&digits) && line[digits..].starts_with(". ")
}

fn is_prose(lines: &[&str]) -> bool {
    let before_last = &lines[..lines.len() - 1];
    before_last.iter().all(|l| l.chars().count() >= WRAPPED)
}

fn looks_like_heading(pieces: &[Piece]) -> bool {
    let text: String = pieces.iter().map(|p| p.text.as_str()).collect();
    let begins = text.chars().next();
    text.chars().count() <= HEADING
        && begins.is_some_and(|c| c.is_uppercase() || is_han(c))
        && !text.contains(['\n', '`', '=', '。', '，', '：', '！', '？', '；', '、'])
        && !text.ends_with(['.', ',', ':', ';', '!', ')', '…', '”', '"'])
}

/// Marks a passage in texts that come in order.
struct Pen {
    mark: Range<usize>,
    begun: bool,
}

impl Pen {
    /// The pieces of a text that begins at character `at`.
    fn pieces(&mut self, text: &str, at: usize) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (offset, c) in text.chars().enumerate() {
            let marked = self.mark.contains(&(at + offset));
            match pieces.last_mut() {
                Some(last) if last.marked == marked => last.text.push(c),
                _ => pieces.push(Piece {
                    text: c.to_string(),
                    marked,
                    first: marked && !std::mem::replace(&mut self.begun, true),
                }),
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Travel\n\nBy train\n\nThe night train to the north leaves every day at nine in the\n\
        evening, and arrives at seven.\n\n- Berths\n  - 上铺 is cheap,\n    and narrow\n- Seats\n\n\
        Class | Price\n1 | 20\n2 | 9\n\nA guess\n\nShort\nlines";

    fn laid_out(mark: &str) -> Vec<Block> {
        let start = TEXT.find(mark).map_or(0, |b| TEXT[..b].chars().count());
        let end = start + mark.chars().count();
        let path = ["Travel".to_owned(), "By train".to_owned()];
        blocks(TEXT, start..end, std::iter::once(path.as_slice()))
    }

    fn text(pieces: &[Piece]) -> String {
        pieces.iter().map(|p| p.text.as_str()).collect()
    }

    #[test]
    fn shapes_are_recognized() {
        let seen: Vec<String> = laid_out("")
            .iter()
            .map(|block| match block {
                Block::Heading(level, p) => format!("h{level} {}", text(p)),
                Block::Prose(p) => format!("prose {}", text(p).len()),
                Block::Item(depth, p) => format!("item{depth} {}", text(p).trim()),
                Block::Lines(p) => format!("lines {}", text(p)),
                Block::Table(rows) => format!("{} rows, {}", rows.len(), text(&rows[2][1])),
            })
            .collect();
        assert_eq!(
            seen,
            [
                "h1 Travel",
                "h2 By train",
                "prose 91",
                "item0 - Berths",
                "item1 - 上铺 is cheap,\n    and narrow",
                "item0 - Seats",
                "3 rows, 9",
                "h2 A guess",
                "lines Short\nlines",
            ]
        );
        assert!(laid_out("")[0].repeats("Travel") && !laid_out("Travel")[0].repeats("Travel"));
    }

    #[test]
    fn tables_of_markdown_are_laid_out_and_marked() {
        let table = "| Class | Price |\n| --- | --- |\n| 1 | 20 |\n|  | a\\|b |";
        let start = table.find("20").unwrap();
        let seen = blocks(table, start..start + 2, std::iter::empty());
        let [Block::Table(rows)] = seen.as_slice() else {
            panic!("{seen:?}");
        };
        let of_row = |row: &Vec<Vec<Piece>>| row.iter().map(|cell| text(cell)).collect();
        let texts: Vec<Vec<String>> = rows.iter().map(of_row).collect();
        assert_eq!(
            texts,
            [vec!["Class", "Price"], vec!["1", "20"], vec!["", "a\\|b"]]
        );
        assert!(rows[1][1][0].marked && !rows[1][0][0].marked);
    }

    #[test]
    fn the_marked_passage_is_marked_whatever_it_crosses() {
        for mark in [
            "Travel\n\nBy",
            "上铺 is",
            "narrow\n- Seats\n\nClass | Pr",
            "20\n2 | 9\n\nA gu",
        ] {
            let mut marked = Vec::new();
            for block in laid_out(mark) {
                match block {
                    Block::Table(rows) => marked.extend(rows.into_iter().flatten().flatten()),
                    Block::Heading(_, p)
                    | Block::Item(_, p)
                    | Block::Prose(p)
                    | Block::Lines(p) => {
                        marked.extend(p);
                    }
                }
            }
            marked.retain(|p| p.marked);
            let squeeze = |s: &str| s.replace(CELL, "").replace(char::is_whitespace, "");
            assert_eq!(squeeze(&text(&marked)), squeeze(mark));
            assert_eq!(marked.iter().filter(|p| p.first).count(), 1, "{mark:?}");
            assert!(marked[0].first);
        }
    }
}
