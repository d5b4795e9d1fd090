//! Who may ask for what.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use rmcp::model::{ProtocolVersion, ReadResourceRequestParams};
use serde_json::json;

use super::app::Keys;
use super::client::Served;
use super::{REVISIONS, call};

const KEYS: Keys<'static> = &[
    ("calls", &["functions"], None),
    ("reads", &["knowledge"], None),
    ("hr", &["all"], Some("hr")),
    ("chats", &["chat"], None),
];

#[tokio::test]
async fn without_a_key_nobody_is_let_in() {
    let served = Served::start(Some(KEYS)).await;
    for revision in REVISIONS {
        for key in [None, Some("sk-none".to_owned())] {
            assert!(
                served
                    .connected(key, revision.clone(), false)
                    .await
                    .is_err()
            );
        }
    }
}

#[tokio::test]
async fn a_key_has_what_it_is_for() {
    let served = Served::start(Some(KEYS)).await;
    for revision in REVISIONS {
        for (key, tools, prompts, resources) in [
            ("calls", 6, 1, 0),
            ("reads", 0, 0, 3),
            ("hr", 6, 1, 2),
            ("chats", 0, 0, 0),
        ] {
            let (client, _) = served.client(Some(key), revision.clone(), false).await;
            let peer = client.peer();
            assert_eq!(
                peer.list_tools(None).await.unwrap().tools.len(),
                tools,
                "{key}"
            );
            assert_eq!(
                peer.list_prompts(None).await.unwrap().prompts.len(),
                prompts,
                "{key}"
            );
            let listed = peer.list_resources(None).await.unwrap().resources;
            assert_eq!(listed.len(), resources, "{key}");
            let called = client
                .call_tool(call("math_double", json!({ "number": 1 })))
                .await;
            assert_eq!(called.is_ok(), tools > 0, "{key}");
        }
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_it_may_not_read() {
    let served = Served::start(Some(KEYS)).await;
    for revision in REVISIONS {
        let (client, _) = served.client(Some("hr"), revision, false).await;
        let listed = client.peer().list_resources(None).await.unwrap().resources;
        let titles: Vec<_> = listed
            .iter()
            .map(|one| one.title.as_deref().unwrap())
            .collect();
        assert_eq!(titles, ["Holidays", "Salaries"]);
        let read = |id: &str| {
            let uri = format!("praxis://knowledge/handbook/documents/{id}");
            client.read_resource(ReadResourceRequestParams::new(uri))
        };
        assert!(read("d-hr").await.is_ok());
        let hidden = read("d-board").await.unwrap_err().to_string();
        let none = read("d-none").await.unwrap_err().to_string();
        assert_eq!(hidden.replace("d-board", "d-none"), none);
    }
}

/// The status of a request that a client would make.
async fn status(served: &Served, key: &str, more: &[(&str, &str)]) -> StatusCode {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let mut request = Request::post("/mcp")
        .header(header::HOST, "127.0.0.1")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", served.app.keys[key]),
        )
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let service = TowerToHyperService::new(served.router.clone());
    let response = service.call(request).await.unwrap();
    let status = response.status();
    // The answer is read, so that the server is done with it.
    to_bytes(response.into_body(), 1 << 20).await.unwrap();
    status
}

/// The id of a session that the key of that name has begun.
async fn session(served: &Served, key: &str) -> String {
    let body = json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": ProtocolVersion::V_2025_11_25,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let request = Request::post("/mcp")
        .header(header::HOST, "127.0.0.1")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", served.app.keys[key]),
        )
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .body(Body::from(body.to_string()))
        .unwrap();
    let service = TowerToHyperService::new(served.router.clone());
    let response = service.call(request).await.unwrap();
    let id = response.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    to_bytes(response.into_body(), 1 << 20).await.unwrap();
    id
}

#[tokio::test]
async fn a_session_is_there_for_the_key_that_began_it_only() {
    let served = Served::start(Some(KEYS)).await;
    let id = session(&served, "calls").await;
    let own = status(&served, "calls", &[("mcp-session-id", id.as_str())]).await;
    assert_eq!(own, StatusCode::OK);
    let other = status(&served, "hr", &[("mcp-session-id", id.as_str())]).await;
    assert_eq!(other, StatusCode::NOT_FOUND);
    let none = status(&served, "calls", &[("mcp-session-id", "none")]).await;
    assert_eq!(none, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let served = Served::start(Some(KEYS)).await;
    let id = session(&served, "calls").await;
    let session = ("mcp-session-id", id.as_str());
    let foreign = status(
        &served,
        "calls",
        &[session, ("origin", "https://evil.example")],
    )
    .await;
    assert_eq!(foreign, StatusCode::FORBIDDEN);
    let own = status(&served, "calls", &[session, ("origin", "http://127.0.0.1")]).await;
    assert_eq!(own, StatusCode::OK);
}
