//! A page as pieces of a document: blocks, tables, what `<meta>` elements say. Left out: how pages
//! are read and which pieces are content, which `praxis_sources::html` decides.

use praxis_sources::html::{Block, Kind, Output, Standing, Table, Tag, Text, attribute};

use crate::document::BlockKind;
use crate::load::grid::Grid;

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

/// A table as Markdown.
#[derive(Debug, Default)]
pub(super) struct Rows(Grid);

impl Table for Rows {
    fn row(&mut self, cells: Vec<String>) {
        self.0.row();
        for (column, cell) in cells.iter().enumerate() {
            self.0.add(column, cell);
        }
    }

    fn finish(self) -> Result<String, String> {
        Ok(self.0.finish())
    }

    fn text(self) -> String {
        self.0.lines()
    }
}
