//! `NAME/page`: a page as Markdown, as much of it as fits, and where it goes on. Left out: getting it.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::tokens::cut;
use praxis_core::{CallContext, CallError, Effect, Effects, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::{Page, Pages};
use crate::work::{Work, invalid, read};

/// A function that reads pages.
pub(super) struct Read {
    signature: Signature,
    pages: Arc<Pages>,
    /// Tokens of one answer.
    room: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    url: String,
    #[serde(default)]
    offset: usize,
}

impl Read {
    /// The function of the file `name`.
    pub fn new(name: &str, description: Option<&str>, pages: Arc<Pages>, room: usize) -> Self {
        let about = description
            .unwrap_or("Reads a web page: its main text as Markdown, with links and tables.");
        Self {
            signature: Signature {
                name: format!("{name}/page"),
                description: about.to_owned(),
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "url": { "type": "string", "description": "The whole URL." },
                        "offset": {
                            "type": "integer",
                            "minimum": 0,
                            "description": "Where to read on: `next_offset` of the answer before.",
                        },
                    },
                    "required": ["url"],
                    "additionalProperties": false,
                }),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "url": { "type": "string" },
                        "title": { "type": "string" },
                        "markdown": { "type": "string" },
                        "next_offset": { "type": "integer", "description": "Where the rest begins." },
                        "notes": { "type": "array", "items": { "type": "string" } },
                    },
                    "required": ["url", "markdown"],
                }),
                effects: Effects::of(&[Effect::Read, Effect::External]),
            },
            pages,
            room,
        }
    }
}

/// A piece of a text from a place on, in bytes, of about `room` tokens at most, and where the rest begins: it ends
/// with a paragraph, a line or a word where that is not too early.
fn piece(text: &str, offset: usize, room: usize) -> Option<(&str, Option<usize>)> {
    if offset > text.len() {
        return None;
    }
    let mut start = offset;
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let rest = &text[start..];
    let most = cut(rest, room);
    if most.len() == rest.len() {
        return Some((rest, None));
    }
    let late = |end: &usize| *end > most.len() / 2;
    let end = ["\n\n", "\n", " "]
        .iter()
        .find_map(|mark| most.rfind(mark).map(|at| at + mark.len()).filter(late));
    // One character at least, so that reading on comes to an end.
    let least = rest.chars().next().map_or(0, char::len_utf8);
    let end = end.unwrap_or(most.len()).max(least);
    Some((&rest[..end], Some(start + end)))
}

fn told(page: &Page, piece: &str, next: Option<usize>) -> Value {
    let mut out = json!({ "url": page.url, "markdown": piece.trim_end() });
    if let Some(title) = &page.title {
        out["title"] = json!(title);
    }
    if let Some(next) = next {
        out["next_offset"] = json!(next);
    }
    if !page.notes.is_empty() {
        out["notes"] = json!(page.notes);
    }
    out
}

#[async_trait]
impl Work for Read {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let input: Input = read(name, input)?;
        let page = self.pages.get(&input.url, cx).await?;
        let (piece, next) = piece(&page.markdown, input.offset, self.room).ok_or_else(|| {
            let end = page.markdown.len();
            invalid(name, format!("the page ends at `offset` {end}"))
        })?;
        Ok(told(&page, piece, next))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_piece_ends_with_a_paragraph_where_it_can() {
        let text = "first paragraph here\n\nsecond one";
        assert_eq!(
            piece(text, 0, 7),
            Some(("first paragraph here\n\n", Some(22)))
        );
        assert_eq!(piece(text, 22, 7), Some(("second one", None)));
        assert_eq!(piece("one two three", 0, 2), Some(("one two ", Some(8))));
        assert_eq!(piece("上海天气", 0, 2), Some(("上海", Some(6))));
        // In the middle of a character, it begins with that.
        assert_eq!(piece("上海", 1, 9), Some(("上海", None)));
        assert_eq!(piece("ab", 3, 9), None);
        assert_eq!(piece("", 0, 9), Some(("", None)));
    }

    proptest! {
        #[test]
        fn reading_on_gives_the_whole_text(text in "(\\PC|\n| ){0,80}", room in 0_usize..20) {
            let (mut all, mut offset) = (String::new(), 0);
            loop {
                let (part, next) = piece(&text, offset, room).unwrap();
                all.push_str(part);
                match next {
                    Some(next) => {
                        prop_assert!(next > offset);
                        offset = next;
                    }
                    None => break,
                }
            }
            prop_assert_eq!(all, text);
        }
    }
}
