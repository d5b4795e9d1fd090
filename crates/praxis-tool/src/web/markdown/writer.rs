//! Tags and text of a page to blocks of Markdown, as they come. Left out: which of the blocks are content, which is
//! known at the end only.

use html5ever::tokenizer::Tag;
use praxis_sources::html::{
    Parts, Purpose, Region, Sort, Standing, attribute, begins_block, choose, ends_by_itself,
    has_content, is_hidden, is_skipped,
};
use url::Url;

use super::Written;
use super::inline::{Inlines, Mark};
use super::table::Table;

/// The longest URL of a link; what is longer is a program, or a picture written out.
const LONGEST_URL: usize = 1000;

/// The most spaces before an item of a list, and marks of quotes before a line.
const DEEPEST_LIST: usize = 24;
const DEEPEST_QUOTE: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Heading(usize),
    Paragraph,
    Item,
    /// In the language that it says.
    Code(String),
    Table,
}

/// A block, and where it stands.
#[derive(Debug)]
struct Block {
    kind: Kind,
    /// Its Markdown, but for what stands before each line.
    text: String,
    indent: usize,
    quotes: usize,
    standing: Standing,
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
pub(super) struct Writer {
    /// What links are seen from.
    base: Option<Url>,
    /// Whether marks within lines are left out.
    bare: bool,
    blocks: Vec<Block>,
    title: Option<String>,
    in_title: bool,
    kind: Kind,
    text: String,
    /// White space that counts once text follows it.
    space: bool,
    inlines: Inlines,
    /// Bytes of the open block that a reader sees, and those of them in links.
    visible: usize,
    linked: usize,
    skip: Option<Skip>,
    /// Open lists, with the next number of those that count.
    lists: Vec<Option<u64>>,
    /// Length of the mark that an item's text begins with.
    mark: usize,
    quotes: usize,
    preformatted: usize,
    tables: usize,
    table: Table,
    /// Whether the open table holds headings and the like: it arranges the page and is no table.
    arranges: bool,
    main: Region,
    article: Region,
    parts: Parts,
}

impl Writer {
    /// A writer of Markdown.
    pub fn new(base: Option<Url>) -> Self {
        Self {
            base,
            bare: false,
            blocks: Vec::new(),
            title: None,
            in_title: false,
            kind: Kind::Paragraph,
            text: String::new(),
            space: false,
            inlines: Inlines::default(),
            visible: 0,
            linked: 0,
            skip: None,
            lists: Vec::new(),
            mark: 0,
            quotes: 0,
            preformatted: 0,
            tables: 0,
            table: Table::default(),
            arranges: false,
            main: Region::default(),
            article: Region::default(),
            parts: Parts::default(),
        }
    }

    /// A writer of text without marks.
    pub fn bare() -> Self {
        Self {
            bare: true,
            ..Self::new(None)
        }
    }

    /// The page, of its main content.
    pub fn page(mut self) -> Written {
        self.close();
        let standings: Vec<Standing> = self.blocks.iter().map(|b| b.standing).collect();
        let (chosen, left_out) = choose(&standings);
        let blocks = self.blocks.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        let blocks: Vec<&Block> = blocks.map(|(block, _)| block).collect();
        let heading = blocks.iter().find(|b| b.kind == Kind::Heading(1));
        let title = self
            .title
            .as_deref()
            .map(one_line)
            .filter(|t| !t.is_empty());
        Written {
            title: title.or_else(|| heading.map(|b| b.text.clone())),
            markdown: joined(&blocks),
            left_out,
        }
    }

    /// All its text on one line.
    pub fn plain(mut self) -> String {
        self.close();
        let texts: Vec<&str> = self.blocks.iter().map(|b| b.text.as_str()).collect();
        one_line(&texts.join(" "))
    }

    /// The page ends, in a table or not.
    fn close(&mut self) {
        if self.in_table() {
            self.end_table();
            self.tables = 0;
        }
        self.flush();
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
            self.count(text.len());
            return;
        }
        for word in text.split_inclusive(char::is_whitespace) {
            let inner = word.trim_end();
            if !inner.is_empty() {
                self.put_space();
                let before = self.text.len();
                let shown = inner
                    .chars()
                    .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'));
                self.text.extend(shown);
                self.count(self.text.len() - before);
            }
            self.space |= inner.len() < word.len();
        }
    }

    fn count(&mut self, bytes: usize) {
        self.visible += bytes;
        if self.inlines.in_link() {
            self.linked += bytes;
        }
    }

    /// Writes the space that is due, if anything is before it.
    fn put_space(&mut self) {
        let due = std::mem::take(&mut self.space);
        if due && self.text.len() > self.mark && !self.text.ends_with(['\n', ' ']) {
            self.text.push(' ');
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
            "base" => {
                let href = attribute(tag, "href");
                if let (Some(base), Some(href)) = (&self.base, href)
                    && let Ok(base) = base.join(href.trim())
                {
                    self.base = Some(base);
                }
            }
            "title" => self.in_title = self.title.is_none(),
            "a" => {
                self.inlines.close("a", &mut self.text);
                if let Some(url) = attribute(tag, "href").and_then(|href| self.resolved(href)) {
                    self.open(name, Mark::Link(url));
                }
            }
            "b" | "strong" => self.open(name, Mark::Strong),
            "i" | "em" => self.open(name, Mark::Emphasis),
            "code" | "kbd" | "samp" | "tt" => {
                self.language(tag);
                self.open(name, Mark::Code);
            }
            "img" => self.picture(tag),
            "br" => self.line(),
            "pre" | "listing" | "xmp" | "plaintext" => {
                self.leave_table();
                self.block(Kind::Code(String::new()));
                self.preformatted += 1;
                self.language(tag);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.leave_table();
                self.block(Kind::Heading(usize::from(name.as_bytes()[1] - b'0')));
            }
            "blockquote" => {
                self.block(Kind::Paragraph);
                self.quotes += 1;
            }
            "ul" | "menu" => self.list(None),
            "ol" => {
                let first = attribute(tag, "start").and_then(|n| n.trim().parse().ok());
                self.list(Some(first.unwrap_or(1)));
            }
            "li" => self.item(),
            "table" => self.begin_table(),
            "tr" if self.in_table() => {
                let text = self.cell_text();
                self.table.row(&text);
            }
            "td" | "th" if self.in_table() => {
                let span = |name| attribute(tag, name).and_then(|n| n.trim().parse().ok());
                let (columns, rows) = (span("colspan"), span("rowspan"));
                let text = self.cell_text();
                let (columns, rows) = (columns.unwrap_or(1), rows.unwrap_or(1));
                self.table.cell(&text, columns, rows);
            }
            "tr" | "td" | "th" => self.block(Kind::Paragraph),
            "main" => self.region(|writer| writer.main.start()),
            "article" => self.region(|writer| writer.article.start()),
            name if begins_block(name) => self.block(Kind::Paragraph),
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
            "a" | "b" | "strong" | "i" | "em" | "code" | "kbd" | "samp" | "tt" => {
                self.inlines.close(name, &mut self.text);
            }
            "title" => self.in_title = false,
            "pre" | "listing" | "xmp" => {
                self.flush();
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            "blockquote" => {
                self.block(Kind::Paragraph);
                self.quotes = self.quotes.saturating_sub(1);
            }
            "ul" | "ol" | "menu" => {
                self.block(Kind::Paragraph);
                self.lists.pop();
            }
            "li" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.block(Kind::Paragraph),
            "caption" if self.in_table() && !self.table.in_cell() => {
                let text = self.cell_text();
                self.push(Kind::Paragraph, text);
            }
            "table" => {
                if self.in_table() && self.tables == 1 {
                    self.end_table();
                }
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.block(Kind::Paragraph);
                    self.arranges = false;
                }
            }
            "main" => self.region(|writer| writer.main.end()),
            "article" => self.region(|writer| writer.article.end()),
            name if begins_block(name) => self.block(Kind::Paragraph),
            _ => {}
        }
    }

    /// A link as a whole URL; none for what leads to no page, such as a place on this one.
    fn resolved(&self, href: &str) -> Option<String> {
        let href = href.trim();
        if href.is_empty() || href.starts_with('#') {
            return None;
        }
        let url = match &self.base {
            Some(base) => base.join(href).ok()?,
            None => Url::parse(href).ok()?,
        };
        let leads = matches!(url.scheme(), "http" | "https" | "mailto" | "local");
        let url = url.as_str();
        // Brackets would end the link before its end.
        let url = url.replace('(', "%28").replace(')', "%29");
        (leads && url.len() <= LONGEST_URL).then_some(url)
    }

    fn open(&mut self, name: &str, mark: Mark) {
        if self.preformatted > 0 || self.bare {
            return;
        }
        self.put_space();
        self.inlines.open(name, mark, &self.text);
    }

    /// The language of a program text, as its class says it (HTML standard, "The code element").
    fn language(&mut self, tag: &Tag) {
        let Kind::Code(language) = &mut self.kind else {
            return;
        };
        let class = attribute(tag, "class").unwrap_or_default();
        let said = class.split_whitespace().find_map(|word| {
            let said = word.strip_prefix("language-");
            said.or_else(|| word.strip_prefix("lang-"))
        });
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-' | '_' | '.');
        if let Some(said) = said.filter(|said| said.len() <= 20 && said.chars().all(plain)) {
            said.clone_into(language);
        }
    }

    /// A picture that says in words what it shows.
    fn picture(&mut self, tag: &Tag) {
        if self.preformatted > 0 || self.bare {
            return;
        }
        let words = one_line(attribute(tag, "alt").unwrap_or_default());
        let source = attribute(tag, "src").and_then(|source| self.resolved(source));
        if let Some(source) = source.filter(|_| !words.is_empty()) {
            self.put_space();
            let words = words.replace(['[', ']'], "");
            self.text.push_str(&format!("![{words}]({source})"));
            self.count(words.len());
        }
    }

    /// Ends the block that is open and begins one, unless this is the inside of an item or a cell.
    fn block(&mut self, kind: Kind) {
        let plain = kind == Kind::Paragraph;
        if plain && (self.preformatted > 0 || self.in_table()) {
            self.space = true;
            return;
        }
        // A paragraph that an item begins with is the item's text.
        if plain && self.kind == Kind::Item && self.text.len() == self.mark {
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
        } else if self.text.len() > self.mark {
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
        self.kind = Kind::Item;
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.text.push_str("- "),
        }
        self.mark = self.text.len();
        self.inlines.begin_at(self.mark);
    }

    fn in_table(&self) -> bool {
        self.tables > 0 && !self.arranges
    }

    fn begin_table(&mut self) {
        if self.tables > 0 {
            self.leave_table();
        }
        self.flush();
        self.tables += 1;
        self.table = Table::default();
    }

    /// Text of the open cell, or of what stands between cells.
    fn cell_text(&mut self) -> String {
        self.inlines.suspend(&mut self.text);
        self.space = false;
        std::mem::take(&mut self.text)
    }

    /// Takes the open table for one that arranges the page: what was read of it is text.
    fn leave_table(&mut self) {
        if self.in_table() {
            self.arranges = true;
            let text = self.cell_text();
            let lines = std::mem::take(&mut self.table).lines(&text);
            self.push(Kind::Paragraph, lines.join("\n"));
        }
    }

    fn end_table(&mut self) {
        let text = self.cell_text();
        match std::mem::take(&mut self.table).finish(&text) {
            Ok(table) => self.push(Kind::Table, table),
            Err(lines) => self.push(Kind::Paragraph, lines.join("\n")),
        }
    }

    /// Ends the block that is open.
    fn flush(&mut self) {
        if self.in_table() {
            // A cell is no block; it ends with its row.
            return;
        }
        self.space = false;
        self.inlines.suspend(&mut self.text);
        let kind = std::mem::replace(&mut self.kind, Kind::Paragraph);
        let mark = std::mem::take(&mut self.mark);
        let mut text = std::mem::take(&mut self.text);
        if kind == Kind::Item && text.len() == mark {
            return;
        }
        match &kind {
            Kind::Code(_) => {
                // The line break after the tag is none (HTML standard, "The pre element").
                if text.starts_with('\n') {
                    text.remove(0);
                }
                text.truncate(text.trim_end().len());
            }
            Kind::Heading(_) => text = one_line(&text),
            _ => {
                let lines = text.lines().map(str::trim_end);
                let lines: Vec<&str> = lines.filter(|l| !l.trim().is_empty()).collect();
                text = lines.join("\n");
            }
        }
        self.push(kind, text);
    }

    /// Adds a block, if it says anything.
    fn push(&mut self, kind: Kind, text: String) {
        let (visible, linked) = (
            std::mem::take(&mut self.visible),
            std::mem::take(&mut self.linked),
        );
        if text.trim().is_empty() {
            return;
        }
        let outer = match kind {
            Kind::Item => self.lists.len().saturating_sub(1),
            _ => self.lists.len(),
        };
        let marks = self.lists.iter().take(outer);
        let indent: usize = marks.map(|mark| if mark.is_some() { 3 } else { 2 }).sum();
        self.blocks.push(Block {
            standing: Standing {
                sort: match kind {
                    Kind::Heading(_) => Sort::Heading,
                    Kind::Paragraph | Kind::Item => Sort::Text,
                    Kind::Code(_) | Kind::Table => Sort::Other,
                },
                main: self.main.here(),
                article: self.article.here(),
                content: self.parts.number(Purpose::Content),
                around: self.parts.number(Purpose::Around),
                doubtful: self.parts.number(Purpose::Links),
                size: visible,
                inner: visible,
                linked,
            },
            kind,
            text,
            indent: indent.min(DEEPEST_LIST),
            quotes: self.quotes.min(DEEPEST_QUOTE),
        });
    }
}

/// Blocks one after the other.
fn joined(blocks: &[&Block]) -> String {
    let mut out = String::new();
    let mut last: Option<&Block> = None;
    for &block in blocks {
        if let Some(last) = last {
            let list = last.kind == Kind::Item && block.kind == Kind::Item;
            out.push_str(if list { "\n" } else { "\n\n" });
        }
        let before = format!("{}{}", "> ".repeat(block.quotes), " ".repeat(block.indent));
        let text = block.written();
        for (i, line) in text.lines().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            out.push_str(&before);
            // What goes on in an item stands below its text.
            if i > 0 && block.kind == Kind::Item {
                out.push_str("  ");
            }
            out.push_str(line);
        }
        last = Some(block);
    }
    out
}

impl Block {
    fn written(&self) -> String {
        match &self.kind {
            Kind::Heading(level) => format!("{} {}", "#".repeat(*level), self.text),
            Kind::Code(language) => {
                let mut fence = "```".to_owned();
                while self.text.contains(fence.as_str()) {
                    fence.push('`');
                }
                format!("{fence}{language}\n{}\n{fence}", self.text)
            }
            _ => self.text.clone(),
        }
    }
}

/// A text with one space for any white space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
