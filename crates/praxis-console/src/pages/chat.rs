//! The conversation. The page holds the frame; scripts fill it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use praxis_api::{Admitted, ApiState};

use super::{Frame, count, lang, missing, render};

#[derive(Template)]
#[template(path = "chat.html")]
struct ChatPage {
    frame: Frame,
    description: String,
    functions: Vec<FunctionView>,
    suggestions: Vec<Suggestion>,
    documents: Documents,
    missing: Vec<String>,
}

struct FunctionView {
    name: String,
    description: String,
}

struct Suggestion {
    text: String,
    lang: &'static str,
}

/// What there is to answer from.
enum Documents {
    /// The application has no knowledge base and needs none.
    NoBase,
    /// It has one, without a document.
    NoneYet,
    /// So many, as a phrase.
    Ready(String),
}

/// The conversation.
pub(crate) async fn show(State(state): State<ApiState>, Admitted(caller): Admitted) -> Response {
    let (mut bases, mut documents) = (0, 0);
    for name in state.knowledge.names(&caller.clearance) {
        let counts = state.knowledge.document_counts(&name, &caller.clearance);
        let counts = counts.await.unwrap_or_default();
        documents += counts.documents - counts.failed;
        bases += 1;
    }
    let documents = match (bases, documents) {
        (0, _) => Documents::NoBase,
        (_, 0) => Documents::NoneYet,
        (_, 1) => Documents::Ready("1 document is ready".to_owned()),
        (_, n) => Documents::Ready(format!("{} are ready", count(n, "document"))),
    };
    let functions = state.library.list().into_iter().map(|f| FunctionView {
        name: f.name,
        description: f.description,
    });
    let suggestions = state.app.suggestions.iter().map(|text| Suggestion {
        text: text.clone(),
        lang: lang(text),
    });
    render(&ChatPage {
        frame: Frame::new(&state, "chat", ""),
        description: state.app.description.clone(),
        functions: functions.collect(),
        suggestions: suggestions.collect(),
        documents,
        missing: missing(&state, None),
    })
}
