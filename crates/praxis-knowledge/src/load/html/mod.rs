//! HTML by html5ever's tokenizer: the main content as blocks, without navigation and scripts.
//!
//! No tree is built: blocks begin and end at tags, so that nesting costs nothing, however deep, and a
//! page that is not well-formed is read as far as it goes. Left out: what style sheets hide.

mod content;
mod walk;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use praxis_sources::html::raw;
use serde_json::{Map, Value};

use crate::document::{BlockKind, Builder, LoadedDocument};
use crate::metadata::from_file;
pub(super) use praxis_sources::html::declared;
use walk::Walk;

/// Of a page's text, in percent: more of it left out by a guess and its owner is told.
const TOLD: usize = 50;

/// The document of a page, of its main content.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let (title, pieces, said) = walk(source);
    let (pieces, dropped) = content::choose(pieces);
    let mut builder = Builder::default();
    for piece in &pieces {
        builder.push(piece.kind, &piece.text, None);
    }
    let mut document = builder.finish(title, name);
    // What a page's head says badly is nothing that its reader could mend.
    document.metadata = from_file(&head(said), "head", &mut Vec::new());
    if dropped > TOLD {
        document.notes.push(format!(
            "{dropped} % of its text was taken for menus and notices around the content and left out"
        ));
    }
    document
}

/// The document of a page that is the text of a message: all of it, what is quoted marked with `>`.
pub(super) fn load_mail(source: &str) -> LoadedDocument {
    let (title, pieces, _) = walk(source);
    let mut builder = Builder::default();
    for piece in pieces {
        if piece.quoted {
            let lines = piece.text.lines().map(|line| format!("> {line}"));
            let text = lines.collect::<Vec<_>>().join("\n");
            builder.push(BlockKind::Paragraph, &text, None);
        } else {
            builder.push(piece.kind, &piece.text, None);
        }
    }
    builder.finish(title, "")
}

/// What `<meta>` elements say, by our words for it; of several, the first counts.
fn head(said: Vec<(String, String)>) -> Map<String, Value> {
    let mut head = Map::new();
    for (name, content) in said {
        let key = match name.as_str() {
            "author" | "dc.creator" | "dcterms.creator" | "article:author" => "author",
            "date" | "dc.date" | "dcterms.date" | "dcterms.created" | "article:published_time" => {
                "date"
            }
            "description" | "dc.description" | "dcterms.description" => "description",
            "keywords" => "tags",
            _ => continue,
        };
        let value = if key == "tags" {
            let tags = content.split([',', ';', '，']).map(str::trim);
            tags.filter(|tag| !tag.is_empty()).collect()
        } else {
            Value::from(content)
        };
        head.entry(key).or_insert(value);
    }
    head
}

/// The title and the pieces of a page, and what its `<meta>` elements say.
fn walk(source: &str) -> (Option<String>, Vec<walk::Piece>, Vec<(String, String)>) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let tokenizer = Tokenizer::new(Sink(RefCell::default()), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().finish()
}

struct Sink(RefCell<Walk>);

impl TokenSink for Sink {
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
