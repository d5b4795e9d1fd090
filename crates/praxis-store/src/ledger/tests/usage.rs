//! What reports say of calls that were settled.

use praxis_core::ledger::{Day, What};

use super::*;
use crate::tests::WITHOUT_21;

#[tokio::test]
async fn use_is_summed_by_day_and_by_who_pays() {
    let (_dir, store) = store().await;
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    let settle = async |claim: Claim, spent: Spent| {
        let reserved = ledger.reserve(claim).await.unwrap();
        ledger.settle(reserved.ticket, spent).await;
    };
    settle(claim(&[]), spent(10, 5, 100)).await;
    settle(claim(&[]), spent(20, 5, 200)).await;
    let other = Payer {
        key: Some("it".to_owned()),
        user: Some("li".to_owned()),
        tags: vec!["search".to_owned(), "night".to_owned()],
    };
    let failed = Spent {
        kind: UsageKind::Embedding,
        model: "gpt".to_owned(),
        failed: true,
        ..spent(7, 0, 30)
    };
    let none: [Limit; 0] = [];
    settle(Claim::new(&other, &none), failed).await;
    time.store(NOW + DAY, Ordering::SeqCst);
    settle(claim(&[]), spent(1, 1, 1)).await;
    ledger.close().await;

    let (first, last) = (Day::of(NOW), Day::of(NOW + DAY));
    let sums = async |from, to, group: UsageGroup, model: Option<&'static str>| {
        let sums = store.usage(from, to, &group, model, None);
        let sums = sums.await.unwrap();
        let figures = |s: UsageSum| {
            let tokens = s.usage.input_tokens + s.usage.output_tokens;
            let days = s.day.number() - first.number();
            (days, s.name, s.requests, s.failed, tokens, s.money.0)
        };
        sums.into_iter().map(figures).collect::<Vec<_>>()
    };
    let row = |day: i64, name: &str, requests: u64, failed: u64, tokens: u64, micros: i64| {
        (day, name.to_owned(), requests, failed, tokens, micros)
    };
    assert_eq!(
        sums(first, last, UsageGroup::Total(None), None).await,
        [row(0, "", 3, 1, 47, 330), row(1, "", 1, 0, 2, 1)]
    );
    assert_eq!(
        sums(first, first, UsageGroup::Key, None).await,
        [row(0, "hr", 2, 0, 40, 300), row(0, "it", 1, 1, 7, 30)]
    );
    assert_eq!(
        sums(first, first, UsageGroup::Model(None), None).await,
        [row(0, "gpt", 1, 1, 7, 30), row(0, "qwen", 2, 0, 40, 300)]
    );
    assert_eq!(
        sums(first, first, UsageGroup::Tag, Some("gpt")).await,
        [row(0, "night", 1, 1, 7, 30), row(0, "search", 1, 1, 7, 30)]
    );
    let users = UsageGroup::User { key: None };
    assert_eq!(
        sums(last, last, users, None).await,
        [row(1, "hr/li", 1, 0, 2, 1)]
    );
    let of_key = UsageGroup::User {
        key: Some("it".to_owned()),
    };
    assert_eq!(
        sums(first, last, of_key, None).await,
        [row(0, "it/li", 1, 1, 7, 30)]
    );
    let search = UsageGroup::Total(Some(Subject::tag("search")));
    assert_eq!(
        sums(first, first, search, None).await,
        [row(0, "", 3, 1, 47, 330)]
    );
    let models = UsageGroup::Model(Some(Subject::key("it")));
    assert_eq!(
        sums(first, last, models, None).await,
        [row(0, "gpt", 1, 1, 7, 30)]
    );
    for (work, wanted) in [
        (UsageKind::Completion, &[(0, "qwen", 2), (1, "qwen", 1)][..]),
        (UsageKind::Embedding, &[(0, "gpt", 1)]),
        (UsageKind::Moderation, &[]),
    ] {
        let group = UsageGroup::Model(None);
        let sums = store.usage(first, last, &group, None, Some(work)).await;
        let sums = sums.unwrap();
        let figures = sums.iter().map(|s| {
            let days = s.day.number() - first.number();
            (days, s.name.as_str(), s.requests)
        });
        assert_eq!(figures.collect::<Vec<_>>(), wanted, "{work:?}");
    }
}

#[tokio::test]
async fn one_model_counts_apart_for_each_thing_that_it_is_asked_for() {
    let (_dir, store) = store().await;
    let (_, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    for kind in UsageKind::ALL {
        assert_eq!(UsageKind::parse(kind.as_str()), Some(kind));
        let spent = Spent {
            kind,
            ..spent(10, 5, 100)
        };
        ledger.note(Vec::new(), spent).await;
    }
    ledger.close().await;
    let day = Day::of(NOW);
    let total = UsageGroup::Total(None);
    for (work, requests) in [(None, 5), (Some(UsageKind::Tool), 1)] {
        let sums = store.usage(day, day, &total, None, work).await.unwrap();
        let [sum] = sums.as_slice() else {
            panic!("{sums:?}");
        };
        assert_eq!(sum.requests, requests, "{work:?}");
    }
}

#[tokio::test]
async fn seconds_of_audio_are_summed_up_and_what_is_given_back_counts_nowhere() {
    let (_dir, store) = store().await;
    let (_, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    let budget = &["1 usd", "2 requests"];
    for seconds in [90, 7] {
        // Its request first, and its money when it is known how long it is.
        let begun = Claim {
            money: Money(0),
            ..claim(budget)
        };
        let begun = ledger.reserve(begun).await.unwrap().ticket;
        let mut held = claim(budget);
        held.limits.retain(|(_, limit)| limit.what == What::Money);
        (held.requests, held.tokens) = (0, 0);
        let held = ledger.reserve(held).await.unwrap().ticket;
        let spent = Spent {
            kind: UsageKind::Transcription,
            model: "whisper-base".to_owned(),
            usage: Usage {
                audio_seconds: seconds,
                ..Usage::default()
            },
            money: Money(400),
            failed: false,
        };
        ledger.settle(begun, spent).await;
        ledger.give_back(held).await;
    }
    let refusal = refused(ledger.reserve(claim(budget)).await);
    assert_eq!((refusal.limit.what, refusal.left), (What::Requests, 0));
    let refusal = refused(ledger.reserve(claim(&["0.001 usd"])).await);
    assert_eq!(refusal.left, 200, "of 1000, both cost 400");
    ledger.close().await;
    let day = Day::of(NOW);
    let group = UsageGroup::Key;
    let kind = Some(UsageKind::Transcription);
    let sums = store.usage(day, day, &group, None, kind).await.unwrap();
    let [sum] = sums.as_slice() else {
        panic!("{sums:?}");
    };
    assert_eq!((sum.requests, sum.usage.audio_seconds), (2, 97));
    assert_eq!(sum.money, Money(800));
}

/// What an older store counted is there still, as completions.
#[tokio::test]
async fn use_that_was_counted_before_kinds_is_that_of_completions() {
    let (dir, store) = store().await;
    for sql in [
        "DROP TABLE usage_daily",
        "CREATE TABLE usage_daily (day BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, \
         model TEXT NOT NULL, requests BIGINT NOT NULL, failed BIGINT NOT NULL, \
         input_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL, \
         micros BIGINT NOT NULL, PRIMARY KEY (day, kind, name, model))",
        "INSERT INTO usage_daily VALUES (0, 'all', '', 'qwen', 3, 1, 30, 2, 9, 7)",
        "DROP TABLE feedback",
        "DROP INDEX root_spans_by_trace",
        WITHOUT_21,
        "ALTER TABLE responses DROP COLUMN owner",
        "ALTER TABLE responses DROP COLUMN lease",
        "ALTER TABLE responses DROP COLUMN request",
        "ALTER TABLE vector_store_files DROP COLUMN paid_by",
        "DELETE FROM _sqlx_migrations WHERE version >= 17",
    ] {
        sqlx::query(sql).execute(&store.pool).await.unwrap();
    }
    store.pool.close().await;
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let day = Day::from_number(0);
    let group = UsageGroup::Model(None);
    for (work, there) in [(UsageKind::Completion, true), (UsageKind::Embedding, false)] {
        let sums = store.usage(day, day, &group, None, Some(work)).await;
        let sums = sums.unwrap();
        assert_eq!(!sums.is_empty(), there, "{work:?}");
        if let Some(sum) = sums.first() {
            assert_eq!((sum.name.as_str(), sum.requests), ("qwen", 3));
            assert_eq!((sum.failed, sum.usage.input_tokens), (1, 30));
        }
    }
}

#[tokio::test]
async fn what_calls_took_is_counted_in_the_next_moment_where_nobody_asks_any_more() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    let today = Day::of(NOW);
    let mut expected = 0;
    // The first is counted at once, those after it after a pause; then the thread rests.
    for count in [1, 5, 300] {
        for _ in 0..count {
            ledger.note(vec![], spent(1, 1, 1)).await;
        }
        expected += count;
        let counted = async {
            loop {
                let group = UsageGroup::Total(None);
                let sums = store.usage(today, today, &group, None, None).await.unwrap();
                if sums.first().is_some_and(|sum| sum.requests == expected) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(30), counted).await;
        assert!(counted.is_ok(), "{expected} calls are not counted");
    }
}

#[tokio::test]
async fn who_waits_for_a_ledger_that_is_closed_is_let_go() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    ledger.close().await;
    let again = async {
        ledger.close().await;
        ledger.flush().await;
    };
    let again = tokio::time::timeout(Duration::from_secs(30), again).await;
    assert!(again.is_ok());
}
