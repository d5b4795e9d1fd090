//! llama.cpp's server: what OpenAI's API has, and `/rerank`. Regular expressions and grammars are refused: its grammars
//! are GBNF, those of a request Lark.

use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::errors::{field, meant};
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE, vllm};
use crate::wire::{Endpoint, failure};

pub(super) struct LlamaServer;

static FACTS: Facts = Facts {
    name: "llama-server",
    title: "llama-server",
    base_url: Some("http://127.0.0.1:8080/v1"),
    key: None,
    reference: "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    tasks: &[Task::Chat, Task::Embedding, Task::Reranking],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPEN,
};

impl Dialect for LlamaServer {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// Efforts are for the chat template, as whether to think is; a stream has probabilities or tools.
    fn adapt(
        &self,
        _to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        vllm::think(request, body);
        if let Some(effort) = body.remove("reasoning_effort")
            && let Some(Value::Object(words)) = body.get_mut("chat_template_kwargs")
        {
            words.insert("reasoning_effort".to_owned(), effort);
        }
        if let Some(penalty) = body.remove("repetition_penalty") {
            body.insert("repeat_penalty".to_owned(), penalty);
        }
        if body.contains_key("tools") && body.remove("logprobs").is_some() {
            body.remove("top_logprobs");
            left_out.push("logprobs");
        }
        Ok(())
    }

    /// It tells what fits in fields of their own; 501 is what it was not started for.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        if field(body, "type") == "exceed_context_size_error" {
            let number = |name: &str| field(body, name).parse().unwrap_or_default();
            return ModelError::ContextLengthExceeded {
                prompt_tokens: number("n_prompt_tokens"),
                context_length: number("n_ctx"),
            };
        }
        let error = failure::of_body(name, status, body);
        match status {
            Some(StatusCode::NOT_IMPLEMENTED) => meant(error, ModelError::InvalidRequest),
            _ => error,
        }
    }
}
