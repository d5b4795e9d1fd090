//! Saying that the documents do not tell, in the question's language.

use praxis_core::Language;
use serde_json::{Map, Value};

/// What a prompt tells its model to write where the passages hold no answer. It is a word that no
/// document has, and it never reaches a reader.
pub(crate) const SENTINEL: &str = "NOT_IN_DOCUMENTS";

/// The refusal for a question: the prompt's own words, or ours.
pub(crate) fn text(question: &str, own: &Map<String, Value>) -> String {
    let (code, ours) = match Language::of(question) {
        Language::Chinese => ("zh", "文档中没有找到这个问题的答案。"),
        Language::English => ("en", "The answer to this question is not in the documents."),
    };
    own.get(code)
        .and_then(Value::as_str)
        .unwrap_or(ours)
        .to_owned()
}
