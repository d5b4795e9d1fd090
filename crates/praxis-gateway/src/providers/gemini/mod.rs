//! Google's Gemini API, in words of its own: chat and vectors. Left out: tools that Google runs, pictures and speech
//! that a model makes, and Vertex AI, which has other addresses and keys.

mod ask;
mod contents;
mod events;
mod failure;
mod read;
mod thinking;

use async_trait::async_trait;
use praxis_core::{ChatRequest, ModelError, Usage};
use praxis_hub::Task;
use reqwest::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use self::events::WireUsage;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, Question, Read, secret_header};

pub(super) struct Gemini;

/// Its API, as messages name it.
const API: &str = "the API of Google Gemini";

/// The header of the key (Gemini API reference, "Authentication").
const KEY: &str = "x-goog-api-key";

static FACTS: Facts = Facts {
    name: "gemini",
    title: "Google Gemini",
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    key: Some("GEMINI_API_KEY"),
    reference: "https://ai.google.dev/api/generate-content",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPENAI,
};

#[async_trait]
impl Dialect for Gemini {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn reads(&self, media_type: &str) -> bool {
        media_type.starts_with("image/") || media_type == "application/pdf"
    }

    fn ask(&self, to: &Endpoint, request: &ChatRequest) -> Result<Question, ModelError> {
        let (body, left_out) = ask::body(&to.name, &to.model, request)?;
        let path = format!("{}:streamGenerateContent?alt=sse", resource(&to.model));
        Ok(Question {
            left_out,
            ..Question::new(path, body)
        })
    }

    fn reader(&self, to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(read::Reader::new(&to.name))
    }

    async fn authorize(&self, to: &Endpoint, request: &mut Request) -> Result<(), ModelError> {
        if let Some(key) = to.secret() {
            let value = secret_header(&to.name, key.expose())?;
            request.headers_mut().insert(KEY, value);
        }
        Ok(())
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        failure::of_body(name, status, body)
    }

    fn embeddings(&self, to: &Endpoint, texts: &[String], dimension: Option<usize>) -> Question {
        let model = resource(&to.model);
        let body = batch(&model, texts, dimension);
        Question::new(format!("{model}:batchEmbedContents"), body)
    }

    fn vectors(&self, bytes: &[u8]) -> Result<(Vec<Vec<f32>>, Option<Usage>), serde_json::Error> {
        let answer: Vectors = serde_json::from_slice(bytes)?;
        let vectors = answer.embeddings.into_iter().map(|vector| vector.values);
        // Not all models count: then it is estimated elsewhere.
        let usage = answer.usage_metadata.map(Usage::from);
        Ok((
            vectors.collect(),
            usage.filter(|usage| usage.input_tokens > 0),
        ))
    }
}

/// The model as a resource of the API; tuned ones are configured as such (`tunedModels/NAME`).
fn resource(model: &str) -> String {
    match model.contains('/') {
        true => model.to_owned(),
        false => format!("models/{model}"),
    }
}

/// The body of `models.batchEmbedContents` (Gemini API reference, "Embeddings").
fn batch(model: &str, texts: &[String], dimension: Option<usize>) -> Value {
    let request = |text: &String| {
        let mut request = json!({ "model": model, "content": { "parts": [{ "text": text }] } });
        if let Some(dimension) = dimension {
            request["outputDimensionality"] = dimension.into();
        }
        request
    };
    let requests: Vec<Value> = texts.iter().map(request).collect();
    json!({ "requests": requests })
}

/// The vectors, in the order of their requests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    #[serde(default)]
    embeddings: Vec<Vector>,
    #[serde(default)]
    usage_metadata: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    values: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_resource() {
        for (model, expected) in [
            ("gemini-2.5-flash", "models/gemini-2.5-flash"),
            ("models/gemini-2.5-flash", "models/gemini-2.5-flash"),
            ("tunedModels/mine", "tunedModels/mine"),
        ] {
            assert_eq!(resource(model), expected);
        }
    }

    #[test]
    fn vectors_are_read_whether_or_not_tokens_are_counted() {
        let vectors = vec![vec![0.5, 1.0], vec![2.0, 0.0]];
        let embeddings = json!([{ "values": [0.5, 1] }, { "values": [2, 0] }]);
        for (usage, tokens) in [
            (json!(null), None),
            (json!({}), None),
            (json!({ "promptTokenCount": 9 }), Some(9)),
        ] {
            let answer = json!({ "embeddings": embeddings, "usageMetadata": usage });
            let bytes = answer.to_string();
            let (came, usage) = Gemini.vectors(bytes.as_bytes()).unwrap();
            assert_eq!(came, vectors);
            assert_eq!(usage.map(|usage| usage.input_tokens), tokens);
        }
        assert!(Gemini.vectors(b"[1]").is_err());
    }
}
