//! Tools on OpenAI's wire: what may be called, calls in the messages, and calls in pieces of a stream
//! (OpenAI API reference, "Create chat completion").

use praxis_core::tool::CALL;
use praxis_core::{ToolCall, ToolCallDelta, ToolChoice, ToolSpec, ids};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool as it is offered.
#[derive(Serialize)]
pub(super) struct WireTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Offered<'a>,
}

#[derive(Serialize)]
struct Offered<'a> {
    #[serde(flatten)]
    spec: &'a ToolSpec,
    /// Said where it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// The tools of a request; `strict`: the names of those whose arguments the provider has to hold to their schemas.
pub(super) fn wire_tools<'a>(tools: &'a [ToolSpec], strict: &[String]) -> Vec<WireTool<'a>> {
    let wire = |spec: &'a ToolSpec| WireTool {
        kind: "function",
        function: Offered {
            spec,
            strict: strict.contains(&spec.name).then_some(true),
        },
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

/// The calls of an answer as a server tells them apart: by an index, by ids, or by nothing but that each
/// comes whole.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Begun>);

#[derive(Debug)]
struct Begun {
    index: Option<usize>,
    id: Option<String>,
}

impl Calls {
    /// The piece, with the index and, if it begins a call, the id that the call has here.
    pub(super) fn take(&mut self, piece: CallPiece) -> ToolCallDelta {
        let function = piece.function.unwrap_or_default();
        let mut id = piece.id.filter(|id| !id.is_empty());
        let name = function.name.filter(|name| !name.is_empty());
        let known = match piece.index {
            Some(index) => self.0.iter().rposition(|call| call.index == Some(index)),
            None => self.0.len().checked_sub(1),
        };
        let begins = known.is_none_or(|at| {
            let before = &self.0[at];
            let another = id.is_some() && before.id.is_some() && id != before.id;
            // Without an index each piece with a name is a call of its own.
            name.is_some() && (another || (piece.index.is_none() && id.is_none()))
        });
        let at = match known {
            Some(at) if !begins => at,
            _ => {
                self.0.push(Begun {
                    index: piece.index,
                    id: id.clone(),
                });
                id.get_or_insert_with(|| ids::generate(CALL));
                self.0.len() - 1
            }
        };
        ToolCallDelta {
            index: at,
            id,
            name,
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
    use praxis_core::ToolCalls;
    use serde_json::json;

    use super::*;

    fn put_together(pieces: Value) -> Vec<ToolCall> {
        let pieces: Vec<CallPiece> = serde_json::from_value(pieces).unwrap();
        let (mut calls, mut all) = (Calls::default(), ToolCalls::default());
        for piece in pieces {
            all.push(&calls.take(piece));
        }
        all.finish()
    }

    #[test]
    fn calls_are_told_apart_however_servers_do_it() {
        let f = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
        for pieces in [
            // OpenAI: an index, the name first.
            json!([
                {"index": 0, "id": "x", "function": f("a", json!(""))},
                {"index": 0, "function": {"arguments": "{\"n\""}},
                {"index": 1, "id": "y", "function": f("b", json!(""))},
                {"index": 0, "function": {"arguments": ":1}"}},
                {"index": 1, "function": {"arguments": "{}"}},
            ]),
            // One call an event, each with index 0, told apart by their ids.
            json!([
                {"index": 0, "id": "x", "function": f("a", json!("{\"n\":1}"))},
                {"index": 0, "id": "y", "function": f("b", json!("{}"))},
            ]),
            // No index and no id, arguments as they are.
            json!([
                {"function": f("a", json!({"n": 1}))},
                {"id": "", "function": f("b", json!({}))},
            ]),
            // The name and id again with each piece.
            json!([
                {"index": 0, "id": "x", "function": f("a", json!("{\"n\""))},
                {"index": 0, "id": "x", "function": f("a", json!(":1}"))},
                {"index": 1, "id": "y", "function": f("b", json!("{}"))},
            ]),
        ] {
            let calls = put_together(pieces.clone());
            let seen: Vec<_> = calls.iter().map(|c| (&*c.name, &*c.arguments)).collect();
            assert_eq!(seen, [("a", "{\"n\":1}"), ("b", "{}")], "{pieces}");
            assert!(calls[0].id != calls[1].id && calls.iter().all(|c| !c.id.is_empty()));
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
            serde_json::to_value(wire_tools(&tools, &[])).unwrap(),
            json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])
        );
        let strict = wire_tools(&tools, &["f".to_owned(), "other".to_owned()]);
        assert_eq!(
            serde_json::to_value(strict).unwrap()[0]["function"]["strict"],
            true
        );
    }
}
