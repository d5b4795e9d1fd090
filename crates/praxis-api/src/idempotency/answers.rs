//! Answers on their way to be kept, and given again. A whole one is kept before it is sent; a stream is gathered while
//! it passes and kept when it has come to its end. What is larger than [`LARGEST`], what broke off and what may succeed
//! when it is sent again is not kept.

use axum::body::{Body, BodyDataStream, Bytes, HttpBody, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use praxis_core::ErrorCode;
use praxis_store::KeptAnswer;
use serde_json::Value;

use super::lease::Lease;
use crate::error::ApiError;

/// The most bytes of a body that is kept.
const LARGEST: usize = 1 << 20;

/// The headers that are given again; all others are those of the connection, or are made anew.
const HEADERS: [&str; 3] = ["content-type", "cache-control", "location"];

/// Says that an answer is one that was given before.
const REPLAYED: &str = "idempotent-replayed";

/// An answer that was kept.
///
/// # Errors
/// A row that is damaged.
pub(super) fn again(answer: KeptAnswer) -> Result<Response, ApiError> {
    let damaged = || ApiError::new(ErrorCode::Internal, "a kept answer is damaged");
    let mut response = Response::new(Body::from(answer.body));
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.map_err(|_| damaged())?;
    for (name, value) in answer.headers {
        let name: HeaderName = name.parse().map_err(|_| damaged())?;
        let value = HeaderValue::from_str(&value).map_err(|_| damaged())?;
        response.headers_mut().insert(name, value);
    }
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, replayed);
    Ok(response)
}

/// The answer, kept now or when it has passed, or not at all.
pub(super) async fn kept(response: Response, lease: Lease) -> Response {
    let (parts, body) = response.into_parts();
    if may_succeed_again(parts.status) {
        lease.give_up().await;
        return Response::from_parts(parts, body);
    }
    let head = Head::of(&parts);
    let size = body.size_hint().exact();
    match size {
        Some(size) if size <= LARGEST as u64 => match to_bytes(body, LARGEST).await {
            Ok(bytes) => {
                lease.keep(&head.with(bytes.to_vec())).await;
                Response::from_parts(parts, Body::from(bytes))
            }
            Err(error) => {
                let message = format!("the answer broke off: {error}");
                ApiError::new(ErrorCode::Internal, message).into_response()
            }
        },
        Some(_) => {
            lease.give_up().await;
            Response::from_parts(parts, body)
        }
        None => Response::from_parts(parts, Passing::body(body, head, lease)),
    }
}

/// Whether the same request may come to something else: limits have room again, and what failed works.
fn may_succeed_again(status: StatusCode) -> bool {
    let passing = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ];
    // 499: who asked cancelled it.
    status.is_server_error() || passing.contains(&status) || status.as_u16() == 499
}

/// What is kept of an answer beside its body.
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    is_stream: bool,
}

impl Head {
    fn of(parts: &Parts) -> Self {
        let text = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let headers = HEADERS.into_iter();
        let headers = headers.filter_map(|name| Some((name.to_owned(), text(name)?.to_owned())));
        let kind = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        Self {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            is_stream: kind.starts_with("text/event-stream"),
        }
    }

    fn with(self, body: Vec<u8>) -> KeptAnswer {
        KeptAnswer {
            status: self.status,
            headers: self.headers,
            body,
        }
    }
}

/// A body that is gathered while it passes. Dropped before its end it leaves nothing.
struct Passing {
    body: BodyDataStream,
    seen: Vec<u8>,
    /// None: it is too large to be kept.
    keeping: Option<(Head, Lease)>,
    /// What came when the end was looked for.
    ahead: Option<Result<Bytes, axum::Error>>,
}

impl Passing {
    fn body(body: Body, head: Head, lease: Lease) -> Body {
        let passing = Self {
            body: body.into_data_stream(),
            seen: Vec::new(),
            keeping: Some((head, lease)),
            ahead: None,
        };
        Body::from_stream(stream::unfold(Some(passing), Self::next))
    }

    async fn next(passing: Option<Self>) -> Option<(Result<Bytes, axum::Error>, Option<Self>)> {
        let mut passing = passing?;
        let piece = match passing.ahead.take() {
            Some(piece) => Some(piece),
            None => passing.body.next().await,
        };
        match piece {
            Some(Ok(bytes)) => {
                passing.gather(&bytes);
                // A client that has the last event leaves, and may ask again at once.
                if is_last(&bytes) {
                    passing.ahead = passing.body.next().await;
                    if passing.ahead.is_none() {
                        passing.finish().await;
                        return Some((Ok(bytes), None));
                    }
                }
                Some((Ok(bytes), Some(passing)))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                passing.finish().await;
                None
            }
        }
    }

    fn gather(&mut self, bytes: &[u8]) {
        if self.keeping.is_none() {
            return;
        }
        if self.seen.len().saturating_add(bytes.len()) > LARGEST {
            self.keeping = None;
            self.seen = Vec::new();
            return;
        }
        self.seen.extend_from_slice(bytes);
    }

    async fn finish(self) {
        let Some((head, lease)) = self.keeping else {
            return;
        };
        if head.is_stream && !ended_well(&self.seen) {
            lease.give_up().await;
            return;
        }
        lease.keep(&head.with(self.seen)).await;
    }
}

/// Whether a piece of a stream is an event behind which clients expect nothing.
fn is_last(event: &[u8]) -> bool {
    let last = [
        "data: [DONE]",
        "event: done",
        "event: response.completed",
        "event: response.incomplete",
    ];
    last.iter().any(|begin| event.starts_with(begin.as_bytes()))
}

/// Whether a stream of events is an answer: it has events, and the last of them tells of no error.
fn ended_well(events: &[u8]) -> bool {
    let text = String::from_utf8_lossy(events);
    let is_event = |event: &&str| {
        event
            .lines()
            .any(|line| !line.starts_with(':') && !line.is_empty())
    };
    let Some(last) = text.rsplit("\n\n").find(is_event) else {
        return false;
    };
    let field = |name: &str| last.lines().find_map(|line| line.strip_prefix(name));
    let kind = field("event:").unwrap_or_default().trim();
    if kind == "error" || kind.ends_with(".failed") {
        return false;
    }
    let data = field("data:").unwrap_or_default();
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    data.get("error").is_none_or(Value::is_null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_ends_with_an_error_is_no_answer() {
        for (events, whole) in [
            ("data: {\"choices\": []}\n\ndata: [DONE]\n\n", true),
            (
                "event: done\ndata: {\"output\": {\"error\": \"x\"}}\n\n",
                true,
            ),
            (
                "event: response.completed\ndata: {\"error\": null}\n\n: \n\n",
                true,
            ),
            (
                "data: {\"choices\": []}\n\ndata: {\"error\": {\"code\": \"timeout\"}}\n\n",
                false,
            ),
            (
                "event: delta\ndata: {}\n\nevent: error\ndata: {\"message\": \"x\"}\n\n: \n\n",
                false,
            ),
            (
                "event: response.failed\ndata: {\"response\": {}}\n\n",
                false,
            ),
            (": \n\n: \n\n", false),
            ("", false),
        ] {
            assert_eq!(ended_well(events.as_bytes()), whole, "{events:?}");
        }
    }

    #[test]
    fn what_may_succeed_again_is_not_kept() {
        for (status, again) in [
            (200, false),
            (201, false),
            (400, false),
            (404, false),
            (413, false),
            (422, false),
            (401, true),
            (403, true),
            (408, true),
            (409, true),
            (429, true),
            (499, true),
            (500, true),
            (503, true),
            (507, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(may_succeed_again(status), again, "{status}");
        }
    }
}
