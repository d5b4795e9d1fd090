//! What the elements of HTML are to a reader of text. Left out: what is done at their tags.

use html5ever::tokenizer::Tag;

/// Elements whose content is not the page's text.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "nav", "footer", "button", "select", "textarea",
    "svg", "iframe", "noembed", "noframes", "object", "audio", "video", "canvas", "datalist",
    "dialog",
];

/// Elements that have no content, and so no end.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// Elements that end where the next of their kind begins.
const IMPLIED: &[&str] = &["li", "p", "td", "th", "tr", "dt", "dd"];

/// Elements that begin a block of their own.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "aside",
    "form",
    "fieldset",
    "blockquote",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
    "caption",
    "address",
    "details",
    "summary",
    "body",
    "head",
    "html",
    "center",
    "hr",
    "legend",
    "hgroup",
    "menu",
];

/// Whether an element's content is not the page's text.
pub(super) fn is_skipped(name: &str) -> bool {
    SKIPPED.contains(&name)
}

/// Whether an element has content, and so an end.
pub(super) fn has_content(tag: &Tag) -> bool {
    let foreign = tag.self_closing && &*tag.name == "svg";
    !VOID.contains(&&*tag.name) && !foreign
}

/// Whether an element ends where the next of its kind begins.
pub(super) fn ends_by_itself(name: &str) -> bool {
    IMPLIED.contains(&name)
}

/// Whether an element begins a block of its own.
pub(super) fn begins_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

/// The value of an attribute.
pub fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs
        .iter()
        .find(|a| &*a.name.local == name)
        .map(|a| &*a.value)
}

/// Whether a reader does not see an element, as far as its own attributes tell.
pub(super) fn is_hidden(tag: &Tag) -> bool {
    let style = attribute(tag, "style").unwrap_or_default();
    let style: String = style
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    attribute(tag, "hidden").is_some()
        || attribute(tag, "aria-hidden") == Some("true")
        || matches!(attribute(tag, "role"), Some("navigation" | "search"))
        || style.contains("display:none")
        || style.contains("visibility:hidden")
}
