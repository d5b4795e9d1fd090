//! HTML by html5ever: the main content as blocks, without navigation, scripts and forms.

use scraper::{ElementRef, Html, Node, Selector};

use crate::document::{BlockKind, Builder, LoadedDocument};

/// Elements whose content is not the page's text.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "nav", "footer", "aside", "form", "button",
    "select", "svg", "iframe", "head",
];

/// Elements that begin a block of their own.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "blockquote",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
    "address",
    "details",
    "summary",
    "body",
    "center",
];

/// The document of a page; `<main>` or a single `<article>` is preferred to the whole body.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let page = Html::parse_document(source);
    let find = |css: &str| {
        let selector = Selector::parse(css).ok()?;
        let mut found = page.select(&selector);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    };
    let title = Selector::parse("title")
        .ok()
        .and_then(|s| page.select(&s).next())
        .map(|t| t.text().collect::<String>());
    let root = find("main")
        .or_else(|| find("article"))
        .unwrap_or_else(|| page.root_element());
    let mut walk = Walk {
        builder: Builder::default(),
        text: String::new(),
        kind: BlockKind::Paragraph,
    };
    walk.run(root, 0);
    walk.flush();
    walk.builder.finish(title, name)
}

/// Nesting beyond which text is no longer read: no page made for people comes near it.
const DEEPEST: usize = 400;

struct Walk {
    builder: Builder,
    text: String,
    kind: BlockKind,
}

impl Walk {
    fn run(&mut self, element: ElementRef<'_>, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        for child in element.children() {
            if let Node::Text(text) = child.value() {
                self.text.push_str(text);
            } else if let Some(child) = ElementRef::wrap(child) {
                self.element(child, depth);
            }
        }
    }

    fn element(&mut self, element: ElementRef<'_>, depth: usize) {
        let name = element.value().name();
        let kind = match name {
            name if SKIPPED.contains(&name) => return,
            "br" => {
                self.text.push('\n');
                return;
            }
            "td" | "th" => {
                self.run(element, depth + 1);
                self.text.push_str(" | ");
                return;
            }
            "tr" => {
                self.run(element, depth + 1);
                let row = self.text.trim_end_matches([' ', '|']).len();
                self.text.truncate(row);
                self.text.push('\n');
                return;
            }
            "h1" => BlockKind::Heading(1),
            "h2" => BlockKind::Heading(2),
            "h3" => BlockKind::Heading(3),
            "h4" => BlockKind::Heading(4),
            "h5" => BlockKind::Heading(5),
            "h6" => BlockKind::Heading(6),
            "li" => BlockKind::ListItem,
            "pre" => BlockKind::Code,
            "table" => BlockKind::Table,
            name if BLOCKS.contains(&name) => BlockKind::Paragraph,
            _ => return self.run(element, depth + 1),
        };
        self.flush();
        self.kind = kind;
        if kind == BlockKind::ListItem {
            self.text.push_str("- ");
        }
        self.run(element, depth + 1);
        self.flush();
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = if self.kind == BlockKind::Code {
            text
        } else {
            let lines = text
                .lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
            lines
                .filter(|l| !l.is_empty() && l != "-")
                .collect::<Vec<_>>()
                .join("\n")
        };
        self.builder.push(self.kind, &text, None);
        self.kind = BlockKind::Paragraph;
    }
}
