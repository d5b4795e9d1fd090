//! How blocks follow one another in Markdown: blank lines, indents of lists, marks of quotes, fences. Left out: the
//! marks within their lines.

use praxis_sources::html::{Block, Kind, Standing};

/// The most spaces before an item of a list, and marks of quotes before a line.
const DEEPEST_LIST: usize = 24;
const DEEPEST_QUOTE: usize = 5;

/// A block, and where it stands.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its Markdown, but for what stands before each line and around it.
    pub text: String,
    /// What it is, and where in the page.
    pub standing: Standing,
    /// In what a program is written, as far as the page says it.
    language: String,
    indent: usize,
    quotes: usize,
}

impl Piece {
    /// A block inside of so many quotes.
    pub fn new(block: Block<'_>, language: String, quotes: usize) -> Self {
        // Each list indents by two at least.
        let lists = block.lists.iter().take(DEEPEST_LIST);
        let indent: usize = lists.map(|mark| if mark.is_some() { 3 } else { 2 }).sum();
        Self {
            text: block.text,
            standing: block.standing,
            language,
            indent: indent.min(DEEPEST_LIST),
            quotes: quotes.min(DEEPEST_QUOTE),
        }
    }

    fn is_item(&self) -> bool {
        self.standing.kind == Kind::Item
    }

    fn written(&self) -> String {
        match self.standing.kind {
            Kind::Heading(level) => format!("{} {}", "#".repeat(level.into()), self.text),
            Kind::Code => {
                let mut fence = "```".to_owned();
                while self.text.contains(fence.as_str()) {
                    fence.push('`');
                }
                format!("{fence}{}\n{}\n{fence}", self.language, self.text)
            }
            Kind::Paragraph | Kind::Item | Kind::Table => self.text.clone(),
        }
    }
}

/// Blocks one after the other.
pub(super) fn joined(pieces: &[Piece]) -> String {
    let mut out = String::new();
    let mut last: Option<&Piece> = None;
    for piece in pieces {
        if let Some(last) = last {
            let list = last.is_item() && piece.is_item();
            out.push_str(if list { "\n" } else { "\n\n" });
        }
        let before = format!("{}{}", "> ".repeat(piece.quotes), " ".repeat(piece.indent));
        for (i, line) in piece.written().lines().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            out.push_str(&before);
            // What goes on in an item stands below its text.
            if i > 0 && piece.is_item() {
                out.push_str("  ");
            }
            out.push_str(line);
        }
        last = Some(piece);
    }
    out
}
