//! What parts of a page are for, by what their elements say of themselves: roles, names and classes. Left
//! out: whether it is true, which their text shows.

use html5ever::tokenizer::Tag;

use super::elements::attribute;

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The text of the page.
    Content,
    /// Menus, notices, advertisements.
    Around,
    /// What is often around the text, and is if it is mostly links.
    Links,
    /// What a message answers to.
    Quote,
}

/// Elements that are looked at.
const PARTS: &[&str] = &[
    "div",
    "section",
    "aside",
    "header",
    "ul",
    "ol",
    "form",
    "table",
    "blockquote",
    "article",
];

/// Words of classes and names that are around the text.
const AROUND: &[&str] = &[
    "nav",
    "navbar",
    "navigation",
    "breadcrumb",
    "breadcrumbs",
    "sidebar",
    "footer",
    "cookie",
    "cookies",
    "consent",
    "gdpr",
    "newsletter",
    "subscribe",
    "share",
    "sharing",
    "social",
    "advert",
    "advertisement",
    "ads",
    "sponsored",
    "popup",
    "modal",
    "pagination",
    "pager",
    "disqus",
    "skip",
];

/// Words of what may be either.
const LINKS: &[&str] = &[
    "menu",
    "related",
    "recommended",
    "banner",
    "widget",
    "toolbar",
    "promo",
    "header",
    "topbar",
    "masthead",
    "links",
    "ad",
    "tags",
    "languages",
    "sitelinks",
];

/// Classes and names of the text.
const CONTENT: &[&str] = &[
    "content",
    "main-content",
    "maincontent",
    "main",
    "post-content",
    "entry-content",
    "article-body",
    "article-content",
    "articlebody",
    "page-content",
    "mw-parser-output",
    "markdown-body",
    "post-body",
];

/// Classes that mail programs give to what is quoted.
const QUOTES: &[&str] = &["gmail_quote", "yahoo_quoted", "protonmail_quote"];

/// What an element is for, if it says so.
fn purpose(tag: &Tag) -> Option<Purpose> {
    let name: &str = &tag.name;
    if !PARTS.contains(&name) {
        return None;
    }
    match attribute(tag, "role") {
        Some("main") => return Some(Purpose::Content),
        Some("banner" | "contentinfo" | "complementary" | "dialog" | "alertdialog" | "menu") => {
            return Some(Purpose::Around);
        }
        _ => {}
    }
    if name == "blockquote" && attribute(tag, "type") == Some("cite") {
        return Some(Purpose::Quote);
    }
    if attribute(tag, "itemprop").is_some_and(|p| p.eq_ignore_ascii_case("articlebody")) {
        return Some(Purpose::Content);
    }
    let names = [attribute(tag, "id"), attribute(tag, "class")];
    let names: Vec<String> = names
        .into_iter()
        .flatten()
        .flat_map(str::split_whitespace)
        .map(str::to_lowercase)
        .collect();
    let any = |list: &[&str]| names.iter().any(|n| list.contains(&n.as_str()));
    let word = |list: &[&str]| {
        names
            .iter()
            .flat_map(|n| n.split(['-', '_']))
            .any(|w| list.contains(&w))
    };
    if any(QUOTES) {
        Some(Purpose::Quote)
    } else if any(CONTENT) {
        Some(Purpose::Content)
    } else if word(AROUND) {
        Some(Purpose::Around)
    } else if word(LINKS) {
        Some(Purpose::Links)
    } else {
        None
    }
}

#[derive(Debug)]
struct Part {
    purpose: Purpose,
    name: String,
    /// Elements of that name that are open inside, itself included.
    open: usize,
    number: usize,
}

/// The parts that are open; of each purpose one, since one inside of another is part of it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    open: Vec<Part>,
    seen: usize,
}

impl Parts {
    /// The part that begins with this element, if one does.
    pub fn begins(&self, tag: &Tag) -> Option<Purpose> {
        purpose(tag).filter(|purpose| self.number(*purpose) == 0)
    }

    /// An element begins, and with it this part.
    pub fn start(&mut self, tag: &Tag, new: Option<Purpose>) {
        for part in self.open.iter_mut().filter(|part| *part.name == *tag.name) {
            part.open += 1;
        }
        if let Some(purpose) = new {
            self.seen += 1;
            self.open.push(Part {
                purpose,
                name: tag.name.to_string(),
                open: 1,
                number: self.seen,
            });
        }
    }

    /// Whether a part ends where this element ends.
    pub fn ends(&self, name: &str) -> bool {
        self.open
            .iter()
            .any(|part| part.name == name && part.open == 1)
    }

    /// An element ends.
    pub fn end(&mut self, name: &str) {
        for part in self.open.iter_mut().filter(|part| part.name == name) {
            part.open -= 1;
        }
        self.open.retain(|part| part.open > 0);
    }

    /// The number of the open part of this purpose; 0 for none.
    pub fn number(&self, purpose: Purpose) -> usize {
        let part = self.open.iter().find(|part| part.purpose == purpose);
        part.map_or(0, |part| part.number)
    }
}

/// Where `<main>` or `<article>` elements are.
#[derive(Debug, Default)]
pub(super) struct Region {
    seen: usize,
    open: usize,
}

impl Region {
    /// The number of the open one; 0 for none.
    pub fn here(&self) -> usize {
        if self.open > 0 { self.seen } else { 0 }
    }

    /// One begins.
    pub fn start(&mut self) {
        // One inside another is part of it.
        if self.open == 0 {
            self.seen += 1;
        }
        self.open += 1;
    }

    /// One ends.
    pub fn end(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}
