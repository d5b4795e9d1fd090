//! Who says what of which calls, over HTTP, and lists of traces that go by it.

use axum::http::{Method, StatusCode};
use praxis_core::trace::{Span, SpanKind, SpanStatus};
use praxis_core::{Caller, Clearance, Money, SpanId, TraceSink, Usage};
use praxis_store::TraceWriter;

use super::*;
use crate::openapi::tests::server::Server;

/// A server with keys of these names, each for a scope and with the label `hr`, and one that sees all.
async fn server(keys: &[(&str, &str)]) -> (Server, Vec<String>) {
    let server = Server::start(Some(&[("owner", "all")])).await;
    let mut secrets = vec![server.keys["owner"].clone()];
    for (name, scope) in keys {
        secrets.push(server.key(name, scope, "hr").await);
    }
    (server, secrets)
}

/// A call of the key `hr`.
async fn called(server: &Server) -> TraceId {
    let trace_id = TraceId::generate();
    let span = Span {
        trace_id: trace_id.clone(),
        span_id: SpanId::generate(),
        parent_id: None,
        kind: SpanKind::Function,
        name: "answer".to_owned(),
        started_ms: 5,
        duration_us: 6,
        first_token_us: None,
        input: json!({ "question": "Who?" }),
        output: json!("All."),
        usage: Usage::default(),
        cost: Money(3),
        status: SpanStatus::Ok,
        caller: Some(Caller {
            name: Some("hr".to_owned()),
            clearance: Clearance::of(["hr"]),
        }),
    };
    let traces = TraceWriter::start(&server.state.store).unwrap();
    traces.record(span);
    traces.flush().await;
    trace_id
}

#[tokio::test]
async fn feedback_is_kept_with_the_trace_of_whom_it_is_about() {
    let keys = [("hr", "traces"), ("it", "traces"), ("chats", "chat")];
    let (server, secrets) = server(&keys).await;
    let [owner, hr, it, chats] = secrets.as_slice() else {
        panic!("{secrets:?}");
    };
    let trace = called(&server).await;
    let path = "/praxis/v1/feedback";
    let down = json!({ "trace_id": trace, "thumb": "down", "comment": "Wrong.", "by": "ada" });
    let with = |field: &str, value: Value| {
        let mut body = json!({ "trace_id": trace, "score": 1 });
        body[field] = value;
        body
    };
    for (key, body, status, param) in [
        (chats, down.clone(), 403, Value::Null),
        (it, down.clone(), 404, json!("trace_id")),
        (hr, with("score", json!(1.5)), 400, json!("score")),
        (hr, with("score", Value::Null), 400, json!("thumb")),
        (hr, with("by", json!("b".repeat(201))), 400, json!("by")),
    ] {
        let (found, answer) = server.ask(key, Method::POST, path, body.clone()).await;
        assert_eq!(found.as_u16(), status, "{body}: {answer}");
        assert_eq!(answer["error"]["param"], param, "{body}: {answer}");
    }
    let (status, kept) = server.ask(hr, Method::POST, path, down).await;
    assert_eq!(status, StatusCode::OK, "{kept}");
    assert_eq!((&kept["key"], &kept["by"]), (&json!("hr"), &json!("ada")));

    let (_, seen) = server
        .ask(
            owner,
            Method::GET,
            &format!("/praxis/v1/traces/{trace}"),
            Value::Null,
        )
        .await;
    assert_eq!(seen["feedback"], json!([kept]));
    for (key, query, count) in [
        (owner, "", 1),
        (hr, "?thumb=down", 1),
        (hr, "?thumb=up", 0),
        (it, "", 0),
    ] {
        let path = format!("{path}{query}");
        let (_, list) = server.ask(key, Method::GET, &path, Value::Null).await;
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{list}");
    }
}

#[tokio::test]
async fn traces_are_listed_for_who_sees_them() {
    let (server, secrets) = server(&[("hr", "traces"), ("it", "all")]).await;
    let [owner, hr, it] = secrets.as_slice() else {
        panic!("{secrets:?}");
    };
    let (first, second) = (called(&server).await, called(&server).await);
    let list = async |key: &str, query: &str| {
        let path = format!("/praxis/v1/traces{query}");
        server.ask(key, Method::GET, &path, Value::Null).await
    };
    let (_, page) = list(hr, "?limit=1").await;
    assert_eq!(
        (&page["last_id"], &page["has_more"]),
        (&json!(second), &json!(true))
    );
    let (_, page) = list(hr, &format!("?limit=1&after={second}")).await;
    assert_eq!(
        (&page["last_id"], &page["has_more"]),
        (&json!(first), &json!(false))
    );
    assert_eq!(page["data"][0]["name"], "answer");
    assert_eq!(page["data"][0]["status"]["status"], "ok");
    for (key, query, count) in [
        (owner, "", 2),
        (it, "", 0),
        (hr, "?name=answer&kind=function&status=ok&key=hr", 2),
        (hr, "?status=error", 0),
        (hr, "?before_ms=5", 0),
        (hr, "?since_ms=5", 2),
        (hr, "?thumb=up", 0),
    ] {
        let (_, page) = list(key, query).await;
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}");
    }
    for (query, param) in [
        ("?kind=tree", "kind"),
        ("?status=failed", "status"),
        ("?since_ms=today", "since_ms"),
        ("?thumb=left", "thumb"),
        ("?limit=0", "limit"),
    ] {
        let (status, answer) = list(hr, query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer["error"]["param"], param, "{query}");
    }
}
