//! Errors of the Gemini API: Google's `Status`, with a code, a word for it, a message and details (AIP-193).

use std::time::Duration;

use praxis_core::ModelError;
use reqwest::StatusCode;
use serde_json::Value;

use crate::wire::failure;

/// What the body of an error means; inside of a stream its own code stands for the status.
pub(super) fn of_body(name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    // Some answers are lists of one error.
    let said = json.get(0).unwrap_or(&json);
    let Some(error) = said.get("error").filter(|error| error.is_object()) else {
        return failure::of_body(name, status, body);
    };
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    if let Some(too_long) = too_long(text("message")) {
        return too_long;
    }
    let details = error.get("details").and_then(Value::as_array);
    let details = details.map(Vec::as_slice).unwrap_or_default();
    let status = status.or_else(|| code(error));
    match failure::of_body(name, status, &said.to_string()) {
        ModelError::RateLimited { message, .. } => ModelError::RateLimited {
            message,
            retry_after: delay(details),
        },
        // A wrong key has status 400.
        ModelError::InvalidRequest(said) if is_of_key(text("message"), details) => {
            ModelError::Unauthorized(said)
        }
        // The server gave up: its 499 is not the request's fault.
        ModelError::InvalidRequest(said) if text("status") == "CANCELLED" => {
            ModelError::Unavailable(said)
        }
        other => other,
    }
}

/// The error's own code, which is an HTTP status.
fn code(error: &Value) -> Option<StatusCode> {
    let code = u16::try_from(error.get("code")?.as_u64()?).ok()?;
    StatusCode::from_u16(code).ok()
}

/// A prompt that is too long: "The input token count (9) exceeds the maximum number of tokens allowed (8)."; older
/// words leave the first number out.
fn too_long(message: &str) -> Option<ModelError> {
    let (before, after) = message.split_once("exceeds the maximum number of tokens")?;
    let number = |text: &str| {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        numbers.find_map(|digits| digits.parse::<usize>().ok())
    };
    Some(ModelError::ContextLengthExceeded {
        prompt_tokens: number(before).unwrap_or_default(),
        context_length: number(after).unwrap_or_default(),
    })
}

/// The detail of a type (`google.rpc`).
fn detail<'a>(details: &'a [Value], kind: &str) -> Option<&'a Value> {
    details.iter().find(|detail| {
        let of = detail.get("@type").and_then(Value::as_str);
        of.is_some_and(|of| of.ends_with(kind))
    })
}

/// Whether the key is what is wrong.
fn is_of_key(message: &str, details: &[Value]) -> bool {
    let info = detail(details, "google.rpc.ErrorInfo");
    let reason = info.and_then(|info| info.get("reason")?.as_str());
    reason.is_some_and(|reason| reason.starts_with("API_KEY_"))
        || message.starts_with("API key not valid")
}

/// How long to wait ("RetryInfo"), in seconds such as `3.5s`.
fn delay(details: &[Value]) -> Option<Duration> {
    let delay = detail(details, "google.rpc.RetryInfo")?.get("retryDelay")?;
    let seconds = delay.as_str()?.strip_suffix('s')?;
    Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(code: u16, status: &str, message: &str, details: Value) -> Value {
        json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
    }

    #[test]
    fn each_error_says_what_the_caller_can_do() {
        let of_key = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }]);
        for (body, expected) in [
            (
                error(400, "INVALID_ARGUMENT", "topK is too large", json!([])),
                "invalid_request",
            ),
            (
                error(400, "INVALID_ARGUMENT", "API Key not found.", of_key),
                "upstream_unauthorized",
            ),
            (
                error(400, "INVALID_ARGUMENT", "API key not valid.", json!(null)),
                "upstream_unauthorized",
            ),
            (
                error(403, "PERMISSION_DENIED", "no access", json!([])),
                "upstream_unauthorized",
            ),
            (
                error(404, "NOT_FOUND", "no such model", json!([])),
                "not_found",
            ),
            (
                error(429, "RESOURCE_EXHAUSTED", "quota", json!([])),
                "rate_limited",
            ),
            (
                error(499, "CANCELLED", "cancelled", json!([])),
                "upstream_error",
            ),
            (error(500, "INTERNAL", "oops", json!([])), "upstream_error"),
            (
                error(503, "UNAVAILABLE", "overloaded", json!([])),
                "upstream_error",
            ),
            (
                error(504, "DEADLINE_EXCEEDED", "too slow", json!([])),
                "upstream_error",
            ),
            (
                json!([error(429, "RESOURCE_EXHAUSTED", "quota", json!([]))]),
                "rate_limited",
            ),
            (json!({ "error": "nothing like it" }), "upstream_error"),
            (json!([]), "upstream_error"),
        ] {
            // As inside of a stream: its own code has to do.
            let told = of_body("m", None, &body.to_string());
            assert_eq!(told.code().as_str(), expected, "{body}");
            assert!(told.to_string().contains("`m`"), "{told}");
        }
        let told = of_body("m", StatusCode::from_u16(502).ok(), "<html>oops</html>");
        assert_eq!(told.code().as_str(), "upstream_error");
    }

    #[test]
    fn the_wait_is_the_body_s() {
        for (delay, expected) in [
            (json!("3.5s"), Some(Duration::from_millis(3500))),
            (json!("41s"), Some(Duration::from_secs(41))),
            (json!("-1s"), None),
            (json!("soon"), None),
            (json!(7), None),
        ] {
            let details = json!([
                { "@type": "type.googleapis.com/google.rpc.Help", "links": [] },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay },
            ]);
            let body = error(429, "RESOURCE_EXHAUSTED", "quota", details).to_string();
            match of_body("m", Some(StatusCode::TOO_MANY_REQUESTS), &body) {
                ModelError::RateLimited { retry_after, .. } => assert_eq!(retry_after, expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_with_its_numbers() {
        for (message, expected) in [
            (
                "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).",
                (1_200_293, 1_048_576),
            ),
            (
                "The input token count exceeds the maximum number of tokens allowed 1048576.",
                (0, 1_048_576),
            ),
        ] {
            let body = error(400, "INVALID_ARGUMENT", message, json!([])).to_string();
            match of_body("m", Some(StatusCode::BAD_REQUEST), &body) {
                ModelError::ContextLengthExceeded {
                    prompt_tokens,
                    context_length,
                } => assert_eq!((prompt_tokens, context_length), expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
