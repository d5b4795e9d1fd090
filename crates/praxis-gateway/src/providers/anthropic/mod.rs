//! Anthropic's Messages API (Claude API reference, "Create a Message"), and servers that speak it. What a model thinks
//! before it calls tools is signed, and has to come back with the calls: it is remembered here. Left out: tools that
//! run at the provider, files, batches, and what is in beta.

mod ask;
mod content;
mod events;
mod messages;
mod read;
mod thinking;
mod thread;

use async_trait::async_trait;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Request, StatusCode};
use serde_json::Value;

use self::thread::Thread;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, Question, Read, failure, secret_header};

pub(super) struct Anthropic;

static FACTS: Facts = Facts {
    name: "anthropic",
    title: "Anthropic",
    base_url: Some("https://api.anthropic.com/v1"),
    key: Some("ANTHROPIC_API_KEY"),
    reference: "https://platform.claude.com/docs/en/api/messages/create",
    tasks: &[Task::Chat],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPENAI,
};

/// The version of the API that is spoken, unless `api_version` says otherwise.
const VERSION: &str = "2023-06-01";

#[async_trait]
impl Dialect for Anthropic {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn reads(&self, media_type: &str) -> bool {
        media_type.starts_with("image/") || media_type == "application/pdf"
    }

    fn ask(&self, to: &Endpoint, request: &ChatRequest) -> Result<Question, ModelError> {
        let mut question = ask::question(&FACTS, to, request)?;
        let version = to.api_version.as_deref().unwrap_or(VERSION);
        let version = HeaderValue::from_str(version).map_err(|_| {
            ModelError::InvalidRequest(format!(
                "`{}`: `api_version` has characters that no header can carry",
                to.name
            ))
        })?;
        let header = HeaderName::from_static("anthropic-version");
        question.headers.push((header, version));
        Ok(question)
    }

    fn reader(&self, to: &Endpoint, request: &ChatRequest) -> Box<dyn Read> {
        let mark = Thread::mark_of(&to.name, &to.model, request);
        Box::new(read::Events::new(mark))
    }

    async fn authorize(&self, to: &Endpoint, request: &mut Request) -> Result<(), ModelError> {
        if let Some(key) = to.secret() {
            let value = secret_header(&to.name, key.expose())?;
            request.headers_mut().insert("x-api-key", value);
        }
        Ok(())
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        meaning(name, status, body)
    }
}

/// What an error means (Claude documentation, "Errors"). Its status says it, and its type where there is no status.
/// An account without money is like a key that is refused: no other request would do better.
fn meaning(name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &json["error"];
    let said = error["message"].as_str().unwrap_or_default();
    if let Some((prompt_tokens, context_length)) = too_long(said) {
        return ModelError::ContextLengthExceeded {
            prompt_tokens,
            context_length,
        };
    }
    let told = failure::of_body(name, status, body);
    let kind = error["type"].as_str().unwrap_or_default();
    if kind == "billing_error" || said.contains("credit balance is too low") {
        return ModelError::Unauthorized(told.to_string());
    }
    if status.is_some() || matches!(told, ModelError::ContextLengthExceeded { .. }) {
        return told;
    }
    let message = told.to_string();
    match kind {
        "rate_limit_error" => ModelError::RateLimited {
            message,
            retry_after: None,
        },
        "authentication_error" | "permission_error" => ModelError::Unauthorized(message),
        "not_found_error" => ModelError::NotFound(message),
        "invalid_request_error" | "request_too_large" => ModelError::InvalidRequest(message),
        // Overloaded, too slow, or broken; and what is new.
        _ => ModelError::Unavailable(message),
    }
}

/// Tokens of the prompt and of the window, from "prompt is too long: 210000 tokens > 200000 maximum", or from "input
/// length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"; 0 where they are not said.
fn too_long(said: &str) -> Option<(usize, usize)> {
    let (after, window) = match said.split_once("prompt is too long") {
        Some((_, after)) => (after, 1),
        None => (said.split_once("exceed context limit")?.1, 2),
    };
    let digits = after.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<usize> = digits.filter_map(|n| n.parse().ok()).take(3).collect();
    let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
    Some((number(0), number(window)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_error_says_what_the_caller_can_do() {
        for (status, kind, said, code, retryable) in [
            (
                Some(400),
                "invalid_request_error",
                "max_tokens: Field required",
                "invalid_request",
                false,
            ),
            (
                Some(400),
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
                "upstream_unauthorized",
                false,
            ),
            (
                Some(401),
                "authentication_error",
                "invalid x-api-key",
                "upstream_unauthorized",
                false,
            ),
            (
                Some(402),
                "billing_error",
                "Check your payment details",
                "upstream_unauthorized",
                false,
            ),
            (
                Some(403),
                "permission_error",
                "no access",
                "upstream_unauthorized",
                false,
            ),
            (
                Some(404),
                "not_found_error",
                "model: claude-9",
                "not_found",
                false,
            ),
            (
                Some(413),
                "request_too_large",
                "Request exceeds the maximum size",
                "invalid_request",
                false,
            ),
            (
                Some(429),
                "rate_limit_error",
                "slow down",
                "rate_limited",
                true,
            ),
            (
                Some(500),
                "api_error",
                "Internal server error",
                "upstream_error",
                true,
            ),
            (
                Some(529),
                "overloaded_error",
                "Overloaded",
                "upstream_error",
                true,
            ),
            (
                None,
                "overloaded_error",
                "Overloaded",
                "upstream_error",
                true,
            ),
            (None, "rate_limit_error", "slow down", "rate_limited", true),
            (
                None,
                "authentication_error",
                "expired",
                "upstream_unauthorized",
                false,
            ),
            (None, "not_found_error", "gone", "not_found", false),
            (
                None,
                "invalid_request_error",
                "no",
                "invalid_request",
                false,
            ),
            (None, "new_error", "what?", "upstream_error", true),
        ] {
            let body = json!({"type": "error", "error": {"type": kind, "message": said}});
            let status = status.and_then(|s| StatusCode::from_u16(s).ok());
            let error = meaning("m", status, &body.to_string());
            assert_eq!(error.code().as_str(), code, "{status:?} {kind}");
            assert_eq!(error.is_retryable(), retryable, "{status:?} {kind}");
            let text = error.to_string();
            assert!(text.contains(said) && text.contains("`m`"), "{text}");
        }
        let html = meaning("m", StatusCode::from_u16(502).ok(), "<html>oops</html>");
        assert!(html.is_retryable() && html.to_string().contains("oops"));
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_with_its_numbers() {
        for (said, expected) in [
            (
                "prompt is too long: 210000 tokens > 200000 maximum",
                Some((210_000, 200_000)),
            ),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease them",
                Some((190_000, 200_000)),
            ),
            ("prompt is too long", Some((0, 0))),
            (
                "prompt is too long: 99999999999999999999999 tokens",
                Some((0, 0)),
            ),
            ("max_tokens: 200000 > 64000", None),
        ] {
            assert_eq!(too_long(said), expected, "{said}");
        }
    }
}
