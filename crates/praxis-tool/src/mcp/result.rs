//! What a server gives, as callers and models read it. Left out: asking for it.

use praxis_core::{CallError, ErrorCode};
use rmcp::model::{
    CallToolResult, ContentBlock, GetPromptResult, ReadResourceResult, Resource, ResourceContents,
    Role,
};
use serde_json::{Value, json};

use super::config::Media;
use super::failure::cut;
use crate::text::said;

/// What tells that a schema's values may be content of MCP, which our own server hands on as it is.
const MCP_CONTENT: &str = "x-mcp-content";

/// The schema of what is no structured output.
pub(super) fn schema(media: Media) -> Value {
    match media {
        Media::Describe => json!({ "type": "string" }),
        Media::Inline => json!({
            MCP_CONTENT: true,
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "description": "Content blocks of the Model Context Protocol.",
                    "properties": { "content": { "type": "array", "items": { "type": "object" } } },
                    "required": ["content"],
                },
            ],
        }),
    }
}

/// What a tool gave. `declares` says whether it declares the schema of its output.
///
/// # Errors
/// `upstream_error` for what the tool says is an error, and for an output that is not what it declares.
pub(super) fn of_tool(
    name: &str,
    result: CallToolResult,
    declares: bool,
    media: Media,
) -> Result<Value, CallError> {
    if result.is_error == Some(true) {
        let words = text(&result.content);
        let why = match (words.trim(), &result.structured_content) {
            ("", Some(structured)) => said(&structured.to_string()),
            ("", None) => "it does not say why".to_owned(),
            (words, _) => said(words),
        };
        let error = CallError::new(ErrorCode::Upstream, format!("`{name}` failed; {why}"));
        return Err(match result.structured_content {
            Some(structured) => error.with_details(structured),
            None => error,
        });
    }
    if let Some(structured) = result.structured_content {
        return Ok(structured);
    }
    if declares {
        // Servers that are older than structured output write it as text.
        let words = text(&result.content);
        return serde_json::from_str(&words).map_err(|_| {
            let message = format!("`{name}` gave no structured output, which it declares");
            CallError::new(ErrorCode::Upstream, message)
        });
    }
    content(result.content, media)
}

/// What a resource holds.
///
/// # Errors
/// A content that cannot be written.
pub(super) fn of_resource(result: ReadResourceResult, media: Media) -> Result<Value, CallError> {
    let mut contents = result.contents;
    if let [ResourceContents::TextResourceContents { text, .. }] = contents.as_mut_slice() {
        return Ok(Value::String(std::mem::take(text)));
    }
    content(
        contents.into_iter().map(ContentBlock::resource).collect(),
        media,
    )
}

/// A prompt's messages.
///
/// # Errors
/// A content that cannot be written.
pub(super) fn of_prompt(result: GetPromptResult, media: Media) -> Result<Value, CallError> {
    let mut messages = Vec::with_capacity(result.messages.len());
    for message in result.messages {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        messages.push(json!({ "role": role, "content": content(vec![message.content], media)? }));
    }
    let mut output = json!({ "messages": messages });
    if let Some(description) = result.description {
        output["description"] = Value::String(description);
    }
    Ok(output)
}

/// The schema of a prompt's messages.
pub(super) fn prompt_schema(media: Media) -> Value {
    json!({
        "type": "object",
        "properties": {
            "description": { "type": "string" },
            "messages": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "role": { "enum": ["user", "assistant"] },
                        "content": schema(media),
                    },
                    "required": ["role", "content"],
                },
            },
        },
        "required": ["messages"],
    })
}

/// Content blocks: a text where they are nothing else, or are to be described.
fn content(blocks: Vec<ContentBlock>, media: Media) -> Result<Value, CallError> {
    let is_text = |block: &ContentBlock| matches!(block, ContentBlock::Text(_));
    if media == Media::Describe || blocks.iter().all(is_text) {
        return Ok(Value::String(text(&blocks)));
    }
    let blocks = serde_json::to_value(blocks).map_err(CallError::failure)?;
    Ok(json!({ "content": blocks }))
}

/// Content blocks as a text; what is none is told of.
fn text(blocks: &[ContentBlock]) -> String {
    let texts: Vec<String> = blocks.iter().map(block).collect();
    texts.join("\n")
}

fn block(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => described("image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => described("sound", &audio.mime_type, &audio.data),
        ContentBlock::Resource(resource) => match &resource.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("{uri}:\n{text}"),
            ResourceContents::BlobResourceContents {
                uri,
                mime_type,
                blob,
                ..
            } => {
                let kind = mime_type.as_deref().unwrap_or("application/octet-stream");
                format!("{uri}: {}", described("file", kind, blob))
            }
            _ => "[content of a kind that is not known]".to_owned(),
        },
        ContentBlock::ResourceLink(resource) => link(resource),
        _ => "[content of a kind that is not known]".to_owned(),
    }
}

fn described(what: &str, mime_type: &str, base64: &str) -> String {
    let padding = base64
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'=')
        .count();
    let bytes = (base64.len() - padding) * 3 / 4;
    format!("[{what}: {mime_type}, {bytes} bytes]")
}

fn link(resource: &Resource) -> String {
    let title = resource.title.as_deref().unwrap_or(&resource.name);
    match &resource.description {
        Some(description) => format!("[{title}]({}): {}", resource.uri, cut(description)),
        None => format!("[{title}]({})", resource.uri),
    }
}

#[cfg(test)]
mod tests;
