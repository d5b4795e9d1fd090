//! How one request of a batch is answered: by the server's own router, as its maker's, so that it means what it would
//! mean if the maker had sent it. Left out: when that is done.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{self, HeaderName, HeaderValue, Request, header};
use axum::response::Response;
use futures::FutureExt;
use futures::future::BoxFuture;
use praxis_core::{ErrorCode, Usage};
use serde_json::Value;
use tower::ServiceExt;

use crate::access::Holder;
use crate::error::ApiError;
use crate::guard::{OnBehalf, TAGS};

/// The most bytes of an answer.
const MOST: usize = 64 << 20;

/// A request to be answered.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its path.
    pub endpoint: String,
    /// JSON.
    pub body: String,
    /// Whose request it is.
    pub holder: Arc<Holder>,
    /// What it is counted under, as the client sent it.
    pub tags: String,
    /// The name by which the client called the server.
    pub host: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Status of HTTP.
    pub status: u16,
    /// Id of the request.
    pub request: String,
    /// What it says.
    pub body: Value,
    /// After how long it is worth to ask again, where the answer says so.
    pub retry_after: Option<Duration>,
}

/// Answers requests. Dropping the future stops the work.
pub(super) trait Answer: Send + Sync {
    /// Answers one.
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Reply>;
}

impl Reply {
    /// An answer that tells of a failure.
    pub fn failed(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status: code.http_status(),
            request: String::new(),
            body: ApiError::new(code, message).body(),
            retry_after: None,
        }
    }

    /// Whether the same request is to be made again: there is no room for it now. A budget that is used up stays so.
    pub fn is_for_later(&self) -> bool {
        let code = self.body.pointer("/error/code").and_then(Value::as_str);
        self.status == 429 && code != Some(ErrorCode::QuotaExceeded.as_str())
    }

    /// Whether the same request may get another answer later, though nobody can say so: who was to answer it was away,
    /// took too long or broke off. Repeated for a while, and then it is the answer.
    pub fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 502 | 503 | 504)
    }

    /// Tokens that it says it took, whichever endpoint it is from.
    pub fn usage(&self) -> Usage {
        let count = |paths: [&str; 2]| {
            let mut found = paths.iter().filter_map(|path| self.body.pointer(path));
            found.find_map(Value::as_u64).unwrap_or(0)
        };
        Usage {
            input_tokens: count(["/usage/prompt_tokens", "/usage/input_tokens"]),
            cached_tokens: count([
                "/usage/prompt_tokens_details/cached_tokens",
                "/usage/input_tokens_details/cached_tokens",
            ]),
            output_tokens: count(["/usage/completion_tokens", "/usage/output_tokens"]),
            reasoning_tokens: count([
                "/usage/completion_tokens_details/reasoning_tokens",
                "/usage/output_tokens_details/reasoning_tokens",
            ]),
            ..Usage::default()
        }
    }
}

/// The server's own router.
pub(super) struct Routed(pub Router);

impl Answer for Routed {
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Reply> {
        let router = self.0.clone();
        async move {
            match request(asked) {
                Ok(request) => {
                    let response = router.oneshot(request).await;
                    read(response.unwrap_or_else(|never| match never {})).await
                }
                Err(error) => Reply::failed(ErrorCode::Internal, error.to_string()),
            }
        }
        .boxed()
    }
}

/// The request, as the server makes it of itself.
pub(crate) fn request(asked: Asked) -> Result<Request<Body>, http::Error> {
    let mut request = Request::post(asked.endpoint.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(asked.body))?;
    for (name, text) in [
        (header::HOST, asked.host),
        (HeaderName::from_static(TAGS), asked.tags),
    ] {
        if !text.is_empty()
            && let Ok(value) = HeaderValue::from_str(&text)
        {
            request.headers_mut().insert(name, value);
        }
    }
    request.extensions_mut().insert(OnBehalf(asked.holder));
    Ok(request)
}

/// What was answered.
pub(crate) async fn read(response: Response) -> Reply {
    let (parts, body) = response.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let seconds = text("retry-after").and_then(|seconds| seconds.parse().ok());
    let request = text("x-request-id").unwrap_or_default().to_owned();
    match axum::body::to_bytes(body, MOST).await {
        Ok(bytes) => Reply {
            status: parts.status.as_u16(),
            request,
            body: serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
            retry_after: seconds.map(Duration::from_secs),
        },
        Err(error) => {
            let message = format!("the answer cannot be kept: {error}");
            Reply {
                request,
                ..Reply::failed(ErrorCode::Internal, message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use praxis_core::Caller;
    use serde_json::json;

    use super::*;

    fn reply(status: u16, body: Value) -> Reply {
        Reply {
            status,
            request: String::new(),
            body,
            retry_after: None,
        }
    }

    #[test]
    fn a_request_is_made_again_only_where_room_may_come() {
        let code = |code: &str| json!({ "error": { "code": code } });
        for (status, body, again) in [
            (200, json!({}), false),
            (400, code("invalid_request"), false),
            (429, code("rate_limited"), true),
            (429, json!("too many"), true),
            (429, code("quota_exceeded"), false),
            (503, code("rate_limited"), false),
        ] {
            let reply = reply(status, body);
            assert_eq!(reply.is_for_later(), again, "{reply:?}");
        }
        for (failure, passes) in [
            (ErrorCode::Upstream, true),
            (ErrorCode::UpstreamUnauthorized, true),
            (ErrorCode::Timeout, true),
            (ErrorCode::ModelNotPulled, true),
            (ErrorCode::RateLimited, false),
            (ErrorCode::Internal, false),
            (ErrorCode::StorageFull, false),
            (ErrorCode::InvalidRequest, false),
            (ErrorCode::Unauthorized, false),
            (ErrorCode::OutputInvalid, false),
        ] {
            let reply = Reply::failed(failure, "it failed");
            assert_eq!(reply.may_pass(), passes, "{reply:?}");
        }
        let limited = Reply::failed(ErrorCode::RateLimited, "full");
        assert!(limited.is_for_later());
        assert!(!Reply::failed(ErrorCode::QuotaExceeded, "used up").is_for_later());
    }

    #[test]
    fn tokens_are_read_as_each_endpoint_writes_them() {
        for (body, counts) in [
            (
                json!({ "usage": {
                    "prompt_tokens": 5, "completion_tokens": 3,
                    "prompt_tokens_details": { "cached_tokens": 2 },
                    "completion_tokens_details": { "reasoning_tokens": 1 },
                }}),
                [5, 2, 3, 1],
            ),
            (
                json!({ "usage": {
                    "input_tokens": 5, "output_tokens": 3,
                    "input_tokens_details": { "cached_tokens": 2 },
                    "output_tokens_details": { "reasoning_tokens": 1 },
                }}),
                [5, 2, 3, 1],
            ),
            (json!({ "usage": { "prompt_tokens": 7 } }), [7, 0, 0, 0]),
            (json!({ "usage": { "prompt_tokens": "many" } }), [0; 4]),
            (json!("text"), [0; 4]),
        ] {
            let usage = reply(200, body).usage();
            let found = [
                usage.input_tokens,
                usage.cached_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
            ];
            assert_eq!(found, counts);
        }
    }

    #[tokio::test]
    async fn a_request_reaches_the_router_as_its_holders() {
        async fn echo(request: Request<Body>) -> (StatusCode, HeaderMap, Json<Value>) {
            let behalf = request.extensions().get::<OnBehalf>().cloned();
            let header = |name: &str| {
                let value = request.headers().get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            };
            let told = json!({
                "name": behalf.unwrap().0.caller.name,
                "host": header("host"),
                "tags": header(TAGS),
                "type": header("content-type"),
            });
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", HeaderValue::from_static("r-1"));
            headers.insert("retry-after", HeaderValue::from_static("7"));
            (StatusCode::IM_A_TEAPOT, headers, Json(told))
        }
        let routed = Routed(Router::new().route("/v1/echo", post(echo)));
        let caller = Caller {
            name: Some("hr".to_owned()),
            ..Caller::default()
        };
        let asked = Asked {
            endpoint: "/v1/echo".to_owned(),
            body: "{}".to_owned(),
            holder: Arc::new(caller.into()),
            tags: "a, b".to_owned(),
            host: "kb.example".to_owned(),
        };
        let reply = routed.answer(asked).await;
        assert_eq!((reply.status, reply.request.as_str()), (418, "r-1"));
        assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
        let wanted = json!({
            "name": "hr", "host": "kb.example", "tags": "a, b", "type": "application/json",
        });
        assert_eq!(reply.body, wanted);
    }
}
