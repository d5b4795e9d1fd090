//! How web pages are read: what their elements are for, which of their blocks are content, which encoding they declare.
//! [`walk()`] reads a page block by block for an [`Output`], and [`content()`] chooses among the blocks: who indexes
//! pages and who writes them as Markdown read them by the same rules. Left out: what becomes of the text.

mod charset;
mod content;
mod elements;
mod purpose;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use html5ever::tokenizer::TokenSinkResult;
use html5ever::tokenizer::states::RawKind;

pub use charset::declared;
pub use content::{Kind, Standing, TOLD, content};
pub use elements::attribute;
pub use html5ever::tokenizer::Tag;
pub use table::Table;
pub use text::{Text, one_line};
pub use walk::{Block, Output, walk};

/// How the content of an element is to be read that is no markup: what a tokenizer without a tree builder has to be
/// told (HTML standard, "tree construction").
pub(crate) fn raw(name: &str) -> TokenSinkResult<()> {
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
