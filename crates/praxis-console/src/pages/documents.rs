//! Documents as a list, and each to be read, with a cited passage marked.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use praxis_api::{Admitted, ApiState};
use praxis_core::{Attribute, DocumentId};
use praxis_knowledge::BaseDocuments;
use praxis_store::DocumentHead;

use super::{Frame, count, encoded, failed, graph, lang, render, shown_uri};
use crate::reading::{self, Block};

/// Documents that one page lists, of all bases together.
const LISTED: usize = 200;

/// Characters of a document that one page shows; a longer one is cut around the cited passage.
const SHOWN: usize = 60_000;

#[derive(Template)]
#[template(path = "documents.html")]
struct ListPage {
    frame: Frame,
    bases: Vec<BaseView>,
    /// Whether these are later documents of one base.
    is_later: bool,
}

struct BaseView {
    name: String,
    /// Where its pages are: its name as a part of an address.
    address: String,
    summary: String,
    /// How large its graph is for the caller; empty where the caller sees none.
    graph: String,
    documents: Vec<DocumentView>,
    /// Where the list goes on; empty at its end.
    more: String,
}

/// Which part of the list is wanted.
#[derive(serde::Deserialize, Default)]
pub(crate) struct Part {
    /// Of this base alone.
    base: Option<String>,
    /// After the document with this URI.
    after: Option<String>,
}

struct DocumentView {
    id: String,
    title: String,
    lang: &'static str,
    uri: String,
    /// Where it can be opened, if that is on the web.
    link: Option<String>,
    passages: String,
    /// What is known of it: keys and values.
    metadata: Vec<(String, String)>,
    /// The access labels that let it be read, as one line; empty where nobody needs any.
    labels: String,
    /// Why it could not be read, and what to do.
    problem: Option<String>,
}

/// Documents that the caller may read: the first of each base, or those of one base after one of them.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Query(part): Query<Part>,
) -> Response {
    let (base, clearance) = (part.base.as_deref(), &caller.clearance);
    let after = part.after.as_deref().filter(|_| base.is_some());
    let listings = match state.knowledge.list(base, after, LISTED, clearance).await {
        Ok(listings) => listings,
        Err(error) => return failed(&state, &error),
    };
    let mut bases = Vec::new();
    for listing in listings {
        let graph = graph::size(&state, &listing.base, clearance).await;
        bases.push(base_view(listing, graph));
    }
    render(&ListPage {
        frame: Frame::new(&state, "documents", "Documents"),
        bases,
        is_later: after.is_some(),
    })
}

fn base_view(listing: BaseDocuments, graph: Option<String>) -> BaseView {
    let BaseDocuments {
        base,
        counts,
        documents,
    } = listing;
    let mut summary = format!(
        "{}, {}",
        count(counts.documents - counts.failed, "document"),
        count(counts.chunks, "passage")
    );
    if counts.failed > 0 {
        summary.push_str(&format!(
            "; {} could not be read",
            count(counts.failed, "file")
        ));
    }
    let address = encoded(&base);
    let after = documents.items.last().map(|d| encoded(&d.uri));
    let more = match after {
        _ if !documents.has_more => String::new(),
        Some(after) => format!("/documents?base={address}&after={after}"),
        None => format!("/documents?base={address}"),
    };
    BaseView {
        name: base,
        address,
        summary,
        graph: graph.unwrap_or_default(),
        documents: documents.items.into_iter().map(document_view).collect(),
        more,
    }
}

fn document_view(head: DocumentHead) -> DocumentView {
    DocumentView {
        id: head.id.to_string(),
        lang: lang(&head.title),
        title: head.title,
        link: is_web(&head.uri).then(|| head.uri.clone()),
        uri: shown_uri(&head.uri),
        passages: count(head.chunks, "passage"),
        metadata: head.metadata.iter().filter_map(shown).collect(),
        labels: head.labels.join(", "),
        problem: head.error.map(|error| match head.hint {
            Some(hint) => format!("{error}: {hint}"),
            None => error,
        }),
    }
}

/// Whether a document's URI is one that a browser may follow: others could be scripts.
fn is_web(uri: &str) -> bool {
    uri.starts_with("https://") || uri.starts_with("http://")
}

/// A value for the page, but for what the page says anyway.
fn shown((key, value): (&String, &Attribute)) -> Option<(String, String)> {
    if ["uri", "title", "format", "size"].contains(&key.as_str()) {
        return None;
    }
    let text = match value {
        Attribute::Text(text) | Attribute::Date(text) => text.clone(),
        Attribute::Texts(texts) => texts.join(", "),
        Attribute::Number(_) | Attribute::Bool(_) => value.to_json().to_string(),
    };
    Some((key.clone(), text))
}

#[derive(Template)]
#[template(path = "document.html")]
struct DocumentPage {
    frame: Frame,
    base: String,
    head: DocumentView,
    lang: &'static str,
    cited: bool,
    cut_before: bool,
    blocks: Vec<Block>,
    cut_after: bool,
    /// What a chat model wrote about the cited passage, for it to be found by.
    contexts: Vec<String>,
}

/// Characters to mark.
#[derive(serde::Deserialize, Default)]
pub(crate) struct Range {
    start: Option<usize>,
    end: Option<usize>,
}

/// One document, with a passage marked.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Response {
    let id = DocumentId::from_string(id);
    let document = match state.knowledge.document(&id, &caller.clearance).await {
        Ok(document) => document,
        Err(error) => return failed(&state, &error),
    };
    let length = document.text.chars().count();
    let start = range.start.unwrap_or(0).min(length);
    let end = range.end.unwrap_or(start).clamp(start, length);
    let from = start.saturating_sub(SHOWN / 2);
    let to = (end + SHOWN / 2).min(length);
    let text: String = document.text.chars().skip(from).take(to - from).collect();
    let headings = document.chunks.iter().map(|c| c.headings.as_slice());
    let mut blocks = reading::blocks(&text, start - from..end - from, headings);
    // The page's own heading says it already.
    if from == 0
        && blocks
            .first()
            .is_some_and(|b| b.repeats(&document.head.title))
    {
        blocks.remove(0);
    }
    let cited = document
        .chunks
        .iter()
        .filter(|c| c.start < end && start < c.end && !c.context.is_empty());
    let contexts = cited.map(|c| c.context.clone()).collect();
    render(&DocumentPage {
        contexts,
        frame: Frame::new(&state, "documents", document.head.title.clone()),
        base: document.base,
        lang: lang(&text),
        cited: end > start,
        cut_before: from > 0,
        blocks,
        cut_after: to < length,
        head: document_view(document.head),
    })
}
