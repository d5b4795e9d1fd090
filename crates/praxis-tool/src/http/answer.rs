//! What a service answered, as a value: JSON or text, what the file keeps of it, and no more than a caller reads. Left
//! out: getting it.

use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use serde_json::{Value, json};

use crate::egress::Answer;
use crate::keep::Keep;
use crate::text::{plain, said};
use crate::trim::trimmed;
use crate::web::decode;

/// Characters of what a service says of a failure.
const SAID: usize = 200;

/// The error of an answer that is none: a status other than those of success.
pub(crate) fn failed(answer: &Answer) -> Option<CallError> {
    if answer.status.is_success() {
        return None;
    }
    let code = match answer.status.as_u16() {
        401 | 403 => ErrorCode::Unauthorized,
        404 | 410 => ErrorCode::NotFound,
        408 | 504 => ErrorCode::Timeout,
        413 => ErrorCode::TooLarge,
        429 => ErrorCode::RateLimited,
        400..=499 => ErrorCode::InvalidRequest,
        _ => ErrorCode::Upstream,
    };
    let host = answer.url.host_str().unwrap_or_default();
    let mut message = format!("`{host}` answers {}", answer.status);
    // A page for people says nothing in its first words.
    let says = answer.kind() != "text/html" && is_text(&answer.kind());
    let text = as_text(answer).ok().filter(|_| says);
    let text = text.map(|text| plain(&text, SAID)).unwrap_or_default();
    if !text.is_empty() {
        message.push_str(&format!("; {}", said(&text)));
    }
    let mut error = CallError::new(code, message);
    error.retry_after = answer.retry_after().map(Duration::from_secs);
    Some(error.with_details(json!({ "status": answer.status.as_u16() })))
}

fn is_json(kind: &str) -> bool {
    matches!(kind, "application/json" | "text/json") || kind.ends_with("+json")
}

/// Whether a type is of texts; one that is not told may be.
fn is_text(kind: &str) -> bool {
    kind.is_empty()
        || kind.starts_with("text/")
        || is_json(kind)
        || kind.ends_with("xml")
        || matches!(
            kind,
            "application/javascript"
                | "application/x-www-form-urlencoded"
                | "application/x-ndjson"
                | "application/yaml"
                | "application/x-yaml"
        )
}

/// An answer as text.
///
/// # Errors
/// `upstream_error` for what is no text: a picture, a PDF.
pub(crate) fn as_text(answer: &Answer) -> Result<String, CallError> {
    let kind = answer.kind();
    let header = answer.header("content-type").unwrap_or_default();
    let text = match is_text(&kind) {
        true => decode(header, &answer.body, false),
        false => None,
    };
    text.ok_or_else(|| {
        let host = answer.url.host_str().unwrap_or_default();
        let kind = match kind.as_str() {
            "" => "binary data",
            kind => kind,
        };
        let message = format!("`{host}` answers with {kind}, which is neither JSON nor text");
        CallError::new(ErrorCode::Upstream, message)
    })
}

/// The body as a value: JSON where it is said to be that, else text; null where it is empty.
///
/// # Errors
/// JSON that is none, or that was cut; what is no text.
pub(super) fn data(answer: &Answer) -> Result<Value, CallError> {
    let text = as_text(answer)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Value::Null);
    }
    let kind = answer.kind();
    let looks = kind.is_empty() && trimmed.starts_with(['{', '[']);
    if !is_json(&kind) && !looks {
        return Ok(Value::String(text));
    }
    match serde_json::from_str(trimmed) {
        Ok(value) => Ok(value),
        Err(_) if looks => Ok(Value::String(text)),
        Err(_) if answer.cut => Err(CallError::new(
            ErrorCode::TooLarge,
            "the answer is larger than it may be",
        )
        .with_hint("raise `max_bytes` of the tool's file, or ask for less")),
        Err(error) => {
            let message = format!("the answer is said to be JSON, and is none: {error}");
            Err(CallError::new(ErrorCode::Upstream, message))
        }
    }
}

/// What a caller gets of a value: what is kept of it, as far as there is room, and what of it is missing.
pub(super) fn told(data: Value, keep: Option<&Keep>, room: usize, cut: bool) -> Value {
    let mut notes = Vec::new();
    if cut {
        notes.push("the answer was longer and was cut".to_owned());
    }
    let data = match keep {
        None => data,
        Some(keep) => {
            let (kept, lost) = keep.apply(&data);
            if !lost.is_empty() {
                notes.push(format!("nothing was found at {}", lost.join(", ")));
            }
            kept
        }
    };
    let (data, note) = trimmed(data, room);
    notes.extend(note);
    match notes.is_empty() {
        true => json!({ "data": data }),
        false => json!({ "data": data, "note": notes.join("; ") }),
    }
}
