//! Outputs, errors and messages of ours as content of the protocol. Left out: who asks for it.

use praxis_core::{CallError, Message, Part, Role};
use rmcp::model::{
    CallToolResult, ContentBlock, JsonObject, MetaObject, PromptMessage, Role as TheirRole,
};
use serde_json::{Value, json};

/// What tells that a schema's values may be content of the protocol; functions of other servers have it.
const MCP_CONTENT: &str = "x-mcp-content";

/// How a schema says that a text is a picture ("Content", JSON Schema 2020-12).
const MEDIA_TYPE: &str = "contentMediaType";
const SVG: &str = "image/svg+xml";

/// How deep pictures are looked for; the frame of what comes from outside is one step.
const DEEPEST: usize = 3;

/// The schema that clients are told of an output, where there is one that they take: that of an object.
pub(super) fn told(output_schema: &Value) -> Option<JsonObject> {
    let schema = output_schema.as_object()?;
    (schema.get("type").and_then(Value::as_str) == Some("object")).then(|| schema.clone())
}

/// An output as the result of a tool. Pictures are blocks of their own, and null in their places.
pub(super) fn result(output: Value, output_schema: &Value) -> CallToolResult {
    let mut output = match output {
        Value::String(text) => return CallToolResult::success(vec![ContentBlock::text(text)]),
        output => output,
    };
    if output_schema.get(MCP_CONTENT) == Some(&Value::Bool(true))
        && let Some(blocks) = output.get("content")
        && let Ok(blocks) = serde_json::from_value::<Vec<ContentBlock>>(blocks.clone())
    {
        return CallToolResult::success(blocks);
    }
    let mut pictures = Vec::new();
    take_pictures(&mut output, output_schema, 0, &mut pictures);
    // Clients of revisions before structured output read the text.
    let mut blocks = vec![ContentBlock::text(output.to_string())];
    blocks.append(&mut pictures);
    let mut result = CallToolResult::success(blocks);
    if output.is_object() {
        result.structured_content = Some(output);
    }
    result
}

/// Moves the pictures out of an output whose places may be null: in there they are texts that no client shows and each
/// model pays for. They are embedded resources and no `image`: clients hand images to models, most of which refuse a
/// request with one of this type.
fn take_pictures(
    value: &mut Value,
    schema: &Value,
    depth: usize,
    pictures: &mut Vec<ContentBlock>,
) {
    let (Some(fields), Some(parts)) = (
        value.as_object_mut(),
        schema.get("properties").and_then(Value::as_object),
    ) else {
        return;
    };
    for (name, part) in parts {
        let Some(field) = fields.get_mut(name) else {
            continue;
        };
        if is_picture(part)
            && let Value::String(svg) = &*field
            && let Some(block) = picture(svg, pictures.len() + 1)
        {
            pictures.push(block);
            *field = Value::Null;
        } else if depth < DEEPEST {
            take_pictures(field, part, depth + 1, pictures);
        }
    }
}

/// Whether a schema is that of a picture that may as well be null.
fn is_picture(schema: &Value) -> bool {
    let may_be_null = |types: &Vec<Value>| types.iter().any(|name| name == "null");
    schema.get(MEDIA_TYPE).and_then(Value::as_str) == Some(SVG)
        && schema
            .get("type")
            .and_then(Value::as_array)
            .is_some_and(may_be_null)
}

/// The picture of that number, for the person at the client.
fn picture(svg: &str, number: usize) -> Option<ContentBlock> {
    let block = json!({
        "type": "resource",
        "resource": { "uri": format!("praxis://output/{number}.svg"), "mimeType": SVG, "text": svg },
        "annotations": { "audience": ["user"] },
    });
    serde_json::from_value(block).ok()
}

/// An error as the result of a tool, for the model that called it.
pub(super) fn error(error: &CallError) -> CallToolResult {
    let mut meta = MetaObject::new();
    meta.0
        .insert("praxis/code".to_owned(), json!(error.code.as_str()));
    if let Some(details) = &error.details {
        meta.0
            .insert("praxis/details".to_owned(), Value::clone(details));
    }
    if let Some(after) = error.retry_after {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        meta.0
            .insert("praxis/retry_after_ms".to_owned(), json!(after));
    }
    CallToolResult::error(vec![ContentBlock::text(said(error))]).with_meta(Some(meta))
}

/// What an error says, with its hint.
pub(super) fn said(error: &CallError) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}

/// The same result with something more that a program can use.
pub(super) fn with_meta(mut result: CallToolResult, key: &str, value: Value) -> CallToolResult {
    result
        .meta
        .get_or_insert_default()
        .0
        .insert(key.to_owned(), value);
    result
}

/// A prompt's messages. The protocol knows the user and the assistant only, and one content a message.
pub(super) fn messages(messages: Vec<Message>) -> Vec<PromptMessage> {
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        let role = match message.role {
            Role::Assistant => TheirRole::Assistant,
            Role::System | Role::User | Role::Tool => TheirRole::User,
        };
        all.extend(
            message
                .content
                .into_iter()
                .map(|part| PromptMessage::new(role.clone(), block(part))),
        );
    }
    all
}

fn block(part: Part) -> ContentBlock {
    let (url, content_type) = match part {
        Part::Text(text) => return ContentBlock::text(text),
        Part::Media {
            url, content_type, ..
        } => (url, content_type),
    };
    let data = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((kind, data)) => {
            let kind = content_type.unwrap_or_else(|| kind.to_owned());
            if kind.starts_with("image/") {
                ContentBlock::image(data, kind)
            } else if kind.starts_with("audio/") {
                ContentBlock::audio(data, kind)
            } else {
                ContentBlock::text(format!("[{kind}]"))
            }
        }
        None => ContentBlock::text(url),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use praxis_core::ErrorCode;

    use super::*;

    fn shown(result: &CallToolResult) -> Value {
        serde_json::to_value(result).unwrap()
    }

    #[test]
    fn an_object_is_structured_and_a_text_is_a_text() {
        let text = shown(&result(json!("hello"), &json!({ "type": "string" })));
        assert_eq!(
            text["content"],
            json!([{ "type": "text", "text": "hello" }])
        );
        assert!(text.get("structuredContent").is_none());
        let object = shown(&result(json!({ "n": 1 }), &json!({ "type": "object" })));
        assert_eq!(object["structuredContent"], json!({ "n": 1 }));
        assert_eq!(object["content"][0]["text"], "{\"n\":1}");
        let list = shown(&result(json!([1, 2]), &json!({ "type": "array" })));
        assert_eq!(list["content"][0]["text"], "[1,2]");
        assert!(list.get("structuredContent").is_none());
        assert!(told(&json!({ "type": "object" })).is_some());
        for schema in [
            json!({ "type": "array" }),
            json!({ "type": "string" }),
            json!(true),
        ] {
            assert!(told(&schema).is_none(), "{schema}");
        }
    }

    #[test]
    fn a_picture_is_a_resource_and_stands_in_no_text() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
        let answer = json!({
            "type": "object",
            "properties": {
                "answer": { "type": "string" },
                "chart": { "type": ["string", "null"], "contentMediaType": "image/svg+xml" },
            },
            "required": ["answer", "chart"],
        });
        let framed = json!({
            "type": "object",
            "properties": { "from": { "type": "string" }, "content": answer },
            "required": ["from", "content"],
        });
        let given = json!({ "answer": "12", "chart": svg });
        let rest = json!({ "answer": "12", "chart": null });
        let frame = |content: &Value| json!({ "from": "shop/ask", "content": content });
        for (schema, output, kept) in [
            (&answer, given.clone(), rest.clone()),
            (&framed, frame(&given), frame(&rest)),
        ] {
            let shown = shown(&result(output, schema));
            assert_eq!(shown["structuredContent"], kept);
            let validator = jsonschema::validator_for(schema).unwrap();
            assert!(validator.is_valid(&shown["structuredContent"]));
            let resource = json!({
                "uri": "praxis://output/1.svg", "mimeType": "image/svg+xml", "text": svg,
            });
            assert_eq!(
                shown["content"],
                json!([
                    { "type": "text", "text": kept.to_string() },
                    {
                        "type": "resource",
                        "resource": resource,
                        "annotations": { "audience": ["user"] },
                    },
                ])
            );
        }
        // Without a picture nothing comes beside the text.
        let without = shown(&result(rest.clone(), &answer));
        assert_eq!(
            without["content"],
            json!([{ "type": "text", "text": rest.to_string() }])
        );
        // Where it cannot be null, it stays what the schema promises.
        let always = json!({
            "type": "object",
            "properties": { "chart": { "type": "string", "contentMediaType": "image/svg+xml" } },
        });
        let kept = shown(&result(json!({ "chart": svg }), &always));
        assert_eq!(kept["structuredContent"]["chart"], svg);
    }

    #[test]
    fn content_of_another_server_is_handed_on() {
        let blocks = json!([
            { "type": "text", "text": "a" },
            { "type": "image", "data": "AA==", "mimeType": "image/png" },
        ]);
        let output = json!({ "content": blocks });
        let handed = shown(&result(output.clone(), &json!({ "x-mcp-content": true })));
        assert_eq!(handed["content"], blocks);
        // What only looks like it is data.
        let data = shown(&result(output.clone(), &json!({ "type": "object" })));
        assert_eq!(data["structuredContent"], output);
    }

    #[test]
    fn an_error_says_what_to_do() {
        let failed = CallError::new(ErrorCode::NotFound, "no such city")
            .with_hint("name a larger one")
            .with_details(json!({ "near": ["Paris"] }));
        let failed = shown(&error(&failed));
        assert_eq!(failed["isError"], true);
        assert_eq!(
            failed["content"][0]["text"],
            "no such city (name a larger one)"
        );
        assert_eq!(failed["_meta"]["praxis/code"], "not_found");
        assert_eq!(
            failed["_meta"]["praxis/details"],
            json!({ "near": ["Paris"] })
        );
    }

    #[test]
    fn messages_keep_their_order_and_their_pictures() {
        let user = Message::of_parts(
            Role::User,
            vec![
                Part::Text("Look:".to_owned()),
                Part::image("data:image/png;base64,AA=="),
                Part::image("https://example.org/a.png"),
            ],
        );
        let all = messages(vec![
            Message::system("Be brief."),
            user,
            Message::assistant("Yes"),
        ]);
        let all = serde_json::to_value(all).unwrap();
        let text = |role: &str, text: &str| json!({ "role": role, "content": { "type": "text", "text": text } });
        let image = json!({ "type": "image", "data": "AA==", "mimeType": "image/png" });
        assert_eq!(
            all,
            json!([
                text("user", "Be brief."),
                text("user", "Look:"),
                { "role": "user", "content": image },
                text("user", "https://example.org/a.png"),
                text("assistant", "Yes"),
            ])
        );
    }
}
