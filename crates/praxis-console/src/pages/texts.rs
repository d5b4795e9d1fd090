//! What vectors alone tell of texts. The page holds the form; scripts call the functions that are there without a file
//! and show what they find.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use praxis_api::{Admitted, ApiState};
use serde_json::Value;

use super::{Frame, missing, render};

/// What can be done: the function's last word, what a button says, and what it is for.
const ACTIONS: [(&str, &str, &str); 5] = [
    ("similar", "Nearest", "texts that bear on a question"),
    ("duplicates", "Twins", "texts that say the same"),
    (
        "classify",
        "Classes",
        "which you describe, in a word or by examples",
    ),
    ("cluster", "Topics", "and the words that name them"),
    (
        "recommend",
        "Recommend",
        "more like those that somebody likes",
    ),
];

/// Texts of one call where the function does not say.
const MOST_TEXTS: u64 = 2000;

#[derive(Template)]
#[template(path = "texts.html")]
struct TextsPage {
    frame: Frame,
    actions: Vec<Action>,
    /// Texts of one call.
    most: u64,
    missing: Vec<String>,
}

struct Action {
    word: &'static str,
    function: String,
    label: &'static str,
    purpose: &'static str,
}

/// The form.
pub(crate) async fn show(State(state): State<ApiState>, Admitted(_): Admitted) -> Response {
    let mut actions = Vec::new();
    let mut most = MOST_TEXTS;
    for (word, label, purpose) in ACTIONS {
        let name = format!("{}{word}", praxis_knowledge::FUNCTION_PREFIX);
        // An application without an embedder has none of them.
        let Ok(function) = state.library.function(&name) else {
            continue;
        };
        let schema = &function.signature().input_schema;
        let taken = schema.pointer("/properties/texts/maxItems");
        most = taken.and_then(Value::as_u64).unwrap_or(most);
        actions.push(Action {
            word,
            function: name,
            label,
            purpose,
        });
    }
    render(&TextsPage {
        frame: Frame::new(&state, "texts", "Texts"),
        actions,
        most,
        missing: missing(&state, Some("embedding")),
    })
}
