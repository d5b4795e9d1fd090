//! The web console: pages rendered on the server, one small script for the conversation.
//!
//! The script talks to `/praxis/v1` like any other client. No build step, no framework, nothing
//! from another host. Left out: accounts and settings.

mod pages;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use praxis_api::ApiState;

/// What a page of the console may load: its own files and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All pages of the console.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/", get(pages::chat))
        .route("/documents", get(pages::documents))
        .route("/documents/{id}", get(pages::document))
        .route("/traces", get(pages::traces))
        .route("/traces/{id}", get(pages::trace))
        .route(
            "/assets/console.css",
            get(|| async { asset("text/css", CSS) }),
        )
        .route(
            "/assets/console.js",
            get(|| async { asset("text/javascript", JS) }),
        )
        .route(
            "/assets/mark.svg",
            get(|| async { asset("image/svg+xml", MARK) }),
        )
        .with_state(state)
}

const CSS: &str = include_str!("../assets/console.css");
const JS: &str = include_str!("../assets/console.js");
const MARK: &str = include_str!("../assets/mark.svg");

fn asset(kind: &'static str, body: &'static str) -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        body,
    )
}

/// The headers of every page.
fn page_headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ]
}
