//! Tags and text of a page to pieces of structure, as they come. Left out: which of the pieces are the
//! main content, which is known at the end only.

use html5ever::tokenizer::Tag;

use praxis_sources::html::{
    Parts, Purpose, Region, attribute, begins_block, ends_by_itself, has_content, is_hidden,
    is_skipped,
};

use crate::document::BlockKind;

/// `<meta>` elements that are looked at.
const MAX_META: usize = 64;

/// A block, and where it stands.
#[derive(Debug)]
pub(super) struct Piece {
    /// What it is.
    pub kind: BlockKind,
    /// Its text.
    pub text: String,
    /// Which `<main>` of the page it stands in, from 1; 0 for none.
    pub main: usize,
    /// Which `<article>`, likewise.
    pub article: usize,
    /// Which part that calls itself content, likewise.
    pub content: usize,
    /// Which part around the text, likewise.
    pub around: usize,
    /// Which part that is around the text if it is mostly links, likewise.
    pub doubtful: usize,
    /// Whether it is quoted in a message.
    pub quoted: bool,
    /// Bytes of its text in links.
    pub linked: usize,
}

/// An element whose content is passed over until it ends.
#[derive(Debug)]
struct Skip {
    name: String,
    /// Elements of that name that are open inside, itself included.
    open: usize,
}

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Walk {
    pieces: Vec<Piece>,
    title: Option<String>,
    in_title: bool,
    /// Names and contents of `<meta>` elements.
    said: Vec<(String, String)>,
    text: String,
    kind: BlockKind,
    /// White space that counts once text follows it.
    space: bool,
    skip: Option<Skip>,
    /// Open lists, with the next number of those that count.
    lists: Vec<Option<u64>>,
    /// Length of the mark that an item's text begins with.
    mark: usize,
    tables: usize,
    /// Cells of the open row.
    cells: usize,
    /// Whether the open table holds headings and the like: it arranges the page and is no table.
    arranges: bool,
    preformatted: usize,
    main: Region,
    article: Region,
    parts: Parts,
    in_link: bool,
    linked: usize,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            title: None,
            in_title: false,
            said: Vec::new(),
            text: String::new(),
            kind: BlockKind::Paragraph,
            space: false,
            skip: None,
            lists: Vec::new(),
            mark: 0,
            tables: 0,
            cells: 0,
            arranges: false,
            preformatted: 0,
            main: Region::default(),
            article: Region::default(),
            parts: Parts::default(),
            in_link: false,
            linked: 0,
        }
    }
}

impl Walk {
    /// The page's title and pieces, and what its `<meta>` elements say.
    pub fn finish(mut self) -> (Option<String>, Vec<Piece>, Vec<(String, String)>) {
        self.flush();
        (self.title, self.pieces, self.said)
    }

    fn meta(&mut self, tag: &Tag) {
        let name = attribute(tag, "name").or_else(|| attribute(tag, "property"));
        if let (Some(name), Some(content)) = (name, attribute(tag, "content"))
            && self.said.len() < MAX_META
        {
            let content = content.trim().to_owned();
            self.said.push((name.trim().to_ascii_lowercase(), content));
        }
    }

    /// Adds text; outside of `<pre>`, any white space is one space.
    pub fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
            return;
        }
        if self.skip.is_some() {
            return;
        }
        if self.preformatted > 0 {
            self.text.push_str(text);
            return;
        }
        let before = self.text.len();
        for word in text.split_inclusive(char::is_whitespace) {
            let inner = word.trim_end();
            if !inner.is_empty() {
                if std::mem::take(&mut self.space) && !self.text.ends_with(['\n', ' ']) {
                    self.text.push(' ');
                }
                let shown = inner
                    .chars()
                    .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'));
                self.text.extend(shown);
            }
            self.space |= inner.len() < word.len();
        }
        if self.in_link {
            self.linked += self.text.len() - before;
        }
    }

    /// Begins an element.
    pub fn start(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if let Some(skip) = &mut self.skip {
            if skip.name != name || tag.self_closing {
                return;
            }
            if !ends_by_itself(name) {
                skip.open += 1;
                return;
            }
            self.skip = None;
        }
        let void = !has_content(tag);
        let aside = name == "aside" && self.main.here() == 0 && self.article.here() == 0;
        if !void && (is_skipped(name) || aside || is_hidden(tag)) {
            self.skip = Some(Skip {
                name: name.to_owned(),
                open: 1,
            });
            return;
        }
        let part = self.parts.begins(tag);
        if part.is_some() && !self.in_table() {
            // What is open belongs to the part before.
            self.flush();
        }
        self.parts.start(tag, part);
        match name {
            "a" => self.in_link = attribute(tag, "href").is_some(),
            "meta" => self.meta(tag),
            "title" => self.in_title = self.title.is_none(),
            "br" => self.line(),
            "pre" | "listing" | "xmp" | "plaintext" => {
                self.leave_table();
                self.block(BlockKind::Code);
                self.preformatted += 1;
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.leave_table();
                self.block(BlockKind::Heading(name.as_bytes()[1] - b'0'));
            }
            "ul" | "menu" => self.list(None),
            "ol" => {
                let first = attribute(tag, "start").and_then(|n| n.trim().parse().ok());
                self.list(Some(first.unwrap_or(1)));
            }
            "li" => self.item(),
            "table" => self.table(),
            "tr" if self.in_table() => self.row(),
            "td" | "th" if self.in_table() => self.cell(),
            "tr" | "td" | "th" => self.block(BlockKind::Paragraph),
            "main" => self.region(|walk| walk.main.start()),
            "article" => self.region(|walk| walk.article.start()),
            name if begins_block(name) => self.block(BlockKind::Paragraph),
            _ => {}
        }
    }

    /// Ends an element.
    pub fn end(&mut self, name: &str) {
        if let Some(skip) = &mut self.skip {
            if skip.name == name {
                skip.open -= 1;
                if skip.open == 0 {
                    self.skip = None;
                }
            }
            return;
        }
        if self.parts.ends(name) && !self.in_table() {
            self.flush();
        }
        self.parts.end(name);
        match name {
            "a" => self.in_link = false,
            "title" => self.in_title = false,
            "pre" | "listing" | "xmp" => {
                self.flush();
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            "ul" | "ol" | "menu" => {
                self.block(BlockKind::Paragraph);
                self.lists.pop();
            }
            "li" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.block(BlockKind::Paragraph),
            "table" => {
                if self.in_table() && self.tables == 1 {
                    self.flush();
                }
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.block(BlockKind::Paragraph);
                    self.arranges = false;
                }
            }
            "main" => self.region(|walk| walk.main.end()),
            "article" => self.region(|walk| walk.article.end()),
            name if begins_block(name) => self.block(BlockKind::Paragraph),
            _ => {}
        }
    }

    /// Ends the block that is open and begins one, unless this is the inside of an item or a cell.
    fn block(&mut self, kind: BlockKind) {
        let plain = kind == BlockKind::Paragraph;
        if plain && (self.preformatted > 0 || self.in_table()) {
            self.space = true;
            return;
        }
        // A paragraph that an item begins with is the item's text.
        if plain && self.kind == BlockKind::ListItem && self.text.len() == self.mark {
            return;
        }
        self.flush();
        self.kind = kind;
    }

    fn region(&mut self, change: impl FnOnce(&mut Self)) {
        self.flush();
        change(self);
    }

    fn line(&mut self) {
        self.space = false;
        if self.in_table() {
            self.space = true;
        } else {
            self.text.push('\n');
        }
    }

    fn list(&mut self, number: Option<u64>) {
        if !self.in_table() {
            self.flush();
        }
        self.lists.push(number);
    }

    fn item(&mut self) {
        if self.in_table() {
            self.space = true;
            return;
        }
        self.flush();
        self.kind = BlockKind::ListItem;
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.text.push_str("- "),
        }
        self.mark = self.text.len();
        self.space = false;
    }

    fn in_table(&self) -> bool {
        self.tables > 0 && !self.arranges
    }

    fn table(&mut self) {
        if self.tables > 0 {
            self.leave_table();
        }
        self.flush();
        self.tables += 1;
        self.cells = 0;
        if !self.arranges {
            self.kind = BlockKind::Table;
        }
    }

    /// Takes the open table for one that arranges the page: what was read of it is text.
    fn leave_table(&mut self) {
        if self.in_table() {
            self.arranges = true;
            self.kind = BlockKind::Paragraph;
            self.text = self.text.replace(" | ", " ");
            self.flush();
        }
    }

    fn row(&mut self) {
        self.trim_row();
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.cells = 0;
        self.space = false;
    }

    fn cell(&mut self) {
        if self.cells > 0 {
            self.text.push_str(" | ");
        }
        self.cells += 1;
        self.space = false;
    }

    /// Empty cells at a row's end say nothing.
    fn trim_row(&mut self) {
        let end = self.text.trim_end_matches([' ', '|']).len();
        self.text.truncate(end);
    }

    fn flush(&mut self) {
        self.space = false;
        if self.kind == BlockKind::Table {
            self.trim_row();
        }
        let kind = std::mem::replace(&mut self.kind, BlockKind::Paragraph);
        let marked = std::mem::take(&mut self.mark);
        let linked = std::mem::take(&mut self.linked);
        let mut text = std::mem::take(&mut self.text);
        if kind == BlockKind::ListItem && text.len() == marked {
            return;
        }
        if kind == BlockKind::Code && text.starts_with('\n') {
            text.remove(0);
        } else if kind != BlockKind::Code && text.contains('\n') {
            let lines = text.lines().map(str::trim_end);
            text = lines
                .filter(|l| !l.trim().is_empty())
                .collect::<Vec<_>>()
                .join("\n");
        }
        if text.trim().is_empty() {
            return;
        }
        self.pieces.push(Piece {
            kind,
            text,
            main: self.main.here(),
            article: self.article.here(),
            content: self.parts.number(Purpose::Content),
            around: self.parts.number(Purpose::Around),
            doubtful: self.parts.number(Purpose::Links),
            quoted: self.parts.number(Purpose::Quote) > 0,
            linked,
        });
    }
}
