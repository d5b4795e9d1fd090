//! Who says what of which calls, and lists of traces that go by it.

use praxis_core::Clearance;
use praxis_core::trace::{SpanKind, SpanStatus};

use super::*;
use crate::spans::{TraceEnd, TraceFilter};
use crate::tests::{put_spans, span, store};

const NOW: i64 = 1_774_948_000_000;

fn hr() -> Caller {
    Caller {
        name: Some("hr".to_owned()),
        clearance: Clearance::of(["hr"]),
    }
}

fn thumb(thumb: Thumb) -> NewFeedback {
    NewFeedback {
        thumb: Some(thumb),
        ..NewFeedback::default()
    }
}

/// A store with a call of `hr`, and two of nobody by name: one that failed, one whose name is `answer`.
async fn calls() -> (tempfile::TempDir, Store, [TraceId; 3]) {
    let (dir, store) = store().await;
    let traces = [
        TraceId::generate(),
        TraceId::generate(),
        TraceId::generate(),
    ];
    let mut own = span(&traces[0], None, 10);
    (own.caller, own.status) = (Some(hr()), SpanStatus::Ok);
    let child = span(&traces[0], Some(&own.span_id), 5);
    let failed = span(&traces[1], None, 1);
    let mut answer = span(&traces[2], None, 1);
    answer.name = "answer".to_owned();
    (answer.kind, answer.started_ms) = (SpanKind::Function, 50);
    answer.status = SpanStatus::Cancelled;
    // A trace may have two roots; it is one trace all the same.
    let second = span(&traces[2], None, 2);
    let all = [own, child, failed, answer, second];
    put_spans(&store, all).await;
    (dir, store, traces)
}

#[tokio::test]
async fn feedback_is_given_to_calls_that_the_caller_sees() {
    let (_dir, store, [own, failed, _]) = calls().await;
    let new = NewFeedback {
        score: Some(0.25),
        comment: Some("不对".to_owned()),
        by: Some("li".to_owned()),
        ..thumb(Thumb::Down)
    };
    let given = store.give_feedback(&own, &new, &hr(), NOW).await.unwrap();
    let Given::Kept(given) = given else {
        panic!("{given:?}");
    };
    assert_eq!(given.key.as_deref(), Some("hr"));
    assert_eq!((given.thumb, given.score), (Some(Thumb::Down), Some(0.25)));
    let of_hr = store.give_feedback(&failed, &new, &hr(), NOW).await;
    assert_eq!(of_hr.unwrap(), Given::NoTrace);
    let nothing = TraceId::from_string("none");
    let anyone = Caller::full();
    let of_nothing = store.give_feedback(&nothing, &new, &anyone, NOW);
    assert_eq!(of_nothing.await.unwrap(), Given::NoTrace);
    let (up, all) = (thumb(Thumb::Up), Caller::full());
    let other = store.give_feedback(&failed, &up, &all, NOW).await.unwrap();
    let Given::Kept(other) = other else {
        panic!("{other:?}");
    };
    assert_eq!(other.key, None);

    assert_eq!(
        store.feedback_of(&own).await.unwrap(),
        std::slice::from_ref(&given)
    );
    let page = Page {
        limit: 10,
        ..Page::default()
    };
    let list = async |filter: FeedbackFilter, reader: Caller| {
        let found = store.feedback(&filter, &page, &reader).await.unwrap();
        found.items
    };
    let any = FeedbackFilter::default;
    assert_eq!(list(any(), hr()).await, std::slice::from_ref(&given));
    assert_eq!(
        list(any(), all.clone()).await,
        [given.clone(), other.clone()]
    );
    let ups = FeedbackFilter {
        thumb: Some(Thumb::Up),
        ..any()
    };
    assert_eq!(list(ups, all.clone()).await, [other]);
    let of_own = FeedbackFilter {
        trace_id: Some(own),
        ..any()
    };
    assert_eq!(list(of_own, all).await, [given]);
}

#[tokio::test]
async fn so_much_is_kept_of_one_call() {
    let (_dir, store, [own, ..]) = calls().await;
    let up = thumb(Thumb::Up);
    for _ in 0..MOST {
        let given = store.give_feedback(&own, &up, &hr(), NOW).await.unwrap();
        assert!(matches!(given, Given::Kept(_)), "{given:?}");
    }
    let given = store.give_feedback(&own, &up, &hr(), NOW).await.unwrap();
    assert_eq!(given, Given::Full);
}

#[tokio::test]
async fn traces_are_listed_in_pages_of_those_that_are_wanted_and_seen() {
    let (_dir, store, [own, failed, answer]) = calls().await;
    let down = thumb(Thumb::Down);
    store.give_feedback(&own, &down, &hr(), NOW).await.unwrap();
    let list = async |filter: TraceFilter, page: Page, reader: Caller| {
        let found = store.trace_page(&filter, &page, &reader).await.unwrap();
        let ids: Vec<TraceId> = found.items.iter().map(|head| head.id.clone()).collect();
        (ids, found.has_more)
    };
    let page = |limit| Page {
        limit,
        descending: true,
        ..Page::default()
    };
    let (any, all) = (TraceFilter::default, Caller::full);
    let three = vec![answer.clone(), failed.clone(), own.clone()];
    assert_eq!(list(any(), page(3), all()).await, (three, false));
    assert_eq!(
        list(any(), page(1), all()).await,
        (vec![answer.clone()], true)
    );
    let next = Page {
        after: Some(answer.to_string()),
        ..page(1)
    };
    assert_eq!(list(any(), next, all()).await, (vec![failed.clone()], true));
    assert_eq!(list(any(), page(9), hr()).await, (vec![own.clone()], false));
    let named = |name: &str| TraceFilter {
        name: Some(name.to_owned()),
        ..any()
    };
    let ends = |end| TraceFilter {
        end: Some(end),
        ..any()
    };
    let key = |key: &str| TraceFilter {
        key: Some(key.to_owned()),
        ..any()
    };
    let thumb = |thumb| TraceFilter {
        thumb: Some(thumb),
        ..any()
    };
    let function = TraceFilter {
        kind: Some(SpanKind::Function),
        ..any()
    };
    let late = TraceFilter {
        since_ms: Some(50),
        ..any()
    };
    let early = TraceFilter {
        before_ms: Some(50),
        ..any()
    };
    for (filter, wanted) in [
        (named("answer"), vec![&answer]),
        (named("ans"), vec![]),
        (ends(TraceEnd::Ok), vec![&own]),
        (ends(TraceEnd::Error), vec![&failed]),
        (ends(TraceEnd::Cancelled), vec![&answer]),
        (key("hr"), vec![&own]),
        (key("h"), vec![]),
        (thumb(Thumb::Down), vec![&own]),
        (thumb(Thumb::Up), vec![]),
        (function, vec![&answer]),
        (late, vec![&answer]),
        (early, vec![&failed, &own]),
    ] {
        let (found, _) = list(filter.clone(), page(9), all()).await;
        let found: Vec<&TraceId> = found.iter().collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
    let found = store.trace_page(&any(), &page(9), &hr()).await.unwrap();
    let head = &found.items[0];
    assert_eq!((head.usage.input_tokens, head.feedback), (15, 1));
    assert_eq!(head.caller, Some(hr()));
}
