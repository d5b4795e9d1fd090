//! Groq: chat completions whose models think each in a way of its own. JSON Schemas are refused: there they exclude
//! streams and tools.

use std::collections::VecDeque;

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, ModelError, Usage};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::vllm::grade;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE, errors, thoughts};
use crate::openai as words;
use crate::wire::{Endpoint, Fault, Flow, Piece, Read, failure};

pub(super) struct Groq;

static FACTS: Facts = Facts {
    name: "groq",
    title: "Groq",
    base_url: Some("https://api.groq.com/openai/v1"),
    key: Some("GROQ_API_KEY"),
    reference: "https://console.groq.com/docs/api-reference",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        json_schema: false,
        penalties: false,
        logprobs: false,
        prompt_cache_key: false,
        audio: false,
        names: false,
        verbosity: false,
        ..Chat::OPENAI
    },
};

impl Dialect for Groq {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// Qwen's models think or do not, and mix their thoughts with the answer unless told otherwise; OpenAI's think
    /// more or less; the others do not think.
    fn adapt(
        &self,
        to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        // Its word for the usual price.
        if body
            .get("service_tier")
            .is_some_and(|tier| tier == "default")
        {
            body.insert("service_tier".to_owned(), "on_demand".into());
        }
        let effort = request.reasoning_effort;
        let word = if to.model.contains("qwen3") {
            body.insert("reasoning_format".to_owned(), "parsed".into());
            effort.map(|effort| match effort {
                ReasoningEffort::None => "none",
                _ => "default",
            })
        } else if to.model.contains("gpt-oss") {
            effort.map(grade)
        } else {
            thoughts::drop_effort(request, body, left_out);
            None
        };
        if let Some(word) = word {
            body.insert("reasoning_effort".to_owned(), word.into());
        }
        Ok(())
    }

    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(Answer(words::Events::default()))
    }

    /// A model that writes no call or no JSON, though it should, may do better the next time.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let error = failure::of_body(name, status, body);
        let code = errors::field(body, "code");
        match (status.map(|s| s.as_u16()), code.as_str()) {
            // No room for a request of the class `flex`.
            (Some(498), _) => errors::meant(error, errors::busy),
            (_, "tool_use_failed" | "json_validate_failed") => {
                errors::meant(error, ModelError::Unavailable)
            }
            _ => error,
        }
    }
}

/// Reads an answer as OpenAI's; a call without arguments comes with `null`.
struct Answer(words::Events);

impl Read for Answer {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        let before = pieces.len();
        let flow = self.0.event(kind, data, pieces)?;
        for piece in pieces.iter_mut().skip(before) {
            if let Piece::ToolCall(call) = piece
                && call.name.is_some()
                && call.arguments == "null"
            {
                call.arguments.clear();
            }
        }
        Ok(flow)
    }

    fn done(&mut self) -> Option<Piece> {
        self.0.done()
    }

    fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }
}
