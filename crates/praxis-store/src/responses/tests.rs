//! What becomes of responses: their ends, chains and events, and who sees them.

use serde_json::json;

use super::*;
use crate::conversations::Conversation;
use crate::conversations::tests::{items, key};
use crate::tests::store;

const NOW: i64 = 1_774_948_000;

const ROOMY: ChainBounds = ChainBounds {
    links: 8,
    bytes: 10_000,
};

fn new(id: &str, previous: Option<&str>, status: ResponseStatus) -> StoredResponse {
    let ended = !matches!(status, ResponseStatus::Queued | ResponseStatus::InProgress);
    StoredResponse {
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        conversation: None,
        status,
        background: !ended,
        streamed: false,
        created: NOW,
        ended: ended.then_some(NOW + 1),
        expires: NOW + 100,
        body: json!({ "model": "m" }),
        outcome: json!({}),
    }
}

fn end(status: ResponseStatus) -> ResponseEnd {
    ResponseEnd {
        status,
        ended: NOW + 2,
        outcome: json!({ "usage": { "input_tokens": 1 } }),
        conversation: None,
        events: Vec::new(),
        owner: None,
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| item["id"].as_str())
        .collect()
}

fn both<'a>(input: &'a [StoredItem], output: &'a [StoredItem]) -> ResponseItems<'a> {
    ResponseItems { input, output }
}

#[tokio::test]
async fn a_response_is_kept_for_who_made_it_until_it_expires() {
    let (_dir, store) = store().await;
    let hr = key("hr", &[]);
    let (input, output) = (items(&["i1", "i2"]), items(&["o1", "o2"]));
    let response = new("r", None, ResponseStatus::Completed);
    store
        .put_response(&response, &hr, both(&input, &output))
        .await
        .unwrap();
    for (reader, now, sees) in [
        (hr.clone(), NOW, true),
        (Caller::full(), NOW, true),
        (key("it", &[]), NOW, false),
        (hr.clone(), NOW + 100, false),
    ] {
        let found = store.response("r", &reader, now).await.unwrap();
        assert_eq!(found.is_some(), sees, "{reader:?} {now}");
        if let Some((found, made)) = found {
            assert_eq!(found, response);
            assert_eq!(ids(&made), ["o1", "o2"]);
        } else {
            assert!(!store.delete_response("r", &reader, now).await.unwrap());
            let item = store.stored_item("o1", &reader, now).await.unwrap();
            assert_eq!(item, None);
        }
    }
    let page = Page {
        limit: 5,
        after: Some("i1".to_owned()),
        ..Page::default()
    };
    let given = store.response_input("r", &page).await.unwrap().unwrap();
    assert_eq!((ids(&given.items), given.has_more), (vec!["i2"], false));
    let item = store.stored_item("o2", &hr, NOW).await.unwrap();
    assert_eq!(item, Some(json!({ "id": "o2" })));
    assert!(store.delete_response("r", &hr, NOW).await.unwrap());
    assert_eq!(store.stored_item("o2", &hr, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn a_response_ends_once() {
    let (_dir, store) = store().await;
    let (all, made) = (Caller::full(), items(&["o"]));
    for id in ["a", "b", "c"] {
        let queued = new(id, None, ResponseStatus::Queued);
        store
            .put_response(&queued, &all, ResponseItems::default())
            .await
            .unwrap();
    }
    assert!(store.begin_response("a", "one").await.unwrap());
    assert!(!store.begin_response("a", "one").await.unwrap());
    let done = end(ResponseStatus::Completed);
    assert!(
        store
            .end_response("a", &done, both(&[], &made))
            .await
            .unwrap()
    );
    assert!(!store.cancel_response("a", &all, NOW).await.unwrap());
    assert!(
        !store
            .cancel_response("b", &key("it", &[]), NOW)
            .await
            .unwrap()
    );
    assert!(store.cancel_response("b", &all, NOW).await.unwrap());
    assert!(!store.begin_response("b", "one").await.unwrap());
    assert!(
        !store
            .end_response("b", &done, both(&[], &made))
            .await
            .unwrap()
    );
    let failure = json!({ "error": { "code": "server_error" } });
    assert_eq!(
        store
            .fail_unfinished_responses(&failure, NOW)
            .await
            .unwrap(),
        1
    );
    let mut found = Vec::new();
    for id in ["a", "b", "c"] {
        let (response, output) = store.response(id, &all, NOW).await.unwrap().unwrap();
        found.push((response.status, output.len(), response.outcome));
    }
    assert_eq!(
        found,
        [
            (ResponseStatus::Completed, 1, done.outcome),
            (ResponseStatus::Cancelled, 0, json!({})),
            (ResponseStatus::Failed, 0, failure),
        ]
    );
}

#[tokio::test]
async fn what_came_before_is_read_as_far_back_as_it_is_there() {
    let (_dir, store) = store().await;
    let hr = key("hr", &[]);
    let put = async |id: &str, previous: Option<&str>, status: ResponseStatus, maker: &Caller| {
        let input = items(&[&format!("{id}-in")]);
        let output = items(&[&format!("{id}-out")]);
        let response = new(id, previous, status);
        store
            .put_response(&response, maker, both(&input, &output))
            .await
            .unwrap();
    };
    put("a", None, ResponseStatus::Completed, &hr).await;
    put("b", Some("a"), ResponseStatus::Incomplete, &hr).await;
    put("c", Some("b"), ResponseStatus::Completed, &hr).await;
    put("failed", Some("b"), ResponseStatus::Failed, &hr).await;
    put("others", None, ResponseStatus::Completed, &key("it", &[])).await;
    put("stolen", Some("others"), ResponseStatus::Completed, &hr).await;
    let read = async |id: &str, bounds: ChainBounds| {
        store.response_chain(id, &hr, bounds, NOW).await.unwrap()
    };
    let said = |chain: Chain| match chain {
        Chain::Items(items) => ids(&items).join(" "),
        other => format!("{other:?}"),
    };
    for (id, links, bytes, wanted) in [
        ("c", 8, 10_000, "a-in a-out b-in b-out c-in c-out"),
        ("c", 3, 10_000, "a-in a-out b-in b-out c-in c-out"),
        ("c", 2, 10_000, "TooLong"),
        ("c", 8, 60, "TooLong"),
        ("failed", 8, 10_000, "Unanswered(Failed)"),
        ("none", 8, 10_000, "Missing"),
        ("others", 8, 10_000, "Missing"),
        ("stolen", 8, 10_000, "stolen-in stolen-out"),
    ] {
        let found = said(read(id, ChainBounds { links, bytes }).await);
        assert_eq!(found, wanted, "{id} {links} {bytes}");
    }
    assert!(store.delete_response("a", &hr, NOW).await.unwrap());
    assert_eq!(said(read("c", ROOMY).await), "b-in b-out c-in c-out");
}

#[tokio::test]
async fn a_conversation_gets_a_turn_when_it_has_an_answer() {
    let (_dir, store) = store().await;
    let (all, input, output) = (Caller::full(), items(&["i"]), items(&["o"]));
    let conversation = Conversation {
        id: "conv".to_owned(),
        metadata: std::collections::BTreeMap::new(),
        created: NOW,
        active: NOW,
        items: 0,
        bytes: 0,
    };
    store
        .put_conversation(&conversation, &all, &[])
        .await
        .unwrap();
    let of = |id: &str, status| StoredResponse {
        conversation: Some("conv".to_owned()),
        ..new(id, None, status)
    };
    for status in [ResponseStatus::Failed, ResponseStatus::Queued] {
        let response = of(status.as_str(), status);
        store
            .put_response(&response, &all, both(&input, &[]))
            .await
            .unwrap();
    }
    assert!(
        store
            .all_conversation_items("conv")
            .await
            .unwrap()
            .is_empty()
    );
    let done = ResponseEnd {
        conversation: Some("conv".to_owned()),
        ..end(ResponseStatus::Completed)
    };
    store
        .end_response("queued", &done, both(&input, &output))
        .await
        .unwrap();
    let (more, said) = (items(&["i2"]), items(&["o2"]));
    let whole = of("whole", ResponseStatus::Incomplete);
    store
        .put_response(&whole, &all, both(&more, &said))
        .await
        .unwrap();
    let found = store.all_conversation_items("conv").await.unwrap();
    assert_eq!(ids(&found), ["i", "o", "i2", "o2"]);
    let chain = store
        .response_chain("whole", &all, ROOMY, NOW)
        .await
        .unwrap();
    assert_eq!(chain, Chain::OfConversation("conv".to_owned()));
    // What is in both is found in either.
    assert!(store.delete_conversation("conv", &all).await.unwrap());
    assert!(store.stored_item("o2", &all, NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn events_are_read_on_from_a_number() {
    let (_dir, store) = store().await;
    let all = Caller::full();
    let queued = new("r", None, ResponseStatus::Queued);
    store
        .put_response(&queued, &all, ResponseItems::default())
        .await
        .unwrap();
    let events = |last: u64, lines: &str| StoredEvents {
        last,
        lines: lines.to_owned(),
    };
    let (first, second) = (events(1, "zero\none"), events(2, "two"));
    let done = ResponseEnd {
        events: vec![first.clone(), second.clone()],
        ..end(ResponseStatus::Completed)
    };
    store
        .end_response("r", &done, ResponseItems::default())
        .await
        .unwrap();
    for (after, wanted) in [
        (None, Some(&first)),
        (Some(0), Some(&first)),
        (Some(1), Some(&second)),
        (Some(2), None),
        (Some(u64::MAX), None),
    ] {
        let found = store.response_events("r", after).await.unwrap();
        assert_eq!(found.as_ref(), wanted, "{after:?}");
    }
}

#[tokio::test]
async fn what_has_expired_is_swept_a_few_at_a_time() {
    let (_dir, store) = store().await;
    let (all, made) = (Caller::full(), items(&["o"]));
    for id in ["a", "b", "c"] {
        let response = new(id, None, ResponseStatus::Completed);
        store
            .put_response(&response, &all, both(&[], &made))
            .await
            .unwrap();
    }
    assert_eq!(store.sweep_responses(NOW + 99, 2).await.unwrap(), 0);
    assert_eq!(store.sweep_responses(NOW + 100, 2).await.unwrap(), 2);
    assert_eq!(store.sweep_responses(NOW + 100, 2).await.unwrap(), 1);
}

#[tokio::test]
async fn what_another_process_makes_is_let_be_and_what_waits_is_taken_over_when_it_is_gone() {
    let (_dir, store) = store().await;
    let all = Caller::full();
    let held = |owner| Held {
        owner,
        until: NOW + 60,
        request: "{}",
    };
    for id in ["a", "b"] {
        let queued = new(id, None, ResponseStatus::Queued);
        let items = ResponseItems::default();
        let put = store.put_held_response(&queued, &all, items, Some(held("one")));
        put.await.unwrap();
    }
    assert!(store.begin_response("a", "one").await.unwrap());
    let failure = json!({ "error": { "code": "server_error" } });
    let fail = async |now| {
        store
            .fail_unfinished_responses(&failure, now)
            .await
            .unwrap()
    };
    let take = async |now| {
        store
            .take_over_response("two", now + 60, now)
            .await
            .unwrap()
    };
    // As long as it is alive, nobody else touches what is its own.
    assert_eq!(fail(NOW + 59).await, 0);
    assert_eq!(take(NOW + 59).await, None);
    let mut own = store.renew_responses("one", NOW + 100).await.unwrap();
    own.sort();
    assert_eq!(own, ["a", "b"]);
    assert_eq!(fail(NOW + 99).await, 0);
    // What was begun has failed then, and what waits goes on elsewhere.
    assert_eq!(fail(NOW + 100).await, 1);
    let left = take(NOW + 100).await.unwrap();
    assert_eq!((left.id.as_str(), left.request.as_str()), ("b", "{}"));
    assert_eq!(take(NOW + 100).await, None);
    assert!(
        store
            .renew_responses("one", NOW + 200)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!store.begin_response("b", "one").await.unwrap());
    let late = ResponseEnd {
        owner: Some("one".to_owned()),
        ..end(ResponseStatus::Failed)
    };
    let items = ResponseItems::default();
    assert!(!store.end_response("b", &late, items).await.unwrap());
    // A process that stops leaves what it has not begun, and only that.
    assert!(!store.leave_response("b", "one").await.unwrap());
    assert!(store.leave_response("b", "two").await.unwrap());
    assert!(take(NOW + 101).await.is_some());
    assert!(store.begin_response("b", "two").await.unwrap());
    assert!(!store.leave_response("b", "two").await.unwrap());
    assert_eq!(fail(NOW + 161).await, 1);
}
