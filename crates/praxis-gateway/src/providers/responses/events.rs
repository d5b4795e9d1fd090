//! What the events of a streamed response hold (OpenAI API reference, "Streaming events"), as far as it is read.
//! Unknown fields are ignored, absent ones tolerated: compatible servers differ.

use praxis_core::chat::TokenLogprob;
use praxis_core::{ModelError, Usage};
use serde::Deserialize;
use serde_json::Value;

use crate::wire::failure;

/// A piece of a text, of a thought or of arguments.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Delta {
    pub item_id: Option<String>,
    pub output_index: Option<u64>,
    pub summary_index: Option<u64>,
    pub content_index: Option<u64>,
    pub delta: Option<String>,
    pub logprobs: Option<Vec<TokenLogprob>>,
}

/// An item that begins or ends.
#[derive(Deserialize)]
pub(super) struct ItemEvent {
    #[serde(default)]
    pub output_index: Option<u64>,
    pub item: Item,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    FunctionCall(FunctionCall),
    Reasoning {
        #[serde(default)]
        summary: Option<Vec<Value>>,
        #[serde(default)]
        encrypted_content: Option<String>,
    },
    Message {
        #[serde(default)]
        phase: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct FunctionCall {
    pub id: Option<String>,
    pub call_id: Option<String>,
    pub name: Option<String>,
    pub arguments: Option<String>,
}

/// The end of a response.
#[derive(Deserialize)]
pub(super) struct End {
    pub response: Response,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Response {
    pub status: Option<String>,
    pub incomplete_details: Option<Incomplete>,
    pub usage: Option<WireUsage>,
}

#[derive(Deserialize)]
pub(super) struct Incomplete {
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireUsage {
    pub input_tokens: u64,
    pub input_tokens_details: Option<InputDetails>,
    pub output_tokens: u64,
    pub output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let input = wire.input_tokens_details.unwrap_or_default();
        let output = wire.output_tokens_details.unwrap_or_default();
        Usage {
            input_tokens: wire.input_tokens,
            cached_tokens: input.cached_tokens.unwrap_or_default(),
            cache_write_tokens: input.cache_write_tokens.unwrap_or_default(),
            output_tokens: wire.output_tokens,
            reasoning_tokens: output.reasoning_tokens.unwrap_or_default(),
            ..Usage::default()
        }
    }
}

/// What went wrong, of a response or of the stream. The reference has an error's fields in the event; OpenAI's own
/// server sends them as `error` within it too.
pub(super) fn said(name: &str, event: &Value) -> ModelError {
    let of_response = event.pointer("/response/error");
    let error = of_response.or_else(|| event.get("error"));
    let error = error.filter(|error| !error.is_null()).unwrap_or(event);
    let code = error.get("code").and_then(Value::as_str);
    let message = match failure::of_body(name, None, &error.to_string()) {
        ModelError::Unavailable(message) => message,
        other => return other,
    };
    match code.unwrap_or_default() {
        "rate_limit_exceeded" | "too_many_requests" | "slow_down" => ModelError::RateLimited {
            message,
            retry_after: None,
        },
        code if OF_THE_REQUEST.contains(&code) => ModelError::InvalidRequest(message),
        _ => ModelError::Unavailable(message),
    }
}

/// Codes of errors that another attempt does not mend (`ResponseErrorCode`).
const OF_THE_REQUEST: &[&str] = &[
    "invalid_request_error",
    "invalid_prompt",
    "data_residency_mismatch",
    "bio_policy",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "invalid_image_mode",
    "image_file_too_large",
    "unsupported_image_media_type",
    "empty_image_file",
    "image_file_not_found",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_says_whether_another_attempt_may_do_better() {
        let failed = |code: &str| json!({ "type": "response.failed", "response": { "error": { "code": code, "message": "Oh no" } } });
        let within = json!({
            "type": "error",
            "error": { "type": "too_many_requests", "code": "too_many_requests", "message": "Oh no" },
        });
        for (event, code) in [
            (failed("server_error"), "upstream_error"),
            (failed("rate_limit_exceeded"), "rate_limited"),
            (failed("invalid_prompt"), "invalid_request"),
            (failed("context_length_exceeded"), "context_length_exceeded"),
            (
                json!({ "type": "error", "code": "server_error", "message": "Oh no", "param": null }),
                "upstream_error",
            ),
            (within, "rate_limited"),
            (
                json!({ "type": "response.failed", "response": { "error": null } }),
                "upstream_error",
            ),
            (json!("Oh no"), "upstream_error"),
        ] {
            let error = said("m", &event);
            assert_eq!(error.code().as_str(), code, "{event}");
            let told = code == "context_length_exceeded"
                || event.pointer("/response/error") == Some(&Value::Null);
            assert!(told || error.to_string() == "`m`: Oh no", "{error}");
        }
    }

    #[test]
    fn usage_is_read_with_what_it_is_made_of() {
        let wire: WireUsage = serde_json::from_value(json!({
            "input_tokens": 75,
            "input_tokens_details": { "cached_tokens": 32, "cache_write_tokens": 16 },
            "output_tokens": 1186,
            "output_tokens_details": { "reasoning_tokens": 1024 },
            "total_tokens": 1261,
        }))
        .unwrap();
        assert_eq!(
            Usage::from(wire),
            Usage {
                input_tokens: 75,
                cached_tokens: 32,
                cache_write_tokens: 16,
                output_tokens: 1186,
                reasoning_tokens: 1024,
                ..Usage::default()
            }
        );
    }
}
