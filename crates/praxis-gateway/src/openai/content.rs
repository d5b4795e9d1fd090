//! Messages on OpenAI's wire: a plain string where there is text only, else a list of parts.

use praxis_core::message::ImageDetail;
use praxis_core::{Message, ModelError, Part, Role};
use serde::Serialize;

use super::tools::{WireCall, wire_calls};
use crate::providers::Facts;
use crate::wire::{Endpoint, refused};

/// A message as it is sent.
#[derive(Serialize)]
pub(super) struct WireMessage<'a> {
    role: Role,
    /// None where the model only calls tools.
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireContent<'a> {
    Text(&'a str),
    Parts(Vec<WirePart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WirePart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
    InputAudio { input_audio: InputAudio<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<ImageDetail>,
}

#[derive(Serialize)]
struct InputAudio<'a> {
    data: &'a str,
    format: &'static str,
}

/// The messages as the endpoint takes them.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for media that the provider has no word for.
pub(super) fn wire_messages<'a>(
    facts: &Facts,
    to: &Endpoint,
    messages: &'a [Message],
) -> Result<Vec<WireMessage<'a>>, ModelError> {
    let takes = Takes {
        name: &to.name,
        api: facts.api(),
        audio: facts.chat.audio,
        names: facts.chat.names,
    };
    takes.messages(messages)
}

/// What an endpoint takes in messages.
struct Takes<'n> {
    /// The endpoint's name.
    name: &'n str,
    /// Its API, as messages name it.
    api: String,
    audio: bool,
    names: bool,
}

impl Takes<'_> {
    fn messages<'a>(&self, messages: &'a [Message]) -> Result<Vec<WireMessage<'a>>, ModelError> {
        messages
            .iter()
            .map(|message| self.message(message))
            .collect()
    }

    fn message<'a>(&self, message: &'a Message) -> Result<WireMessage<'a>, ModelError> {
        let content = match message.content.as_slice() {
            [] if !message.tool_calls.is_empty() => None,
            [] => Some(WireContent::Text("")),
            [Part::Text(text)] => Some(WireContent::Text(text)),
            parts => Some(WireContent::Parts(
                parts
                    .iter()
                    .map(|part| self.part(part))
                    .collect::<Result<_, _>>()?,
            )),
        };
        // A tool is named by the call that it answers.
        let has_name = self.names && message.role != Role::Tool;
        Ok(WireMessage {
            role: message.role,
            content,
            tool_calls: wire_calls(&message.tool_calls),
            tool_call_id: message.tool_call_id.as_deref(),
            name: message.name.as_deref().filter(|_| has_name),
        })
    }

    fn part<'a>(&self, part: &'a Part) -> Result<WirePart<'a>, ModelError> {
        let (url, detail) = match part {
            Part::Text(text) => return Ok(WirePart::Text { text }),
            Part::Media { url, detail, .. } => (url, *detail),
        };
        let image = WirePart::ImageUrl {
            image_url: ImageUrl { url, detail },
        };
        match part.media_type() {
            // What has no type is an image: by far the most of what is sent, and the endpoint will say.
            None => Ok(image),
            Some(kind) if kind.starts_with("image/") => Ok(image),
            Some(kind) if kind.starts_with("audio/") => self.recording(kind, url),
            Some(other) if self.audio => Err(self.refused(&format!(
                "takes images and audio, not `{other}`; send one of those, or text"
            ))),
            Some(other) => {
                Err(self.refused(&format!("takes images, not `{other}`; send one, or text")))
            }
        }
    }

    fn recording<'a>(&self, kind: &str, url: &'a str) -> Result<WirePart<'a>, ModelError> {
        if !self.audio {
            return Err(self.refused(
                "takes no audio; name a model that does (such as `gpt-audio` at OpenAI, or Gemini), or send what \
                 /v1/audio/transcriptions makes of it",
            ));
        }
        let format = match kind {
            "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
            "audio/mpeg" | "audio/mp3" => "mp3",
            other => {
                return Err(self.refused(&format!(
                    "takes audio as WAV or MP3, not `{other}`; convert it"
                )));
            }
        };
        match url.split_once(";base64,") {
            Some((head, data)) if head.starts_with("data:") => Ok(WirePart::InputAudio {
                input_audio: InputAudio { data, format },
            }),
            _ => Err(self.refused(
                "takes audio only in the message itself; send it as a `data:` URL in base64",
            )),
        }
    }

    fn refused(&self, what: &str) -> ModelError {
        refused("messages", self.name, &self.api, what)
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::ToolCall;
    use serde_json::{Value, json};

    use super::*;

    fn media(url: &str, content_type: Option<&str>) -> Part {
        Part::Media {
            url: url.to_owned(),
            content_type: content_type.map(str::to_owned),
            detail: None,
        }
    }

    /// What takes all that OpenAI's API does.
    fn takes() -> Takes<'static> {
        Takes {
            name: "m",
            api: "the API of OpenAI".to_owned(),
            audio: true,
            names: true,
        }
    }

    fn sent(takes: &Takes<'_>, content: Vec<Part>) -> Result<Value, ModelError> {
        let messages = [Message::of_parts(Role::User, content)];
        let wire = takes.messages(&messages)?;
        Ok(serde_json::to_value(&wire).unwrap()[0]["content"].clone())
    }

    #[test]
    fn text_is_a_string_and_media_are_parts() {
        let text = || Part::Text("See".to_owned());
        let image = json!({"type": "image_url", "image_url": {"url": "https://a/b.png"}});
        for (content, expected) in [
            (vec![text()], json!("See")),
            (vec![], json!("")),
            (
                vec![text(), media("https://a/b.png", Some("image/png"))],
                json!([{"type": "text", "text": "See"}, image]),
            ),
            (vec![media("https://a/b.png", None)], json!([image])),
            (
                vec![media("https://a/b.png", None).detailed(Some(ImageDetail::Low))],
                json!([{
                    "type": "image_url",
                    "image_url": {"url": "https://a/b.png", "detail": "low"},
                }]),
            ),
            (
                vec![media("data:audio/wav;base64,AAAA", None)],
                json!([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]),
            ),
        ] {
            assert_eq!(sent(&takes(), content).unwrap(), expected);
        }
    }

    #[test]
    fn calls_and_results_go_out_as_openai_has_them() {
        let call = |arguments: &str| ToolCall {
            id: "c1".to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
        };
        let mut wants = Message::of_parts(Role::Assistant, Vec::new());
        wants.tool_calls = vec![call("{\"a\": 1}"), call("")];
        let messages = [wants, Message::tool("c1", "4")];
        let wire = serde_json::to_value(takes().messages(&messages).unwrap()).unwrap();
        let called = |arguments: &str| json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}});
        assert_eq!(
            wire,
            json!([
                {"role": "assistant", "content": null, "tool_calls": [called("{\"a\": 1}"), called("{}")]},
                {"role": "tool", "content": "4", "tool_call_id": "c1"},
            ])
        );
    }

    #[test]
    fn media_without_a_word_on_the_wire_are_refused_with_the_fix() {
        for (part, said) in [
            (media("https://a/b.mp4", Some("video/mp4")), "`video/mp4`"),
            (media("https://a/b.wav", Some("audio/wav")), "`data:` URL"),
            (media("data:audio/ogg;base64,A", None), "WAV or MP3"),
        ] {
            let error = sent(&takes(), vec![part]).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("`m`"), "{error}");
        }
        let deaf = Takes {
            audio: false,
            ..takes()
        };
        let wav = media("data:audio/wav;base64,AAAA", None);
        let error = sent(&deaf, vec![wav]).unwrap_err().to_string();
        assert!(error.contains("takes no audio"), "{error}");
    }

    #[test]
    fn who_wrote_a_message_is_told_where_the_provider_has_a_word_for_it() {
        let mut said = Message::user("Hi");
        said.name = Some("ann".to_owned());
        let mut result = Message::tool("c1", "4");
        result.name = Some("add".to_owned());
        let messages = [said, result];
        let names = |takes: &Takes<'_>| {
            let wire = serde_json::to_value(takes.messages(&messages).unwrap()).unwrap();
            [wire[0]["name"].clone(), wire[1]["name"].clone()]
        };
        assert_eq!(names(&takes()), [json!("ann"), Value::Null]);
        let nameless = Takes {
            names: false,
            ..takes()
        };
        assert_eq!(names(&nameless), [Value::Null, Value::Null]);
    }
}
