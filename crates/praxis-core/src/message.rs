//! Chat messages, in the OpenAI API's terms.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tool::ToolCall;

/// Who wrote a message (OpenAI API reference, "Chat completions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the application.
    #[serde(alias = "developer")]
    System,
    /// The person, or the program that calls.
    User,
    /// The model.
    #[serde(alias = "model")]
    Assistant,
    /// What a tool gave for a call of the model.
    Tool,
}

impl Role {
    /// The role's name on the wire and in chat templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "StoredPart", into = "StoredPart")]
#[schemars(rename = "MessagePart")]
pub enum Part {
    /// Text.
    Text(String),
    /// An image, a recording, or what else a model may take beside text.
    Media {
        /// Where it is; a `data:` URL holds the content itself.
        url: String,
        /// MIME type, where it is known.
        content_type: Option<String>,
        /// How closely an image is to be looked at; `None`: as the model does it unasked.
        detail: Option<ImageDetail>,
    },
}

/// How closely an image is to be looked at, which providers take more or fewer tokens for (OpenAI's `detail`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageDetail {
    /// As the model sees fit.
    Auto,
    /// At a glance.
    Low,
    /// Closely.
    High,
    /// In its own size.
    Original,
}

impl ImageDetail {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Low => "low",
            Self::High => "high",
            Self::Original => "original",
        }
    }
}

/// The shape of a part in traces and requests.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "StoredMessagePart")]
enum StoredPart {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, a recording, or what else a model may take.
    Media {
        /// Where it is; a `data:` URL holds the content itself.
        url: String,
        /// Its MIME type, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        /// How closely an image is to be looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<ImageDetail>,
    },
    /// OpenAI's word for an image; read, never written.
    ImageUrl {
        /// The image.
        image_url: ImageUrl,
    },
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "MessageImage")]
struct ImageUrl {
    /// Where it is; a `data:` URL holds the content itself.
    url: String,
    /// How closely it is to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<ImageDetail>,
}

impl From<StoredPart> for Part {
    fn from(part: StoredPart) -> Self {
        match part {
            StoredPart::Text { text } => Part::Text(text),
            StoredPart::Media {
                url,
                content_type,
                detail,
            } => Part::Media {
                url,
                content_type,
                detail,
            },
            StoredPart::ImageUrl { image_url } => {
                Part::image(image_url.url).detailed(image_url.detail)
            }
        }
    }
}

impl From<Part> for StoredPart {
    fn from(part: Part) -> Self {
        match part {
            Part::Text(text) => StoredPart::Text { text },
            Part::Media {
                url,
                content_type,
                detail,
            } => StoredPart::Media {
                url,
                content_type,
                detail,
            },
        }
    }
}

impl Part {
    /// An image; its type is read from a `data:` URL.
    pub fn image(url: impl Into<String>) -> Self {
        let url = url.into();
        let content_type = data_type(&url).map(str::to_owned);
        Part::Media {
            url,
            content_type,
            detail: None,
        }
    }

    /// It, to be looked at so closely; a text stays as it is.
    #[must_use]
    pub fn detailed(mut self, wanted: Option<ImageDetail>) -> Self {
        if let Part::Media { detail, .. } = &mut self {
            *detail = wanted;
        }
        self
    }

    /// The MIME type of media: what was said, else what a `data:` URL says.
    pub fn media_type(&self) -> Option<&str> {
        match self {
            Part::Text(_) => None,
            Part::Media {
                url, content_type, ..
            } => content_type.as_deref().or_else(|| data_type(url)),
        }
    }
}

/// The MIME type that a `data:` URL begins with.
fn data_type(url: &str) -> Option<&str> {
    let end = url.find([';', ','])?;
    url.get(..end)?
        .strip_prefix("data:")
        .filter(|t| !t.is_empty())
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// What it says. In JSON a plain string where it is one text, else a list of parts; both are read.
    #[serde(serialize_with = "write_content", deserialize_with = "read_content")]
    #[schemars(schema_with = "content_schema")]
    pub content: Vec<Part>,
    /// What the model wants called; of the model's messages only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Id of the call that it answers; of a tool's messages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Which of several that have the role wrote it, for models that are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn write_content<S: Serializer>(content: &[Part], serializer: S) -> Result<S::Ok, S::Error> {
    match content {
        [Part::Text(text)] => serializer.serialize_str(text),
        parts => parts.serialize(serializer),
    }
}

/// What [`write_content`] writes and [`read_content`] reads.
fn content_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let parts = generator.subschema_for::<Vec<Part>>();
    schemars::json_schema!({ "anyOf": [{ "type": "string" }, parts] })
}

fn read_content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be a string or an array of content parts")]
    enum Content {
        Text(String),
        Parts(Vec<Part>),
    }
    Ok(match Content::deserialize(deserializer)? {
        Content::Text(text) => vec![Part::Text(text)],
        Content::Parts(parts) => parts,
    })
}

impl Message {
    /// A message of any role from its parts.
    pub fn of_parts(role: Role, content: Vec<Part>) -> Self {
        Self {
            role,
            content,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
        }
    }

    /// What a tool gave for the call of that id.
    pub fn tool(call: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            tool_call_id: Some(call.into()),
            ..Self::new(Role::Tool, text)
        }
    }

    /// A message of any role that is one text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self::of_parts(role, vec![Part::Text(text.into())])
    }

    /// Adds text to its end.
    pub fn append(&mut self, text: &str) {
        match self.content.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.content.push(Part::Text(text.to_owned())),
        }
    }

    /// A system message.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, text)
    }

    /// A user message.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// An assistant message.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// Its text: that of all text parts, each on a line of its own.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Media { .. } => None,
        });
        let Some(first) = texts.next() else {
            return Cow::Borrowed("");
        };
        let Some(second) = texts.next() else {
            return Cow::Borrowed(first);
        };
        let mut all = format!("{first}\n{second}");
        for text in texts {
            all.push('\n');
            all.push_str(text);
        }
        Cow::Owned(all)
    }

    /// Whether it holds more than text.
    pub fn has_media(&self) -> bool {
        let is_media = |part: &Part| matches!(part, Part::Media { .. });
        self.content.iter().any(is_media)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn image(content_type: Option<&str>) -> Part {
        Part::Media {
            url: "data:image/png;base64,AA==".to_owned(),
            content_type: content_type.map(str::to_owned),
            detail: None,
        }
    }

    #[test]
    fn messages_are_read_and_written_as_traces_and_clients_have_them() {
        let text = |t: &str| Part::Text(t.to_owned());
        for (content, json) in [
            (vec![text("Hi")], json!("Hi")),
            (vec![text("")], json!("")),
            (vec![], json!([])),
            (
                vec![text("a"), text("b")],
                json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
            ),
            (
                vec![text("See"), image(Some("image/png"))],
                json!([
                    {"type": "text", "text": "See"},
                    {"type": "media", "url": "data:image/png;base64,AA==", "content_type": "image/png"},
                ]),
            ),
        ] {
            let message = Message::of_parts(Role::User, content);
            let written = json!({ "role": "user", "content": json });
            assert_eq!(serde_json::to_value(&message).unwrap(), written);
            assert_eq!(serde_json::from_value::<Message>(written).unwrap(), message);
        }
        let openai: Value = json!({"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        ]});
        let message: Message = serde_json::from_value(openai).unwrap();
        let low = image(Some("image/png")).detailed(Some(ImageDetail::Low));
        assert_eq!(message.content, [low]);
        assert_eq!(
            serde_json::to_value(&message.content).unwrap()[0]["detail"],
            "low"
        );
        let called = Message {
            tool_calls: vec![ToolCall {
                id: "c".to_owned(),
                name: "get".to_owned(),
                arguments: "{}".to_owned(),
            }],
            ..Message::of_parts(Role::Assistant, Vec::new())
        };
        let calls = json!([{"id": "c", "name": "get", "arguments": "{}"}]);
        let written = json!({"role": "assistant", "content": [], "tool_calls": calls});
        assert_eq!(serde_json::to_value(&called).unwrap(), written);
        let result = json!({"role": "tool", "content": "4", "tool_call_id": "c"});
        assert_eq!(
            serde_json::to_value(Message::tool("c", "4")).unwrap(),
            result
        );
        let wrong = serde_json::from_value::<Message>(json!({"role": "user", "content": 3}));
        assert!(
            wrong
                .unwrap_err()
                .to_string()
                .contains("a string or an array")
        );
    }

    #[test]
    fn the_text_of_a_message_is_that_of_its_text_parts() {
        let text = |t: &str| Part::Text(t.to_owned());
        for (content, expected, media) in [
            (vec![], "", false),
            (vec![text("a")], "a", false),
            (vec![text("a"), image(None), text("b")], "a\nb", true),
        ] {
            let message = Message::of_parts(Role::User, content);
            assert_eq!(
                (message.text().as_ref(), message.has_media()),
                (expected, media)
            );
        }
        assert_eq!(image(None).media_type(), Some("image/png"));
    }
}
