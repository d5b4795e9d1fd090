//! Messages of a chat request as OpenAI's API has them, on their way to the application's own.

use praxis_core::{Message, Part, Role, ToolCall};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::responses::attached::{Read, Reader};
use crate::responses::item::Attached;

/// A message as it came.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatMessage")]
pub(super) struct InMessage {
    role: Role,
    /// Null where the model only called tools.
    content: Option<Content>,
    tool_calls: Option<Vec<InCall>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "must be a string or an array of content parts")]
#[schemars(rename = "ChatContent")]
enum Content {
    Text(String),
    Parts(Vec<InPart>),
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatPart")]
struct InPart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    image_url: Option<ImageUrl>,
    file: Option<Attached>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatImage")]
struct ImageUrl {
    url: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatToolCall")]
struct InCall {
    id: String,
    function: Called,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatToolCallFunction")]
struct Called {
    name: String,
    /// A text; the object itself is taken too.
    #[serde(default)]
    arguments: Value,
}

/// Where in a message something is wrong, and what.
type Wrong = (String, String);

impl InMessage {
    /// Puts what its files say in their places. `place` is where it is in the request.
    ///
    /// # Errors
    /// A file that cannot be read, with its place.
    pub(super) async fn read_files(
        &mut self,
        place: &str,
        reader: &mut Reader<'_>,
    ) -> Result<(), ApiError> {
        let Some(Content::Parts(parts)) = &mut self.content else {
            return Ok(());
        };
        for (j, part) in parts.iter_mut().enumerate() {
            if part.kind != "file" {
                continue;
            }
            let file = part.file.take().unwrap_or_default();
            let place = format!("{place}.content[{j}].file");
            match reader.read(&file, &place, false).await? {
                Read::Text(text) => (part.kind, part.text) = ("text".to_owned(), text),
                Read::AsIs(url) => {
                    part.kind = "image_url".to_owned();
                    part.image_url = Some(ImageUrl { url });
                }
            }
        }
        Ok(())
    }

    /// The message. Its files have been read.
    ///
    /// # Errors
    /// Where in it something is wrong, and what.
    pub(super) fn message(&self) -> Result<Message, Wrong> {
        let calls: Vec<ToolCall> = self.tool_calls.iter().flatten().map(InCall::call).collect();
        let wrong = |place: &str, what: &str| Err((place.to_owned(), what.to_owned()));
        match self.role {
            Role::Assistant => {}
            _ if !calls.is_empty() => {
                return wrong(".tool_calls", "only the assistant calls tools");
            }
            Role::Tool if self.tool_call_id.as_deref().is_none_or(str::is_empty) => {
                return wrong(
                    ".tool_call_id",
                    "a tool's message needs the `tool_call_id` of the call that it answers",
                );
            }
            _ => {}
        }
        let content = match &self.content {
            None if !calls.is_empty() => Vec::new(),
            None => return wrong(".content", "`content` is missing"),
            Some(Content::Text(text)) => vec![Part::Text(text.clone())],
            Some(Content::Parts(parts)) => parts
                .iter()
                .enumerate()
                .map(|(j, part)| part.part().map_err(|what| (format!(".content[{j}]"), what)))
                .collect::<Result<_, _>>()?,
        };
        Ok(Message {
            tool_calls: calls,
            tool_call_id: self
                .tool_call_id
                .clone()
                .filter(|_| self.role == Role::Tool),
            ..Message::of_parts(self.role, content)
        })
    }
}

impl InCall {
    fn call(&self) -> ToolCall {
        ToolCall {
            id: self.id.clone(),
            name: self.function.name.clone(),
            arguments: match &self.function.arguments {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        }
    }
}

impl InPart {
    /// The part, or what is wrong with it.
    fn part(&self) -> Result<Part, String> {
        match (self.kind.as_str(), &self.image_url) {
            ("text", _) => Ok(Part::Text(self.text.clone())),
            ("image_url", Some(image)) => Ok(Part::image(image.url.as_str())),
            ("image_url", None) => {
                Err("a part of type `image_url` needs `image_url: {\"url\": ...}`".to_owned())
            }
            (other, _) => Err(format!(
                "content of type `{other}` is not supported; there are `text`, `image_url` and `file`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Message, Wrong> {
        serde_json::from_value::<InMessage>(value)
            .unwrap()
            .message()
    }

    #[test]
    fn calls_and_results_are_read_as_clients_send_them() {
        let wants = read(json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
            {"id": "d", "type": "function", "function": {"name": "g"}},
        ]}))
        .unwrap();
        assert!(wants.content.is_empty());
        let calls: Vec<_> = wants
            .tool_calls
            .iter()
            .map(|c| (&*c.name, &*c.arguments))
            .collect();
        assert_eq!(calls, [("f", "{\"a\": 1}"), ("g", "")]);
        let result = json!({"role": "tool", "tool_call_id": "c", "content": "4"});
        assert_eq!(read(result).unwrap(), Message::tool("c", "4"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let call = json!([{"id": "c", "function": {"name": "f"}}]);
        for (message, place) in [
            (json!({"role": "user", "content": null}), ".content"),
            (json!({"role": "tool", "content": "4"}), ".tool_call_id"),
            (
                json!({"role": "user", "content": "x", "tool_calls": call}),
                ".tool_calls",
            ),
            (
                json!({"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "video"}]}),
                ".content[1]",
            ),
        ] {
            assert_eq!(read(message).unwrap_err().0, place);
        }
    }
}
