//! Declining a question in its language: because the documents do not tell, or because it is none of
//! the function's business.

use praxis_core::Language;
use serde_json::{Map, Value};

/// What a prompt tells its model to write where the passages hold no answer. It is a word that no
/// document has, and it never reaches a reader.
pub(crate) const SENTINEL: &str = "NOT_IN_DOCUMENTS";

/// Why a question is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The documents hold no answer.
    NotInDocuments,
    /// The function is for other questions.
    OutOfScope,
}

/// The refusal for a question: the prompt's own words, or ours.
pub(crate) fn text(question: &str, reason: Reason, own: &Map<String, Value>) -> String {
    let language = Language::of(question);
    let code = match language {
        Language::Chinese => "zh",
        Language::English => "en",
    };
    let ours = match (reason, language) {
        (Reason::NotInDocuments, Language::Chinese) => "文档中没有找到这个问题的答案。",
        (Reason::NotInDocuments, Language::English) => {
            "The answer to this question is not in the documents."
        }
        (Reason::OutOfScope, Language::Chinese) => "抱歉，这个问题不在我能帮助的范围内。",
        (Reason::OutOfScope, Language::English) => {
            "Sorry, this question is outside of what I can help with."
        }
    };
    own.get(code)
        .and_then(Value::as_str)
        .unwrap_or(ours)
        .to_owned()
}
