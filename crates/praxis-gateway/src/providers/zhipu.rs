//! Zhipu, which calls itself Z.ai: chat completions of the GLM models. The address is the international one; that of
//! mainland China, which also has embeddings, is `https://open.bigmodel.cn/api/paas/v4`. Calls cannot be forced, and
//! there is no JSON Schema.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::errors;
use super::moonshot::grade;
use super::ollama::free_choice;
use super::thoughts::{self, Thoughts};
use super::{Chat, Dialect, Facts};
use crate::openai as words;
use crate::wire::{Endpoint, Question, Read, failure};

pub(super) struct Zhipu;

static FACTS: Facts = Facts {
    name: "zhipu",
    title: "Z.ai (Zhipu)",
    base_url: Some("https://api.z.ai/api/paas/v4"),
    key: Some("ZAI_API_KEY"),
    reference: "https://docs.z.ai/api-reference/llm/chat-completion",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: 64,
    chat: Chat {
        max_tokens: "max_tokens",
        seed: None,
        stream_options: false,
        json_schema: false,
        penalties: false,
        logprobs: false,
        parallel_tool_calls: false,
        prompt_cache_key: false,
        audio: false,
        names: false,
        strict_tools: false,
        verbosity: false,
        service_tier: false,
        ..Chat::OPENAI
    },
};

impl Dialect for Zhipu {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// Most models think or do not; the newest ones think less or more, GLM-5.3 always.
    fn adapt(
        &self,
        to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        thoughts::give_back(body, thoughts::WORD);
        free_choice(request, body, left_out);
        let Some(effort) = request.reasoning_effort else {
            return Ok(());
        };
        let is = |beginning: &str| to.model.starts_with(beginning);
        if is("glm-5.3") {
            body.insert("reasoning_effort".to_owned(), grade(effort).into());
        } else if effort == ReasoningEffort::None || !is("glm-5.2") {
            body.remove("reasoning_effort");
        }
        let thinks = is("glm-5.3") || effort != ReasoningEffort::None;
        thoughts::thinking(body, thinks);
        Ok(())
    }

    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(Thoughts::default())
    }

    /// Its codes say more than the status does, which is 429 also for an account without money.
    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let error = failure::of_body(name, status, body);
        let code = errors::field(body, "code").parse().unwrap_or(0_u32);
        match code {
            1000..=1004 | 1110..=1113 | 1121 | 1220 | 1309 | 1311 => {
                errors::meant(error, ModelError::Unauthorized)
            }
            1211 | 1221 | 1222 => errors::meant(error, ModelError::NotFound),
            1230 | 1234 => errors::meant(error, ModelError::Unavailable),
            1261 => ModelError::ContextLengthExceeded {
                prompt_tokens: 0,
                context_length: 0,
            },
            1301 => errors::meant(error, ModelError::InvalidRequest),
            1302 | 1303 | 1305 | 1312 => errors::meant(error, errors::busy),
            _ => error,
        }
    }

    fn embeddings(&self, to: &Endpoint, texts: &[String], dimension: Option<usize>) -> Question {
        let mut question = words::embeddings(to, texts, dimension);
        if let Value::Object(body) = &mut question.body {
            body.remove("encoding_format");
        }
        question
    }
}
