//! Refusals that are not this API's own: what axum says of addresses, bodies and headers that a handler's arguments
//! cannot be made of, in words and without a code. Here they become errors in OpenAI's shape with our codes, for all
//! routes alike; their status and headers stay. Left out: pages, and `/mcp`, which speak another language.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use praxis_core::ErrorCode;

use crate::error::{ApiError, is_json};

/// Where addresses of the API begin.
const PLACES: &[&str] = &["/v1/", "/praxis/v1/"];

/// Bytes of a refusal, at most.
const LONGEST: usize = 16 << 10;

/// Lets answers through, but for refusals that no code of ours is in.
pub(crate) async fn in_our_words(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = PLACES.iter().any(|place| path.starts_with(place));
    let response = next.run(request).await;
    match is_ours && is_foreign(&response) {
        true => reworded(response).await,
        false => response,
    }
}

fn is_foreign(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    (status.is_client_error() || status.is_server_error()) && !is_json(kind)
}

async fn reworded(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, LONGEST).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&bytes);
    let status = parts.status;
    let error = match status {
        status if status.is_server_error() => {
            tracing::error!(%status, %said, "a request failed");
            ApiError::new(ErrorCode::Internal, "the request met a defect of Praxis")
        }
        status => {
            let usual = status
                .canonical_reason()
                .unwrap_or("the request is refused");
            let message = match said.trim() {
                "" => usual,
                said => said,
            };
            ApiError::new(code(status), message)
        }
    };
    let mut answer = (status, Json(error.body())).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_LENGTH && !answer.headers().contains_key(name) {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
    }
    answer
}

/// The code of ours that says most of a status.
fn code(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::RateLimited,
        _ => ErrorCode::InvalidRequest,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, Method, Request};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use praxis_core::error::ERROR_CODES;
    use serde_json::{Value, json};

    use super::*;
    use crate::MAX_BODY;
    use crate::openapi::tests::server::Server;

    /// Bytes of an answer, at most.
    const MOST: usize = 8 << 20;

    async fn ask(
        router: &Router,
        method: &str,
        uri: &str,
        kind: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, Value) {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(uri)
            .header(header::CONTENT_TYPE, kind)
            .body(body.into())
            .unwrap();
        let service = TowerToHyperService::new(router.clone());
        let response = service.call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, MOST).await.unwrap();
        let value = serde_json::from_slice(&bytes).unwrap_or_default();
        (parts.status, parts.headers, value)
    }

    /// The code of an error, which has OpenAI's shape.
    fn code_of(body: &Value, of: &str) -> String {
        let error = &body["error"];
        let code = error["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{of}: {body}"));
        assert!(
            ERROR_CODES.iter().any(|known| known.as_str() == code),
            "{of}: {body}"
        );
        assert!(
            !error["message"].as_str().unwrap().is_empty(),
            "{of}: {body}"
        );
        assert!(error["type"].is_string(), "{of}: {body}");
        let param = error.get("param").unwrap();
        assert!(param.is_null() || param.is_string(), "{of}: {body}");
        code.to_owned()
    }

    /// A path with each of its parameters filled.
    fn filled(path: &str, with: &str) -> String {
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => with,
            false => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Bodies that no route takes, with their media types.
    const BODIES: &[(&str, &[u8])] = &[
        ("text/plain", b"x"),
        ("application/json", b"{"),
        ("application/json", b"\"\xff\""),
        ("application/json", b"[]"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("nonsense", b"{}"),
    ];

    #[tokio::test]
    async fn every_route_refuses_in_openais_shape() {
        let server = Server::start(None).await;
        let router = server.router();
        let routes = crate::all_routes(&server.state);
        for path in routes.paths() {
            let known = filled(path, "x");
            let json = "application/json";
            let (status, headers, body) = ask(&router, "NOTHING", &known, json, "{}").await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(code_of(&body, path), "invalid_request");
            let allowed = headers[header::ALLOW].to_str().unwrap().to_owned();
            for method in allowed.split(',').filter(|method| *method != "HEAD") {
                let of = format!("{method} {path}");
                if path.contains('{') {
                    let unknown = filled(path, "%FF");
                    let (status, _, body) = ask(&router, method, &unknown, json, "{}").await;
                    assert_eq!(status, StatusCode::BAD_REQUEST, "{of}: {body}");
                    assert_eq!(code_of(&body, &of), "invalid_request");
                }
                let uris = [
                    known.clone(),
                    format!("{known}?limit=%FF&order=x&after=%ZZ&="),
                ];
                for (uri, (kind, bytes)) in uris
                    .iter()
                    .flat_map(|uri| BODIES.iter().map(move |body| (uri, *body)))
                {
                    let (status, _, body) = ask(&router, method, uri, kind, bytes).await;
                    if status.is_client_error() || status.is_server_error() {
                        code_of(&body, &format!("{of} {uri} {kind}"));
                    }
                }
            }
        }
        for path in [
            "/v1/nothing",
            "/v1/models/a/b/c",
            "/praxis/v1/%FF",
            "/v1//models",
        ] {
            let (status, _, body) = ask(&router, "GET", path, "text/plain", "").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(code_of(&body, path), "not_found");
        }
        let long = "x".repeat(MAX_BODY + 1);
        let path = "/v1/chat/completions";
        let (status, _, body) = ask(&router, "POST", path, "application/json", long).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(code_of(&body, path), "too_large");
    }

    #[tokio::test]
    async fn who_has_no_key_is_refused_in_openais_shape_everywhere() {
        let server = Server::start(Some(&[("all", "all")])).await;
        let router = server.router();
        let keyed = crate::keyed(&server.state);
        for path in keyed.paths() {
            let path = filled(path, "x");
            for method in ["GET", "POST", "NOTHING"] {
                let (status, _, body) = ask(&router, method, &path, "text/plain", "").await;
                assert!(status.is_client_error(), "{method} {path}");
                let code = code_of(&body, &path);
                let known = ["unauthorized", "invalid_request"];
                assert!(known.contains(&code.as_str()), "{method} {path}: {body}");
            }
        }
    }

    #[tokio::test]
    async fn words_status_and_headers_of_a_refusal_stay() {
        let refused = |status: StatusCode, text: &'static str| {
            (
                status,
                [(header::ALLOW, "GET"), (header::CONTENT_TYPE, "text/plain")],
                text,
            )
                .into_response()
        };
        for (status, text, code, message) in [
            (
                StatusCode::BAD_REQUEST,
                "no UTF-8",
                "invalid_request",
                "no UTF-8",
            ),
            (StatusCode::NOT_FOUND, "", "not_found", "Not Found"),
            (
                StatusCode::PAYLOAD_TOO_LARGE,
                " ",
                "too_large",
                "Payload Too Large",
            ),
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "secret",
                "internal_error",
                "the request met a defect of Praxis",
            ),
        ] {
            let response = refused(status, text);
            assert!(is_foreign(&response));
            let answer = reworded(response).await;
            assert!(!is_foreign(&answer));
            assert_eq!(
                (answer.status(), answer.headers()[header::ALLOW].as_bytes()),
                (status, &b"GET"[..])
            );
            let bytes = to_bytes(answer.into_body(), MOST).await.unwrap();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                (&body["error"]["code"], &body["error"]["message"]),
                (&json!(code), &json!(message))
            );
        }
        let fine = (StatusCode::OK, "text").into_response();
        assert!(!is_foreign(&fine));
    }
}
