//! What stands between the network and the handlers.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use praxis_core::ErrorCode;

use crate::error::ApiError;
use crate::state::ApiState;

/// Lets through who sends the key, where the application has one.
pub(crate) async fn api_key(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = &state.api_key else {
        return next.run(request).await;
    };
    let sent = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "))
        .unwrap_or_default();
    if equal(sent.as_bytes(), key.expose().as_bytes()) {
        next.run(request).await
    } else {
        ApiError::new(
            ErrorCode::Unauthorized,
            "send the server's key as `Authorization: Bearer KEY`",
        )
        .into_response()
    }
}

/// Compares in time that does not tell where two keys part.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// Refuses what another site's page sends with a browser: a page that a user happens to visit must
/// not reach a server on the user's own machine.
pub(crate) async fn same_origin(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    if state.api_key.is_none()
        && let Some(host) = foreign_host(request.headers())
    {
        let message = format!("this server does not answer for the host `{host}` without a key");
        return ApiError::new(ErrorCode::Unauthorized, message).into_response();
    }
    match foreign_origin(request.headers()) {
        Some(origin) => {
            let message = format!("pages of {origin} may not call this server");
            ApiError::new(ErrorCode::Unauthorized, message).into_response()
        }
        None => next.run(request).await,
    }
}

/// The name that a request was made by, where it is not one of this machine: a page of a name that
/// was pointed here (DNS rebinding) has its own origin and may send any header it likes. A server
/// with a key needs no such check: the page does not know the key.
fn foreign_host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let port = |p: &str| p.parse::<u16>().is_ok();
    let name = host
        .rsplit_once(':')
        .filter(|(_, p)| port(p))
        .map_or(host, |h| h.0);
    let address = name
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    let own = address || name == "localhost" || name.ends_with(".localhost");
    (!own).then(|| name.to_owned())
}

/// The page's origin, where it is not this server's own.
fn foreign_origin(headers: &HeaderMap) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let origin = text(header::ORIGIN)?;
    let own = origin.split_once("://").map(|(_, host)| host);
    (own.is_none() || own != text(header::HOST)).then(|| origin.to_owned())
}

/// Counts and times each request by its route.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |p| p.as_str().to_owned());
    let method = request.method().to_string();
    let started = Instant::now();
    let response = next.run(request).await;
    let labels = [
        ("method", method),
        ("route", route),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("praxis_http_requests_total", &labels).increment(1);
    metrics::histogram!("praxis_http_request_seconds", &labels)
        .record(started.elapsed().as_secs_f64());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered_without_a_key() {
        for (host, foreign) in [
            ("localhost:8787", false),
            ("127.0.0.1:8787", false),
            ("[::1]:8787", false),
            ("evil.example", true),
            ("evil.example:8787", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
            assert_eq!(foreign_host(&headers).is_some(), foreign, "{host}");
        }
    }

    #[test]
    fn keys_are_equal_only_whole() {
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd") && !equal(b"abc", b"ab") && !equal(b"", b"a"));
    }
}
