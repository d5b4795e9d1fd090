//! What every ledger must do, on a database that several share: nothing is overrun, nothing is counted twice, and
//! what is never settled stays counted.

use std::sync::atomic::{AtomicI64, Ordering};

use praxis_core::ledger::{Figures, UsageKind};
use praxis_core::{Limit, Money, Payer, Refusal, Subject, Usage};

use super::*;
use crate::tests::store;

mod lease;
mod refused;
mod usage;

/// A moment of the day 2026-03-31, 09:06:40 UTC.
const NOW: i64 = 1_774_948_000_000_000;
const DAY: i64 = 86_400_000_000;

/// A clock that stands until it is set.
fn clock(now: i64) -> (Arc<AtomicI64>, Clock) {
    let time = Arc::new(AtomicI64::new(now));
    let shown = Arc::clone(&time);
    (time, Arc::new(move || shown.load(Ordering::SeqCst)))
}

fn claim(limits: &[&str]) -> Claim {
    let payer = Payer {
        key: Some("hr".to_owned()),
        user: Some("li".to_owned()),
        tags: vec!["search".to_owned()],
    };
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    Claim {
        tokens: 100,
        money: Money(1_000),
        ..Claim::new(&payer, &limits)
    }
}

fn spent(input: u64, output: u64, micros: i64) -> Spent {
    Spent {
        kind: UsageKind::Completion,
        model: "qwen".to_owned(),
        usage: Usage {
            input_tokens: input,
            output_tokens: output,
            ..Usage::default()
        },
        money: Money(micros),
        failed: false,
    }
}

fn refused(answer: Result<Reserved, LedgerError>) -> Refusal {
    match answer {
        Err(LedgerError::Refused(refusal)) => refusal,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Takes a table away, or puts it back.
async fn rename(store: &Store, from: &str, to: &str) {
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    query.execute(&store.pool).await.unwrap();
}

/// What is left of requests and tokens.
async fn left(ledger: &StoreLedger, limits: &[&str]) -> (Option<u64>, Option<u64>) {
    let mut claim = claim(limits);
    (claim.requests, claim.tokens, claim.money) = (0, 0, Money(0));
    let remaining = ledger.reserve(claim).await.unwrap().remaining;
    let of = |figures: Option<Figures>| figures.map(|figures| figures.remaining);
    (of(remaining.requests), of(remaining.tokens))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ledgers_on_one_database_admit_no_more_than_the_budget() {
    let (_dir, store) = store().await;
    for limit in ["50 requests", "50 requests/hour", "5000 tokens/day"] {
        let (_, clock) = clock(NOW);
        let ledgers = [
            Arc::new(store.ledger(Arc::clone(&clock)).await.unwrap()),
            Arc::new(store.ledger(clock).await.unwrap()),
        ];
        let calls: Vec<_> = (0..200)
            .map(|n: usize| {
                let ledger = Arc::clone(&ledgers[n % 2]);
                tokio::spawn(async move { ledger.reserve(claim(&[limit])).await })
            })
            .collect();
        let mut admitted = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(_) => admitted += 1,
                Err(LedgerError::Refused(refusal)) => assert_eq!(refusal.left, 0, "{refusal}"),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(admitted, 50, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_settled_stays_counted_when_ledgers_come_anew() {
    let (dir, first) = store().await;
    let mut admitted = 0;
    for round in 0..3 {
        // The store is opened anew as well, as a process that was killed would.
        let store = match round {
            0 => first.clone(),
            _ => Store::open(&dir.path().join("praxis.db")).await.unwrap(),
        };
        let (_, clock) = clock(NOW + round);
        let ledgers = [
            Arc::new(store.ledger(Arc::clone(&clock)).await.unwrap()),
            Arc::new(store.ledger(clock).await.unwrap()),
        ];
        let count = if round == 2 { 160 } else { 20 };
        let calls: Vec<_> = (0..count)
            .map(|n: usize| {
                let ledger = Arc::clone(&ledgers[n % 2]);
                tokio::spawn(async move { ledger.reserve(claim(&["50 requests/month"])).await })
            })
            .collect();
        for call in calls {
            admitted += usize::from(call.await.unwrap().is_ok());
        }
        assert_eq!(admitted, [20, 40, 50][usize::try_from(round).unwrap()]);
    }
}

#[tokio::test]
async fn what_was_not_spent_is_given_back_and_what_was_spent_beyond_is_counted() {
    let limits = [
        "1000 tokens/minute",
        "10 requests/minute",
        "2000 tokens/day",
    ];
    for (spent, tokens) in [
        (spent(20, 10, 5), 970),
        (spent(60, 40, 5), 900),
        (spent(200, 150, 5), 650),
        (Spent::default(), 1000),
    ] {
        let (_dir, store) = store().await;
        let ledger = store.ledger(clock(NOW).1).await.unwrap();
        let reserved = ledger.reserve(claim(&limits)).await.unwrap();
        let remaining = reserved.remaining;
        assert_eq!(remaining.tokens.unwrap().remaining, 900);
        assert_eq!(
            remaining.requests,
            Some(Figures {
                limit: 10,
                remaining: 9,
                reset: Some(Duration::from_secs(6)),
            })
        );
        // A ticket counts once, however often it is settled.
        let ticket = reserved.ticket;
        for _ in 0..2 {
            ledger.settle(ticket.clone(), spent.clone()).await;
            ledger.settle(ticket.clone(), spent.clone()).await;
            ledger.flush().await;
        }
        let found = left(&ledger, &limits).await;
        assert_eq!(found, (Some(9), Some(tokens)), "{spent:?}");
        let day = left(&ledger, &limits[2..]).await;
        assert_eq!(day, (None, Some(1000 + tokens)), "{spent:?}");
    }
}

#[tokio::test]
async fn a_refusal_leaves_all_limits_as_they_were() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    let limits = [
        "10 requests/minute",
        "0.0015 usd",
        "1000 tokens/day for user:*",
    ];
    ledger.reserve(claim(&limits)).await.unwrap();
    for _ in 0..3 {
        let refusal = refused(ledger.reserve(claim(&limits)).await);
        assert_eq!(refusal.limit.to_string(), "0.0015 usd");
        assert_eq!(refusal.subject, Subject::key("hr"));
        assert_eq!((refusal.asked, refusal.left), (1_000, 500));
        assert_eq!(refusal.retry_after, None);
        assert_eq!(refusal.remaining.requests.unwrap().remaining, 9);
        assert_eq!(refusal.remaining.tokens.unwrap().remaining, 900);
    }
    assert_eq!(left(&ledger, &limits).await, (Some(9), Some(900)));
    // Those who come in one transaction with one that is refused are admitted.
    let cheap = ["10 requests/minute"];
    let (one, refusal, other) = tokio::join!(
        ledger.reserve(claim(&cheap)),
        ledger.reserve(claim(&limits)),
        ledger.reserve(claim(&cheap)),
    );
    assert!(one.is_ok() && other.is_ok());
    refused(refusal);
    assert_eq!(left(&ledger, &cheap).await, (Some(7), None));
}

#[tokio::test]
async fn the_limit_that_takes_longest_is_the_one_that_is_told() {
    let (_dir, store) = store().await;
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    let limits = ["1 request/minute", "1 request/hour", "2 requests/second"];
    ledger.reserve(claim(&limits)).await.unwrap();
    let refusal = refused(ledger.reserve(claim(&limits)).await);
    assert_eq!(refusal.limit.to_string(), "1 request/hour");
    let wait = refusal.retry_after.unwrap();
    assert_eq!(wait, Duration::from_secs(3600));
    let hour = 3_600_000_000;
    for (after, is_admitted) in [(hour - 1, false), (hour, true)] {
        time.store(NOW + after, Ordering::SeqCst);
        let answer = ledger.reserve(claim(&limits)).await;
        assert_eq!(answer.is_ok(), is_admitted, "{after}");
    }
}

#[tokio::test]
async fn a_day_begins_anew_and_a_call_counts_for_the_one_on_which_it_began() {
    let (_dir, store) = store().await;
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    let limits = ["2 requests/day", "1000 tokens/day"];
    let first = ledger.reserve(claim(&limits)).await.unwrap();
    ledger.reserve(claim(&limits)).await.unwrap();
    let refusal = refused(ledger.reserve(claim(&limits)).await);
    let midnight = (NOW / DAY + 1) * DAY;
    let wait = Duration::from_micros(u64::try_from(midnight - NOW).unwrap());
    assert_eq!(refusal.retry_after, Some(wait));

    time.store(midnight - 1, Ordering::SeqCst);
    refused(ledger.reserve(claim(&limits)).await);
    time.store(midnight, Ordering::SeqCst);
    let second = ledger.reserve(claim(&limits)).await.unwrap();
    assert_eq!(second.remaining.requests.unwrap().remaining, 1);
    ledger.settle(first.ticket, spent(1, 1, 1)).await;
    ledger.flush().await;
    assert_eq!(left(&ledger, &limits).await, (Some(1), Some(900)));
    time.store(midnight - 1, Ordering::SeqCst);
    assert_eq!(left(&ledger, &limits).await, (Some(0), Some(898)));
}

#[tokio::test]
async fn raising_a_budget_does_not_begin_it_anew() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    ledger.reserve(claim(&["1 request/day"])).await.unwrap();
    refused(ledger.reserve(claim(&["1 request/day"])).await);
    ledger.reserve(claim(&["2 requests/day"])).await.unwrap();
    // Of two that hold at once, each is kept, and a call counts once.
    let both = ["4 requests/day", "3 requests/day for key:hr"];
    ledger.reserve(claim(&both)).await.unwrap();
    let refusal = refused(ledger.reserve(claim(&both)).await);
    assert_eq!((refusal.limit.amount, refusal.left), (3, 0));
    assert_eq!(left(&ledger, &both[..1]).await, (Some(1), None));
}

#[tokio::test]
async fn a_reservation_that_nobody_waits_for_is_given_back() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    let limits = ["10 requests", "1000 tokens"];
    for is_decided in [false, true, false] {
        // The first poll puts it into the queue.
        let mut waiting = ledger.reserve(claim(&limits));
        assert!(futures::poll!(&mut waiting).is_pending());
        if is_decided {
            ledger.flush().await;
        }
        drop(waiting);
    }
    // What was decided on while nobody waited any more is given back by the transaction after.
    ledger.flush().await;
    ledger.flush().await;
    let found = left(&ledger, &limits).await;
    assert_eq!(found, (Some(10), Some(1000)));
}

#[tokio::test]
async fn a_ledger_that_is_closed_has_settled_all_and_admits_nobody() {
    let (_dir, store) = store().await;
    let limits = ["1000 tokens"];
    let (_, clock) = clock(NOW);
    let ledger = store.ledger(Arc::clone(&clock)).await.unwrap();
    for _ in 0..9 {
        let reserved = ledger.reserve(claim(&limits)).await.unwrap();
        ledger.settle(reserved.ticket, spent(1, 1, 1)).await;
    }
    ledger.close().await;
    let answer = ledger.reserve(claim(&limits)).await;
    assert!(matches!(answer, Err(LedgerError::Failed(_))), "{answer:?}");
    let ledger = store.ledger(clock).await.unwrap();
    assert_eq!(left(&ledger, &limits).await, (None, Some(982)));
}

#[tokio::test]
async fn a_database_that_fails_admits_nobody_and_what_is_owed_is_settled_later() {
    let (_dir, store) = store().await;
    let limits = ["1000 tokens"];
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    let reserved = ledger.reserve(claim(&limits)).await.unwrap();
    rename(&store, "ledger_open", "away").await;
    ledger.settle(reserved.ticket, spent(1, 1, 1)).await;
    let answer = ledger.reserve(claim(&limits)).await;
    let Err(LedgerError::Failed(error)) = answer else {
        panic!("{answer:?}")
    };
    assert!(error.message.contains("cannot be counted"), "{error}");
    rename(&store, "away", "ledger_open").await;
    assert_eq!(left(&ledger, &limits).await, (None, Some(998)));
}

#[tokio::test]
async fn what_is_of_no_use_any_more_is_forgotten() {
    let (_dir, store) = store().await;
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    let limits = ["10 requests/minute", "10 requests/day", "10 requests"];
    let early = ledger.reserve(claim(&limits)).await.unwrap();
    for (days, rows) in [(2, [1, 3, 2]), (10, [1, 2, 3]), (40, [1, 2, 2])] {
        time.store(NOW + days * DAY, Ordering::SeqCst);
        ledger.reserve(claim(&limits)).await.unwrap();
        let mut counts = [0; 3];
        for (count, table) in
            counts
                .iter_mut()
                .zip(["ledger_rates", "ledger_windows", "ledger_open"])
        {
            let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            *count = sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(&store.pool)
                .await
                .unwrap();
        }
        assert_eq!(counts, rows, "{days}");
    }
    // What was taken for ever stays taken.
    ledger.settle(early.ticket, spent(1, 1, 1)).await;
    ledger.flush().await;
    assert_eq!(left(&ledger, &limits[2..]).await, (Some(6), None));
}
