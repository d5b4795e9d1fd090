//! The files that pages load, compiled into the binary. They hold no secrets and need no key.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const MARK: &str = "mark.svg";

/// Name, type and content of each file.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "console.css",
        "text/css; charset=utf-8",
        include_str!("../assets/console.css"),
    ),
    (
        "reference.css",
        "text/css; charset=utf-8",
        include_str!("../assets/reference.css"),
    ),
    (
        "approvals.css",
        "text/css; charset=utf-8",
        include_str!("../assets/approvals.css"),
    ),
    ("theme.js", SCRIPT, include_str!("../assets/theme.js")),
    ("page.js", SCRIPT, include_str!("../assets/page.js")),
    ("chat.js", SCRIPT, include_str!("../assets/chat.js")),
    ("turn.js", SCRIPT, include_str!("../assets/turn.js")),
    ("answer.js", SCRIPT, include_str!("../assets/answer.js")),
    ("element.js", SCRIPT, include_str!("../assets/element.js")),
    ("memory.js", SCRIPT, include_str!("../assets/memory.js")),
    ("scroll.js", SCRIPT, include_str!("../assets/scroll.js")),
    ("source.js", SCRIPT, include_str!("../assets/source.js")),
    ("api.js", SCRIPT, include_str!("../assets/api.js")),
    ("drop.js", SCRIPT, include_str!("../assets/drop.js")),
    ("lane.js", SCRIPT, include_str!("../assets/lane.js")),
    ("layout.js", SCRIPT, include_str!("../assets/layout.js")),
    ("preview.js", SCRIPT, include_str!("../assets/preview.js")),
    ("texts.js", SCRIPT, include_str!("../assets/texts.js")),
    ("lines.js", SCRIPT, include_str!("../assets/lines.js")),
    ("examples.js", SCRIPT, include_str!("../assets/examples.js")),
    ("findings.js", SCRIPT, include_str!("../assets/findings.js")),
    ("time.js", SCRIPT, include_str!("../assets/time.js")),
    ("waiting.js", SCRIPT, include_str!("../assets/waiting.js")),
    (
        "approvals.js",
        SCRIPT,
        include_str!("../assets/approvals.js"),
    ),
    ("approval.js", SCRIPT, include_str!("../assets/approval.js")),
    ("calls.js", SCRIPT, include_str!("../assets/calls.js")),
    ("value.js", SCRIPT, include_str!("../assets/value.js")),
    ("exact.js", SCRIPT, include_str!("../assets/exact.js")),
    (
        "marked.min.js",
        SCRIPT,
        include_str!("../assets/vendor/marked.min.js"),
    ),
    (MARK, "image/svg+xml", include_str!("../assets/mark.svg")),
];

/// A file by its name.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    send(&name, &headers)
}

/// The icon under the name that some programs ask for unbidden.
pub(crate) async fn favicon(headers: HeaderMap) -> Response {
    send(MARK, &headers)
}

/// Browsers keep a file and ask each time whether it is still the same: a new binary must not meet
/// the scripts of an old one.
fn send(name: &str, headers: &HeaderMap) -> Response {
    let Some((_, kind, body)) = ASSETS.iter().find(|(known, _, _)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|v| v.as_bytes() == tag.as_bytes());
    let fresh = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    (fresh, [(header::CONTENT_TYPE, *kind)], *body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_file_is_sent_once() {
        let mut headers = HeaderMap::new();
        let first = send("chat.js", &headers);
        assert_eq!(first.status(), StatusCode::OK);
        assert!(first.headers()[header::CONTENT_TYPE] == SCRIPT);
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(send("chat.js", &headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"old\""));
        assert_eq!(send("chat.js", &headers).status(), StatusCode::OK);
        assert_eq!(send("no.js", &headers).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn every_import_of_a_script_is_there() {
        for (name, kind, body) in ASSETS.iter().filter(|(n, _, _)| !n.contains(".min.")) {
            for line in body
                .lines()
                .filter(|l| *kind == SCRIPT && l.starts_with("import "))
            {
                let path = line.split('"').nth(1).unwrap();
                let file = path.strip_prefix("./").unwrap();
                let there = ASSETS.iter().any(|(known, _, _)| *known == file);
                assert!(there, "{name}: {line}");
            }
        }
    }
}
