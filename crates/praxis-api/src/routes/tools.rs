//! Tools in chat requests and answers, as OpenAI's API has them ("Function calling").

use praxis_core::tool::no_parameters;
use praxis_core::{ToolCall, ToolCallDelta, ToolChoice, ToolSpec};
use serde::Deserialize;
use serde_json::{Value, json};

/// A tool as a client offers it.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "ChatTool")]
pub(super) enum InTool {
    /// One that the client runs.
    Function {
        /// What it is.
        function: InFunction,
    },
}

/// A function of the client's. Its `strict` is for providers: arguments are always held to the schema where a local model
/// writes them.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatToolFunction")]
pub(super) struct InFunction {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
}

impl InTool {
    /// Its name, where its arguments have to be held to its schema.
    pub(super) fn strict(&self) -> Option<String> {
        let Self::Function { function } = self;
        function
            .strict
            .unwrap_or(false)
            .then(|| function.name.clone())
    }

    /// The tool as models are told of it.
    pub(super) fn spec(self) -> ToolSpec {
        let Self::Function { function } = self;
        ToolSpec {
            name: function.name,
            description: function.description.unwrap_or_default(),
            parameters: function.parameters.unwrap_or_else(no_parameters),
        }
    }
}

/// What a client wants called.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(
    untagged,
    expecting = "must be \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": ...}}"
)]
#[schemars(rename = "ChatToolChoice")]
pub(super) enum InChoice {
    /// One of the words.
    Word(Word),
    /// This tool.
    Named {
        /// Which.
        function: Name,
    },
}

#[derive(Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ChatToolChoiceWord")]
pub(super) enum Word {
    Auto,
    None,
    Required,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatToolChoiceName")]
pub(super) struct Name {
    name: String,
}

impl InChoice {
    /// The choice.
    pub(super) fn choice(self) -> ToolChoice {
        match self {
            Self::Word(Word::Auto) => ToolChoice::Auto,
            Self::Word(Word::None) => ToolChoice::None,
            Self::Word(Word::Required) => ToolChoice::Required,
            Self::Named { function } => ToolChoice::Named(function.name),
        }
    }
}

/// A call of an answer.
pub(super) fn call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

/// A piece of a call in a stream.
pub(super) fn piece(delta: &ToolCallDelta) -> Value {
    let mut function = json!({ "arguments": delta.arguments });
    if let Some(name) = &delta.name {
        function["name"] = json!(name);
    }
    let mut piece = json!({ "index": delta.index, "function": function });
    if let Some(id) = &delta.id {
        piece["id"] = json!(id);
        piece["type"] = json!("function");
    }
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_in_all_their_forms() {
        for (value, choice) in [
            (json!("auto"), ToolChoice::Auto),
            (json!("none"), ToolChoice::None),
            (json!("required"), ToolChoice::Required),
            (
                json!({"type": "function", "function": {"name": "f"}}),
                ToolChoice::Named("f".into()),
            ),
        ] {
            let read: InChoice = serde_json::from_value(value).unwrap();
            assert_eq!(read.choice(), choice);
        }
        let wrong = serde_json::from_value::<InChoice>(json!("any"))
            .err()
            .unwrap();
        assert!(wrong.to_string().contains("\"required\""), "{wrong}");
    }

    #[test]
    fn only_the_first_piece_of_a_call_names_it() {
        let first = ToolCallDelta {
            index: 1,
            id: Some("c".into()),
            name: Some("f".into()),
            arguments: "{".into(),
        };
        assert_eq!(
            piece(&first),
            json!({"index": 1, "id": "c", "type": "function", "function": {"arguments": "{", "name": "f"}})
        );
        let next = ToolCallDelta {
            index: 1,
            arguments: "}".into(),
            ..ToolCallDelta::default()
        };
        assert_eq!(
            piece(&next),
            json!({"index": 1, "function": {"arguments": "}"}})
        );
    }
}
