//! OpenAI's chat completions, and any server that speaks them: `base_url` says which.

use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use serde_json::Value;

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::openai as words;
use crate::wire::{Endpoint, Question};

pub(super) struct OpenAi;

/// Its own host; others that are asked by this name are open servers.
const HOST: &str = "api.openai.com";

/// Of servers that speak as OpenAI's does.
const OTHERS: Facts = Facts {
    name: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    key: Some("OPENAI_API_KEY"),
    reference: "https://platform.openai.com/docs/api-reference/chat",
    tasks: &[Task::Chat, Task::Embedding, Task::Reranking],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPEN,
};

static FACTS: Facts = OTHERS;

/// Of OpenAI's own server, which has retired a word that others still need, and takes some that others do not know.
static OWN: Facts = Facts {
    chat: Chat::OPENAI,
    ..OTHERS
};

impl Dialect for OpenAi {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn ask(&self, to: &Endpoint, request: &ChatRequest) -> Result<Question, ModelError> {
        let facts = match to.base_url.host_str() {
            Some(HOST) => &OWN,
            _ => &FACTS,
        };
        let (body, left_out) = words::body(facts, to, request)?;
        Ok(Question {
            left_out,
            ..Question::new("chat/completions", Value::Object(body))
        })
    }
}
