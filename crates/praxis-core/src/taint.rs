//! Whether a call tree has read what comes from outside, and which links it read there. What a stranger wrote may try
//! to be an instruction; who knows that it was read can ask a person before something is done. Left out: what follows
//! from it (`praxis-tool`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

/// The most links that are remembered of one call tree, and the longest.
const MOST_LINKS: usize = 4096;
const LONGEST_LINK: usize = 2048;

/// What a link begins with.
const SCHEMES: [&str; 2] = ["https://", "http://"];

/// What ends a link in a text: blanks and controls, and what texts put around links.
const AROUND: &str = "\"'<>()[]{}|\\^`";

/// What ends one in any case. Others of those above may be a part of it: `https://en.wikipedia.org/wiki/C_(language)`.
const OUTSIDE: &str = "\"<>{}\\^`";

/// What follows a link at the end of a sentence.
const AFTER: &str = ".,;:!?";

/// Whether a call tree has read what comes from outside. Clones share it, so that what one call read is known to all
/// that are made in the same tree, above, below and beside it. Once marked it stays so: nothing that a model writes
/// takes it away.
#[derive(Debug, Clone, Default)]
pub struct Taint(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    source: OnceLock<String>,
    links: Mutex<HashSet<String>>,
}

impl Taint {
    /// Notes that what `source` gave was read. The first that is noted is told later.
    pub fn mark(&self, source: &str) {
        let _ = self.0.source.set(source.to_owned());
    }

    /// What was read first from outside; none where nothing was.
    pub fn source(&self) -> Option<&str> {
        self.0.source.get().map(String::as_str)
    }

    /// Whether anything from outside was read.
    pub fn is_tainted(&self) -> bool {
        self.0.source.get().is_some()
    }

    /// Remembers the links in what was read: a text that is one, and those within texts, of which it is not always
    /// certain where they end.
    pub fn note_links(&self, content: &Value) {
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = vec![content];
        while let Some(value) = waiting.pop() {
            match value {
                Value::String(text) => {
                    let whole = is_link(text).then_some(text.as_str());
                    for link in whole.into_iter().chain(links_of(text)) {
                        if links.len() >= MOST_LINKS {
                            return;
                        }
                        links.insert(link.to_owned());
                    }
                }
                Value::Array(items) => waiting.extend(items),
                Value::Object(fields) => waiting.extend(fields.values()),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }

    /// Whether a text is a link that stands in what was read, letter by letter: who follows it tells nobody what else
    /// the call tree knows.
    pub fn knows_link(&self, text: &str) -> bool {
        let links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.contains(text)
    }
}

/// Whether a text is a link and nothing else.
fn is_link(text: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
        && text.len() <= LONGEST_LINK
        && text.chars().all(is_plain)
}

/// The links of a text: as far as they are certain, and as far as they may go.
fn links_of(text: &str) -> impl Iterator<Item = &str> {
    pieces(text, AROUND)
        .chain(pieces(text, OUTSIDE).map(closed))
        .map(|link| link.trim_end_matches(|c: char| AFTER.contains(c)))
        .filter(|link| link.len() <= LONGEST_LINK)
}

/// What begins like a link in the pieces of a text that these characters divide.
fn pieces<'t>(text: &'t str, around: &'static str) -> impl Iterator<Item = &'t str> {
    let ends = move |c: char| c.is_whitespace() || c.is_control() || around.contains(c);
    text.split(ends).filter_map(|piece| {
        let begins = SCHEMES.iter().filter_map(|scheme| piece.find(scheme));
        piece.get(begins.min()?..)
    })
}

/// A text up to the first bracket that closes none of its own.
fn closed(text: &str) -> &str {
    let (mut round, mut square) = (0_i32, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => round += 1,
            ')' => round -= 1,
            '[' => square += 1,
            ']' => square -= 1,
            _ => {}
        }
        if round < 0 || square < 0 {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_one_call_read_is_known_in_the_whole_tree() {
        let above = Taint::default();
        let below = above.clone();
        assert_eq!((above.is_tainted(), above.source()), (false, None));
        below.mark("web/fetch");
        below.mark("web/search");
        assert_eq!(above.source(), Some("web/fetch"));
        assert!(above.is_tainted() && !Taint::default().is_tainted());
    }

    #[test]
    fn links_are_known_letter_by_letter() {
        let taint = Taint::default();
        taint.note_links(&json!({
            "text": "See [the rules](https://a.example/rules?x=1), or <http://b.example/>. More: https://c.example.",
            "results": [{ "url": "https://d.example/藤野" }, 7, null],
            "page": "More of [it](https://e.example/wiki/Mercury_(planet)).",
            "urls": ["https://f.example/a|b'c?d=[1]", "https://g.example/x y"],
        }));
        for (link, known) in [
            ("https://a.example/rules?x=1", true),
            ("http://b.example/", true),
            ("https://c.example", true),
            ("https://d.example/藤野", true),
            ("https://a.example/rules?x=2", false),
            ("https://a.example/rules", false),
            ("https://c.example.", false),
            ("See", false),
            ("", false),
            ("https://e.example/wiki/Mercury_(planet)", true),
            ("https://e.example/wiki/Mercury_(planet", false),
            ("https://f.example/a|b'c?d=[1]", true),
            ("https://g.example/x y", false),
        ] {
            assert_eq!(taint.knows_link(link), known, "{link}");
        }
    }

    #[test]
    fn links_are_bounded_in_number_and_length() {
        let taint = Taint::default();
        let long = format!("https://a.example/{}", "x".repeat(LONGEST_LINK));
        let many: Vec<String> = (0..=MOST_LINKS)
            .map(|n| format!("https://a.example/{n}"))
            .collect();
        taint.note_links(&json!([many.join(" "), long]));
        assert!(!taint.knows_link(&long));
        let known = many.iter().filter(|link| taint.knows_link(link)).count();
        assert_eq!(known, MOST_LINKS);
    }
}
