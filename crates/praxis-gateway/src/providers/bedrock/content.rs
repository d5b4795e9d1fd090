//! A conversation as Converse takes it (Amazon Bedrock API reference, "Message", "ContentBlock"): instructions apart,
//! turns of the user and the model in alternation, results of tools in turns of the user. What is blank is left out,
//! for it is refused. Thoughts that came signed with a call go back before it.

use std::borrow::Cow;

use praxis_core::{Message, ModelError, Part, Role, ToolCall};
use serde_json::{Value, json};

use super::To;
use crate::providers::{arguments, recall};
use crate::wire;

/// The longest id of a call.
const LONGEST_ID: usize = 64;

/// A conversation in its two parts.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub system: Vec<Value>,
    pub turns: Vec<Turn>,
    /// The tools that were called, each once.
    pub called: Vec<String>,
    /// Whether the model's turn that goes on began without the thoughts that it had: with a budget for thoughts, such
    /// a turn is refused.
    pub forgotten: bool,
}

/// What one side says until the other does.
#[derive(Debug)]
pub(super) struct Turn {
    pub role: &'static str,
    pub content: Vec<Value>,
}

const USER: &str = "user";
const MODEL: &str = "assistant";

impl Turn {
    pub fn is_users(&self) -> bool {
        self.role == USER
    }

    pub fn value(self) -> Value {
        json!({ "role": self.role, "content": self.content })
    }
}

impl Conversation {
    /// The conversation of messages.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] for media that Converse has no word for.
    pub fn of(to: To<'_>, messages: &[Message]) -> Result<Self, ModelError> {
        let mut talk = Self::default();
        let (mut documents, mut answered) = (0, false);
        for message in messages {
            let mut blocks = blocks(to, message, &mut documents)?;
            match message.role {
                Role::System => talk.system.append(&mut blocks),
                Role::User => {
                    (talk.forgotten, answered) = (false, false);
                    talk.say(USER, blocks);
                }
                Role::Tool => {
                    let id = call_id(message.tool_call_id.as_deref().unwrap_or_default());
                    let result = json!({ "toolUseId": id, "content": blocks });
                    talk.say(USER, vec![json!({ "toolResult": result })]);
                }
                Role::Assistant => {
                    let thoughts = match message.tool_calls.first() {
                        Some(call) => recalled(to.model, &call.id),
                        None => Vec::new(),
                    };
                    if !answered {
                        (talk.forgotten, answered) = (thoughts.is_empty(), true);
                    }
                    talk.say(MODEL, thoughts);
                    talk.say(MODEL, blocks);
                    talk.call(to.model, &message.tool_calls);
                }
            }
        }
        talk.finish();
        Ok(talk)
    }

    /// Adds to the last turn, or begins one.
    fn say(&mut self, role: &'static str, mut content: Vec<Value>) {
        match self.turns.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.append(&mut content),
            _ => self.turns.push(Turn { role, content }),
        }
    }

    /// Adds calls; the thoughts of the first one are there already.
    fn call(&mut self, model: &str, calls: &[ToolCall]) {
        for (at, call) in calls.iter().enumerate() {
            if at > 0 {
                self.say(MODEL, recalled(model, &call.id));
            }
            let called = json!({
                "toolUseId": call_id(&call.id),
                "name": call.name,
                "input": arguments(call),
            });
            self.say(MODEL, vec![json!({ "toolUse": called })]);
            if !self.called.contains(&call.name) {
                self.called.push(call.name.clone());
            }
        }
    }

    fn finish(&mut self) {
        // Instructions alone are a question all the same, and somebody has to ask it.
        if self.turns.is_empty() {
            let content = std::mem::take(&mut self.system);
            self.say(USER, content);
        }
        // An answer that the model is to go on with must not end with a space.
        let last = self.turns.last_mut().filter(|turn| !turn.is_users());
        let text = last.and_then(|turn| turn.content.last_mut()?.get_mut("text"));
        if let Some(text) = text {
            let trimmed = text.as_str().unwrap_or_default().trim_end().to_owned();
            *text = trimmed.into();
        }
    }
}

/// The signed thoughts that came with a call.
fn recalled(model: &str, call: &str) -> Vec<Value> {
    let kept = recall::of(call);
    kept.map(|kept| of_model(model, kept)).unwrap_or_default()
}

/// Keeps the signed thoughts that came with a call.
pub(super) fn keep(model: &str, call: &str, thoughts: Vec<Value>) {
    if !thoughts.is_empty() {
        recall::keep(call, of_call(model, thoughts));
    }
}

/// What is kept with a call.
fn of_call(model: &str, thoughts: Vec<Value>) -> Value {
    json!({ "bedrock": model, "blocks": thoughts })
}

/// The thoughts in it, if they are this model's: another one's would be refused.
fn of_model(model: &str, mut kept: Value) -> Vec<Value> {
    let owner = kept.get("bedrock").and_then(Value::as_str);
    if owner != Some(model) {
        return Vec::new();
    }
    match kept.get_mut("blocks").map(Value::take) {
        Some(Value::Array(blocks)) => blocks,
        _ => Vec::new(),
    }
}

/// An id as Bedrock takes it. Those of other providers may not be.
fn call_id(id: &str) -> Cow<'_, str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
    if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(blake3::hash(id.as_bytes()).to_hex().to_string())
}

/// What a message says.
fn blocks(to: To<'_>, message: &Message, documents: &mut usize) -> Result<Vec<Value>, ModelError> {
    let mut blocks = Vec::new();
    for part in &message.content {
        match part {
            Part::Text(text) if text.trim().is_empty() => {}
            Part::Text(text) => blocks.push(json!({ "text": text })),
            Part::Media { .. } if message.role == Role::System => {
                return refused(to, "takes instructions as text");
            }
            Part::Media { url, .. } => {
                blocks.push(media(to, url, part.media_type(), documents)?);
            }
        }
    }
    Ok(blocks)
}

/// What Converse has words for: a type, the block that holds it, and its format.
const MEDIA: &[(&str, &str, &str)] = &[
    ("image/png", "image", "png"),
    ("image/jpeg", "image", "jpeg"),
    ("image/jpg", "image", "jpeg"),
    ("image/gif", "image", "gif"),
    ("image/webp", "image", "webp"),
    ("application/pdf", "document", "pdf"),
    ("text/csv", "document", "csv"),
    ("text/html", "document", "html"),
    ("text/plain", "document", "txt"),
    ("text/markdown", "document", "md"),
    ("application/msword", "document", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "document",
        "docx",
    ),
    ("application/vnd.ms-excel", "document", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "document",
        "xlsx",
    ),
    ("video/mp4", "video", "mp4"),
    ("video/webm", "video", "webm"),
    ("video/quicktime", "video", "mov"),
    ("video/x-matroska", "video", "mkv"),
    ("video/mpeg", "video", "mpeg"),
    ("video/x-flv", "video", "flv"),
    ("video/x-ms-wmv", "video", "wmv"),
    ("video/3gpp", "video", "three_gp"),
];

fn media(
    to: To<'_>,
    url: &str,
    kind: Option<&str>,
    documents: &mut usize,
) -> Result<Value, ModelError> {
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let Some((_, block, format)) = MEDIA.iter().find(|(name, ..)| *name == kind) else {
        let what = match kind.as_str() {
            "" => "has to be told what media are; give their type".to_owned(),
            kind => format!("takes images, documents and videos, not `{kind}`"),
        };
        return refused(to, &what);
    };
    let source = match url.split_once(";base64,") {
        Some((head, data)) if head.starts_with("data:") => json!({ "bytes": data }),
        _ if url.starts_with("s3://") => json!({ "s3Location": { "uri": url } }),
        _ => {
            return refused(
                to,
                "takes media in the message itself or from a bucket; send a `data:` URL in base64, or an `s3://` one",
            );
        }
    };
    let mut held = json!({ "format": format, "source": source });
    if *block == "document" {
        // Models read the name, so it says nothing.
        *documents += 1;
        held["name"] = format!("document-{documents}").into();
    }
    Ok(json!({ (*block): held }))
}

fn refused<T>(to: To<'_>, what: &str) -> Result<T, ModelError> {
    Err(wire::refused("messages", to.name, super::API, what))
}

#[cfg(test)]
mod tests;
