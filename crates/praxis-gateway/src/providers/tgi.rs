//! Hugging Face's Text Generation Inference: chat completions of one model; `model` is `tgi`, or an adapter's name.
//! Answers are held to schemas and regular expressions, but not where there are tools.

use praxis_core::{ChatRequest, Constraint, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::errors;
use super::sglang::pattern;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, failure};

pub(super) struct Tgi;

static FACTS: Facts = Facts {
    name: "tgi",
    title: "Text Generation Inference",
    base_url: Some("http://127.0.0.1:3000/v1"),
    key: None,
    reference: "https://huggingface.co/docs/text-generation-inference",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        structured_outputs: true,
        open_sampling: false,
        parallel_tool_calls: false,
        reasoning_effort: false,
        audio: false,
        strict_tools: false,
        ..Chat::OPEN
    },
};

impl Dialect for Tgi {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// It has words of its own for what an answer is held to.
    fn adapt(
        &self,
        to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        _left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        let format = match &request.constraint {
            Some(Constraint::JsonObject) => {
                Some(json!({ "type": "json", "value": Constraint::any_object() }))
            }
            Some(Constraint::JsonSchema(schema)) => {
                Some(json!({ "type": "json", "value": schema }))
            }
            _ => pattern(&FACTS, to, request)?
                .map(|pattern| json!({ "type": "regex", "value": pattern })),
        };
        if let Some(format) = format {
            body.remove("structured_outputs");
            body.insert("response_format".to_owned(), format);
        }
        Ok(())
    }

    /// The message is the error itself; 424 is an error of the machine that computes.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let said = errors::field(body, "error");
        let windows = ["`max_new_tokens` must be <= ", "must have less than "];
        let too_long = windows
            .into_iter()
            .find_map(|window| errors::too_long(&said, "Given: ", window));
        if let Some(error) = too_long {
            return error;
        }
        let error = failure::of_body(name, status, body);
        match status {
            Some(StatusCode::FAILED_DEPENDENCY) => errors::meant(error, ModelError::Unavailable),
            _ => error,
        }
    }
}
