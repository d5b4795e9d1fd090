//! What becomes of attempts and their answers, in the order in which things happen to them.

use super::*;
use crate::tests::store;

const NOW: i64 = 1_774_948_000_000;
const LEASE: i64 = 60_000;
const DAY: i64 = 86_400_000;

const MOST: MostKept = MostKept {
    answers: 100,
    bytes: 1 << 20,
};

/// An attempt of `owner` at the request with this key and body, at a time.
fn attempt(owner: &str, key: &str, body: &str, run: &str, now: i64) -> Attempt {
    Attempt {
        id: format!("{owner}/{key}"),
        owner: owner.to_owned(),
        request: body.to_owned(),
        run: run.to_owned(),
        lease_ms: now + LEASE,
        expires_ms: now + DAY,
    }
}

fn answer(body: &[u8]) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_vec(),
    }
}

/// Begins an attempt at the key `k` of `hr`.
async fn begin(store: &Store, body: &str, run: &str, now: i64) -> Begun {
    let attempt = attempt("hr", "k", body, run, now);
    store.begin_attempt(&attempt, now).await.unwrap()
}

/// Runs a request of `owner` with a key, and keeps an answer of so many bytes beside its headers.
async fn keep(store: &Store, owner: &str, key: &str, bytes: usize, now: i64, most: MostKept) {
    let attempt = attempt(owner, key, "a", "1", now);
    assert_eq!(
        store.begin_attempt(&attempt, now).await.unwrap(),
        Begun::Runs
    );
    let answer = answer(&vec![0; bytes]);
    let kept = store.keep_answer((attempt.id.as_str(), "1"), &answer, most);
    assert!(kept.await.unwrap());
}

/// Which of these keys of `owner` have an answer.
async fn answered(store: &Store, owner: &str, keys: &[&str], now: i64) -> String {
    let mut found = String::new();
    for key in keys {
        let attempt = attempt(owner, key, "a", "look", now);
        match store.begin_attempt(&attempt, now).await.unwrap() {
            Begun::Answered(_) => found.push_str(key),
            _ => store.give_up_attempt(&attempt.id, "look").await.unwrap(),
        }
    }
    found
}

#[tokio::test]
async fn the_first_attempt_runs_and_the_others_get_its_answer() {
    let (dir, store) = store().await;
    assert_eq!(begin(&store, "a", "1", NOW).await, Begun::Runs);
    assert_eq!(begin(&store, "a", "2", NOW + 1).await, Begun::UnderWay);
    assert_eq!(begin(&store, "b", "3", NOW + 1).await, Begun::Differs);
    // Any bytes are kept as they are.
    let body = b"{\"a\": \"\xe8\x97\xa4\"}\0\xff";
    assert!(
        store
            .keep_answer(("hr/k", "1"), &answer(body), MOST)
            .await
            .unwrap()
    );
    let found = Begun::Answered(answer(body));
    assert_eq!(begin(&store, "a", "4", NOW + 2).await, found);
    assert_eq!(begin(&store, "b", "5", NOW + 2).await, Begun::Differs);
    // It is there for another process too, and for nobody else's key of that name.
    let again = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    assert_eq!(begin(&again, "a", "6", NOW + DAY - 1).await, found);
    let other = attempt("it", "k", "a", "1", NOW);
    assert_eq!(again.begin_attempt(&other, NOW).await.unwrap(), Begun::Runs);
    // After a day the key is a new one.
    assert_eq!(begin(&store, "b", "7", NOW + DAY).await, Begun::Runs);
}

#[tokio::test]
async fn an_attempt_that_gives_up_leaves_nothing() {
    let (_dir, store) = store().await;
    assert_eq!(begin(&store, "a", "1", NOW).await, Begun::Runs);
    store.give_up_attempt("hr/k", "another").await.unwrap();
    assert_eq!(begin(&store, "a", "2", NOW).await, Begun::UnderWay);
    store.give_up_attempt("hr/k", "1").await.unwrap();
    assert_eq!(begin(&store, "b", "3", NOW).await, Begun::Runs);
    assert!(
        store
            .keep_answer(("hr/k", "3"), &answer(b"x"), MOST)
            .await
            .unwrap()
    );
    // What was answered is not given up.
    store.give_up_attempt("hr/k", "3").await.unwrap();
    assert_eq!(
        begin(&store, "b", "4", NOW).await,
        Begun::Answered(answer(b"x"))
    );
}

#[tokio::test]
async fn the_lease_of_a_killed_attempt_ends_and_one_that_runs_renews_it() {
    let (_dir, store) = store().await;
    assert_eq!(begin(&store, "a", "1", NOW).await, Begun::Runs);
    assert!(
        store
            .renew_attempt("hr/k", "1", NOW + 2 * LEASE)
            .await
            .unwrap()
    );
    assert_eq!(begin(&store, "a", "2", NOW + LEASE).await, Begun::UnderWay);
    // Killed here. What it was asked counts for nothing then.
    let later = NOW + 2 * LEASE;
    assert_eq!(begin(&store, "b", "3", later).await, Begun::Runs);
    // It was not killed after all: the place is another's, and so is the answer.
    assert!(
        !store
            .renew_attempt("hr/k", "1", later + LEASE)
            .await
            .unwrap()
    );
    assert!(
        !store
            .keep_answer(("hr/k", "1"), &answer(b"old"), MOST)
            .await
            .unwrap()
    );
    store.give_up_attempt("hr/k", "1").await.unwrap();
    assert!(
        store
            .keep_answer(("hr/k", "3"), &answer(b"new"), MOST)
            .await
            .unwrap()
    );
    assert!(
        !store
            .renew_attempt("hr/k", "3", later + LEASE)
            .await
            .unwrap()
    );
    assert_eq!(
        begin(&store, "b", "4", later).await,
        Begun::Answered(answer(b"new"))
    );
}

#[tokio::test]
async fn beyond_the_bounds_the_oldest_answers_go() {
    let head = serde_json::to_string(&answer(b"").headers).unwrap().len() as u64;
    let keys = ["a", "b", "c", "d"];
    for (most, left) in [
        (MOST, "abcd"),
        (MostKept { answers: 3, ..MOST }, "bcd"),
        (MostKept { answers: 0, ..MOST }, ""),
        // Two and a half of them.
        (
            MostKept {
                bytes: 2 * (head + 100) + 50,
                ..MOST
            },
            "cd",
        ),
        (
            MostKept {
                bytes: 2 * (head + 100),
                ..MOST
            },
            "cd",
        ),
        (
            MostKept {
                bytes: head + 99,
                ..MOST
            },
            "",
        ),
    ] {
        let (_dir, store) = store().await;
        keep(&store, "it", "a", 100, NOW, MOST).await;
        for (i, key) in (0..).zip(keys) {
            keep(&store, "hr", key, 100, NOW + i, most).await;
        }
        assert_eq!(
            answered(&store, "hr", &keys, NOW + 9).await,
            left,
            "{most:?}"
        );
        let others = answered(&store, "it", &keys, NOW + 9).await;
        assert_eq!(others, "a", "another's answers are not touched");
    }
}

#[tokio::test]
async fn a_sweep_drops_what_is_over_and_what_is_too_much() {
    let (_dir, store) = store().await;
    keep(&store, "hr", "a", 1, NOW - DAY, MOST).await;
    keep(&store, "hr", "b", 1, NOW - 2, MOST).await;
    keep(&store, "it", "c", 1, NOW - 1, MOST).await;
    let count = async || -> i64 {
        let query = sqlx::query("SELECT COUNT(*) FROM idempotency");
        query
            .fetch_one(&store.pool)
            .await
            .unwrap()
            .try_get(0)
            .unwrap()
    };
    let (dead, runs) = (
        attempt("hr", "dead", "a", "1", NOW - LEASE),
        attempt("hr", "runs", "a", "1", NOW),
    );
    for (attempt, began) in [(&dead, NOW - LEASE), (&runs, NOW)] {
        let begun = store.begin_attempt(attempt, began).await.unwrap();
        assert_eq!(begun, Begun::Runs);
    }
    assert_eq!(count().await, 5);
    store.sweep_answers(MOST, NOW).await.unwrap();
    assert_eq!(
        count().await,
        3,
        "what has expired and what was killed are gone"
    );
    let one = MostKept { answers: 1, ..MOST };
    store.sweep_answers(one, NOW).await.unwrap();
    assert_eq!(count().await, 2, "the newest answer, and what runs");
    assert_eq!(answered(&store, "it", &["c"], NOW).await, "c");
}
