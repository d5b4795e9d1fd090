//! What a reader of web pages must know of HTML: what its elements are for, which parts of a page are content, which
//! encoding a page declares. Who indexes pages and who writes them as Markdown read them by the same rules. Left out:
//! what becomes of the text.

mod charset;
mod content;
mod elements;
mod purpose;

use html5ever::tokenizer::TokenSinkResult;
use html5ever::tokenizer::states::RawKind;

pub use charset::declared;
pub use content::{Sort, Standing, choose};
pub use elements::{attribute, begins_block, ends_by_itself, has_content, is_hidden, is_skipped};
pub use purpose::{Parts, Purpose, Region};

/// How the content of an element is to be read that is no markup: what a tokenizer without a tree builder has to be
/// told (HTML standard, "tree construction").
pub fn raw(name: &str) -> TokenSinkResult<()> {
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
