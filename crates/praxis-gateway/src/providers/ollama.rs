//! Ollama: chat completions and embeddings of local models. A call cannot be forced, and a prompt that is too long is
//! cut by the server.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, ModelError, ToolChoice};
use praxis_hub::Task;
use serde_json::{Map, Value};

use super::vllm::grade;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::Endpoint;

pub(super) struct Ollama;

static FACTS: Facts = Facts {
    name: "ollama",
    title: "Ollama",
    base_url: Some("http://127.0.0.1:11434/v1"),
    key: None,
    reference: "https://docs.ollama.com/api/openai-compatibility",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        open_sampling: false,
        parallel_tool_calls: false,
        audio: false,
        names: false,
        strict_tools: false,
        ..Chat::OPEN
    },
};

impl Dialect for Ollama {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn adapt(
        &self,
        _to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        free_choice(request, body, left_out);
        if let Some(effort) = request.reasoning_effort {
            let word = match effort {
                ReasoningEffort::None => "none",
                other => grade(other),
            };
            body.insert("reasoning_effort".to_owned(), word.into());
        }
        Ok(())
    }
}

/// For providers whose models call as they see fit: what must not be called is not offered, and that a call had to be
/// is noted.
pub(super) fn free_choice(
    request: &ChatRequest,
    body: &mut Map<String, Value>,
    left_out: &mut Vec<&'static str>,
) {
    if body.remove("tool_choice").is_none() {
        return;
    }
    match &request.tool_choice {
        ToolChoice::Auto => {}
        ToolChoice::None => {
            body.remove("tools");
            body.remove("parallel_tool_calls");
        }
        ToolChoice::Required => left_out.push("tool_choice"),
        ToolChoice::Named(name) => {
            if let Some(Value::Array(tools)) = body.get_mut("tools") {
                tools.retain(|tool| tool["function"]["name"] == name.as_str());
            }
            left_out.push("tool_choice");
        }
    }
}
