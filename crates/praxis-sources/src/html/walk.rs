//! Tags and text of a page to blocks, as they come, by html5ever's tokenizer and without a tree: a page that nests a
//! million times costs no stack, and one that is not well-formed is read as far as it goes. Left out: what is made of
//! blocks and tables, and which blocks are content, which is known at the end only.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::content::{Kind, Standing};
use super::elements::{
    attribute, begins_block, ends_by_itself, has_content, is_hidden, is_skipped,
};
use super::purpose::{Parts, Purpose, Region};
use super::raw;
use super::table::{Grid, Table};
use super::text::{Passage, Text, one_line};

/// A block of a page.
#[derive(Debug)]
pub struct Block<'a> {
    /// Its text, never empty: of a heading one line, of anything but program text no line empty.
    pub text: String,
    /// What it is, and where it stands.
    pub standing: Standing,
    /// The lists that it stands in, outermost first, with the next number of those that count; of an item without its
    /// own.
    pub lists: &'a [Option<u64>],
    /// Whether it is quoted in a message.
    pub quoted: bool,
}

/// What is made of a page. Of elements that are passed over it is told nothing.
pub trait Output {
    /// What is made of a table.
    type Table: Table;

    /// An element begins; if a block ends or begins with it, that is done, and `text` is the new one's.
    fn start(&mut self, tag: &Tag, text: &mut Text) {
        let _ = (tag, text);
    }

    /// An element ends, in the same way. It may never have begun.
    fn end(&mut self, name: &str, text: &mut Text) {
        let _ = (name, text);
    }

    /// The text of the open block or cell is about to end, whichever elements are open in it; what is written next is
    /// another text.
    fn suspend(&mut self, text: &mut Text) {
        let _ = text;
    }

    /// A block has been read.
    fn block(&mut self, block: Block<'_>);
}

/// Reads a page, and gives what was made of it and the title that it calls itself by.
pub fn walk<O: Output>(source: &str, output: O) -> (O, Option<String>) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let sink = Sink(RefCell::new(Walk::new(output)));
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().finish()
}

struct Sink<O: Output>(RefCell<Walk<O>>);

impl<O: Output> TokenSink for Sink<O> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut walk = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => walk.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::EndTag => walk.end(&tag.name),
            Token::TagToken(tag) => {
                walk.start(&tag);
                return raw(&tag.name);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// An element whose content is passed over until it ends.
struct Skip {
    name: String,
    /// Elements of that name that are open inside, itself included.
    open: usize,
}

/// What has been read so far.
struct Walk<O: Output> {
    output: O,
    title: Option<String>,
    in_title: bool,
    text: Text,
    skip: Option<Skip>,
    /// Open lists, with the next number of those that count.
    lists: Vec<Option<u64>>,
    /// Tables that are open, one inside another.
    tables: usize,
    table: Grid<O::Table>,
    /// Whether the open table holds headings and the like: it arranges the page and is no table.
    arranges: bool,
    main: Region,
    article: Region,
    parts: Parts,
}

impl<O: Output> Walk<O> {
    fn new(output: O) -> Self {
        Self {
            output,
            title: None,
            in_title: false,
            text: Text::default(),
            skip: None,
            lists: Vec::new(),
            tables: 0,
            table: Grid::default(),
            arranges: false,
            main: Region::default(),
            article: Region::default(),
            parts: Parts::default(),
        }
    }

    /// The page ends, in a table or not.
    fn finish(mut self) -> (O, Option<String>) {
        if self.in_table() {
            self.end_table();
            self.tables = 0;
        }
        self.flush();
        let title = self.title.as_deref().map(one_line);
        (self.output, title.filter(|title| !title.is_empty()))
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
        } else if self.skip.is_none() {
            self.text.add(text);
        }
    }

    /// Begins an element.
    fn start(&mut self, tag: &Tag) {
        if self.passes_over(tag) {
            return;
        }
        let name: &str = &tag.name;
        let part = self.parts.begins(tag);
        if part.is_some() {
            // What is open belongs to the part before.
            self.flush();
        }
        self.parts.start(tag, part);
        match name {
            "a" => self.text.in_link = attribute(tag, "href").is_some(),
            "title" => self.in_title = self.title.is_none(),
            "br" => self.line(),
            "pre" | "listing" | "xmp" | "plaintext" => {
                self.leave_table();
                self.block(Kind::Code);
                self.text.preformatted += 1;
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.leave_table();
                self.block(Kind::Heading(name.as_bytes()[1] - b'0'));
            }
            "ul" | "menu" => self.list(None),
            "ol" => {
                let first = attribute(tag, "start").and_then(|n| n.trim().parse().ok());
                self.list(Some(first.unwrap_or(1)));
            }
            "li" => self.item(),
            "table" => self.begin_table(),
            "tr" if self.in_table() => {
                self.end_cell();
                self.table.end_row();
            }
            "td" | "th" if self.in_table() => {
                self.end_cell();
                let (columns, rows) = (span(tag, "colspan"), span(tag, "rowspan"));
                self.table.begin_cell(columns, rows);
            }
            "tr" | "td" | "th" => self.block(Kind::Paragraph),
            "main" | "article" => {
                // No table of data holds one.
                self.leave_table();
                self.flush();
                self.region(name).start();
            }
            name if begins_block(name) => self.block(Kind::Paragraph),
            _ => {}
        }
        self.output.start(tag, &mut self.text);
    }

    /// Whether an element is passed over: one inside of what is, or the first of it.
    fn passes_over(&mut self, tag: &Tag) -> bool {
        let name: &str = &tag.name;
        if let Some(skip) = &mut self.skip {
            if skip.name != name || tag.self_closing {
                return true;
            }
            if !ends_by_itself(name) {
                skip.open += 1;
                return true;
            }
            self.skip = None;
        }
        let aside = name == "aside" && self.main.here() == 0 && self.article.here() == 0;
        let skips = has_content(tag) && (is_skipped(name) || aside || is_hidden(tag));
        if skips {
            self.skip = Some(Skip {
                name: name.to_owned(),
                open: 1,
            });
        }
        skips
    }

    /// Ends an element.
    fn end(&mut self, name: &str) {
        if let Some(skip) = &mut self.skip {
            if skip.name == name {
                skip.open -= 1;
                if skip.open == 0 {
                    self.skip = None;
                }
            }
            return;
        }
        if self.parts.ends(name) {
            self.flush();
        }
        self.parts.end(name);
        match name {
            "a" => self.text.in_link = false,
            "title" => self.in_title = false,
            "pre" | "listing" | "xmp" => {
                self.flush();
                self.text.preformatted = self.text.preformatted.saturating_sub(1);
            }
            "ul" | "ol" | "menu" => {
                self.block(Kind::Paragraph);
                self.lists.pop();
            }
            "li" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.block(Kind::Paragraph),
            "table" => {
                if self.in_table() {
                    self.end_table();
                }
                self.tables = self.tables.saturating_sub(1);
                self.arranges &= self.tables > 0;
                self.block(Kind::Paragraph);
            }
            "main" | "article" => {
                self.flush();
                self.region(name).end();
            }
            name if begins_block(name) => self.block(Kind::Paragraph),
            _ => {}
        }
        self.output.end(name, &mut self.text);
    }

    fn region(&mut self, name: &str) -> &mut Region {
        if name == "main" {
            &mut self.main
        } else {
            &mut self.article
        }
    }

    /// Ends the block that is open and begins one, unless this is the inside of an item or a cell.
    fn block(&mut self, kind: Kind) {
        let plain = kind == Kind::Paragraph;
        if plain && (self.text.is_preformatted() || self.in_table()) {
            self.text.due = true;
            return;
        }
        // A paragraph that an item begins with is the item's text.
        if plain && self.text.is_new_item() {
            return;
        }
        self.flush();
        self.text.kind = kind;
    }

    fn line(&mut self) {
        if self.in_table() {
            self.text.due = true;
        } else {
            self.text.line();
        }
    }

    fn list(&mut self, number: Option<u64>) {
        self.flush();
        self.lists.push(number);
    }

    fn item(&mut self) {
        if self.in_table() {
            self.text.due = true;
            return;
        }
        self.flush();
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.item(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.text.item("- "),
        }
    }

    fn in_table(&self) -> bool {
        self.tables > 0 && !self.arranges
    }

    fn begin_table(&mut self) {
        // A table that holds another arranges the page.
        self.leave_table();
        self.flush();
        self.tables += 1;
        self.table.begin();
    }

    /// Ends the open cell. What stands in a table but in no cell, such as its caption, is shown before it.
    fn end_cell(&mut self) {
        self.output.suspend(&mut self.text);
        let passage = self.text.take();
        if self.table.in_cell() {
            self.table.end_cell(&passage);
        } else {
            self.push(passage);
        }
    }

    /// Takes the open table for one that arranges the page: what was read of it is text.
    fn leave_table(&mut self) {
        if self.in_table() {
            self.end_cell();
            self.arranges = true;
            let passage = self.table.leave();
            self.push(passage);
        }
    }

    fn end_table(&mut self) {
        self.end_cell();
        let passage = self.table.finish();
        self.push(passage);
    }

    /// Ends the block that is open; a cell is none, and ends with its row.
    fn flush(&mut self) {
        if self.in_table() {
            return;
        }
        self.output.suspend(&mut self.text);
        let passage = self.text.take();
        self.push(passage);
    }

    /// Adds a block, if it says anything.
    fn push(&mut self, passage: Passage) {
        if passage.text.trim().is_empty() {
            return;
        }
        let outer = match passage.kind {
            Kind::Item => self.lists.len().saturating_sub(1),
            _ => self.lists.len(),
        };
        self.output.block(Block {
            text: passage.text,
            standing: Standing {
                kind: passage.kind,
                main: self.main.here(),
                article: self.article.here(),
                content: self.parts.number(Purpose::Content),
                around: self.parts.number(Purpose::Around),
                doubtful: self.parts.number(Purpose::Links),
                size: passage.size,
                linked: passage.linked,
            },
            lists: self.lists.get(..outer).unwrap_or_default(),
            quoted: self.parts.number(Purpose::Quote) > 0,
        });
    }
}

/// How many columns or rows a cell says that it is of.
fn span(tag: &Tag, name: &str) -> usize {
    let said = attribute(tag, name).and_then(|n| n.trim().parse().ok());
    said.unwrap_or(1)
}
