//! Qwen at Alibaba Cloud's Model Studio (DashScope), in its compatible mode. The address is the international one;
//! that of mainland China is `https://dashscope.aliyuncs.com/compatible-mode/v1`.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, Constraint, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::{Chat, Dialect, Facts, errors, thoughts};
use crate::wire::{Endpoint, failure};

pub(super) struct Qwen;

static FACTS: Facts = Facts {
    name: "qwen",
    title: "Qwen",
    base_url: Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    key: Some("DASHSCOPE_API_KEY"),
    reference: "https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: 10,
    chat: Chat {
        max_tokens: "max_tokens",
        open_sampling: true,
        prompt_cache_key: false,
        names: false,
        strict_tools: false,
        verbosity: false,
        service_tier: false,
        ..Chat::OPENAI
    },
};

impl Dialect for Qwen {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// While a model thinks, its answers cannot be held to a schema, nor can it be held to call a tool: it does not
    /// think then.
    fn adapt(
        &self,
        _to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        recordings(body);
        for name in ["min_p", "frequency_penalty"] {
            if body.remove(name).is_some() {
                left_out.push(name);
            }
        }
        let held = matches!(
            request.constraint,
            Some(Constraint::JsonSchema(_) | Constraint::JsonObject)
        );
        let effort = request.reasoning_effort;
        let thinks = if held || thoughts::forced(request) {
            thoughts::drop_effort(request, body, left_out);
            Some(false)
        } else {
            body.remove("reasoning_effort");
            effort.map(|effort| effort != ReasoningEffort::None)
        };
        if let Some(thinks) = thinks {
            body.insert("enable_thinking".to_owned(), thinks.into());
        }
        if let Some(most) = effort.and_then(budget).filter(|_| thinks == Some(true)) {
            body.insert("thinking_budget".to_owned(), most.into());
        }
        Ok(())
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let said = errors::field(body, "message");
        if let Some(error) = errors::too_long(&said, "", "input length should be [1, ") {
            return error;
        }
        let error = failure::of_body(name, status, body);
        match errors::field(body, "code").as_str() {
            // It reads prompts and answers, and does not like one.
            "DataInspectionFailed" | "data_inspection_failed" => {
                errors::meant(error, ModelError::InvalidRequest)
            }
            // The account owes money.
            "Arrearage" => errors::meant(error, ModelError::Unauthorized),
            _ => error,
        }
    }
}

/// What recordings hold it takes as an address of the data.
fn recordings(body: &mut Map<String, Value>) {
    for message in thoughts::messages(body) {
        let parts = message.get_mut("content").and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten() {
            if let Some(Value::String(data)) = part.pointer_mut("/input_audio/data") {
                data.insert_str(0, "data:;base64,");
            }
        }
    }
}

/// The most tokens of thoughts; by itself a model thinks as long as it can.
fn budget(effort: ReasoningEffort) -> Option<u32> {
    match effort {
        ReasoningEffort::Minimal => Some(512),
        ReasoningEffort::Low => Some(2048),
        ReasoningEffort::Medium => Some(8192),
        ReasoningEffort::None
        | ReasoningEffort::High
        | ReasoningEffort::XHigh
        | ReasoningEffort::Max => None,
    }
}
