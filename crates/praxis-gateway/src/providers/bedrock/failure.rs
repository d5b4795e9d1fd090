//! What errors of Bedrock mean (Amazon Bedrock API reference, "ConverseStream", "Errors"). The type of one is in a
//! header that is not read: its status and its words tell.

use praxis_core::ModelError;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::wire::failure;

/// An exception in the place of an event means what it would as an answer.
pub(super) fn of_exception(name: &str, kind: &str, data: &str) -> ModelError {
    let status = match kind.to_ascii_lowercase().as_str() {
        "throttlingexception" => StatusCode::TOO_MANY_REQUESTS,
        "validationexception" => StatusCode::BAD_REQUEST,
        "accessdeniedexception" => StatusCode::FORBIDDEN,
        "resourcenotfoundexception" => StatusCode::NOT_FOUND,
        "modelstreamerrorexception" => StatusCode::FAILED_DEPENDENCY,
        "modeltimeoutexception" => StatusCode::REQUEST_TIMEOUT,
        "serviceunavailableexception" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    of_body(name, Some(status), data)
}

/// How models of Bedrock say that a prompt is too long; a code for it there is not.
const TOO_LONG: &[&str] = &[
    "input is too long for requested model",
    "prompt is too long",
    "exceed context limit",
    "too many total text bytes",
];

/// What the body of an error means.
pub(super) fn of_body(name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
    let said = said(body);
    let lower = said.to_ascii_lowercase();
    let wrong = status.is_none_or(|status| status == StatusCode::BAD_REQUEST);
    if wrong && TOO_LONG.iter().any(|words| lower.contains(words)) {
        let (prompt_tokens, context_length) = numbers(&said);
        return ModelError::ContextLengthExceeded {
            prompt_tokens,
            context_length,
        };
    }
    let error = failure::of_body(name, status, &json!({ "message": said }).to_string());
    match status {
        // The model failed or was late, not the caller.
        Some(StatusCode::FAILED_DEPENDENCY | StatusCode::REQUEST_TIMEOUT) => {
            ModelError::Unavailable(error.to_string())
        }
        _ => error,
    }
}

/// The words of an error. The model's come beside Bedrock's own, and what Amazon checks before Bedrock is asked is
/// told with a capital letter.
fn said(body: &str) -> String {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key: &str| {
        json.get(key)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    let message = text("message").or(text("Message"));
    match (message, text("originalMessage")) {
        (None, None) => body.trim().to_owned(),
        (Some(said), None) | (None, Some(said)) => said.to_owned(),
        (Some(said), Some(original)) => format!("{said}: {original}"),
    }
}

/// The prompt's length and the window in words such as "prompt is too long: 9001 tokens > 8192 maximum"; 0 where not
/// said.
fn numbers(said: &str) -> (usize, usize) {
    let Some((prompt, window)) = said.split_once(" tokens > ") else {
        return (0, 0);
    };
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).unwrap_or_default();
    (
        number(prompt.split_whitespace().next_back()),
        number(window.split_whitespace().next()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_says_what_the_caller_can_do() {
        for (kind, data, code, said) in [
            (
                "throttlingException",
                r#"{"message":"Too many"}"#,
                "rate_limited",
                "Too many",
            ),
            (
                "validationException",
                r#"{"message":"no"}"#,
                "invalid_request",
                "no",
            ),
            (
                "modelStreamErrorException",
                r#"{"message":"Model Stream Error","originalMessage":"It failed."}"#,
                "upstream_error",
                "Model Stream Error: It failed.",
            ),
            ("internalServerException", "", "upstream_error", "`m`"),
            ("serviceUnavailableException", "{}", "upstream_error", "`m`"),
            (
                "modelTimeoutException",
                r#"{"message":"late"}"#,
                "upstream_error",
                "late",
            ),
            ("somethingNew", "not JSON", "upstream_error", "not JSON"),
        ] {
            let error = of_exception("m", kind, data);
            assert_eq!(error.code().as_str(), code, "{kind}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn each_status_says_what_the_caller_can_do() {
        for (status, body, code) in [
            (
                400,
                r#"{"message":"The provided model identifier is invalid."}"#,
                "invalid_request",
            ),
            (
                403,
                r#"{"Message":"User is not authorized"}"#,
                "upstream_unauthorized",
            ),
            (
                404,
                r#"{"message":"Could not resolve the model"}"#,
                "not_found",
            ),
            (408, r#"{"message":"The model is late"}"#, "upstream_error"),
            (424, r#"{"message":"The model failed"}"#, "upstream_error"),
            (
                429,
                r#"{"message":"prompt is too long for now"}"#,
                "rate_limited",
            ),
            (500, "", "upstream_error"),
        ] {
            let error = of_body("m", StatusCode::from_u16(status).ok(), body);
            assert_eq!(error.code().as_str(), code, "{status} {body}");
            assert!(error.to_string().contains("`m`"), "{error}");
        }
        for (said, expected) in [
            ("Input is too long for requested model.", (0, 0)),
            (
                "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum",
                (200_049, 200_000),
            ),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 204798",
                (0, 0),
            ),
        ] {
            let body = json!({ "message": said }).to_string();
            let error = of_body("m", Some(StatusCode::BAD_REQUEST), &body);
            let ModelError::ContextLengthExceeded {
                prompt_tokens,
                context_length,
            } = error
            else {
                panic!("{said}: {error:?}");
            };
            assert_eq!((prompt_tokens, context_length), expected, "{said}");
        }
    }
}
