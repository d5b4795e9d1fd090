//! What an answer may be: the languages in which a request can say so.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a whole answer must be, from its first character to its last. The names are those of vLLM's
/// `structured_outputs` and of OpenAI's `response_format`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// A JSON text that is valid under this JSON Schema (draft 4 to 2020-12, as its `$schema` says).
    JsonSchema(Value),
    /// Any JSON object (OpenAI's JSON mode).
    JsonObject,
    /// A text that matches this regular expression (the syntax of Rust's `regex`) as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A text of this context-free grammar, in Lark's notation.
    Grammar(String),
}

impl Constraint {
    /// The name of its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::JsonSchema(_) => "json_schema",
            Self::JsonObject => "json_object",
            Self::Regex(_) => "regex",
            Self::Choice(_) => "choice",
            Self::Grammar(_) => "grammar",
        }
    }

    /// The schema of any object, for who has no other word for [`Constraint::JsonObject`].
    pub fn any_object() -> Value {
        json!({ "type": "object" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_written_as_their_kind_and_what_it_says() {
        for (constraint, text) in [
            (
                Constraint::JsonSchema(json!({"type": "object"})),
                json!({"json_schema": {"type": "object"}}),
            ),
            (Constraint::Regex("a+".into()), json!({"regex": "a+"})),
            (
                Constraint::Choice(vec!["yes".into(), "no".into()]),
                json!({"choice": ["yes", "no"]}),
            ),
            (
                Constraint::Grammar("start: \"a\"".into()),
                json!({"grammar": "start: \"a\""}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&constraint).unwrap(), text);
            assert!(text.get(constraint.kind()).is_some());
            assert_eq!(
                serde_json::from_value::<Constraint>(text).unwrap(),
                constraint
            );
        }
        let object = Constraint::JsonObject;
        assert_eq!(serde_json::to_value(&object).unwrap(), object.kind());
    }
}
