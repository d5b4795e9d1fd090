//! What comes back from a service: JSON that is cut to what is wanted, a text, or why there is neither, in words that a
//! model can use.
//!
//! What a service says is data and stands in its own fields. Left out: when a request is sent again (`function`).

use std::time::Duration;

use praxis_core::tokens::cut;
use praxis_core::{CallError, ErrorCode};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::{Value, json};

use crate::egress::Answer;
use crate::keep::Keep;
use crate::text::plain;
use crate::trim::trimmed;

/// Characters of a service's own words in an error, and bytes of its JSON that programs get.
const LONGEST_WORDS: usize = 500;
const LARGEST_DETAILS: usize = 4096;

/// What becomes of an answer.
pub(super) struct Reading<'a> {
    /// The function's name.
    pub name: &'a str,
    pub keep: Option<&'a Keep>,
    /// Tokens that a caller gets of it at most.
    pub room: usize,
}

impl Reading<'_> {
    /// The value that the function gives: `status`, `data`, and `note` where something is missing in it.
    ///
    /// # Errors
    /// What a status of 300 and above says.
    pub fn value(&self, answer: &Answer) -> Result<Value, CallError> {
        if !answer.status.is_success() {
            return Err(failure(self.name, answer));
        }
        let mut notes = Vec::new();
        let data = self.data(answer, &mut notes);
        let mut value = json!({ "status": answer.status.as_u16(), "data": data });
        if !notes.is_empty() {
            value["note"] = json!(notes.join("; "));
        }
        Ok(value)
    }

    fn data(&self, answer: &Answer, notes: &mut Vec<String>) -> Value {
        if answer.body.is_empty() {
            return Value::Null;
        }
        let form = Form::of(answer);
        if form == Form::Other {
            notes.push(format!(
                "{} bytes of {} are not shown",
                answer.body.len(),
                plain(&answer.kind(), 80)
            ));
            return Value::Null;
        }
        let json = match form {
            Form::Json if !answer.cut => serde_json::from_slice::<Value>(&answer.body).ok(),
            _ => None,
        };
        let Some(json) = json else {
            if answer.cut {
                let what = "the answer is longer than what is read of one: ask for less";
                notes.push(what.to_owned());
            } else if form == Form::Json {
                notes.push("the answer says that it is JSON, and is not".to_owned());
            }
            let text = String::from_utf8_lossy(&answer.body);
            let short = cut(&text, self.room);
            if short.len() < text.len() && !answer.cut {
                notes.push(format!("the first {} tokens of a longer text", self.room));
            }
            return Value::String(short.to_owned());
        };
        let json = match self.keep {
            Some(keep) => {
                let (kept, lost) = keep.apply(&json);
                notes.extend(lost.iter().map(|path| format!("nothing is at {path}")));
                kept
            }
            None => json,
        };
        let (short, note) = trimmed(json, self.room);
        notes.extend(note);
        short
    }
}

/// The schema of what a function gives. Services do not always say what their documents say, and what is said may be
/// cut: the document's schema tells what to expect, and anything else is allowed beside it.
pub(super) fn schema(mut output: Value, is_kept: bool) -> Value {
    let defs = output
        .as_object_mut()
        .and_then(|map| map.shift_remove("$defs"));
    let defs = defs.filter(|_| !is_kept);
    let says_nothing = output.as_object().is_none_or(serde_json::Map::is_empty);
    let data = match is_kept || says_nothing {
        true => json!({ "description": "the answer, or what is kept of it" }),
        false => json!({ "anyOf": [
            output,
            { "description": "an answer that is not as the document says, or a part of one" },
        ] }),
    };
    let mut schema = json!({
        "type": "object",
        "properties": {
            "status": { "type": "integer", "description": "the HTTP status" },
            "data": data,
            "note": { "type": "string", "description": "what is missing in the data" },
        },
        "required": ["status", "data"],
    });
    if let Some(defs) = defs {
        schema["$defs"] = defs;
    }
    schema
}

/// How an answer can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
    Other,
}

impl Form {
    fn of(answer: &Answer) -> Self {
        match answer.kind().as_str() {
            "application/json" | "text/json" => Self::Json,
            "application/xml"
            | "application/yaml"
            | "application/javascript"
            | "application/x-ndjson"
            | "application/x-www-form-urlencoded" => Self::Text,
            "" => match answer.body.first() {
                Some(b'{' | b'[') => Self::Json,
                _ if std::str::from_utf8(&answer.body).is_ok() => Self::Text,
                _ => Self::Other,
            },
            other if other.ends_with("+json") => Self::Json,
            other if other.starts_with("text/") || other.ends_with("+xml") => Self::Text,
            _ => Self::Other,
        }
    }
}

/// Why there is no answer, by its status (RFC 9110, 15) and its own words.
fn failure(name: &str, answer: &Answer) -> CallError {
    let status = answer.status;
    let json = match Form::of(answer) {
        Form::Json => serde_json::from_slice::<Value>(&answer.body).ok(),
        _ => None,
    };
    let words = match &json {
        Some(json) => said(json),
        None if answer.kind() == "text/plain" => String::from_utf8_lossy(&answer.body).into_owned(),
        None => String::new(),
    };
    let mut message = format!("`{name}` answered {status}");
    let words = plain(&words, LONGEST_WORDS);
    if !words.is_empty() {
        message.push_str(&format!("; {}", crate::text::said(&words)));
    }
    let mut error = CallError::new(code(status), message);
    if let Some(hint) = hint(status) {
        error = error.with_hint(hint);
    }
    if let Some(json) = json.filter(|json| json.to_string().len() <= LARGEST_DETAILS) {
        error = error.with_details(json!({ "status": status.as_u16(), "body": json }));
    }
    error.retry_after = retry_after(&answer.headers);
    error
}

fn code(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        401 | 407 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        404 | 410 => ErrorCode::NotFound,
        408 | 504 => ErrorCode::Timeout,
        413 => ErrorCode::TooLarge,
        429 => ErrorCode::RateLimited,
        400..=499 => ErrorCode::InvalidRequest,
        _ => ErrorCode::Upstream,
    }
}

fn hint(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        400 | 422 => "correct the input and call it again",
        401 | 407 => "the service does not take the credentials of `[auth]`, or there are none",
        403 => "the credentials of `[auth]` are not good for this",
        404 | 410 => "there is no such thing there: check the ids",
        409 | 412 => "something else changed it meanwhile: read it again",
        413 => "send less",
        429 => "wait before the next call",
        300..=399 => "the address has moved: correct `server`",
        500..=599 => "the service failed; the same call may work later",
        _ => return None,
    })
}

/// The words of an error: those of RFC 9457 (`title`, `detail`, `errors`), and those that services have instead.
fn said(json: &Value) -> String {
    const FIELDS: [&str; 10] = [
        "title",
        "message",
        "error",
        "error_description",
        "detail",
        "details",
        "errors",
        "invalid-params",
        "reason",
        "msg",
    ];
    let mut all: Vec<String> = Vec::new();
    let mut add = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => return,
            other => other.to_string(),
        };
        if !text.is_empty() && !all.contains(&text) {
            all.push(text);
        }
    };
    match json {
        Value::Object(_) => {
            // OpenAI's and Google's errors are an object in `error`.
            let inner = json.get("error").filter(|inner| inner.is_object());
            for value in [inner, Some(json)].into_iter().flatten() {
                for field in FIELDS {
                    if let Some(part) = value.get(field)
                        && !(inner.is_some() && field == "error")
                    {
                        add(part);
                    }
                }
            }
        }
        other => add(other),
    }
    all.join("; ")
}

/// How long the service asks to wait: seconds or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let wait = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::CONTENT_TYPE;

    use super::*;
    use crate::keep::KeepConfig;

    fn answer(status: u16, media: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if !media.is_empty() {
            headers.insert(CONTENT_TYPE, media.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            url: reqwest::Url::parse("https://api.example.com/").unwrap(),
            body: body.as_bytes().to_vec(),
            cut: false,
        }
    }

    fn reading(keep: Option<&Keep>, room: usize) -> Reading<'_> {
        Reading {
            name: "crm/find",
            keep,
            room,
        }
    }

    #[test]
    fn answers_are_read_by_their_type() {
        for (media, body, expected) in [
            (
                "application/json; charset=utf-8",
                r#"{"a":1}"#,
                json!({ "a": 1 }),
            ),
            ("application/hal+json", "[1]", json!([1])),
            ("", r#"{"a":1}"#, json!({ "a": 1 })),
            ("", "hello", json!("hello")),
            ("text/html", "<p>", json!("<p>")),
            ("application/json", "", json!(null)),
        ] {
            let value = reading(None, 100).value(&answer(200, media, body)).unwrap();
            assert_eq!(
                value,
                json!({ "status": 200, "data": expected }),
                "{media} {body}"
            );
        }
        let value = reading(None, 100)
            .value(&answer(200, "image/png", "PNG"))
            .unwrap();
        assert_eq!(value["data"], json!(null));
        assert_eq!(value["note"], "3 bytes of image/png are not shown");
        let value = reading(None, 100)
            .value(&answer(200, "application/json", "{"))
            .unwrap();
        assert_eq!(
            (&value["data"], value["note"].is_string()),
            (&json!("{"), true)
        );
    }

    #[test]
    fn what_is_kept_comes_before_what_is_cut() {
        let keep = Keep::compile(&KeepConfig::One("$.items[*].name".to_owned())).unwrap();
        let body = json!({ "items": [{ "name": "Ada", "text": "x".repeat(9000) }] }).to_string();
        let value = reading(Some(&keep), 50)
            .value(&answer(200, "application/json", &body))
            .unwrap();
        assert_eq!(value, json!({ "status": 200, "data": ["Ada"] }));
        let value = reading(None, 50)
            .value(&answer(200, "application/json", &body))
            .unwrap();
        assert!(
            value["note"]
                .as_str()
                .unwrap()
                .starts_with("cut from about"),
            "{value}"
        );
        let value = reading(Some(&keep), 50)
            .value(&answer(200, "application/json", "{}"))
            .unwrap();
        assert_eq!(value["data"], json!([]));
        assert!(
            value["note"].as_str().unwrap().contains("nothing is at"),
            "{value}"
        );
        let mut long = answer(200, "application/json", &"[1".repeat(500));
        long.cut = true;
        let value = reading(None, 50).value(&long).unwrap();
        assert!(
            value["note"].as_str().unwrap().contains("ask for less"),
            "{value}"
        );
    }

    #[test]
    fn a_failure_says_what_the_service_says() {
        let problem = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no user 7."}"#;
        for (status, media, body, code, part) in [
            (
                404,
                "application/problem+json",
                problem,
                ErrorCode::NotFound,
                "Not Found; There is no user 7.",
            ),
            (
                400,
                "application/json",
                r#"{"error":{"message":"age is negative","code":3}}"#,
                ErrorCode::InvalidRequest,
                "age is negative",
            ),
            (
                422,
                "application/json",
                r#"{"detail":[{"loc":["body","age"],"msg":"field required"}]}"#,
                ErrorCode::InvalidRequest,
                "field required",
            ),
            (
                401,
                "application/json",
                r#"{"error":"invalid_token"}"#,
                ErrorCode::Unauthorized,
                "invalid_token",
            ),
            (403, "", "", ErrorCode::Forbidden, "403 Forbidden"),
            (
                429,
                "text/plain",
                "slow\ndown",
                ErrorCode::RateLimited,
                "slow down",
            ),
            (
                500,
                "text/html",
                "<h1>secret</h1>",
                ErrorCode::Upstream,
                "500 Internal Server Error",
            ),
            (302, "", "", ErrorCode::Upstream, "302 Found"),
            (504, "", "", ErrorCode::Timeout, "504"),
        ] {
            let error = reading(None, 100)
                .value(&answer(status, media, body))
                .unwrap_err();
            assert_eq!(error.code, code, "{status}");
            assert!(
                error
                    .message
                    .starts_with(&format!("`crm/find` answered {status} ")),
                "{error}"
            );
            assert!(
                error.message.contains(part) && !error.message.contains("<h1>"),
                "{error}"
            );
        }
        let error = reading(None, 100)
            .value(&answer(404, "application/problem+json", problem))
            .unwrap_err();
        assert_eq!(
            error.details.unwrap()["body"]["detail"],
            "There is no user 7."
        );
        let long = json!({ "message": "x".repeat(10_000) }).to_string();
        let error = reading(None, 100)
            .value(&answer(400, "application/json", &long))
            .unwrap_err();
        assert!(error.message.chars().count() < 600 && error.details.is_none());
    }

    #[test]
    fn the_wait_is_read_in_both_forms() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("3"), Some(Duration::from_secs(3)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!((read("soon"), read("-1")), (None, None));
    }

    #[test]
    fn the_schema_of_answers_allows_what_is_not_as_promised() {
        let again = json!({ "items": { "$ref": "#/$defs/A" } });
        let output =
            json!({ "type": "array", "items": { "$ref": "#/$defs/A" }, "$defs": { "A": again } });
        let found = schema(output, false);
        let validator = jsonschema::validator_for(&found).unwrap();
        for value in [
            json!({ "status": 200, "data": [[]] }),
            json!({ "status": 200, "data": "cut", "note": "n" }),
            json!({ "status": 204, "data": null }),
        ] {
            assert!(validator.is_valid(&value), "{value}");
        }
        assert!(!validator.is_valid(&json!({ "data": [] })));
        assert_eq!(found["$defs"]["A"]["items"]["$ref"], "#/$defs/A");
        assert!(
            schema(json!({ "$defs": { "A": {} }, "$ref": "#/$defs/A" }), true)
                .get("$defs")
                .is_none()
        );
        assert!(
            schema(json!({}), false)["properties"]["data"]
                .get("anyOf")
                .is_none()
        );
        assert!(
            schema(json!(true), false)["properties"]["data"]
                .get("anyOf")
                .is_none()
        );
    }
}
