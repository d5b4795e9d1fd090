//! A page as Markdown (CommonMark, with tables): headings, paragraphs, lists, tables, code and links of its main
//! content, without navigation and scripts.
//!
//! Pages are read, and what of them is content is decided, by the rules that knowledge bases read them by
//! (`praxis_sources::html`). Left out: what scripts make and style sheets hide.

mod inline;
mod layout;
mod table;
mod writer;

use praxis_sources::html::walk;
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
    let (writer, title) = walk(source, Writer::new(url.cloned()));
    writer.page(title)
}

/// The text of a piece of a page, on one line and without markup.
pub(crate) fn plain(source: &str) -> String {
    walk(source, Writer::bare()).0.plain()
}

#[cfg(test)]
mod tests;
