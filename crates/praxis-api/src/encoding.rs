//! Bodies that travel compressed: answers are packed for those who can unpack them, requests are unpacked before
//! anybody reads them, so that limits count what comes out. Left out: streams of events, whose pieces must not wait
//! for each other, and the bytes of files, which are mostly packed already.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use praxis_core::ErrorCode;
use tower::ServiceBuilder;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::decompression::RequestDecompressionLayer;

use crate::error::ApiError;

/// Bytes of an answer from which on it is packed.
const WORTH: u16 = 1024;

/// Media types that are packed, and all that end with `+json`.
const TEXTS: &[&str] = &[
    "application/json",
    "application/javascript",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
];

/// The router, with its bodies packed and unpacked.
pub(crate) fn over(router: Router) -> Router {
    let around = ServiceBuilder::new()
        .layer(
            CompressionLayer::new()
                // The processor has models to run.
                .quality(CompressionLevel::Fastest)
                .compress_when(SizeAbove::new(WORTH).and(is_text)),
        )
        .layer(middleware::from_fn(readable))
        .layer(RequestDecompressionLayer::new())
        .service(router);
    Router::new().fallback_service(around)
}

fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    TEXTS.contains(&essence.as_str()) || essence.ends_with("+json")
}

/// How a body was sent.
enum Sent {
    Plain,
    Packed,
    Unreadable(String),
}

fn sent(headers: &HeaderMap) -> Sent {
    let named: Vec<String> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|name| String::from_utf8_lossy(name.as_bytes()).to_ascii_lowercase())
        .collect();
    match named.as_slice() {
        [] => Sent::Plain,
        [one] if one == "identity" => Sent::Plain,
        [one] if one == "gzip" || one == "x-gzip" => Sent::Packed,
        _ => Sent::Unreadable(named.join(", ")),
    }
}

/// Refuses a body that nobody here can read, in words.
async fn readable(mut request: Request<Body>, next: Next) -> Response {
    match sent(request.headers()) {
        Sent::Plain => {}
        Sent::Packed => {
            // The layer within knows this name alone.
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        }
        Sent::Unreadable(named) => {
            let message = format!(
                "`content-encoding: {named}` is not read here: send the body plain or with `gzip`"
            );
            let error = ApiError::new(ErrorCode::InvalidRequest, message);
            let accepted = [(header::ACCEPT_ENCODING, "gzip")];
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return (status, accepted, Json(error.body())).into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use axum::body::{Bytes, to_bytes};
    use axum::extract::DefaultBodyLimit;
    use axum::routing::{get, post};
    use flate2::Compression;
    use flate2::read::GzDecoder;
    use flate2::write::GzEncoder;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    const LIMIT: usize = 64 << 10;

    fn router() -> Router {
        let of = |kind: &'static str, length: usize| {
            get(move || async move { ([(header::CONTENT_TYPE, kind)], "a".repeat(length)) })
        };
        let router = Router::new()
            .route("/json", of("application/json", 4096))
            .route(
                "/problem",
                of("application/problem+json; charset=utf-8", 4096),
            )
            .route("/page", of("text/html; charset=utf-8", 4096))
            .route("/script", of("text/javascript", 4096))
            .route("/short", of("application/json", 100))
            .route("/events", of("text/event-stream", 4096))
            .route("/file", of("application/octet-stream", 4096))
            .route("/picture", of("image/png", 4096))
            .route(
                "/packed",
                get(|| async {
                    let headers = [
                        (header::CONTENT_TYPE, "application/json"),
                        (header::CONTENT_ENCODING, "br"),
                    ];
                    (headers, "a".repeat(4096))
                }),
            )
            .route(
                "/length",
                post(|body: Bytes| async move { body.len().to_string() }),
            )
            .layer(DefaultBodyLimit::max(LIMIT));
        over(router)
    }

    async fn answer(request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let service = TowerToHyperService::new(router());
        let response = service.call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, body)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn texts_are_packed_for_those_who_can_unpack_them() {
        for (path, accepted, is_packed) in [
            ("/json", "gzip", true),
            ("/problem", "gzip, deflate", true),
            ("/page", "gzip, deflate, br, zstd", true),
            ("/script", "gzip;q=0.5", true),
            ("/json", "identity", false),
            ("/json", "gzip;q=0", false),
            ("/short", "gzip", false),
            ("/events", "gzip", false),
            ("/file", "gzip", false),
            ("/picture", "gzip", false),
        ] {
            let request = Request::get(path).header(header::ACCEPT_ENCODING, accepted);
            let (_, headers, body) = answer(request.body(Body::empty()).unwrap()).await;
            let encoding = headers.get(header::CONTENT_ENCODING);
            assert_eq!(encoding.is_some(), is_packed, "{path} for {accepted}");
            let mut text = String::new();
            if is_packed {
                assert_eq!(encoding.unwrap(), "gzip");
                assert!(body.len() < 1024, "{path}: {} bytes", body.len());
                GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
            } else {
                text.push_str(std::str::from_utf8(&body).unwrap());
            }
            assert!(text.chars().all(|c| c == 'a'), "{path}");
        }
        let request = Request::get("/packed").header(header::ACCEPT_ENCODING, "gzip");
        let (_, headers, body) = answer(request.body(Body::empty()).unwrap()).await;
        assert_eq!(headers[header::CONTENT_ENCODING], "br");
        assert_eq!(body.len(), 4096);
    }

    #[tokio::test]
    async fn a_packed_request_counts_by_what_it_unpacks_to() {
        let bomb = packed(&vec![0; 1 << 20]);
        assert!(bomb.len() < LIMIT);
        let cut = packed(b"half of it");
        let cut = cut[..cut.len() / 2].to_vec();
        for (encoding, body, status, text) in [
            (None, b"plain".to_vec(), StatusCode::OK, "5"),
            (Some("identity"), b"plain".to_vec(), StatusCode::OK, "5"),
            (Some("gzip"), packed(b"packed"), StatusCode::OK, "6"),
            (Some("X-GZip"), packed(b"packed"), StatusCode::OK, "6"),
            (Some("gzip"), bomb, StatusCode::PAYLOAD_TOO_LARGE, ""),
            (Some("gzip"), cut, StatusCode::BAD_REQUEST, ""),
            (
                Some("br"),
                b"?".to_vec(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
            ),
            (
                Some("gzip, gzip"),
                b"?".to_vec(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
            ),
        ] {
            let mut request = Request::post("/length");
            if let Some(encoding) = encoding {
                request = request.header(header::CONTENT_ENCODING, encoding);
            }
            let (found, _, answer) = answer(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(found, status, "{encoding:?}: {answer:?}");
            let answer = std::str::from_utf8(&answer).unwrap();
            assert!(answer.contains(text), "{encoding:?}: {answer}");
        }
    }
}
