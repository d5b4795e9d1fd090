//! Tools as chat models see them (OpenAI API reference, "Function calling"): what a model may call, what
//! it wants called, and the pieces in which its wish comes. Left out: who runs them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool that a model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does and when it is of use; models choose by it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// JSON Schema of its arguments, an object.
    #[serde(default = "no_parameters")]
    pub parameters: Value,
}

/// The schema of a tool without arguments.
pub fn no_parameters() -> Value {
    serde_json::json!({ "type": "object", "properties": {} })
}

/// The most characters of a tool's name.
pub const MAX_TOOL_NAME: usize = 64;

impl ToolSpec {
    /// What is wrong with its name or the kind of its parameters, for whoever wrote it.
    pub fn problem(&self) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if self.name.is_empty() || self.name.len() > MAX_TOOL_NAME || !self.name.chars().all(fits) {
            return Some(format!(
                "`{}` is no name of a tool: 1 to {MAX_TOOL_NAME} letters, digits, `_` and `-`",
                self.name
            ));
        }
        if !self.parameters.is_object() {
            return Some(format!(
                "the parameters of `{}` are no JSON Schema of an object",
                self.name
            ));
        }
        None
    }
}

/// Whether and which tools a model has to call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As the model sees fit.
    #[default]
    Auto,
    /// None of them.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// A call that a model wants made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ToolCall {
    /// Tells it apart from the others of the conversation; its result carries the same.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: the text of a JSON object, if it kept to its task.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments as a value; no text at all means none of them.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parsed(&self) -> Result<Value, serde_json::Error> {
        match self.arguments.trim() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => serde_json::from_str(text),
        }
    }
}

/// A piece of a call while it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which of the answer's calls it belongs to, from 0.
    pub index: usize,
    /// The call's id, with its first piece.
    pub id: Option<String>,
    /// The tool's name, with its first piece.
    pub name: Option<String>,
    /// More text of the arguments.
    pub arguments: String,
}

/// What the ids of calls begin with that are made here.
pub const CALL: &str = "call_";

/// The most calls of one answer; what a provider sends beyond them is dropped.
pub const MAX_TOOL_CALLS: usize = 128;

/// Calls as they are put together from their pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCalls(Vec<ToolCall>);

impl ToolCalls {
    /// Adds a piece.
    pub fn push(&mut self, delta: &ToolCallDelta) {
        if delta.index >= MAX_TOOL_CALLS {
            return;
        }
        if self.0.len() <= delta.index {
            self.0.resize_with(delta.index + 1, ToolCall::default);
        }
        let call = &mut self.0[delta.index];
        if let Some(id) = &delta.id {
            call.id.clone_from(id);
        }
        if let Some(name) = &delta.name {
            call.name.clone_from(name);
        }
        call.arguments.push_str(&delta.arguments);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The calls so far.
    pub fn as_slice(&self) -> &[ToolCall] {
        &self.0
    }

    /// The calls. Those of which no name ever came are left out, and those without an id get one that
    /// no other has.
    pub fn finish(self) -> Vec<ToolCall> {
        let mut calls: Vec<ToolCall> = self.0.into_iter().filter(|c| !c.name.is_empty()).collect();
        for i in 0..calls.len() {
            if calls[i].id.is_empty() {
                let mut id = format!("{CALL}{i}");
                while calls.iter().any(|c| c.id == id) {
                    id.push('_');
                }
                calls[i].id = id;
            }
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> ToolCallDelta {
        ToolCallDelta {
            index,
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        }
    }

    #[test]
    fn calls_are_put_together_from_pieces_in_any_order() {
        let mut calls = ToolCalls::default();
        for piece in [
            delta(1, Some("b"), Some("two"), ""),
            delta(0, None, Some("one"), "{\"a\""),
            delta(1, None, None, "{}"),
            delta(0, None, None, ":1}"),
            // A gap that never gets a name, and an index that nobody means.
            delta(3, None, Some("three"), ""),
            delta(usize::MAX, None, Some("far"), ""),
        ] {
            calls.push(&piece);
        }
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        assert_eq!(
            calls.finish(),
            [
                call("call_0", "one", "{\"a\":1}"),
                call("b", "two", "{}"),
                call("call_2", "three", "")
            ]
        );
    }

    #[test]
    fn an_id_that_is_made_up_is_no_other_calls() {
        let mut calls = ToolCalls::default();
        calls.push(&delta(0, None, Some("a"), ""));
        calls.push(&delta(1, Some("call_0"), Some("b"), ""));
        let ids: Vec<String> = calls.finish().into_iter().map(|c| c.id).collect();
        assert_eq!(ids, ["call_0_", "call_0"]);
    }

    #[test]
    fn names_are_those_that_providers_take() {
        for (name, good) in [
            ("get_weather", true),
            ("a-1", true),
            ("", false),
            ("desk.answer", false),
            ("größe", false),
            (&"x".repeat(65), false),
        ] {
            let spec = ToolSpec {
                name: name.to_owned(),
                description: String::new(),
                parameters: no_parameters(),
            };
            assert_eq!(spec.problem().is_none(), good, "{name}");
        }
    }

    #[test]
    fn no_text_means_no_arguments() {
        let call = |arguments: &str| ToolCall {
            arguments: arguments.to_owned(),
            ..ToolCall::default()
        };
        assert_eq!(call(" ").parsed().unwrap(), serde_json::json!({}));
        assert!(call("{").parsed().is_err());
    }
}
