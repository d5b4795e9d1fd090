//! Tools on OpenAI's wire: what may be called, calls in the messages, and calls in pieces of a stream
//! (OpenAI API reference, "Create chat completion").

use praxis_core::{ToolCall, ToolCallDelta, ToolChoice, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool as it is offered.
#[derive(Serialize)]
pub(super) struct WireTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: &'a ToolSpec,
}

/// The tools of a request.
pub(super) fn wire_tools(tools: &[ToolSpec]) -> Vec<WireTool<'_>> {
    let wire = |function| WireTool {
        kind: "function",
        function,
    };
    tools.iter().map(wire).collect()
}

/// What has to be called. `auto` is what providers do anyway, and some of them refuse the word.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireChoice<'a> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Name<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct Name<'a> {
    name: &'a str,
}

/// The choice, where there are tools and it says something.
pub(super) fn wire_choice<'a>(
    choice: &'a ToolChoice,
    tools: &[ToolSpec],
) -> Option<WireChoice<'a>> {
    if tools.is_empty() {
        return None;
    }
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(WireChoice::Word("none")),
        ToolChoice::Required => Some(WireChoice::Word("required")),
        ToolChoice::Named(name) => Some(WireChoice::Named {
            kind: "function",
            function: Name { name },
        }),
    }
}

/// A call in a message of the model.
#[derive(Serialize)]
pub(super) struct WireCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Called<'a>,
}

#[derive(Serialize)]
struct Called<'a> {
    name: &'a str,
    arguments: &'a str,
}

fn wire_call(call: &ToolCall) -> WireCall<'_> {
    WireCall {
        id: &call.id,
        kind: "function",
        function: Called {
            name: &call.name,
            // Providers parse it; a call without arguments still has an object of them.
            arguments: match call.arguments.trim() {
                "" => "{}",
                _ => &call.arguments,
            },
        },
    }
}

/// The calls of a message.
pub(super) fn wire_calls(calls: &[ToolCall]) -> Vec<WireCall<'_>> {
    calls.iter().map(wire_call).collect()
}

/// A piece of a call as it comes.
#[derive(Deserialize)]
pub(super) struct CallPiece {
    /// Servers that stream no pieces leave it out.
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionPiece>,
}

#[derive(Deserialize, Default)]
struct FunctionPiece {
    #[serde(default)]
    name: Option<String>,
    /// A text; some servers send the object itself.
    #[serde(default)]
    arguments: Value,
}

impl CallPiece {
    /// The piece, `at` being its place in its event.
    pub(super) fn delta(self, at: usize) -> ToolCallDelta {
        let function = self.function.unwrap_or_default();
        ToolCallDelta {
            index: self.index.unwrap_or(at),
            id: self.id.filter(|id| !id.is_empty()),
            name: function.name.filter(|name| !name.is_empty()),
            arguments: match function.arguments {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_are_read_as_servers_send_them() {
        for (piece, index, id, name, arguments) in [
            (
                json!({"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}),
                1,
                Some("c"),
                Some("f"),
                "",
            ),
            (
                json!({"index": 0, "function": {"arguments": "{\"a\""}}),
                0,
                None,
                None,
                "{\"a\"",
            ),
            // Ollama and others: no index, an object, an empty id.
            (
                json!({"id": "", "function": {"name": "f", "arguments": {"a": 1}}}),
                2,
                None,
                Some("f"),
                "{\"a\":1}",
            ),
            (json!({"index": 0}), 0, None, None, ""),
        ] {
            let delta = serde_json::from_value::<CallPiece>(piece).unwrap().delta(2);
            assert_eq!(
                (
                    delta.index,
                    delta.id.as_deref(),
                    delta.name.as_deref(),
                    &*delta.arguments
                ),
                (index, id, name, arguments)
            );
        }
    }

    #[test]
    fn a_choice_is_sent_only_with_tools() {
        let tool = ToolSpec {
            name: "f".to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        };
        let named = ToolChoice::Named("f".to_owned());
        assert!(wire_choice(&named, &[]).is_none());
        let tools = [tool];
        assert!(wire_choice(&ToolChoice::Auto, &tools).is_none());
        assert_eq!(
            serde_json::to_value(wire_choice(&named, &tools)).unwrap(),
            json!({"type": "function", "function": {"name": "f"}})
        );
        assert_eq!(
            serde_json::to_value(wire_tools(&tools)).unwrap(),
            json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])
        );
    }
}
