//! Models of Amazon Bedrock, of many makers, through the one form of questions that they have in common (Amazon
//! Bedrock API reference, "ConverseStream"). Left out: guardrails, prompts that are kept at Amazon, embeddings and
//! ranking.

mod ask;
mod content;
mod failure;
mod model;
mod read;
mod sign;

use async_trait::async_trait;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, StatusCode};

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, Framing, Question, Read, secret_header};

pub(super) struct Bedrock;

/// Its API, as messages name it.
const API: &str = "Amazon Bedrock";

static FACTS: Facts = Facts {
    name: "bedrock",
    title: "Amazon Bedrock",
    // It depends on the region.
    base_url: None,
    // A Bedrock API key does, and so do the credentials of AWS.
    key: None,
    reference: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPEN,
};

/// The model that is asked, as far as it matters for the question.
#[derive(Debug, Clone, Copy)]
struct To<'a> {
    /// Its name in `praxis.toml`, for messages.
    name: &'a str,
    /// Its id, or the ARN of what runs it.
    model: &'a str,
    prompt_cache: bool,
}

impl<'a> From<&'a Endpoint> for To<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        Self {
            name: &endpoint.name,
            model: &endpoint.model,
            prompt_cache: endpoint.prompt_cache,
        }
    }
}

#[async_trait]
impl Dialect for Bedrock {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn reads(&self, media_type: &str) -> bool {
        media_type.starts_with("image/") || media_type == "application/pdf"
    }

    fn default_base_url(&self, region: Option<&str>) -> Option<String> {
        let named = |region: &&str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !region.is_empty() && region.bytes().all(plain)
        };
        let region = region.filter(named)?;
        Some(format!("https://bedrock-runtime.{region}.amazonaws.com"))
    }

    fn ask(&self, to: &Endpoint, request: &ChatRequest) -> Result<Question, ModelError> {
        ask::question(to.into(), request)
    }

    fn reader(&self, to: &Endpoint, request: &ChatRequest) -> Box<dyn Read> {
        let answer = ask::answer_tool(to.into(), request);
        Box::new(read::Events::new(&to.name, &to.model, answer))
    }

    fn framing(&self) -> Framing {
        Framing::Amazon
    }

    async fn authorize(&self, to: &Endpoint, request: &mut Request) -> Result<(), ModelError> {
        let Some(key) = to.secret() else {
            return sign::authorize(to, request).await;
        };
        let value = secret_header(&to.name, &format!("Bearer {}", key.expose()))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        failure::of_body(name, status, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_address_is_that_of_a_region() {
        for (region, expected) in [
            (
                Some("eu-central-1"),
                Some("https://bedrock-runtime.eu-central-1.amazonaws.com"),
            ),
            (Some(""), None),
            (Some("evil.example/"), None),
            (None, None),
        ] {
            let url = Bedrock.default_base_url(region);
            assert_eq!(url.as_deref(), expected, "{region:?}");
        }
    }
}
