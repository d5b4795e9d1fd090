//! What an endpoint's failure means for the caller: fix the request, fix the key, wait, or go
//! elsewhere.

use std::time::Duration;

use praxis_core::ModelError;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::body;
use crate::providers::Dialect;

/// The longest piece of a provider's own words that is passed on.
const LONGEST_MESSAGE: usize = 500;

/// A connection that failed.
pub(crate) fn of_transport(name: &str, error: &reqwest::Error) -> ModelError {
    let what = if error.is_timeout() {
        "does not answer"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "closed the connection"
    };
    ModelError::Unavailable(format!("`{name}` {what}: {}", cause(error)))
}

/// The innermost cause: the outer ones repeat the URL.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// An answer with an error status.
pub(super) async fn of_response(
    name: &str,
    dialect: &dyn Dialect,
    response: Response,
) -> ModelError {
    let status = response.status();
    if let Some(place) = elsewhere(status, response.headers()) {
        return ModelError::Unavailable(format!(
            "`{name}` answered {status} and leads to `{place}`, which is not followed: the key and the prompt are for the \
             address of the model alone; where the new one is right, set it as `base_url`"
        ));
    }
    let wait = retry_after(response.headers());
    let body = body::of_error(response).await;
    match dialect.failure(name, Some(status), &body) {
        ModelError::RateLimited {
            message,
            retry_after,
        } => ModelError::RateLimited {
            message,
            retry_after: wait.or(retry_after),
        },
        error => error,
    }
}

/// Where a redirect leads, without what may be secret in it.
fn elsewhere(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let place = headers.get(LOCATION).filter(|_| status.is_redirection())?;
    let place = String::from_utf8_lossy(place.as_bytes());
    let place = place.split(['?', '#']).next().unwrap_or_default();
    Some(place.chars().take(LONGEST_MESSAGE).collect())
}

/// An error by its status and body; inside of a stream there is no status.
pub(crate) fn of_body(name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = json.get("error").filter(|e| !e.is_null()).unwrap_or(&json);
    let code = error
        .get("code")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let said = said(error).unwrap_or_else(|| body.trim().to_owned());
    let said = said
        .get(..floor(&said, LONGEST_MESSAGE))
        .unwrap_or_default();
    if code == "context_length_exceeded" || said.contains("maximum context length") {
        let (context_length, prompt_tokens) = context_numbers(said);
        return ModelError::ContextLengthExceeded {
            prompt_tokens,
            context_length,
        };
    }
    let status_text = status.map(|s| s.as_u16().to_string()).unwrap_or_default();
    let message = match (said, status_text.as_str()) {
        ("", status) => format!("`{name}` answered {status}"),
        (said, "") => format!("`{name}`: {said}"),
        (said, status) => format!("`{name}` answered {status}: {said}"),
    };
    if code == "insufficient_quota" {
        // An account without money, told as a rate limit: waiting does not help.
        return ModelError::Unauthorized(message);
    }
    match status.map_or(0, |s| s.as_u16()) {
        401..=403 => ModelError::Unauthorized(message),
        404 => ModelError::NotFound(message),
        408 | 429 => ModelError::RateLimited {
            message,
            retry_after: None,
        },
        0 | 409 | 425 | 500..=599 => ModelError::Unavailable(message),
        400..=499 => ModelError::InvalidRequest(message),
        // A redirect to nowhere or a success that is none: the address is wrong.
        _ => ModelError::Unavailable(message),
    }
}

/// The message in an error's JSON: OpenAI's `message`, FastAPI's `detail`, or plain text.
fn said(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return Some(text.to_owned());
    }
    ["message", "detail"].iter().find_map(|key| {
        let value = error.get(key).filter(|v| !v.is_null())?;
        Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    })
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The window and the prompt's length from words such as "This model's maximum context length is
/// 8192 tokens. However, your messages resulted in 9001 tokens"; 0 where not said.
fn context_numbers(said: &str) -> (usize, usize) {
    let after = said
        .split_once("maximum context length")
        .map_or(said, |(_, after)| after);
    let numbers: Vec<(usize, usize)> = after
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .filter_map(|digits| {
            let at = digits.as_ptr() as usize - after.as_ptr() as usize;
            Some((at + digits.len(), digits.parse().ok()?))
        })
        .collect();
    let context = numbers.first().map_or(0, |n| n.1);
    // "requested 1015 tokens (999 in your messages; 16 in the completion)"
    let of_messages = numbers.iter().find(|(end, _)| {
        let rest = after[*end..].trim_start();
        rest.starts_with("in your messages") || rest.starts_with("in the messages")
    });
    (context, of_messages.or(numbers.get(1)).map_or(0, |n| n.1))
}

/// How long the provider asks to wait: `retry-after-ms` (OpenAI's), or `Retry-After` in seconds or
/// as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|t| t.parse::<u64>().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let wait = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_says_what_the_caller_can_do() {
        let openai = |message: &str, code: &str| {
            format!(r#"{{"error":{{"message":"{message}","type":"x","code":"{code}"}}}}"#)
        };
        for (status, body, code, part) in [
            (
                401,
                openai("Incorrect API key provided", "invalid_api_key"),
                "upstream_unauthorized",
                "Incorrect API key",
            ),
            (
                403,
                openai("no access", ""),
                "upstream_unauthorized",
                "no access",
            ),
            (
                402,
                openai("no money", ""),
                "upstream_unauthorized",
                "no money",
            ),
            (
                429,
                openai("You exceeded your current quota", "insufficient_quota"),
                "upstream_unauthorized",
                "current quota",
            ),
            (
                404,
                openai("The model `x` does not exist", "model_not_found"),
                "not_found",
                "does not exist",
            ),
            (
                429,
                openai("Rate limit reached", "rate_limit_exceeded"),
                "rate_limited",
                "Rate limit",
            ),
            (408, String::new(), "rate_limited", "answered 408"),
            (
                400,
                openai("'temperature' is too high", ""),
                "invalid_request",
                "temperature",
            ),
            (
                422,
                r#"{"detail":[{"loc":["body","messages"]}]}"#.to_owned(),
                "invalid_request",
                "messages",
            ),
            (
                500,
                "<html>oops</html>".to_owned(),
                "upstream_error",
                "oops",
            ),
            (503, String::new(), "upstream_error", "answered 503"),
            (302, String::new(), "upstream_error", "answered 302"),
        ] {
            let error = of_body("gpt", StatusCode::from_u16(status).ok(), &body);
            assert_eq!(error.code().as_str(), code, "{status} {body}");
            let text = error.to_string();
            assert!(text.contains(part) && text.contains("`gpt`"), "{text}");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_with_its_numbers() {
        for (said, expected) in [
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
                (8192, 9001),
            ),
            (
                "This model's maximum context length is 512 tokens, however you requested 1015 tokens (999 in your messages; 16 in the completion).",
                (512, 999),
            ),
            ("maximum context length reached", (0, 0)),
        ] {
            let body = serde_json::json!({"error": {"message": said}}).to_string();
            let error = of_body("gpt", StatusCode::from_u16(400).ok(), &body);
            let ModelError::ContextLengthExceeded {
                prompt_tokens,
                context_length,
            } = error
            else {
                panic!("{said}: {error:?}");
            };
            assert_eq!((context_length, prompt_tokens), expected, "{said}");
        }
    }

    #[test]
    fn the_wait_is_read_in_each_of_its_forms() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(read("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(
            read("retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            read("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(read("retry-after", "soon"), None);
        let future = jiff::Timestamp::now() + Duration::from_secs(100);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&future);
        let wait = read("retry-after", &date.unwrap()).unwrap();
        assert!((95..=100).contains(&wait.as_secs()), "{wait:?}");
    }
}
