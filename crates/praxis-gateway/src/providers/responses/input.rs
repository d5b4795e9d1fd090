//! Messages as the API takes them: items, of which calls, their results and what was thought before them are such of
//! their own (OpenAI API reference, "Create a model response", `input`).

use praxis_core::message::ImageDetail;
use praxis_core::{Message, ModelError, Part, Role, ToolCall};
use serde_json::{Value, json};

use super::before::Before;
use crate::wire;

/// The messages as items. System messages stay where they are, with their role: `instructions` would take one text
/// at the beginning only, and servers other than OpenAI's do not all know `developer`, which it takes for the same.
pub(super) fn input(
    name: &str,
    messages: &[Message],
    before: &dyn Fn(&str) -> Vec<Before>,
) -> Result<Vec<Value>, ModelError> {
    let mut items = Vec::with_capacity(messages.len());
    for message in messages {
        match message.role {
            Role::System | Role::User => items.push(json!({
                "type": "message",
                "role": message.role.as_str(),
                "content": contents(name, &message.content)?,
            })),
            Role::Assistant => said(name, message, before, &mut items)?,
            Role::Tool => items.push(json!({
                "type": "function_call_output",
                "call_id": message.tool_call_id.as_deref().unwrap_or_default(),
                "output": output(name, &message.content)?,
            })),
        }
    }
    Ok(items)
}

/// What the model said, thought and called, in the order in which it did where that is remembered.
fn said(
    name: &str,
    message: &Message,
    before: &dyn Fn(&str) -> Vec<Before>,
    items: &mut Vec<Value>,
) -> Result<(), ModelError> {
    let mut texts = Vec::new();
    for part in &message.content {
        match part {
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => texts.push(json!({ "type": "output_text", "text": text })),
            Part::Media { .. } => {
                return Err(refused(name, "takes only text as what a model said"));
            }
        }
    }
    let mut text = (!texts.is_empty()).then(|| {
        json!({
            "type": "message",
            "role": "assistant",
            "content": texts,
        })
    });
    let calls = message.tool_calls.iter();
    let calls: Vec<_> = calls.map(|call| (call, before(&call.id))).collect();
    let is_text = |item: &Before| matches!(item, Before::Message { .. });
    if !calls.iter().any(|(_, before)| before.iter().any(is_text)) {
        items.extend(text.take());
    }
    for (call, before) in calls {
        for item in before {
            match item {
                Before::Message { phase } => {
                    let Some(mut text) = text.take() else {
                        continue;
                    };
                    if let Some(phase) = phase {
                        text["phase"] = phase.into();
                    }
                    items.push(text);
                }
                thought @ Before::Reasoning { .. } => items.push(json!(thought)),
            }
        }
        items.push(called(call));
    }
    Ok(())
}

fn called(call: &ToolCall) -> Value {
    json!({
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        // It is parsed; a call without arguments still has an object of them.
        "arguments": match call.arguments.trim() {
            "" => "{}",
            _ => call.arguments.as_str(),
        },
    })
}

/// What a tool gave: a text, or a list where there is more.
fn output(name: &str, parts: &[Part]) -> Result<Value, ModelError> {
    match parts {
        [] => Ok("".into()),
        [Part::Text(text)] => Ok(text.as_str().into()),
        parts => Ok(contents(name, parts)?.into()),
    }
}

/// The parts of a message that the model reads.
fn contents(name: &str, parts: &[Part]) -> Result<Vec<Value>, ModelError> {
    if parts.is_empty() {
        return Ok(vec![json!({ "type": "input_text", "text": "" })]);
    }
    parts.iter().map(|part| content(name, part)).collect()
}

/// Types of files that the API reads beside images, each with a name of which it knows the ending (OpenAI, "File
/// inputs").
const FILES: &[(&str, &str)] = &[
    ("application/pdf", "document.pdf"),
    ("text/plain", "document.txt"),
    ("text/markdown", "document.md"),
    ("text/html", "document.html"),
    ("text/csv", "document.csv"),
    ("application/json", "document.json"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "document.docx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "document.xlsx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "document.pptx",
    ),
];

fn content(name: &str, part: &Part) -> Result<Value, ModelError> {
    let (url, detail) = match part {
        Part::Text(text) => return Ok(json!({ "type": "input_text", "text": text })),
        Part::Media { url, detail, .. } => (url, detail.unwrap_or(ImageDetail::Auto)),
    };
    let image = || json!({ "type": "input_image", "image_url": url, "detail": detail });
    // What has no type is an image: by far the most of what is sent, and the provider will say.
    let Some(kind) = part.media_type() else {
        return Ok(image());
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    if kind.starts_with("image/") {
        return Ok(image());
    }
    let Some((_, filename)) = FILES.iter().find(|(known, _)| *known == kind) else {
        let what = format!("takes images and documents, not `{kind}`; send one of those, or text");
        return Err(refused(name, &what));
    };
    Ok(match url.starts_with("data:") {
        true => json!({ "type": "input_file", "filename": filename, "file_data": url }),
        false => json!({ "type": "input_file", "file_url": url }),
    })
}

fn refused(name: &str, what: &str) -> ModelError {
    wire::refused("messages", name, super::API, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Vec<Before> {
        Vec::new()
    }

    fn media(url: &str, content_type: Option<&str>) -> Part {
        Part::Media {
            url: url.to_owned(),
            content_type: content_type.map(str::to_owned),
            detail: None,
        }
    }

    fn wants(text: &str, ids: &[&str]) -> Message {
        let call = |id: &&str| ToolCall {
            id: (*id).to_owned(),
            name: "f".to_owned(),
            arguments: String::new(),
        };
        Message {
            tool_calls: ids.iter().map(call).collect(),
            ..Message::assistant(text)
        }
    }

    #[test]
    fn each_part_has_a_word_or_is_refused_with_the_fix() {
        let file = |name: &str, data: &str| json!({ "type": "input_file", "filename": name, "file_data": data });
        let image =
            |url: &str| json!({ "type": "input_image", "image_url": url, "detail": "auto" });
        for (part, expected) in [
            (
                Part::Text("Hi".to_owned()),
                json!({ "type": "input_text", "text": "Hi" }),
            ),
            (media("https://a/b", None), image("https://a/b")),
            (
                media("data:image/png;base64,AA==", None),
                image("data:image/png;base64,AA=="),
            ),
            (
                media("data:application/pdf;base64,AA==", None),
                file("document.pdf", "data:application/pdf;base64,AA=="),
            ),
            (
                media(
                    "data:text/plain;base64,AA==",
                    Some("Text/Plain; charset=utf-8"),
                ),
                file("document.txt", "data:text/plain;base64,AA=="),
            ),
            (
                media("https://a/b.pdf", Some("application/pdf")),
                json!({ "type": "input_file", "file_url": "https://a/b.pdf" }),
            ),
        ] {
            assert_eq!(content("m", &part).unwrap(), expected);
        }
        for kind in ["audio/wav", "video/mp4"] {
            let error = content("m", &media("https://a/b", Some(kind))).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("messages: `m`") && error.contains(kind),
                "{error}"
            );
        }
    }

    #[test]
    fn messages_become_items_in_their_order() {
        let messages = [
            Message::system("Be short."),
            wants("Let me see.", &["c1"]),
            Message::tool("c1", "4"),
            Message::assistant(""),
            Message::of_parts(Role::User, Vec::new()),
        ];
        assert_eq!(
            json!(input("m", &messages, &nothing).unwrap()),
            json!([
                { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "Be short." }] },
                { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Let me see." }] },
                { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c1", "output": "4" },
                { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "" }] },
            ])
        );
        let said = Message::of_parts(Role::Assistant, vec![media("https://a/b.png", None)]);
        assert!(input("m", &[said], &nothing).is_err());
    }

    #[test]
    fn what_came_before_a_call_comes_back_before_it() {
        let thought = |encrypted: &str| Before::Reasoning {
            summary: Vec::new(),
            encrypted_content: encrypted.to_owned(),
        };
        let text = |phase: Option<&str>| Before::Message {
            phase: phase.map(str::to_owned),
        };
        for (first, second, expected) in [
            (vec![], vec![], "said c1 c2"),
            (vec![thought("A")], vec![], "said A c1 c2"),
            (
                vec![thought("A"), text(None)],
                vec![thought("B")],
                "A said c1 B c2",
            ),
            (
                vec![text(Some("commentary")), thought("A")],
                vec![],
                "said/commentary A c1 c2",
            ),
            // The client has one text, wherever its parts were.
            (
                vec![text(None), thought("A"), text(None)],
                vec![text(None)],
                "said A c1 c2",
            ),
        ] {
            let before = |call: &str| match call {
                "c1" => first.clone(),
                _ => second.clone(),
            };
            let mut items = Vec::new();
            said("m", &wants("Hi", &["c1", "c2"]), &before, &mut items).unwrap();
            let short = items.iter().map(|item| match item["type"].as_str() {
                Some("reasoning") => item["encrypted_content"].as_str().unwrap().to_owned(),
                Some("function_call") => item["call_id"].as_str().unwrap().to_owned(),
                _ => match item["phase"].as_str() {
                    Some(phase) => format!("said/{phase}"),
                    None => "said".to_owned(),
                },
            });
            assert_eq!(short.collect::<Vec<_>>().join(" "), expected);
        }
    }
}
