//! HTML: the main content as blocks, without navigation and scripts, and what a page says of itself. Left out: how
//! pages are read and which of their blocks are content (`praxis_sources::html`), and what style sheets hide.

mod pieces;

use praxis_sources::html::{TOLD, content, walk};
use serde_json::{Map, Value};

use crate::document::{BlockKind, Builder, LoadedDocument};
use crate::metadata::from_file;
use pieces::Pieces;
pub(super) use praxis_sources::html::declared;

/// The document of a page, of its main content.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let (page, title) = walk(source, Pieces::default());
    let (pieces, dropped) = content(page.all, |piece| piece.standing);
    let mut builder = Builder::default();
    for piece in &pieces {
        builder.push(piece.kind(), &piece.text, None);
    }
    let mut document = builder.finish(title, name);
    // What a page's head says badly is nothing that its reader could mend.
    document.metadata = from_file(&head(page.said), "head", &mut Vec::new());
    if dropped > TOLD {
        document.notes.push(format!(
            "{dropped} % of its text was taken for menus and notices around the content and left out"
        ));
    }
    document
}

/// The document of a page that is the text of a message: all of it, what is quoted marked with `>`.
pub(super) fn load_mail(source: &str) -> LoadedDocument {
    let (page, title) = walk(source, Pieces::default());
    let mut builder = Builder::default();
    for piece in &page.all {
        if piece.quoted {
            let lines = piece.text.lines().map(|line| format!("> {line}"));
            let text = lines.collect::<Vec<_>>().join("\n");
            builder.push(BlockKind::Paragraph, &text, None);
        } else {
            builder.push(piece.kind(), &piece.text, None);
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
