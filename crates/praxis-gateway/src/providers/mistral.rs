//! Mistral: chat completions whose content comes in chunks where models think, whose ids of calls have nine letters and
//! digits, and whose words for seeds and lengths of vectors are its own.

use std::collections::VecDeque;

use praxis_core::{ChatRequest, ModelError, Usage};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE, errors, thoughts};
use crate::openai as words;
use crate::wire::{Endpoint, Fault, Flow, Piece, Question, Read, failure};

pub(super) struct Mistral;

static FACTS: Facts = Facts {
    name: "mistral",
    title: "Mistral",
    base_url: Some("https://api.mistral.ai/v1"),
    key: Some("MISTRAL_API_KEY"),
    reference: "https://docs.mistral.ai/api",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        max_tokens: "max_tokens",
        seed: Some("random_seed"),
        stream_options: false,
        logprobs: false,
        names: false,
        verbosity: false,
        service_tier: false,
        cache_times: false,
        ..Chat::OPENAI
    },
};

impl Dialect for Mistral {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// A call cannot be forced where answers are held to a schema; one that is forced leaves no room for an answer.
    fn adapt(
        &self,
        _to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        _left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        if thoughts::forced(request) {
            body.remove("response_format");
        }
        for message in thoughts::messages(body) {
            if let Some(Value::String(id)) = message.get_mut("tool_call_id") {
                *id = nine(id);
            }
            let parts = message.get_mut("content").and_then(Value::as_array_mut);
            parts.into_iter().flatten().for_each(recording);
            let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
            for call in calls.into_iter().flatten() {
                if let Some(Value::String(id)) = call.get_mut("id") {
                    *id = nine(id);
                }
            }
        }
        Ok(())
    }

    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(Chunks(words::Events::default()))
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let said = errors::field(body, "message");
        if let Some(error) =
            errors::too_long(&said, "Prompt contains ", "too large for model with ")
        {
            return error;
        }
        let error = failure::of_body(name, status, body);
        match errors::field(body, "type").as_str() {
            "invalid_model" => errors::meant(error, ModelError::NotFound),
            _ => error,
        }
    }

    fn embeddings(&self, to: &Endpoint, texts: &[String], dimension: Option<usize>) -> Question {
        let mut question = words::embeddings(to, texts, None);
        if let Some(dimension) = dimension {
            question.body["output_dimension"] = dimension.into();
        }
        question
    }
}

/// What a recording holds it takes without more around it, and hears the format itself.
fn recording(part: &mut Value) {
    if let Some(data) = part.pointer("/input_audio/data").cloned() {
        part["input_audio"] = data;
    }
}

/// The id of a call as Mistral takes it: itself where it is of nine letters and digits, else a digest, which is the
/// same in all of a conversation.
fn nine(id: &str) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let digest = blake3::hash(id.as_bytes());
    let bytes = digest.as_bytes().iter().take(9);
    bytes
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// Reads an answer as OpenAI's, whose content may be chunks of text and of thoughts.
struct Chunks(words::Events);

impl Read for Chunks {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        match plain(data) {
            Some(data) => self.0.event(kind, &data, pieces),
            None => self.0.event(kind, data, pieces),
        }
    }

    fn done(&mut self) -> Option<Piece> {
        self.0.done()
    }

    fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }
}

/// An event whose content is chunks, as one whose content is a text.
fn plain(data: &str) -> Option<String> {
    let mut event: Value = serde_json::from_str(data).ok()?;
    let delta = event.pointer_mut("/choices/0/delta")?.as_object_mut()?;
    let chunks = delta.get("content")?.as_array()?;
    let (mut text, mut thought) = (String::new(), String::new());
    for chunk in chunks {
        match chunk.get("type").and_then(Value::as_str) {
            Some("text") => text.push_str(text_of(chunk)),
            Some("thinking") => {
                let parts = chunk.get("thinking").and_then(Value::as_array);
                parts
                    .into_iter()
                    .flatten()
                    .for_each(|part| thought.push_str(text_of(part)));
            }
            // References to sources, and what is not known yet.
            _ => {}
        }
    }
    delta.insert("content".to_owned(), text.into());
    delta.insert("reasoning_content".to_owned(), thought.into());
    Some(event.to_string())
}

fn text_of(chunk: &Value) -> &str {
    chunk
        .get("text")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_calls_have_nine_letters_and_digits_and_stay_the_same() {
        assert_eq!(nine("D681PevKs"), "D681PevKs");
        for id in ["call_1", "", "D681PevKsX", "toolu_01é", "D681-evKs"] {
            let short = nine(id);
            assert!(short.len() == 9 && short.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!((nine(id), nine(&short)), (short.clone(), short));
        }
        assert_ne!(nine("call_1"), nine("call_2"));
    }
}
