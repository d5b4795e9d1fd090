//! Calls by signature, whole and as events.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::mcp::tests::app::Application;

/// The status and the text that a call is answered with.
async fn call(app: &Application, function: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/praxis/v1/functions/{function}/call"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let router = crate::hardened(&app.state, crate::router(app.state.clone()));
    let response = TowerToHyperService::new(router).call(request).await;
    let (parts, body) = response.unwrap().into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (parts.status, text)
}

/// The names of the events of a stream.
fn events(stream: &str) -> Vec<&str> {
    let names = stream.lines().filter_map(|l| l.strip_prefix("event: "));
    names.collect()
}

#[tokio::test]
async fn a_call_is_answered_whole_or_with_its_events() {
    let app = Application::start(None).await;
    let (status, whole) = call(&app, "tell", r#"{"input": {}}"#).await;
    assert_eq!(status, StatusCode::OK, "{whole}");
    assert!(whole.contains("Once upon a time."), "{whole}");
    let streamed = r#"{"input": {}, "stream": true}"#;
    let (status, stream) = call(&app, "tell", streamed).await;
    assert_eq!(status, StatusCode::OK, "{stream}");
    assert_eq!(
        events(&stream),
        ["delta", "delta", "delta", "tool_called", "done"]
    );
    assert!(
        stream.contains(r#""output":"Once upon a time.""#),
        "{stream}"
    );
    assert!(stream.contains(r#""trace_id":""#), "{stream}");
    // What fails while it is made is told as the last event, in the shape of all errors.
    let (status, stream) = call(&app, "fail", streamed).await;
    assert_eq!((status, events(&stream)), (StatusCode::OK, vec!["error"]));
    assert!(stream.contains(r#""code":"upstream_error""#), "{stream}");
    let (status, _) = call(&app, "nothing", streamed).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
