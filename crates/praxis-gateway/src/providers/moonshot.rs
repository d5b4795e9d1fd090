//! Moonshot: chat completions of the Kimi models, which have temperatures of their own, think unless they are told not
//! to, and want their thoughts back with the calls that came of them.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::errors;
use super::thoughts::{self, Thoughts};
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, Read, failure};

pub(super) struct Moonshot;

static FACTS: Facts = Facts {
    name: "moonshot",
    title: "Moonshot",
    base_url: Some("https://api.moonshot.ai/v1"),
    key: Some("MOONSHOT_API_KEY"),
    reference: "https://platform.moonshot.ai/docs/api/chat",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        seed: None,
        penalties: false,
        parallel_tool_calls: false,
        audio: false,
        strict_tools: false,
        verbosity: false,
        service_tier: false,
        cache_times: false,
        ..Chat::OPENAI
    },
};

impl Dialect for Moonshot {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn adapt(
        &self,
        to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        thoughts::give_back(body, thoughts::WORD);
        let is = |beginning: &str| to.model.starts_with(beginning);
        let effort = request.reasoning_effort;
        // Older ones do not think, or always do.
        if !is("kimi-k2.") && !is("kimi-k3") {
            thoughts::drop_effort(request, body, left_out);
            return Ok(());
        }
        // The only values that they take are those that they have anyway.
        for name in ["temperature", "top_p"] {
            if body.remove(name).is_some() {
                left_out.push(name);
            }
        }
        if is("kimi-k3") {
            if let Some(effort) = effort {
                body.insert("reasoning_effort".to_owned(), grade(effort).into());
            }
        } else if is("kimi-k2.7-code") {
            // It always thinks, as long as it likes.
            if body.remove("reasoning_effort").is_some() {
                left_out.push("reasoning_effort");
            }
        } else if effort == Some(ReasoningEffort::None) || thoughts::forced(request) {
            // While it thinks it cannot be held to call a tool.
            thoughts::drop_effort(request, body, left_out);
            thoughts::thinking(body, false);
            return Ok(());
        } else if body.remove("reasoning_effort").is_some() {
            thoughts::thinking(body, true);
        }
        // Calls without thoughts are refused, as are thoughts without a character.
        thoughts::pad(body, " ", |message| message.contains_key("tool_calls"));
        Ok(())
    }

    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(Thoughts::default())
    }

    /// 429 is also an account without money.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let said = errors::field(body, "message");
        if let Some(error) = errors::too_long(&said, "requested: ", "token limit: ") {
            return error;
        }
        if said.contains("Input token length too long") {
            return ModelError::ContextLengthExceeded {
                prompt_tokens: 0,
                context_length: 0,
            };
        }
        let error = failure::of_body(name, status, body);
        match errors::field(body, "type").as_str() {
            "exceeded_current_quota_error" => errors::meant(error, ModelError::Unauthorized),
            _ => error,
        }
    }
}

/// The effort in the words of models that always think, but less or more.
pub(super) fn grade(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium | ReasoningEffort::High => "high",
        ReasoningEffort::XHigh | ReasoningEffort::Max => "max",
    }
}
