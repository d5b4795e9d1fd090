//! OpenAI's chat completions, and any server that speaks them: `base_url` says which.

use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use serde_json::{Map, Value};

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::Endpoint;

pub(super) struct OpenAi;

/// Its own host; others that are asked by this name are open servers.
const HOST: &str = "api.openai.com";

static FACTS: Facts = Facts {
    name: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    key: Some("OPENAI_API_KEY"),
    reference: "https://platform.openai.com/docs/api-reference/chat",
    tasks: &[Task::Chat, Task::Embedding, Task::Reranking],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPEN,
};

impl Dialect for OpenAi {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// OpenAI's own server has retired a word that others still need, and takes one that others do not know.
    fn adapt(
        &self,
        to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        if to.base_url.host_str() != Some(HOST) {
            return Ok(());
        }
        if let Some(most) = body.remove("max_tokens") {
            body.insert("max_completion_tokens".to_owned(), most);
        }
        for name in ["top_k", "min_p", "repetition_penalty"] {
            if body.remove(name).is_some() {
                left_out.push(name);
            }
        }
        if let Some(key) = &request.cache_key {
            body.insert("prompt_cache_key".to_owned(), key.as_str().into());
        }
        Ok(())
    }
}
