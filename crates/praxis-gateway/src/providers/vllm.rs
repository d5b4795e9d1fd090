//! vLLM's server: what OpenAI's API has, `/rerank`, and answers that are held to regular expressions, choices and
//! grammars. Whether a model thinks is a variable of its chat template.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::errors;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, failure};

pub(super) struct Vllm;

static FACTS: Facts = Facts {
    name: "vllm",
    title: "vLLM",
    base_url: Some("http://127.0.0.1:8000/v1"),
    key: None,
    reference: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    tasks: &[Task::Chat, Task::Embedding, Task::Reranking],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        structured_outputs: true,
        ..Chat::OPEN
    },
};

impl Dialect for Vllm {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn adapt(
        &self,
        _to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        _left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        think(request, body);
        Ok(())
    }

    /// Its newer words for a prompt that is too long tell the tokens that were asked for before those of the prompt.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let said = errors::field(body, "message");
        let prompt = ["prompt contains at least ", "prompt contains "]
            .into_iter()
            .find(|words| said.contains(*words));
        prompt
            .and_then(|prompt| errors::too_long(&said, prompt, "maximum context length is "))
            .unwrap_or_else(|| failure::of_body(name, status, body))
    }
}

/// The effort in the words that all open servers take.
pub(super) fn grade(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High | ReasoningEffort::XHigh | ReasoningEffort::Max => "high",
    }
}

/// Says how long to think, and to the templates of models that do or do not think, in the two words that they have
/// (Qwen's and GLM's `enable_thinking`, DeepSeek's and Kimi's `thinking`), whether to. Others ignore them.
pub(super) fn think(request: &ChatRequest, body: &mut Map<String, Value>) {
    let Some(effort) = request.reasoning_effort else {
        return;
    };
    let thinks = effort != ReasoningEffort::None;
    if thinks {
        body.insert("reasoning_effort".to_owned(), grade(effort).into());
    } else {
        body.remove("reasoning_effort");
    }
    body.insert(
        "chat_template_kwargs".to_owned(),
        json!({ "enable_thinking": thinks, "thinking": thinks }),
    );
}
