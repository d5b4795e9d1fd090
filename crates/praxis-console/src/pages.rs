//! Pages, a template for each.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use praxis_api::ApiState;
use praxis_core::trace::{Span, SpanStatus};
use praxis_core::{CallError, DocumentId, ErrorCode};
use praxis_store::DocumentHead;

use crate::page_headers;

/// Traces on the list.
const TRACES: usize = 100;

/// Characters of a document that one page shows; a longer one is cut around the cited passage.
const SHOWN: usize = 60_000;

#[derive(Template)]
#[template(path = "chat.html")]
struct ChatPage {
    title: String,
    description: String,
    tab: &'static str,
    functions: Vec<(String, String)>,
    suggestions: Vec<String>,
    documents: usize,
    missing: Vec<String>,
}

/// The conversation.
pub(crate) async fn chat(State(state): State<ApiState>) -> Response {
    let mut documents = 0;
    for name in state.knowledge.names() {
        let found = state.knowledge.documents(name).await.unwrap_or_default();
        documents += found.iter().filter(|d| d.error.is_none()).count();
    }
    render(&ChatPage {
        title: state.app.title.clone(),
        description: state.app.description.clone(),
        tab: "chat",
        functions: state
            .library
            .list()
            .into_iter()
            .map(|f| (f.name, f.description))
            .collect(),
        suggestions: state.app.suggestions.clone(),
        documents,
        missing: (state.models)()
            .into_iter()
            .filter(|m| m.declared && !m.available)
            .map(|m| m.id)
            .collect(),
    })
}

#[derive(Template)]
#[template(path = "documents.html")]
struct DocumentsPage {
    title: String,
    tab: &'static str,
    bases: Vec<BaseView>,
}

struct BaseView {
    name: String,
    documents: Vec<DocumentHead>,
    chunks: u64,
}

/// All documents.
pub(crate) async fn documents(State(state): State<ApiState>) -> Response {
    let mut bases = Vec::new();
    for name in state.knowledge.names() {
        match state.knowledge.documents(name).await {
            Ok(documents) => {
                let chunks = documents.iter().map(|d| d.chunks).sum();
                bases.push(BaseView {
                    name: name.to_owned(),
                    documents,
                    chunks,
                });
            }
            Err(error) => return failed(&state, &error),
        }
    }
    render(&DocumentsPage {
        title: state.app.title.clone(),
        tab: "documents",
        bases,
    })
}

#[derive(Template)]
#[template(path = "document.html")]
struct DocumentPage {
    title: String,
    tab: &'static str,
    base: String,
    head: DocumentHead,
    cut_before: bool,
    before: String,
    marked: String,
    after: String,
    cut_after: bool,
}

/// Characters to mark.
#[derive(serde::Deserialize, Default)]
pub(crate) struct Range {
    start: Option<usize>,
    end: Option<usize>,
}

/// One document, with a passage marked.
pub(crate) async fn document(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Response {
    let document = match state.knowledge.document(&DocumentId::from_string(id)).await {
        Ok(document) => document,
        Err(error) => return failed(&state, &error),
    };
    let length = document.text.chars().count();
    let start = range.start.unwrap_or(0).min(length);
    let end = range.end.unwrap_or(start).clamp(start, length);
    let from = start.saturating_sub(SHOWN / 2);
    let to = (end + SHOWN / 2).min(length);
    let cut = |a: usize, b: usize| {
        document
            .text
            .chars()
            .skip(a)
            .take(b - a)
            .collect::<String>()
    };
    render(&DocumentPage {
        title: state.app.title.clone(),
        tab: "documents",
        base: document.base.clone(),
        cut_before: from > 0,
        before: cut(from, start),
        marked: cut(start, end),
        after: cut(end, to),
        cut_after: to < length,
        head: document.head,
    })
}

#[derive(Template)]
#[template(path = "traces.html")]
struct TracesPage {
    title: String,
    tab: &'static str,
    traces: Vec<SpanView>,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage {
    title: String,
    tab: &'static str,
    id: String,
    spans: Vec<SpanView>,
}

struct SpanView {
    id: String,
    depth: usize,
    kind: &'static str,
    name: String,
    milliseconds: String,
    tokens: String,
    cost: String,
    error: String,
    input: String,
    output: String,
}

/// Recent calls.
pub(crate) async fn traces(State(state): State<ApiState>) -> Response {
    match state.store.traces(TRACES).await {
        Ok(spans) => render(&TracesPage {
            title: state.app.title.clone(),
            tab: "traces",
            traces: spans.iter().map(|s| view(s, 0)).collect(),
        }),
        Err(error) => failed(
            &state,
            &CallError::new(ErrorCode::Internal, error.to_string()),
        ),
    }
}

/// One call as a tree.
pub(crate) async fn trace(State(state): State<ApiState>, Path(id): Path<String>) -> Response {
    match state.store.spans_of(&id).await {
        Ok(spans) if spans.is_empty() => failed(
            &state,
            &CallError::new(ErrorCode::NotFound, format!("no trace `{id}`")),
        ),
        Ok(spans) => {
            let mut ordered = Vec::new();
            for root in spans.iter().filter(|s| s.parent_id.is_none()) {
                descend(root, &spans, 0, &mut ordered);
            }
            render(&TracePage {
                title: state.app.title.clone(),
                tab: "traces",
                id,
                spans: ordered,
            })
        }
        Err(error) => failed(
            &state,
            &CallError::new(ErrorCode::Internal, error.to_string()),
        ),
    }
}

fn descend(span: &Span, all: &[Span], depth: usize, out: &mut Vec<SpanView>) {
    out.push(view(span, depth.min(6)));
    for child in all
        .iter()
        .filter(|s| s.parent_id.as_ref() == Some(&span.span_id))
    {
        descend(child, all, depth + 1, out);
    }
}

fn view(span: &Span, depth: usize) -> SpanView {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    let question = span
        .input
        .get("input")
        .and_then(|i| i.as_object()?.values().next()?.as_str());
    SpanView {
        id: span.trace_id.to_string(),
        depth,
        kind: span.kind.as_str(),
        name: span.name.clone(),
        milliseconds: format!("{:.0}", span.duration_us as f64 / 1e3),
        tokens: format!("{} + {}", span.usage.input_tokens, span.usage.output_tokens),
        cost: span.cost.to_string(),
        error: match &span.status {
            SpanStatus::Ok => String::new(),
            SpanStatus::Cancelled => "cancelled".to_owned(),
            SpanStatus::Error(message) => message.clone(),
        },
        input: question.map_or_else(|| text(&span.input), str::to_owned),
        output: text(&span.output),
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: String,
    tab: &'static str,
    message: String,
    hint: String,
}

fn failed(state: &ApiState, error: &CallError) -> Response {
    let status =
        StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let page = render(&ErrorPage {
        title: state.app.title.clone(),
        tab: "",
        message: error.message.clone(),
        hint: error.hint.clone().unwrap_or_default(),
    });
    (status, page).into_response()
}

fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (page_headers(), Html(html)).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the page does not render: {error}"),
        )
            .into_response(),
    }
}
