//! What a process that is gone left in the background, and who makes it.

use std::time::Duration;

use praxis_core::Caller;
use praxis_store::{Held, StoredResponse};
use tokio::time::sleep;

use super::*;
use crate::openapi::tests::server::Server;

const BODY: &str = r#"{"model": "function:greet", "input": "Ada", "background": true}"#;

/// Puts a response that waits for a process that is gone.
async fn leave(server: &Server, id: &str, maker: Maker) {
    let now = server.state.responses.now();
    let row = StoredResponse {
        id: id.to_owned(),
        previous: None,
        conversation: None,
        status: ResponseStatus::Queued,
        background: true,
        streamed: false,
        created: now - 100,
        ended: None,
        expires: now + 100,
        body: json!({ "model": "function:greet" }),
        outcome: json!({}),
    };
    let waiting = Waiting {
        body: BODY.to_owned(),
        maker,
        tags: String::new(),
        host: String::new(),
    };
    let request = json!(waiting).to_string();
    let held = Held {
        owner: "gone",
        until: now - 1,
        request: &request,
    };
    let (caller, nothing) = (Caller::full(), ResponseItems::default());
    let store = &server.state.store;
    let put = store.put_held_response(&row, &caller, nothing, Some(held));
    put.await.unwrap();
}

/// How a response ended: its status, and what came of it.
async fn end(server: &Server, id: &str) -> (ResponseStatus, Outcome) {
    let responses = &server.state.responses;
    for _ in 0..1000 {
        let found = responses.get(id, &Caller::full()).await.unwrap();
        if found.ended.is_some() {
            return (found.status, found.outcome);
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("`{id}` does not end");
}

async fn look(server: &Server) {
    let (responses, batches) = (&server.state.responses, &server.state.batches);
    let looked = responses.look_after(batches, &server.router()).await;
    looked.unwrap();
}

#[tokio::test]
async fn what_waited_is_asked_for_again_as_its_makers() {
    let server = Server::start(None).await;
    leave(&server, "resp_a", Maker::Nobody).await;
    look(&server).await;
    // It fails, as there is no model here; that it has a trace shows that it was made.
    let (status, outcome) = end(&server, "resp_a").await;
    assert_eq!(status, ResponseStatus::Failed);
    assert!(outcome.praxis.contains_key("trace_id"), "{outcome:?}");
}

#[tokio::test]
async fn what_waited_fails_where_its_makers_key_opens_nothing_any_more() {
    let server = Server::start(Some(&[("owner", "all")])).await;
    leave(&server, "resp_a", Maker::Stored("key-none".to_owned())).await;
    leave(&server, "resp_b", Maker::Nobody).await;
    look(&server).await;
    for id in ["resp_a", "resp_b"] {
        let (status, outcome) = end(&server, id).await;
        assert_eq!(status, ResponseStatus::Failed, "{id}");
        let why = outcome.error.unwrap().message;
        assert!(why.contains("opens nothing any more"), "{id}: {why}");
    }
}
