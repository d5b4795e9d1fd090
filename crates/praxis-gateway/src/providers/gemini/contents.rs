//! A conversation as the Gemini API has it ("Content" and "Part"): instructions apart, the turns of `user` and `model`
//! in alternation, calls and their results as parts. Left out: signatures of text, which the API does not insist on.

use std::collections::HashMap;

use praxis_core::{Message, ModelError, Part, Role, ToolCall};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::providers::{arguments, recall};
use crate::wire;

/// What stands for the signature of a call that the model did not make, or whose own is forgotten ("Thought
/// signatures"): Gemini 3 refuses calls without any.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The parts of the instructions.
    pub system: Vec<Value>,
    pub turns: Vec<Turn>,
}

/// What one side said.
#[derive(Debug, Serialize)]
pub(super) struct Turn {
    role: &'static str,
    parts: Vec<Value>,
}

/// The conversation of messages. `signed`: the model wants signatures with its calls.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for what the API has no word for.
pub(super) fn of(
    name: &str,
    messages: &[Message],
    signed: bool,
) -> Result<Conversation, ModelError> {
    let mut said = Conversation::default();
    // The names of tools by their calls' ids: results have to say both.
    let mut called: HashMap<&str, &str> = HashMap::new();
    for message in messages {
        match message.role {
            Role::System => {
                if message.has_media() {
                    return Err(refused(
                        name,
                        "takes nothing but text in instructions; send media in a message of the user",
                    ));
                }
                said.system.extend(parts(name, &message.content)?);
            }
            Role::User => said.add("user", parts(name, &message.content)?),
            Role::Assistant => {
                let mut parts = parts(name, &message.content)?;
                parts.extend(calls(&message.tool_calls, signed));
                said.add("model", parts);
                let calls = message.tool_calls.iter();
                called.extend(calls.map(|call| (call.id.as_str(), call.name.as_str())));
            }
            Role::Tool => said.add("user", result(name, message, &called)?),
        }
    }
    Ok(said)
}

impl Conversation {
    /// Adds to the turn of that side, or begins one. The API refuses turns without a part.
    fn add(&mut self, role: &'static str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.parts.extend(parts),
            _ => self.turns.push(Turn { role, parts }),
        }
    }
}

fn refused(name: &str, what: &str) -> ModelError {
    wire::refused("messages", name, super::API, what)
}

/// The parts of a content; empty texts are none.
fn parts(name: &str, content: &[Part]) -> Result<Vec<Value>, ModelError> {
    let mut parts = Vec::new();
    for part in content {
        match part {
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => parts.push(json!({ "text": text })),
            Part::Media { url, .. } => parts.push(media(name, url, part.media_type())?),
        }
    }
    Ok(parts)
}

/// Media: the content itself ("Blob"), or where the API fetches it ("FileData").
fn media(name: &str, url: &str, kind: Option<&str>) -> Result<Value, ModelError> {
    let Some(inline) = url.strip_prefix("data:") else {
        let mut file = json!({ "fileUri": url });
        if let Some(kind) = kind {
            file["mimeType"] = kind.into();
        }
        return Ok(json!({ "fileData": file }));
    };
    let Some((_, data)) = inline.split_once(";base64,") else {
        return Err(refused(name, "takes `data:` URLs in base64 only"));
    };
    let Some(kind) = kind else {
        return Err(refused(
            name,
            "wants to know what media are; say their type in the `data:` URL",
        ));
    };
    Ok(json!({ "inlineData": { "mimeType": kind, "data": data } }))
}

/// A call or a result, so far as both are alike.
fn named(id: &str, tool: &str) -> Map<String, Value> {
    let mut named = Map::new();
    if !id.is_empty() {
        named.insert("id".to_owned(), id.into());
    }
    named.insert("name".to_owned(), tool.into());
    named
}

/// The calls of a message, with the signatures that came with them. The first call of a step has to have one; of
/// those that were made at once the others come without.
fn calls(calls: &[ToolCall], signed: bool) -> Vec<Value> {
    let part = |(at, call): (usize, &ToolCall)| {
        let mut function = named(&call.id, &call.name);
        function.insert("args".to_owned(), arguments(call));
        let mut part = json!({ "functionCall": function });
        if let Some(signature) = recalled(&call.id) {
            part["thoughtSignature"] = signature;
        } else if signed && at == 0 {
            part["thoughtSignature"] = NO_SIGNATURE.into();
        }
        part
    };
    calls.iter().enumerate().map(part).collect()
}

/// Keeps the signature that came with a call.
pub(super) fn remember(call: &str, signature: String) {
    recall::keep(call, json!({ "thoughtSignature": signature }));
}

/// The signature that came with a call. Other providers remember other things.
fn recalled(call: &str) -> Option<Value> {
    let signature = recall::of(call)?.get("thoughtSignature")?.clone();
    signature.is_string().then_some(signature)
}

/// What a tool gave; media follow it as parts of their own.
fn result(
    name: &str,
    message: &Message,
    called: &HashMap<&str, &str>,
) -> Result<Vec<Value>, ModelError> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let Some(tool) = called.get(id) else {
        let what = format!(
            "wants to know of which tool a result is, and no message before it has the call `{id}`; send the message \
             with the call too"
        );
        return Err(refused(name, &what));
    };
    let text = message.text();
    let response = match serde_json::from_str(&text) {
        Ok(Value::Object(response)) => Value::Object(response),
        _ => json!({ "result": text }),
    };
    let mut function = named(id, tool);
    function.insert("response".to_owned(), response);
    let mut parts = vec![json!({ "functionResponse": function })];
    for part in &message.content {
        if let Part::Media { url, .. } = part {
            parts.push(media(name, url, part.media_type())?);
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, arguments: &str) -> ToolCall {
        ToolCall {
            id: id.to_owned(),
            name: "weather".to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    fn wants(calls: Vec<ToolCall>) -> Message {
        Message {
            tool_calls: calls,
            ..Message::of_parts(Role::Assistant, Vec::new())
        }
    }

    fn turns(messages: &[Message], signed: bool) -> Value {
        json!(of("m", messages, signed).unwrap().turns)
    }

    fn content(parts: Vec<Part>) -> Result<Value, ModelError> {
        let said = of("m", &[Message::of_parts(Role::User, parts)], true)?;
        Ok(json!(said.turns)[0]["parts"].clone())
    }

    fn part(url: &str, content_type: Option<&str>) -> Part {
        Part::Media {
            url: url.to_owned(),
            content_type: content_type.map(str::to_owned),
            detail: None,
        }
    }

    #[test]
    fn instructions_stand_apart_and_turns_alternate() {
        let messages = [
            Message::system("Be brief."),
            Message::user("One"),
            Message::user("Two"),
            Message::assistant(""),
            Message::assistant("Three"),
            Message::system("Be kind."),
            Message::user("Four"),
        ];
        let said = of("m", &messages, true).unwrap();
        assert_eq!(
            said.system,
            [
                json!({ "text": "Be brief." }),
                json!({ "text": "Be kind." })
            ]
        );
        assert_eq!(
            json!(said.turns),
            json!([
                { "role": "user", "parts": [{ "text": "One" }, { "text": "Two" }] },
                { "role": "model", "parts": [{ "text": "Three" }] },
                { "role": "user", "parts": [{ "text": "Four" }] },
            ])
        );
    }

    #[test]
    fn media_are_sent_or_fetched() {
        for (url, kind, expected) in [
            (
                "data:image/png;base64,AAAA",
                None,
                json!({ "inlineData": { "mimeType": "image/png", "data": "AAAA" } }),
            ),
            (
                "data:;base64,AAAA",
                Some("application/pdf"),
                json!({ "inlineData": { "mimeType": "application/pdf", "data": "AAAA" } }),
            ),
            (
                "https://a.example/b.mp4",
                Some("video/mp4"),
                json!({ "fileData": { "fileUri": "https://a.example/b.mp4", "mimeType": "video/mp4" } }),
            ),
            (
                "https://a.example/b",
                None,
                json!({ "fileData": { "fileUri": "https://a.example/b" } }),
            ),
        ] {
            assert_eq!(content(vec![part(url, kind)]).unwrap(), json!([expected]));
        }
        for (url, said) in [
            ("data:text/plain,hello", "base64 only"),
            ("data:;base64,AAAA", "say their type"),
        ] {
            let error = content(vec![part(url, None)]).unwrap_err().to_string();
            assert!(error.starts_with("messages: `m`") && error.contains(said));
        }
        let picture = vec![part("data:image/png;base64,AAAA", None)];
        let instruction = Message::of_parts(Role::System, picture);
        assert!(of("m", &[instruction], true).is_err());
    }

    #[test]
    fn results_are_objects_and_say_of_which_tool_they_are() {
        let messages = [
            wants(vec![
                call("r1", "{\"city\":\"Paris\"}"),
                call("r2", ""),
                call("r3", "[1"),
            ]),
            Message::tool("r1", "{\"celsius\":21}"),
            Message::tool("r2", "[21]"),
            Message::tool("r3", "sunny"),
        ];
        let called = |id: &str, args: Value| json!({ "functionCall": { "id": id, "name": "weather", "args": args } });
        let gave = |id: &str, response: Value| {
            let function = json!({ "id": id, "name": "weather", "response": response });
            json!({ "functionResponse": function })
        };
        assert_eq!(
            turns(&messages, false),
            json!([
                { "role": "model", "parts": [
                    called("r1", json!({ "city": "Paris" })),
                    called("r2", json!({})),
                    called("r3", json!({ "arguments": "[1" })),
                ] },
                { "role": "user", "parts": [
                    gave("r1", json!({ "celsius": 21 })),
                    gave("r2", json!({ "result": "[21]" })),
                    gave("r3", json!({ "result": "sunny" })),
                ] },
            ])
        );
        let error = of("m", &[Message::tool("r9", "x")], true).unwrap_err();
        assert!(error.to_string().contains("`r9`"), "{error}");
    }

    #[test]
    fn signatures_go_back_with_their_calls() {
        remember("s1", "c2lnbmVk".to_owned());
        recall::keep("s2", json!("of another provider"));
        let signatures = |calls: Vec<ToolCall>, signed: bool| -> Vec<Value> {
            let turns = turns(&[wants(calls)], signed);
            let parts = turns[0]["parts"].as_array().unwrap();
            parts
                .iter()
                .map(|p| p["thoughtSignature"].clone())
                .collect()
        };
        let calls = || vec![call("s1", ""), call("s2", "")];
        assert_eq!(signatures(calls(), true), [json!("c2lnbmVk"), json!(null)]);
        assert_eq!(signatures(calls(), false), [json!("c2lnbmVk"), json!(null)]);
        let foreign = || vec![call("s2", ""), call("s3", "")];
        assert_eq!(
            signatures(foreign(), true),
            [json!(NO_SIGNATURE), json!(null)]
        );
        assert_eq!(signatures(foreign(), false), [json!(null), json!(null)]);
    }
}
