//! What becomes of calls that wait for a person, in the order in which things happen to them, and what is logged.

use std::sync::Arc;
use std::time::Duration;

use praxis_core::approval::{Entry, Outcome, digest};
use praxis_core::{
    Approvals, Claim, Clearance, Effect, Effects, LedgerError, Limit, Money, Subject,
};
use serde_json::{Value, json};

use super::*;
use crate::tests::store;

mod interleavings;

const NOW: i64 = 1_774_948_000_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn caller(name: &str, labels: &[&str]) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    }
}

/// A call of `hr` that pays so much, within a scope.
fn wanted(amount: i64, scope: &str) -> Wanted {
    let caller = caller("hr", &["hr"]);
    let arguments = json!({ "to": "li", "amount": amount });
    Wanted {
        function: "bank/pay".to_owned(),
        effects: Effects::of(&[Effect::Write, Effect::Irreversible]),
        digest: digest("bank/pay", &arguments, &caller, None),
        shown: arguments.clone(),
        arguments,
        caller,
        user: None,
        reason: "it cannot be undone".to_owned(),
        scope: scope.to_owned(),
        trace_id: TraceId::from_string(scope),
        valid: Duration::from_secs(3600),
    }
}

fn run(id: &str, scope: &str) -> Run {
    Run {
        id: id.to_owned(),
        scope: scope.to_owned(),
        trace_id: TraceId::from_string(scope),
    }
}

fn entry(call: &str, caller: &Caller, outcome: Outcome) -> Entry {
    Entry {
        call: call.to_owned(),
        function: "bank/pay".to_owned(),
        effects: Effects::of(&[Effect::Write]),
        digest: "d".to_owned(),
        arguments: json!({ "amount": 5, "pin": "***" }),
        caller: caller.clone(),
        user: Some("li".to_owned()),
        trace_id: TraceId::from_string("t"),
        tainted_by: Some("web/fetch".to_owned()),
        decision: "its policy says never".to_owned(),
        approval: None,
        outcome,
        message: None,
    }
}

async fn reserve(store: &Store, wanted: &Wanted, now: i64) -> Approval {
    let reserved = store.reserve_approval(wanted, now).await;
    reserved.unwrap().unwrap()
}

async fn decide(store: &Store, id: &str, decision: Decision, now: i64) -> ApprovalState {
    let ruling = Ruling {
        decision,
        by: "boss".to_owned(),
        note: Some("as agreed".to_owned()),
    };
    let decided = store.decide_approval(id, &ruling, now).await;
    decided.unwrap().unwrap().state
}

async fn ended(store: &Store, id: &str, run: &str, result: Result<Value, String>, now: i64) {
    let end = End {
        approval: id.to_owned(),
        run: run.to_owned(),
        result,
    };
    let entry = entry(run, &caller("hr", &["hr"]), Outcome::Done);
    let noted = store.note_tool_call(&entry, Some(&end), now).await;
    noted.unwrap();
}

/// Ids of a page of what a reader sees, the newest first, and whether there are more.
async fn list(
    store: &Store,
    state: Option<ApprovalState>,
    (limit, after): (usize, Option<&str>),
    reader: &Caller,
    now: i64,
) -> (Vec<String>, bool) {
    let page = Page {
        limit,
        descending: true,
        after: after.map(str::to_owned),
        before: None,
    };
    let found = store.approvals(state, &page, reader, now).await.unwrap();
    let ids = found.items.into_iter().map(|approval| approval.id);
    (ids.collect(), found.has_more)
}

/// Numbers and outcomes of a page of the log.
async fn rows(
    store: &Store,
    after: Option<i64>,
    descending: bool,
    limit: usize,
    reader: &Caller,
) -> (Vec<(i64, Outcome)>, bool) {
    let page = LogPage {
        limit,
        descending,
        after,
        ..LogPage::default()
    };
    let found = store.tool_calls(&page, reader).await.unwrap();
    let rows = found.items.into_iter();
    let rows = rows.map(|row| (row.number, row.entry.outcome));
    (rows.collect(), found.has_more)
}

#[tokio::test]
async fn an_approved_call_is_begun_once_and_its_result_is_given_to_the_same_request() {
    let (dir, store) = store().await;
    let first = reserve(&store, &wanted(5, "t1"), NOW).await;
    assert_eq!(first.state, ApprovalState::Pending);
    assert_eq!(first.expires_ms, NOW + HOUR);
    assert_eq!(first.arguments, json!({ "to": "li", "amount": 5 }));
    // Asked again, also by another request, it is the same one; another amount is another call.
    let again = reserve(&store, &wanted(5, "t2"), NOW + 1).await;
    assert_eq!(again, first);
    let other = reserve(&store, &wanted(6, "t1"), NOW).await;
    assert_ne!(other.id, first.id);
    // Not before it is approved, and once.
    let id = first.id.as_str();
    assert!(
        !store
            .consume_approval(id, &run("r0", "t2"), NOW)
            .await
            .unwrap()
    );
    let state = decide(&store, id, Decision::Approve, NOW + 2).await;
    assert_eq!(state, ApprovalState::Approved);
    let there = reserve(&store, &wanted(5, "t2"), NOW + 3).await;
    assert_eq!(
        (there.id.as_str(), there.state),
        (id, ApprovalState::Approved)
    );
    assert_eq!(there.decided_by.as_deref(), Some("boss"));
    assert_eq!(there.note.as_deref(), Some("as agreed"));
    // It stands until it is used up or expires; one that is pending does not.
    for (digest, now, stands) in [
        (&there.digest, NOW + 3, true),
        (&there.digest, NOW + 3 + HOUR, false),
        (&other.digest, NOW + 3, false),
    ] {
        let standing = store.standing_approval(digest, now).await.unwrap();
        assert_eq!(standing.is_some(), stands, "{digest} {now}");
    }
    assert!(
        store
            .consume_approval(id, &run("r1", "t2"), NOW + 4)
            .await
            .unwrap()
    );
    assert!(
        !store
            .consume_approval(id, &run("r2", "t2"), NOW + 4)
            .await
            .unwrap()
    );
    let runs = reserve(&store, &wanted(5, "t3"), NOW + 5).await;
    assert_eq!(
        (runs.id.as_str(), runs.state),
        (id, ApprovalState::Consumed)
    );
    let standing = store.standing_approval(&runs.digest, NOW + 5).await;
    assert_eq!(standing.unwrap(), Some(runs));
    ended(&store, id, "r1", Ok(json!({ "paid": 5 })), NOW + 6).await;
    // The same request gets the result, in another process too; a new request is a new call.
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let done = reserve(&store, &wanted(5, "t2"), NOW + 7).await;
    assert_eq!((done.id.as_str(), done.state), (id, ApprovalState::Done));
    assert_eq!(done.result, Some(json!({ "paid": 5 })));
    assert_eq!(done.trace_id.as_str(), "t2");
    let new = reserve(&store, &wanted(5, "t3"), NOW + 8).await;
    assert_eq!(new.state, ApprovalState::Pending);
    assert_ne!(new.id, id);
    // That another one waits does not hide what was done.
    let done = reserve(&store, &wanted(5, "t2"), NOW + 9).await;
    assert_eq!(done.state, ApprovalState::Done);
    // After a day it is forgotten.
    let later = reserve(&store, &wanted(5, "t2"), NOW + 6 + DAY).await;
    assert_eq!(later.state, ApprovalState::Pending);
}

#[tokio::test]
async fn what_cannot_be_decided_stays_as_it_is() {
    use ApprovalState::{Approved, Consumed, Denied, Done, Expired, Failed, Pending};
    use Decision::{Approve, ApproveAgain, Deny};
    for (before, decision, after) in [
        (Pending, Approve, Approved),
        (Pending, ApproveAgain, Approved),
        (Pending, Deny, Denied),
        (Approved, Approve, Approved),
        (Approved, Deny, Denied),
        (Denied, Approve, Denied),
        (Denied, ApproveAgain, Denied),
        (Consumed, Approve, Consumed),
        (Consumed, ApproveAgain, Approved),
        (Consumed, Deny, Consumed),
        (Done, ApproveAgain, Done),
        (Done, Deny, Done),
        (Failed, ApproveAgain, Failed),
        (Expired, ApproveAgain, Expired),
        (Expired, Deny, Expired),
    ] {
        let (_dir, store) = store().await;
        let id = reserve(&store, &wanted(5, "t"), NOW).await.id;
        let mut now = NOW + 1;
        match before {
            Pending => {}
            Approved => {
                decide(&store, &id, Approve, now).await;
            }
            Denied => {
                decide(&store, &id, Deny, now).await;
            }
            Expired => now += HOUR,
            Consumed | Done | Failed => {
                decide(&store, &id, Approve, now).await;
                let run = run("r", "t");
                assert!(store.consume_approval(&id, &run, now).await.unwrap());
            }
        }
        match before {
            Done => ended(&store, &id, "r", Ok(json!(1)), now).await,
            Failed => ended(&store, &id, "r", Err("no".to_owned()), now).await,
            _ => {}
        }
        let found = store.approval(&id, now).await.unwrap().unwrap();
        assert_eq!(found.state, before);
        let state = decide(&store, &id, decision, now).await;
        assert_eq!(state, after, "{before:?} {decision:?}");
    }
    let (_dir, store) = store().await;
    let ruling = Ruling {
        decision: Deny,
        by: "boss".to_owned(),
        note: None,
    };
    let missing = store.decide_approval("approval-0", &ruling, NOW).await;
    assert_eq!(missing.unwrap(), None);
}

#[tokio::test]
async fn what_nobody_decides_or_uses_in_time_is_over() {
    let (_dir, store) = store().await;
    let first = reserve(&store, &wanted(5, "t"), NOW).await;
    let next = reserve(&store, &wanted(5, "t"), NOW + HOUR).await;
    assert_ne!(next.id, first.id);
    let first = store
        .approval(&first.id, NOW + HOUR)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.state, ApprovalState::Expired);
    // An approval holds as long as the call could wait.
    let approved = NOW + HOUR + 5;
    decide(&store, &next.id, Decision::Approve, approved).await;
    let late = run("r", "t");
    let taken = store.consume_approval(&next.id, &late, approved + HOUR);
    assert!(!taken.await.unwrap());
    let taken = store.consume_approval(&next.id, &late, approved + HOUR - 1);
    assert!(taken.await.unwrap());
}

#[tokio::test]
async fn a_denial_is_remembered_for_a_while() {
    let (_dir, store) = store().await;
    let first = reserve(&store, &wanted(5, "t1"), NOW).await;
    decide(&store, &first.id, Decision::Deny, NOW).await;
    let again = reserve(&store, &wanted(5, "t2"), NOW + HOUR - 1).await;
    assert_eq!((&again.id, again.state), (&first.id, ApprovalState::Denied));
    let later = reserve(&store, &wanted(5, "t2"), NOW + HOUR).await;
    assert_eq!(later.state, ApprovalState::Pending);
}

#[tokio::test]
async fn a_run_that_was_killed_may_have_been_and_a_person_alone_lets_it_run_again() {
    let (dir, store) = store().await;
    let id = reserve(&store, &wanted(5, "t1"), NOW).await.id;
    decide(&store, &id, Decision::Approve, NOW).await;
    assert!(
        store
            .consume_approval(&id, &run("r1", "t1"), NOW)
            .await
            .unwrap()
    );
    drop(store);
    // Killed here. However late, and whoever asks, it is told that it may have been made.
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    for (scope, now) in [("t1", NOW + 1), ("t2", NOW + 40 * DAY)] {
        let found = reserve(&store, &wanted(5, scope), now).await;
        assert_eq!((&found.id, found.state), (&id, ApprovalState::Consumed));
        assert!(
            !store
                .consume_approval(&id, &run("r2", scope), now)
                .await
                .unwrap()
        );
    }
    let now = NOW + 41 * DAY;
    decide(&store, &id, Decision::ApproveAgain, now).await;
    assert!(
        store
            .consume_approval(&id, &run("r3", "t3"), now)
            .await
            .unwrap()
    );
    // The first was not killed after all: its end is not that of the second.
    ended(&store, &id, "r1", Ok(json!("first")), now + 1).await;
    let found = reserve(&store, &wanted(5, "t3"), now + 2).await;
    assert_eq!(found.state, ApprovalState::Consumed);
    ended(&store, &id, "r3", Ok(json!("second")), now + 3).await;
    let found = reserve(&store, &wanted(5, "t3"), now + 4).await;
    assert_eq!(found.result, Some(json!("second")));
}

#[tokio::test]
async fn an_end_that_comes_before_the_second_run_takes_its_approval_back() {
    let (_dir, store) = store().await;
    let id = reserve(&store, &wanted(5, "t1"), NOW).await.id;
    decide(&store, &id, Decision::Approve, NOW).await;
    assert!(
        store
            .consume_approval(&id, &run("r1", "t1"), NOW)
            .await
            .unwrap()
    );
    let state = decide(&store, &id, Decision::ApproveAgain, NOW).await;
    assert_eq!(state, ApprovalState::Approved);
    ended(&store, &id, "r1", Ok(json!(1)), NOW).await;
    assert!(
        !store
            .consume_approval(&id, &run("r2", "t2"), NOW)
            .await
            .unwrap()
    );
    let found = store.approval(&id, NOW).await.unwrap().unwrap();
    assert_eq!(found.state, ApprovalState::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_try_at_a_time_one_is_told_to_begin() {
    let (dir, first) = store().await;
    let second = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let stores = [Arc::new(first), Arc::new(second)];
    for round in 0..4 {
        let ids: Vec<_> = (0..16_usize)
            .map(|n| {
                let store = Arc::clone(&stores[n % 2]);
                tokio::spawn(async move { reserve(&store, &wanted(round, "t"), NOW).await.id })
            })
            .collect();
        let mut all = Vec::new();
        for id in ids {
            all.push(id.await.unwrap());
        }
        let id = all[0].clone();
        assert!(all.iter().all(|other| *other == id), "one record: {all:?}");
        decide(&stores[0], &id, Decision::Approve, NOW).await;
        let runs: Vec<_> = (0..32_usize)
            .map(|n| {
                let (store, id) = (Arc::clone(&stores[n % 2]), id.clone());
                tokio::spawn(async move {
                    let run = run(&format!("r{n}"), "t");
                    store.consume_approval(&id, &run, NOW).await.unwrap()
                })
            })
            .collect();
        let mut begun = 0;
        for run in runs {
            begun += usize::from(run.await.unwrap());
        }
        assert_eq!(begun, 1);
    }
}

#[tokio::test]
async fn only_so_many_calls_of_a_caller_wait() {
    let (_dir, store) = store().await;
    for amount in 0..MOST_WAITING {
        reserve(&store, &wanted(amount, "t"), NOW).await;
    }
    let more = wanted(MOST_WAITING, "t");
    assert_eq!(store.reserve_approval(&more, NOW).await.unwrap(), None);
    // Those that wait are found all the same, and another caller is not in their way.
    reserve(&store, &wanted(0, "t"), NOW).await;
    let mut other = wanted(MOST_WAITING, "t");
    other.caller = caller("it", &[]);
    reserve(&store, &other, NOW).await;
    reserve(&store, &more, NOW + HOUR).await;
}

#[tokio::test]
async fn lists_have_what_the_reader_may_see_in_the_state_that_is_asked_for() {
    let (_dir, store) = store().await;
    let mut ids = Vec::new();
    for (amount, now) in [(1, NOW), (2, NOW + 1), (3, NOW + 2)] {
        ids.push(reserve(&store, &wanted(amount, "t"), now).await.id);
    }
    decide(&store, &ids[1], Decision::Approve, NOW + 3).await;
    let of = |all: &[usize]| all.iter().map(|i| ids[*i].clone()).collect::<Vec<_>>();
    let (full, hr, it) = (Caller::full(), caller("hr", &["hr"]), caller("it", &["it"]));
    let pending = Some(ApprovalState::Pending);
    assert_eq!(
        list(&store, None, (2, None), &full, NOW + 4).await,
        (of(&[2, 1]), true)
    );
    let after = Some(ids[1].as_str());
    assert_eq!(
        list(&store, None, (2, after), &full, NOW + 4).await,
        (of(&[0]), false)
    );
    assert_eq!(
        list(&store, pending, (9, None), &hr, NOW + 4).await,
        (of(&[2, 0]), false)
    );
    assert_eq!(
        list(&store, None, (9, None), &it, NOW + 4).await,
        (of(&[]), false)
    );
    // The first waits no more.
    assert_eq!(
        list(&store, pending, (9, None), &hr, NOW + HOUR).await,
        (of(&[2]), false)
    );
    let expired = Some(ApprovalState::Expired);
    assert_eq!(
        list(&store, expired, (9, None), &hr, NOW + HOUR).await,
        (of(&[0]), false)
    );
}

#[tokio::test]
async fn the_log_is_read_in_order_by_who_may_see_it() {
    let (_dir, store) = store().await;
    let (hr, it) = (caller("hr", &["hr"]), caller("it", &["it"]));
    for (call, who, outcome) in [
        ("c1", &hr, Outcome::Began),
        ("c2", &it, Outcome::Denied),
        ("c1", &hr, Outcome::Done),
    ] {
        let entry = entry(call, who, outcome);
        store.note_tool_call(&entry, None, NOW).await.unwrap();
    }
    let all = [
        (1, Outcome::Began),
        (2, Outcome::Denied),
        (3, Outcome::Done),
    ];
    let full = Caller::full();
    assert_eq!(
        rows(&store, None, false, 9, &full).await,
        (all.to_vec(), false)
    );
    assert_eq!(
        rows(&store, Some(1), false, 1, &full).await,
        (vec![all[1]], true)
    );
    assert_eq!(
        rows(&store, None, true, 2, &full).await,
        (vec![all[2], all[1]], true)
    );
    assert_eq!(
        rows(&store, Some(3), true, 9, &hr).await,
        (vec![all[0]], false)
    );
    assert_eq!(
        rows(&store, None, false, 9, &it).await,
        (vec![all[1]], false)
    );
    let page = LogPage {
        limit: 1,
        ..LogPage::default()
    };
    let first = store
        .tool_calls(&page, &full)
        .await
        .unwrap()
        .items
        .remove(0);
    assert_eq!(first.at_ms, NOW);
    assert_eq!(first.entry, entry("c1", &hr, Outcome::Began));
    let told = serde_json::to_value(&first).unwrap();
    assert_eq!(
        (&told["number"], &told["outcome"]),
        (&json!(1), &json!("began"))
    );
}

#[tokio::test]
async fn the_log_is_read_by_tool_and_outcome() {
    let (_dir, store) = store().await;
    let hr = caller("hr", &["hr"]);
    for (function, outcome) in [
        ("bank/pay", Outcome::Waits),
        ("bank", Outcome::Done),
        ("bankrupt/pay", Outcome::Done),
        ("shop/bank/pay", Outcome::Waits),
        ("bank/pay", Outcome::Done),
        ("ban%/pay", Outcome::Done),
    ] {
        let entry = Entry {
            function: function.to_owned(),
            ..entry("c", &hr, outcome)
        };
        store.note_tool_call(&entry, None, NOW).await.unwrap();
    }
    for (tool, outcome, numbers) in [
        (None, None, &[1, 2, 3, 4, 5, 6][..]),
        (Some("bank"), None, &[1, 2, 5]),
        (Some("bank/pay"), None, &[1, 5]),
        (Some("bank"), Some(Outcome::Done), &[2, 5]),
        (None, Some(Outcome::Waits), &[1, 4]),
        (Some("ban%"), None, &[6]),
        (Some("Bank"), None, &[]),
    ] {
        let page = LogPage {
            limit: 9,
            tool: tool.map(str::to_owned),
            outcome,
            ..LogPage::default()
        };
        let found = store.tool_calls(&page, &hr).await.unwrap().items;
        let found: Vec<i64> = found.iter().map(|row| row.number).collect();
        assert_eq!(found, numbers, "{tool:?} {outcome:?}");
    }
}

#[tokio::test]
async fn the_log_is_read_from_a_time_on() {
    let (_dir, store) = store().await;
    let hr = caller("hr", &["hr"]);
    for at in [NOW, NOW + 1, NOW + HOUR] {
        let entry = entry("c", &hr, Outcome::Done);
        store.note_tool_call(&entry, None, at).await.unwrap();
    }
    for (since_ms, numbers) in [
        (None, &[1, 2, 3][..]),
        (Some(NOW + 1), &[2, 3]),
        (Some(NOW + 2), &[3]),
        (Some(NOW + HOUR + 1), &[]),
    ] {
        let page = LogPage {
            limit: 9,
            since_ms,
            ..LogPage::default()
        };
        let found = store.tool_calls(&page, &hr).await.unwrap().items;
        let found: Vec<i64> = found.iter().map(|row| row.number).collect();
        assert_eq!(found, numbers, "{since_ms:?}");
    }
}

#[tokio::test]
async fn what_waits_is_counted_for_who_may_decide() {
    let (_dir, store) = store().await;
    let first = reserve(&store, &wanted(1, "t"), NOW).await.id;
    reserve(&store, &wanted(2, "t"), NOW).await;
    for (reader, at, count) in [
        (Caller::full(), NOW, 2),
        (caller("boss", &["hr", "it"]), NOW, 2),
        (caller("hr", &["hr"]), NOW, 0),
        (caller("it", &["it"]), NOW, 0),
        (Caller::full(), NOW + HOUR, 0),
    ] {
        let waiting = store.waiting_approvals(&reader, at).await.unwrap();
        assert_eq!(waiting, count, "{reader:?} at {at}");
    }
    decide(&store, &first, Decision::Approve, NOW).await;
    let waiting = store.waiting_approvals(&Caller::full(), NOW).await;
    assert_eq!(waiting.unwrap(), 1);
}

#[tokio::test]
async fn a_sweep_drops_what_is_past_use() {
    let (_dir, store) = store().await;
    let hr = caller("hr", &["hr"]);
    let old = reserve(&store, &wanted(1, "t"), NOW).await.id;
    let entry = entry("c1", &hr, Outcome::Done);
    store.note_tool_call(&entry, None, NOW).await.unwrap();
    let later = NOW + HOUR + KEPT_MS;
    store.note_tool_call(&entry, None, later).await.unwrap();
    store.sweep_approvals(later).await.unwrap();
    let found = store.approval(&old, later).await.unwrap().unwrap();
    assert_eq!(found.state, ApprovalState::Expired);
    store.sweep_approvals(later + 1).await.unwrap();
    assert_eq!(store.approval(&old, later).await.unwrap(), None);
    let page = LogPage {
        limit: 9,
        ..LogPage::default()
    };
    let left = store.tool_calls(&page, &hr).await.unwrap().items;
    let numbers: Vec<i64> = left.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [2], "numbers are not used again");
}

#[tokio::test]
async fn a_result_that_is_too_large_is_not_kept() {
    let (_dir, store) = store().await;
    let id = reserve(&store, &wanted(5, "t"), NOW).await.id;
    decide(&store, &id, Decision::Approve, NOW).await;
    assert!(
        store
            .consume_approval(&id, &run("r", "t"), NOW)
            .await
            .unwrap()
    );
    ended(&store, &id, "r", Ok(json!("x".repeat(MOST_RESULT))), NOW).await;
    let found = reserve(&store, &wanted(5, "t"), NOW).await;
    assert_eq!((found.state, found.result), (ApprovalState::Done, None));
}

#[tokio::test]
async fn limits_hold_for_all_processes_and_their_use_is_reported() {
    let (dir, store) = store().await;
    let clock: crate::Clock = Arc::new(|| NOW * 1000);
    let again = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let ports = [
        StoreApprovals::new(store.clone(), Arc::clone(&clock)),
        StoreApprovals::new(again, clock),
    ];
    let subject = Subject::user(Some("tool:bank"), "hr");
    let claim = |limit: &str, price: i64| {
        let limit: Limit = limit.parse().unwrap();
        Claim {
            subjects: vec![Subject::key("hr")],
            limits: vec![(subject.clone(), limit)],
            requests: 1,
            tokens: 0,
            money: Money(price),
        }
    };
    for (limit, price, most) in [("3 requests/minute", 0, 3), ("1 usd/day", 400_000, 2)] {
        let mut admitted = 0;
        for n in 0..6 {
            match ports[n % 2].admit(claim(limit, price), "bank").await {
                Ok(()) => admitted += 1,
                Err(LedgerError::Refused(refusal)) => assert_eq!(refusal.subject, subject),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(admitted, most, "{limit}");
    }
    // Settlements are written behind the calls; a ledger that is closed has written all.
    for port in ports {
        port.ledger.get().unwrap().close().await;
    }
    let day = praxis_core::ledger::Day::of(NOW * 1000);
    let group = crate::UsageGroup::Model(Some(Subject::key("hr")));
    let kind = Some(praxis_core::ledger::UsageKind::Tool);
    let sums = store.usage(day, day, &group, None, kind).await.unwrap();
    let told: Vec<_> = sums
        .iter()
        .map(|s| (s.name.as_str(), s.requests, s.money))
        .collect();
    assert_eq!(told, [("tool:bank", 5, Money(800_000))]);
}

#[tokio::test]
async fn arguments_that_nobody_could_read_are_not_asked_about() {
    let (_dir, store) = store().await;
    let port = StoreApprovals::new(store, Arc::new(|| NOW * 1000));
    let mut large = wanted(5, "t");
    large.arguments = json!("x".repeat(1 << 20));
    let error = port.reserve(large).await.unwrap_err();
    assert_eq!(error.code, praxis_core::ErrorCode::TooLarge);
    let id = port.reserve(wanted(5, "t")).await.unwrap().id;
    let ruling = Ruling {
        decision: Decision::Approve,
        by: "boss".to_owned(),
        note: None,
    };
    let decided = port.decide(&id, &ruling).await.unwrap().unwrap();
    assert_eq!(decided.state, ApprovalState::Approved);
    assert!(port.consume(&id, &run("r", "t")).await.unwrap());
    let end = End {
        approval: id.clone(),
        run: "r".to_owned(),
        result: Err("no".to_owned()),
    };
    let entry = entry("r", &caller("hr", &["hr"]), Outcome::Failed);
    port.note(entry, Some(end)).await.unwrap();
    let found = port.find(&id).await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.error.as_deref()),
        (ApprovalState::Failed, Some("no"))
    );
}
