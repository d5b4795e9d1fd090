//! Messages on OpenAI's wire: a plain string where there is text only, else a list of parts.

use praxis_core::{Message, ModelError, Part, Role};
use serde::Serialize;

use super::tools::{WireCall, wire_calls};
use crate::wire::refused;

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
}

#[derive(Serialize)]
struct InputAudio<'a> {
    data: &'a str,
    format: &'static str,
}

/// The messages as the endpoint `name` takes them.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for media that OpenAI's API has no word for.
pub(super) fn wire_messages<'a>(
    name: &str,
    messages: &'a [Message],
) -> Result<Vec<WireMessage<'a>>, ModelError> {
    messages
        .iter()
        .map(|message| {
            let content = match message.content.as_slice() {
                [] if !message.tool_calls.is_empty() => None,
                [] => Some(WireContent::Text("")),
                [Part::Text(text)] => Some(WireContent::Text(text)),
                parts => Some(WireContent::Parts(
                    parts
                        .iter()
                        .map(|part| wire_part(name, part))
                        .collect::<Result<_, _>>()?,
                )),
            };
            Ok(WireMessage {
                role: message.role,
                content,
                tool_calls: wire_calls(&message.tool_calls),
                tool_call_id: message.tool_call_id.as_deref(),
            })
        })
        .collect()
}

fn wire_part<'a>(name: &str, part: &'a Part) -> Result<WirePart<'a>, ModelError> {
    let Part::Media { url, .. } = part else {
        return Ok(WirePart::Text {
            text: match part {
                Part::Text(text) => text,
                Part::Media { .. } => "",
            },
        });
    };
    let refused = |what: String| Err(refused("messages", name, "OpenAI's API", &what));
    match part.media_type() {
        // What has no type is an image: by far the most of what is sent, and the endpoint will say.
        None => Ok(image(url)),
        Some(kind) if kind.starts_with("image/") => Ok(image(url)),
        Some(kind) if kind.starts_with("audio/") => {
            let format = match kind {
                "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
                "audio/mpeg" | "audio/mp3" => "mp3",
                other => {
                    return refused(format!(
                        "takes audio as WAV or MP3, not `{other}`; convert it"
                    ));
                }
            };
            match url.split_once(";base64,") {
                Some((head, data)) if head.starts_with("data:") => Ok(WirePart::InputAudio {
                    input_audio: InputAudio { data, format },
                }),
                _ => refused(
                    "takes audio only in the message itself; send it as a `data:` URL in base64"
                        .to_owned(),
                ),
            }
        }
        Some(other) => refused(format!(
            "takes images and audio, not `{other}`; send one of those, or text"
        )),
    }
}

fn image(url: &str) -> WirePart<'_> {
    WirePart::ImageUrl {
        image_url: ImageUrl { url },
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
        }
    }

    fn sent(content: Vec<Part>) -> Result<Value, ModelError> {
        let messages = [Message::of_parts(Role::User, content)];
        let wire = wire_messages("m", &messages)?;
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
                vec![media("data:audio/wav;base64,AAAA", None)],
                json!([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]),
            ),
        ] {
            assert_eq!(sent(content).unwrap(), expected);
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
        let wire = serde_json::to_value(wire_messages("m", &messages).unwrap()).unwrap();
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
            let error = sent(vec![part]).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("`m`"), "{error}");
        }
    }
}
