//! DeepSeek: chat completions whose models think unless they are told not to, and want their thoughts back with the
//! calls that came of them. JSON, but no JSON Schema.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::thoughts::Thoughts;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE, errors, thoughts};
use crate::wire::{Endpoint, Read, failure};

pub(super) struct DeepSeek;

static FACTS: Facts = Facts {
    name: "deepseek",
    title: "DeepSeek",
    base_url: Some("https://api.deepseek.com"),
    key: Some("DEEPSEEK_API_KEY"),
    reference: "https://api-docs.deepseek.com/api/create-chat-completion",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        max_tokens: "max_tokens",
        seed: None,
        json_schema: false,
        // They are taken and do nothing.
        penalties: false,
        parallel_tool_calls: false,
        prompt_cache_key: false,
        audio: false,
        strict_tools: false,
        verbosity: false,
        service_tier: false,
        ..Chat::OPENAI
    },
};

impl Dialect for DeepSeek {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// A model that thinks cannot be held to call a tool, so it does not think then. One that does refuses messages of
    /// its own without thoughts.
    fn adapt(
        &self,
        _to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        thoughts::give_back(body, thoughts::WORD);
        let effort = request.reasoning_effort;
        if effort == Some(ReasoningEffort::None) || thoughts::forced(request) {
            thoughts::drop_effort(request, body, left_out);
            thoughts::thinking(body, false);
            return Ok(());
        }
        if effort.is_some() {
            thoughts::thinking(body, true);
        }
        thoughts::pad(body, "", |_| true);
        Ok(())
    }

    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(Thoughts::default())
    }

    /// 402 is an account without money.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let error = failure::of_body(name, status, body);
        match status {
            Some(StatusCode::PAYMENT_REQUIRED) => errors::meant(error, ModelError::Unauthorized),
            _ => error,
        }
    }
}
