//! A page as pieces of a document: blocks, tables as rows with bars, what `<meta>` elements say. Left out: how pages
//! are read and which pieces are content, which `praxis_sources::html` decides.

use praxis_sources::html::{Block, Kind, Output, Standing, Table, Tag, Text, attribute, one_line};

use crate::document::BlockKind;

/// `<meta>` elements that are looked at.
const MAX_META: usize = 64;

/// A block of a page.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its text.
    pub text: String,
    /// What it is, and where in the page.
    pub standing: Standing,
    /// Whether it is quoted in a message.
    pub quoted: bool,
}

impl Piece {
    /// What it is in a document.
    pub fn kind(&self) -> BlockKind {
        match self.standing.kind {
            Kind::Heading(level) => BlockKind::Heading(level),
            Kind::Paragraph => BlockKind::Paragraph,
            Kind::Item => BlockKind::ListItem,
            Kind::Code => BlockKind::Code,
            Kind::Table => BlockKind::Table,
        }
    }
}

/// What has been read of a page.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Its blocks.
    pub all: Vec<Piece>,
    /// Names and contents of `<meta>` elements.
    pub said: Vec<(String, String)>,
}

impl Output for Pieces {
    type Table = Rows;

    fn start(&mut self, tag: &Tag, _text: &mut Text) {
        if &*tag.name != "meta" || self.said.len() >= MAX_META {
            return;
        }
        let name = attribute(tag, "name").or_else(|| attribute(tag, "property"));
        if let (Some(name), Some(content)) = (name, attribute(tag, "content")) {
            let content = content.trim().to_owned();
            self.said.push((name.trim().to_ascii_lowercase(), content));
        }
    }

    fn block(&mut self, block: Block<'_>) {
        self.all.push(Piece {
            text: block.text,
            standing: block.standing,
            quoted: block.quoted,
        });
    }
}

/// A table as text: a line a row, a bar between cells. Empty cells at a row's end say nothing.
#[derive(Debug, Default)]
pub(super) struct Rows(String);

impl Table for Rows {
    fn row(&mut self, cells: Vec<String>) {
        let row = cells.join(" | ");
        let row = row.trim_end_matches([' ', '|']);
        if !self.0.is_empty() && !row.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(row);
    }

    fn finish(self) -> Result<String, String> {
        Ok(self.0)
    }

    fn text(self) -> String {
        let lines = self.0.lines().map(|row| one_line(&row.replace(" | ", " ")));
        lines.collect::<Vec<_>>().join("\n")
    }
}
