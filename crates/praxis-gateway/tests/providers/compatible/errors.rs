//! Errors in the words of each provider, after the lists of errors in their references.

use std::time::Duration;

use praxis_core::ModelError;
use serde_json::{Value, json};

use super::{lines, short};
use crate::support::Exchange;
use crate::{ask, question};

/// The error instead of an answer.
fn failing(provider: &str, status: u16, error: &Value) -> Exchange {
    let mut exchange = short(provider, "m", json!({}));
    exchange.response.status = status;
    exchange.response.headers["content-type"] = "application/json".into();
    exchange.response.body = vec![error.to_string().into()];
    exchange
}

async fn error(provider: &str, exchange: Exchange) -> ModelError {
    let outcome = ask(&lines(provider, "m"), vec![exchange], question("Hi")).await;
    outcome.answer.unwrap_err()
}

#[tokio::test]
async fn each_says_what_the_caller_can_do() {
    let of_code =
        |code: &str, message: &str| json!({ "error": { "code": code, "message": message } });
    let of_type =
        |kind: &str, message: &str| json!({ "error": { "type": kind, "message": message } });
    for (provider, status, body, code) in [
        (
            "azure",
            400,
            json!({ "error": {
                "code": "content_filter",
                "message": "The response was filtered due to the prompt",
                "param": "prompt",
                "status": 400,
                "innererror": { "code": "ResponsibleAIPolicyViolation" },
            } }),
            "invalid_request",
        ),
        (
            "azure",
            404,
            of_code("DeploymentNotFound", "no such deployment"),
            "not_found",
        ),
        (
            "deepseek",
            402,
            of_type("unknown_error", "Insufficient Balance"),
            "upstream_unauthorized",
        ),
        (
            "groq",
            400,
            of_code("tool_use_failed", "Failed to call a function"),
            "upstream_error",
        ),
        (
            "groq",
            498,
            of_type("flex", "capacity exceeded"),
            "rate_limited",
        ),
        (
            "llama-server",
            501,
            json!({ "error": {
                "code": 501,
                "type": "not_supported_error",
                "message": "This server does not support embeddings",
            } }),
            "invalid_request",
        ),
        (
            "mistral",
            400,
            json!({
                "object": "error",
                "type": "invalid_model",
                "code": "1500",
                "message": "Invalid model: m",
            }),
            "not_found",
        ),
        (
            "moonshot",
            429,
            of_type("exceeded_current_quota_error", "no money"),
            "upstream_unauthorized",
        ),
        (
            "moonshot",
            429,
            of_type("engine_overloaded_error", "overloaded"),
            "rate_limited",
        ),
        (
            "moonshot",
            400,
            of_type("content_filter", "rejected, high risk"),
            "invalid_request",
        ),
        (
            "openrouter",
            402,
            json!({ "error": { "code": 402, "message": "Insufficient credits" } }),
            "upstream_unauthorized",
        ),
        (
            "openrouter",
            402,
            json!({ "error": {
                "code": 402,
                "message": "too much at once",
                "metadata": { "limit_source": "openrouter_in_flight_budget" },
            } }),
            "rate_limited",
        ),
        (
            "openrouter",
            403,
            json!({ "error": {
                "code": 403,
                "message": "flagged",
                "metadata": { "reasons": ["violence"], "flagged_input": "Hi" },
            } }),
            "invalid_request",
        ),
        (
            "qwen",
            400,
            of_code("DataInspectionFailed", "inappropriate content"),
            "invalid_request",
        ),
        (
            "qwen",
            400,
            json!({ "code": "Arrearage", "message": "overdue" }),
            "upstream_unauthorized",
        ),
        (
            "qwen",
            429,
            of_code("limit_requests", "too many requests"),
            "rate_limited",
        ),
        (
            "tgi",
            424,
            json!({ "error": "Request failed during generation", "error_type": "generation" }),
            "upstream_error",
        ),
        (
            "zhipu",
            429,
            of_code("1113", "no balance"),
            "upstream_unauthorized",
        ),
        (
            "zhipu",
            429,
            of_code("1302", "too many requests"),
            "rate_limited",
        ),
        ("zhipu", 400, of_code("1211", "no such model"), "not_found"),
        (
            "zhipu",
            400,
            of_code("1261", "Prompt too long"),
            "context_length_exceeded",
        ),
        (
            "zhipu",
            400,
            of_code("1301", "unsafe content"),
            "invalid_request",
        ),
    ] {
        let error = error(provider, failing(provider, status, &body)).await;
        assert_eq!(error.code().as_str(), code, "{provider}: {body}: {error}");
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_told_with_its_numbers() {
    let of_message = |message: &str| json!({ "error": { "message": message } });
    for (provider, status, body, numbers) in [
        (
            "llama-server",
            400,
            json!({ "error": {
                "code": 400,
                "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size",
                "n_prompt_tokens": 9001,
                "n_ctx": 8192,
            } }),
            (9001, 8192),
        ),
        (
            "mistral",
            400,
            json!({
                "object": "error",
                "type": "invalid_request_prompt",
                "message": "Prompt contains 9001 tokens and 0 draft tokens, too large for model with 8192 maximum \
                    context length",
            }),
            (9001, 8192),
        ),
        (
            "moonshot",
            400,
            of_message("Your request exceeded model token limit: 8192 (requested: 9001)"),
            (9001, 8192),
        ),
        (
            "openrouter",
            400,
            of_message(
                "This endpoint's maximum context length is 8192 tokens. However, you requested about 9001 tokens",
            ),
            (9001, 8192),
        ),
        (
            "qwen",
            400,
            of_message("<400> Range of input length should be [1, 8192]"),
            (0, 8192),
        ),
        (
            "sglang",
            400,
            json!({
                "object": "error",
                "message": "The input (9001 tokens) is longer than the model's context length (8192 tokens).",
            }),
            (9001, 8192),
        ),
        (
            "tgi",
            422,
            json!({
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 9001 \
                    `inputs` tokens and 16 `max_new_tokens`",
                "error_type": "validation",
            }),
            (9001, 8192),
        ),
        (
            "vllm",
            400,
            of_message(
                "This model's maximum context length is 8192 tokens. However, you requested 16 output tokens and \
                 your prompt contains at least 9001 input tokens",
            ),
            (9001, 8192),
        ),
    ] {
        match error(provider, failing(provider, status, &body)).await {
            ModelError::ContextLengthExceeded {
                prompt_tokens,
                context_length,
            } => assert_eq!((prompt_tokens, context_length), numbers, "{provider}"),
            other => panic!("{provider}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn azure_says_how_long_to_wait() {
    let body = json!({ "error": { "code": "429", "message": "Please retry after 7 seconds." } });
    let mut exchange = failing("azure", 429, &body);
    let headers = &mut exchange.response.headers;
    headers.insert("retry-after".to_owned(), "7".into());
    match error("azure", exchange).await {
        ModelError::RateLimited { retry_after, .. } => {
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn openrouter_tells_what_the_provider_behind_it_said() {
    let body = json!({ "error": {
        "code": 502,
        "message": "Provider returned error",
        "metadata": { "provider_name": "Other", "raw": "the machine is on fire" },
    } });
    let error = error("openrouter", failing("openrouter", 502, &body)).await;
    assert!(error.is_retryable());
    let said = error.to_string();
    assert!(
        said.contains("Provider returned error: the machine is on fire"),
        "{said}"
    );
}

#[tokio::test]
async fn openrouter_tells_errors_in_streams() {
    let event = json!({
        "id": "gen-1",
        "error": { "code": 429, "message": "slow down" },
        "choices": [{ "index": 0, "delta": { "content": "" }, "finish_reason": "error" }],
    });
    let mut exchange = short("openrouter", "m", json!({}));
    exchange.response.body = vec![
        ": OPENROUTER PROCESSING\n\n".into(),
        format!("data: {event}\n\n").into(),
    ];
    let error = error("openrouter", exchange).await;
    assert_eq!(error.code().as_str(), "rate_limited", "{error}");
}
