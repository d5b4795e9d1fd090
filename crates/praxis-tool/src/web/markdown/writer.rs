//! What a page's elements are in Markdown within their blocks: links as whole URLs, emphasis, pictures, the languages
//! of programs, quotes. Left out: where blocks begin and end, which are content (`praxis_sources::html`), and how they
//! follow one another.

use praxis_sources::html::{Block, Kind, Output, Tag, Text, attribute, content, one_line};
use url::Url;

use super::Written;
use super::inline::{Inlines, Mark};
use super::layout::{Piece, joined};
use super::table::Rows;

/// The longest URL of a link; what is longer is a program, or a picture written out.
const LONGEST_URL: usize = 1000;

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// What links are seen from.
    base: Option<Url>,
    /// Whether marks within lines are left out.
    bare: bool,
    pieces: Vec<Piece>,
    inlines: Inlines,
    /// The language of the open program text, as far as it is said.
    language: String,
    quotes: usize,
}

impl Writer {
    /// A writer of Markdown.
    pub fn new(base: Option<Url>) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// A writer of text without marks.
    pub fn bare() -> Self {
        Self {
            bare: true,
            ..Self::default()
        }
    }

    /// The page of this title, of its main content.
    pub fn page(self, title: Option<String>) -> Written {
        let (pieces, left_out) = content(self.pieces, |piece| piece.standing);
        let is_first = |piece: &&Piece| piece.standing.kind == Kind::Heading(1);
        let heading = || pieces.iter().find(is_first).map(|piece| piece.text.clone());
        Written {
            title: title.or_else(heading),
            markdown: joined(&pieces),
            left_out,
        }
    }

    /// All its text on one line.
    pub fn plain(self) -> String {
        let texts: Vec<&str> = self.pieces.iter().map(|p| p.text.as_str()).collect();
        one_line(&texts.join(" "))
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

    fn open(&mut self, name: &str, mark: Mark, text: &mut Text) {
        if text.is_preformatted() || self.bare {
            return;
        }
        text.space();
        self.inlines.open(name, mark, text);
    }

    /// The language of a program text, as its class says it (HTML standard, "The code element").
    fn language(&mut self, tag: &Tag, text: &Text) {
        if text.kind() != Kind::Code {
            return;
        }
        let class = attribute(tag, "class").unwrap_or_default();
        let said = class.split_whitespace().find_map(|word| {
            let said = word.strip_prefix("language-");
            said.or_else(|| word.strip_prefix("lang-"))
        });
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-' | '_' | '.');
        if let Some(said) = said.filter(|said| said.len() <= 20 && said.chars().all(plain)) {
            said.clone_into(&mut self.language);
        }
    }

    /// A picture that says in words what it shows.
    fn picture(&self, tag: &Tag, text: &mut Text) {
        if text.is_preformatted() || self.bare {
            return;
        }
        let words = one_line(attribute(tag, "alt").unwrap_or_default());
        let source = attribute(tag, "src").and_then(|source| self.resolved(source));
        if let Some(source) = source.filter(|_| !words.is_empty()) {
            let words = words.replace(['[', ']'], "");
            text.put(&format!("![{words}]({source})"), words.len());
        }
    }
}

impl Output for Writer {
    type Table = Rows;

    fn start(&mut self, tag: &Tag, text: &mut Text) {
        let name: &str = &tag.name;
        match name {
            "base" => {
                let href = attribute(tag, "href");
                if let (Some(base), Some(href)) = (&self.base, href)
                    && let Ok(base) = base.join(href.trim())
                {
                    self.base = Some(base);
                }
            }
            "a" => {
                self.inlines.close(name, text);
                if let Some(url) = attribute(tag, "href").and_then(|href| self.resolved(href)) {
                    self.open(name, Mark::Link(url), text);
                }
            }
            "b" | "strong" => self.open(name, Mark::Strong, text),
            "i" | "em" => self.open(name, Mark::Emphasis, text),
            "code" | "kbd" | "samp" | "tt" => {
                self.language(tag, text);
                self.open(name, Mark::Code, text);
            }
            "img" => self.picture(tag, text),
            "pre" | "listing" | "xmp" | "plaintext" => {
                self.language.clear();
                self.language(tag, text);
            }
            "blockquote" => self.quotes += 1,
            _ => {}
        }
    }

    fn end(&mut self, name: &str, text: &mut Text) {
        match name {
            "a" | "b" | "strong" | "i" | "em" | "code" | "kbd" | "samp" | "tt" => {
                self.inlines.close(name, text);
            }
            "blockquote" => self.quotes = self.quotes.saturating_sub(1),
            _ => {}
        }
    }

    fn suspend(&mut self, text: &mut Text) {
        self.inlines.suspend(text);
    }

    fn block(&mut self, block: Block<'_>) {
        let language = match block.standing.kind {
            Kind::Code => std::mem::take(&mut self.language),
            _ => String::new(),
        };
        self.pieces.push(Piece::new(block, language, self.quotes));
    }
}
