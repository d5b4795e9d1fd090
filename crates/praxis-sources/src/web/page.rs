//! What a web page tells a visitor that only passes by: its links, its one true address, and whether it wants to be
//! read. Left out: its text, which is the HTML loader's.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use url::Url;

use super::address::resolved;
use super::fetch::Body;
use super::mirror::Page;
use crate::html::raw;
use crate::{hash, media};

/// Links of one page that are followed.
const MAX_LINKS: usize = 2000;

/// A page and its bytes as the loaders read them; `None` for what is no document.
pub(super) fn read(url: &Url, body: &Body) -> Option<(Page, Vec<u8>)> {
    let ending = media::chosen(&body.content_type, url.path())?;
    let bytes = in_utf8(&body.content_type, &body.bytes);
    let told = match ending.as_str() {
        "html" | "htm" | "xhtml" => told(url, &bytes),
        _ => Told::default(),
    };
    let page = Page {
        ending,
        hash: hash(&bytes),
        size: bytes.len() as u64,
        links: told.links,
        canonical: told.canonical,
        noindex: told.noindex || body.noindex,
    };
    Some((page, bytes))
}

/// Text in the encoding that the server names, which no loader gets to know, in UTF-8.
fn in_utf8(content_type: &str, bytes: &[u8]) -> Vec<u8> {
    let label = content_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    let text = content_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("text/");
    match label.and_then(|l| encoding_rs::Encoding::for_label(l.as_bytes())) {
        Some(encoding)
            if text && encoding != encoding_rs::UTF_8 && std::str::from_utf8(bytes).is_err() =>
        {
            encoding.decode(bytes).0.into_owned().into_bytes()
        }
        _ => bytes.to_vec(),
    }
}

/// What a page tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Where its links lead, in order, each once.
    pub links: Vec<String>,
    /// The address that it has by its own account.
    pub canonical: Option<String>,
    /// It does not want to be found.
    pub noindex: bool,
    /// Its links are not to be followed.
    pub nofollow: bool,
}

/// Reads what a page at `url` tells.
pub(crate) fn told(url: &Url, bytes: &[u8]) -> Told {
    let text = String::from_utf8_lossy(bytes);
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&text));
    let sink = Sink {
        state: RefCell::new(State {
            base: url.clone(),
            told: Told::default(),
            seen: std::collections::HashSet::new(),
        }),
    };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut told = tokenizer.sink.state.into_inner().told;
    if told.nofollow {
        told.links.clear();
    }
    told
}

struct Sink {
    state: RefCell<State>,
}

struct State {
    base: Url,
    told: Told,
    seen: std::collections::HashSet<String>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else {
            return TokenSinkResult::Continue;
        };
        if tag.kind == TagKind::EndTag {
            return TokenSinkResult::Continue;
        }
        self.state.borrow_mut().start(&tag);
        raw(&tag.name)
    }
}

impl State {
    fn start(&mut self, tag: &Tag) {
        let get = |name: &str| {
            tag.attrs
                .iter()
                .find(|a| &*a.name.local == name)
                .map(|a| a.value.to_string())
        };
        let words = |name: &str, word: &str| {
            get(name).is_some_and(|v| {
                v.to_ascii_lowercase()
                    .split([' ', ','])
                    .any(|w| w.trim() == word)
            })
        };
        match &*tag.name {
            "base" => {
                if let Some(base) = get("href").and_then(|h| self.base.join(&h).ok()) {
                    self.base = base;
                }
            }
            "meta" if words("name", "robots") || words("name", "praxis") => {
                self.told.noindex |= words("content", "noindex") || words("content", "none");
                self.told.nofollow |= words("content", "nofollow") || words("content", "none");
            }
            "link" if words("rel", "canonical") && self.told.canonical.is_none() => {
                self.told.canonical = get("href")
                    .and_then(|h| resolved(&self.base, &h))
                    .map(String::from);
            }
            "a" | "area" if !words("rel", "nofollow") => {
                if let Some(url) = get("href").and_then(|h| resolved(&self.base, &h))
                    && self.told.links.len() < MAX_LINKS
                    && !media::is_asset(url.path())
                    && self.seen.insert(url.to_string())
                {
                    self.told.links.push(url.into());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Told {
        told(
            &Url::parse("https://e.com/docs/a.html").unwrap(),
            text.as_bytes(),
        )
    }

    #[test]
    fn links_and_wishes_are_read() {
        let page = of(
            "<head><base href='/base/'><link rel=canonical href='a'><meta name=ROBOTS content='noindex, follow'>\
             <script>'<a href=no>'</script></head><a href='b#x'>b</a><a href='b#y'>b</a><a rel='nofollow' href=c>c</a>\
             <area href='https://other.com/'><a href='p.png'>p</a><a href='mailto:x@e.com'>m</a><!-- <a href=d> -->",
        );
        assert_eq!(page.links, ["https://e.com/base/b", "https://other.com/"]);
        assert_eq!(page.canonical.as_deref(), Some("https://e.com/base/a"));
        assert!(page.noindex && !page.nofollow);
        assert_eq!(
            of("<meta name=robots content=none><a href=b>").links,
            Vec::<String>::new()
        );
    }

    proptest! {
        #[test]
        fn no_page_makes_it_fail(text in "(<a href='?|\\PC|<base href=|'>|<meta name=robots content=){0,40}") {
            prop_assert!(of(&text).links.len() <= MAX_LINKS);
        }
    }
}
