//! Messages of a chat request as OpenAI's API has them, on their way to the application's own.

use praxis_core::message::ImageDetail;
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
    /// Why the model did not answer; it stands for the content where there is none.
    refusal: Option<String>,
    /// Which of several that have the role wrote it.
    name: Option<String>,
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
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
    input_audio: Option<Recording>,
    file: Option<Attached>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatImage")]
struct ImageUrl {
    url: String,
    detail: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatRecording")]
struct Recording {
    data: String,
    format: String,
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
                    part.image_url = Some(ImageUrl { url, detail: None });
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
        let refusal = self.refusal.as_ref().filter(|text| !text.is_empty());
        let content = match (&self.content, refusal) {
            (None, Some(refusal)) => vec![Part::Text(refusal.clone())],
            (None, None) if !calls.is_empty() => Vec::new(),
            (None, None) => return wrong(".content", "`content` is missing"),
            (Some(Content::Text(text)), _) => vec![Part::Text(text.clone())],
            (Some(Content::Parts(parts)), _) => parts
                .iter()
                .enumerate()
                .map(|(j, part)| part.part().map_err(|what| (format!(".content[{j}]"), what)))
                .collect::<Result<_, _>>()?,
        };
        // A tool is named by the call that it answers.
        let has_name = |name: &String| self.role != Role::Tool && !name.is_empty();
        Ok(Message {
            name: self.name.clone().filter(has_name),
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
        let missing = |what: &str| format!("a part of type `{}` needs {what}", self.kind);
        match self.kind.as_str() {
            "text" => Ok(Part::Text(self.text.clone())),
            "refusal" => Ok(Part::Text(self.refusal.clone().unwrap_or_default())),
            "image_url" => match &self.image_url {
                Some(image) => image.part(),
                None => Err(missing("`image_url: {\"url\": ...}`")),
            },
            "input_audio" => match &self.input_audio {
                Some(recording) => recording.part(),
                None => Err(missing(
                    "`input_audio: {\"data\": ..., \"format\": \"wav\"}`",
                )),
            },
            other => Err(format!(
                "content of type `{other}` is not supported; there are `text`, `image_url`, `input_audio` and `file`"
            )),
        }
    }
}

impl ImageUrl {
    fn part(&self) -> Result<Part, String> {
        let detail = match self.detail.as_deref() {
            None => None,
            Some("auto") => Some(ImageDetail::Auto),
            Some("low") => Some(ImageDetail::Low),
            Some("high") => Some(ImageDetail::High),
            Some("original") => Some(ImageDetail::Original),
            Some(other) => {
                return Err(format!(
                    "`detail` is `{other}`; there are `auto`, `low`, `high` and `original`"
                ));
            }
        };
        Ok(Part::image(self.url.as_str()).detailed(detail))
    }
}

impl Recording {
    fn part(&self) -> Result<Part, String> {
        let kind = match self.format.as_str() {
            "wav" => "audio/wav",
            "mp3" => "audio/mpeg",
            other => {
                return Err(format!(
                    "the `format` of `input_audio` is `{other}`; `wav` and `mp3` are known"
                ));
            }
        };
        if self.data.is_empty() {
            return Err("the `data` of `input_audio` is empty; send the file in base64".to_owned());
        }
        Ok(Part::Media {
            url: format!("data:{kind};base64,{}", self.data),
            content_type: Some(kind.to_owned()),
            detail: None,
        })
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
    fn images_recordings_and_refusals_are_read_with_all_that_they_say() {
        let message = read(json!({"role": "user", "name": "ann", "content": [
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        ]}))
        .unwrap();
        assert_eq!(message.name.as_deref(), Some("ann"));
        let image = Part::image("https://a/b.png").detailed(Some(ImageDetail::Low));
        assert_eq!(message.content[0], image);
        assert_eq!(message.content[1].media_type(), Some("audio/wav"));
        for refused in [
            json!({"role": "assistant", "content": null, "refusal": "No."}),
            json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}),
        ] {
            assert_eq!(read(refused).unwrap(), Message::assistant("No."));
        }
        let result = json!({"role": "tool", "tool_call_id": "c", "name": "f", "content": "4"});
        assert_eq!(read(result).unwrap().name, None);
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
            (
                json!({"role": "user", "content": [
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "ogg"}},
                ]}),
                ".content[0]",
            ),
            (
                json!({"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "much"}},
                ]}),
                ".content[0]",
            ),
        ] {
            assert_eq!(read(message).unwrap_err().0, place);
        }
    }
}
