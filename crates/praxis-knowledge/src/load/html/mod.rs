//! HTML by html5ever's tokenizer: the main content as blocks, without navigation and scripts.
//!
//! No tree is built: blocks begin and end at tags, so that nesting costs nothing, however deep, and a
//! page that is not well-formed is read as far as it goes. Left out: what style sheets hide.

mod charset;
mod elements;
mod walk;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::document::{Builder, LoadedDocument};
pub(super) use charset::declared;
use walk::Walk;

/// The document of a page; a single `<main>` or a single `<article>` is preferred to the whole body.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let tokenizer = Tokenizer::new(Sink(RefCell::default()), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let (title, pieces) = tokenizer.sink.0.into_inner().finish();
    let one =
        |count: usize, has: &dyn Fn(&walk::Piece) -> bool| count == 1 && pieces.iter().any(has);
    let counts = pieces.iter().fold((0, 0), |(mains, articles), piece| {
        (mains.max(piece.main), articles.max(piece.article))
    });
    let in_main = |piece: &walk::Piece| piece.main > 0;
    let in_article = |piece: &walk::Piece| piece.article > 0;
    let keep: &dyn Fn(&walk::Piece) -> bool = if one(counts.0, &in_main) {
        &in_main
    } else if one(counts.1, &in_article) {
        &in_article
    } else {
        &|_| true
    };
    let mut builder = Builder::default();
    for piece in pieces.iter().filter(|p| keep(p)) {
        builder.push(piece.kind, &piece.text, None);
    }
    builder.finish(title, name)
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
