//! OpenAI's Responses API (OpenAI API reference, "Responses"), and servers that speak it. Nothing is kept at the
//! provider: each question carries the whole conversation. What a model thought before a call comes encrypted; it is
//! remembered here and goes back with the call. Left out: tools that run at the provider, stored conversations, work
//! in the background.

mod ask;
mod before;
mod events;
mod input;
mod read;

use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, Question, Read};

pub(super) struct Responses;

/// Its API, as messages name it.
const API: &str = "OpenAI's Responses API";

static FACTS: Facts = Facts {
    name: "openai-responses",
    title: "OpenAI Responses",
    base_url: Some("https://api.openai.com/v1"),
    key: Some("OPENAI_API_KEY"),
    reference: "https://platform.openai.com/docs/api-reference/responses",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPENAI,
};

impl Dialect for Responses {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn reads(&self, media_type: &str) -> bool {
        media_type.starts_with("image/") || media_type == "application/pdf"
    }

    fn ask(&self, to: &Endpoint, request: &ChatRequest) -> Result<Question, ModelError> {
        ask::question(&FACTS, to, request)
    }

    fn reader(&self, to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(read::Events::new(&to.name))
    }
}
