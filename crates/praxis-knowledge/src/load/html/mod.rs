//! HTML by html5ever's tokenizer: the main content as blocks, without navigation and scripts.
//!
//! No tree is built: blocks begin and end at tags, so that nesting costs nothing, however deep, and a
//! page that is not well-formed is read as far as it goes. Left out: what style sheets hide.

mod charset;
mod content;
mod elements;
mod purpose;
mod walk;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::document::{BlockKind, Builder, LoadedDocument};
pub(super) use charset::declared;
use walk::Walk;

/// Of a page's text, in percent: more of it left out by a guess and its owner is told.
const TOLD: usize = 50;

/// The document of a page, of its main content.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let (title, pieces) = walk(source);
    let (pieces, dropped) = content::choose(pieces);
    let mut builder = Builder::default();
    for piece in &pieces {
        builder.push(piece.kind, &piece.text, None);
    }
    let mut document = builder.finish(title, name);
    if dropped > TOLD {
        document.notes.push(format!(
            "{dropped} % of its text was taken for menus and notices around the content and left out"
        ));
    }
    document
}

/// The document of a page that is the text of a message: all of it, what is quoted marked with `>`.
pub(super) fn load_mail(source: &str) -> LoadedDocument {
    let (title, pieces) = walk(source);
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

/// The title and the pieces of a page.
fn walk(source: &str) -> (Option<String>, Vec<walk::Piece>) {
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

/// How the content of an element is to be read that is no markup.
fn raw(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
            TokenSinkResult::RawData(RawKind::Rawtext)
        }
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}
