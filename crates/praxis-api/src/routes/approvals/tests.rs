//! Who sees and decides on what, over HTTP.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use praxis_core::approval::{Entry, Outcome, Run, Wanted, digest};
use praxis_core::{Clearance, Effect, Effects, TraceId};

use super::*;
use crate::openapi::tests::server::Server;

/// A server with keys of these names, each for a scope and with a label.
async fn server(keys: &[(&str, &str, &str)]) -> (Server, Vec<String>) {
    let server = Server::start(Some(&[("owner", "all")])).await;
    let mut secrets = Vec::new();
    for (name, scope, label) in keys {
        secrets.push(server.key(name, scope, label).await);
    }
    (server, secrets)
}

/// A call of the key `hr` that waits.
async fn waiting(server: &Server, amount: i64) -> String {
    let caller = Caller {
        name: Some("hr".to_owned()),
        clearance: Clearance::of(["hr"]),
    };
    let arguments = json!({ "amount": amount, "pin": "1234" });
    let wanted = Wanted {
        function: "bank/pay".to_owned(),
        effects: Effects::of(&[Effect::Write]),
        digest: digest("bank/pay", &arguments, &caller, None),
        shown: json!({ "amount": amount, "pin": "***" }),
        arguments,
        caller,
        user: None,
        reason: "it changes something".to_owned(),
        scope: "t1".to_owned(),
        trace_id: TraceId::from_string("t1"),
        valid: Duration::from_secs(3600),
    };
    let reserved = server.state.store.reserve_approval(&wanted, now_ms()).await;
    reserved.unwrap().unwrap().id
}

#[tokio::test]
async fn another_key_with_the_scope_decides() {
    let keys = [
        ("hr", "all", "hr"),
        ("boss", "approvals", "hr"),
        ("it", "approvals", "it"),
        ("chats", "chat", "hr"),
    ];
    let (server, secrets) = server(&keys).await;
    let [hr, boss, it, chats] = secrets.as_slice() else {
        panic!("{secrets:?}");
    };
    let id = waiting(&server, 5).await;
    let path = format!("/praxis/v1/approvals/{id}");
    let approve = json!({ "decision": "approve", "note": "as agreed" });
    for (key, method, body, status, code) in [
        (chats, Method::GET, Value::Null, 403, "forbidden"),
        (it, Method::GET, Value::Null, 404, "not_found"),
        (it, Method::POST, approve.clone(), 404, "not_found"),
        (hr, Method::GET, Value::Null, 200, ""),
        (hr, Method::POST, approve.clone(), 403, "forbidden"),
        (
            boss,
            Method::POST,
            json!({ "decision": "maybe" }),
            400,
            "invalid_request",
        ),
        (
            boss,
            Method::POST,
            json!({ "decision": "deny", "again": true }),
            400,
            "invalid_request",
        ),
        (boss, Method::POST, approve.clone(), 200, ""),
        // Again it says the same, and what is approved can still be taken back.
        (boss, Method::POST, approve.clone(), 200, ""),
        (boss, Method::POST, json!({ "decision": "deny" }), 200, ""),
        (boss, Method::POST, approve.clone(), 400, "invalid_request"),
    ] {
        let (got, answer) = server.ask(key, method.clone(), &path, body.clone()).await;
        assert_eq!(got.as_u16(), status, "{method} {body}: {answer}");
        let found = answer["error"]["code"].as_str().unwrap_or_default();
        assert_eq!(found, code, "{method} {body}: {answer}");
    }
    let (_, found) = server.ask(hr, Method::GET, &path, Value::Null).await;
    assert_eq!(
        (&found["state"], &found["decided_by"]),
        (&json!("denied"), &json!("boss"))
    );
    assert_eq!(found["arguments"], json!({ "amount": 5, "pin": "***" }));
    assert!(!found.to_string().contains("1234"), "{found}");
}

#[tokio::test]
async fn what_was_begun_is_approved_again_only_on_purpose() {
    let (server, secrets) = server(&[("boss", "approvals", "hr")]).await;
    let boss = &secrets[0];
    let id = waiting(&server, 5).await;
    let path = format!("/praxis/v1/approvals/{id}");
    let approve = json!({ "decision": "approve" });
    server.ask(boss, Method::POST, &path, approve.clone()).await;
    let run = Run {
        id: "r1".to_owned(),
        scope: "t2".to_owned(),
        trace_id: TraceId::from_string("t2"),
    };
    let store = &server.state.store;
    assert!(store.consume_approval(&id, &run, now_ms()).await.unwrap());
    let (status, answer) = server.ask(boss, Method::POST, &path, approve).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("\"again\": true"), "{message}");
    let again = json!({ "decision": "approve", "again": true });
    let (status, answer) = server.ask(boss, Method::POST, &path, again).await;
    assert_eq!(
        (status, &answer["state"]),
        (StatusCode::OK, &json!("approved"))
    );
}

#[tokio::test]
async fn lists_and_the_log_come_in_pages() {
    let (server, secrets) = server(&[("boss", "approvals", "hr"), ("it", "approvals", "it")]).await;
    let (boss, it) = (&secrets[0], &secrets[1]);
    let first = waiting(&server, 1).await;
    let second = waiting(&server, 2).await;
    let list = "/praxis/v1/approvals?state=pending&limit=1";
    let (_, page) = server.ask(boss, Method::GET, list, Value::Null).await;
    assert_eq!(
        (&page["last_id"], &page["has_more"]),
        (&json!(second), &json!(true))
    );
    let next = format!("{list}&after={second}");
    let (_, page) = server.ask(boss, Method::GET, &next, Value::Null).await;
    assert_eq!(
        (&page["last_id"], &page["has_more"]),
        (&json!(first), &json!(false))
    );
    let (_, page) = server.ask(it, Method::GET, list, Value::Null).await;
    assert_eq!(page["data"], json!([]));
    let wrong = "/praxis/v1/approvals?state=open";
    let (status, answer) = server.ask(boss, Method::GET, wrong, Value::Null).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]["param"]),
        (400, &json!("state"))
    );

    for call in ["c1", "c2"] {
        let entry = Entry {
            call: call.to_owned(),
            function: "bank/pay".to_owned(),
            effects: Effects::of(&[Effect::Write]),
            digest: "d".to_owned(),
            arguments: json!({ "amount": 5 }),
            caller: Caller {
                name: Some("hr".to_owned()),
                clearance: Clearance::of(["hr"]),
            },
            user: None,
            trace_id: TraceId::from_string("t1"),
            tainted_by: None,
            decision: "it changes something".to_owned(),
            approval: Some(first.clone()),
            outcome: Outcome::Waits,
            message: None,
        };
        let noted = server
            .state
            .store
            .note_tool_call(&entry, None, now_ms())
            .await;
        noted.unwrap();
    }
    for (query, calls, has_more) in [
        ("order=asc&limit=1", &["c1"][..], true),
        ("order=asc&after=1", &["c2"], false),
        ("limit=9", &["c2", "c1"], false),
        ("after=1", &[], false),
        ("tool=bank&outcome=waits&limit=1", &["c2"], true),
        ("tool=bank/pay", &["c2", "c1"], false),
        ("tool=ban", &[], false),
        ("outcome=done", &[], false),
    ] {
        let path = format!("/praxis/v1/audit?{query}");
        let (_, page) = server.ask(boss, Method::GET, &path, Value::Null).await;
        let found = page["data"].as_array().unwrap().iter();
        let found: Vec<&str> = found
            .map(|logged| logged["call"].as_str().unwrap())
            .collect();
        assert_eq!(found, calls, "{query}");
        assert_eq!(page["has_more"], has_more, "{query}");
    }
    let (_, page) = server
        .ask(it, Method::GET, "/praxis/v1/audit", Value::Null)
        .await;
    assert_eq!((&page["data"], &page["last"]), (&json!([]), &Value::Null));
    for (query, param) in [("after=x", "after"), ("outcome=made", "outcome")] {
        let path = format!("/praxis/v1/audit?{query}");
        let (status, answer) = server.ask(boss, Method::GET, &path, Value::Null).await;
        assert_eq!(
            (status.as_u16(), &answer["error"]["param"]),
            (400, &json!(param))
        );
    }
}

#[tokio::test]
async fn who_may_decide_is_told_how_many_wait() {
    let keys = [
        ("hr", "approvals", "hr"),
        ("boss", "approvals", "hr"),
        ("it", "approvals", "it"),
        ("chats", "chat", "hr"),
    ];
    let (server, secrets) = server(&keys).await;
    waiting(&server, 1).await;
    waiting(&server, 2).await;
    let path = "/praxis/v1/approvals/waiting";
    for (key, status, count) in secrets
        .iter()
        .zip([200, 200, 200, 403])
        .zip([json!(0), json!(2), json!(0), Value::Null])
        .map(|((key, status), count)| (key, status, count))
    {
        let (got, answer) = server.ask(key, Method::GET, path, Value::Null).await;
        assert_eq!(
            (got.as_u16(), &answer["count"]),
            (status, &count),
            "{answer}"
        );
    }
}
