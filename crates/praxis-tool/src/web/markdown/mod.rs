//! A page as Markdown (CommonMark, with tables): headings, paragraphs, lists, tables, code and links of its main
//! content, without navigation and scripts.
//!
//! By html5ever's tokenizer, without a tree: a page that nests a million times costs no stack, and one that is not
//! well-formed is read as far as it goes. What is content is decided by the rules that knowledge bases read pages by
//! (`praxis_sources::html`). Left out: what scripts make and style sheets hide.

mod inline;
mod table;
mod writer;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use praxis_sources::html::raw;
use url::Url;

use self::writer::Writer;

/// A page in Markdown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// What it calls itself.
    pub title: Option<String>,
    /// Its content.
    pub markdown: String,
    /// Of its text, in percent, what was taken for menus and notices by a guess and left out.
    pub left_out: usize,
}

/// A page in Markdown; links become whole URLs as seen from `url`, where it is known.
pub(crate) fn markdown(source: &str, url: Option<&Url>) -> Written {
    walk(source, Writer::new(url.cloned())).page()
}

/// The text of a piece of a page, on one line and without markup.
pub(crate) fn plain(source: &str) -> String {
    walk(source, Writer::bare()).plain()
}

fn walk(source: &str, writer: Writer) -> Writer {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(writer)), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

struct Sink(RefCell<Writer>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut writer = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => writer.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::EndTag => writer.end(&tag.name),
            Token::TagToken(tag) => {
                writer.start(&tag);
                return raw(&tag.name);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests;
