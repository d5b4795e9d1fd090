//! Leases admit no more than without them, lose nothing, and end where they must.

use super::*;

/// Budgets that are large beside a claim of [`claim`].
const LARGE: [&str; 2] = ["100000 tokens/day", "100 usd/month"];

async fn admitted(ledger: &StoreLedger, limits: &[&str], calls: usize) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for _ in 0..calls {
        if let Ok(reserved) = ledger.reserve(claim(limits)).await {
            tickets.push(reserved.ticket);
        }
    }
    tickets
}

fn leased(ledger: &StoreLedger) -> bool {
    ledger.leases.are_there()
}

#[tokio::test]
async fn busy_keys_with_large_budgets_have_leases_and_others_have_none() {
    for (limits, calls, expected) in [
        (&LARGE[..], 4, true),
        (&LARGE, 3, false),
        // A rate is counted by the moment.
        (&["100000 tokens/day", "9000 requests/minute"], 40, false),
        // A 64th of it is less than two calls.
        (&["12000 tokens/day"], 40, false),
    ] {
        let (_dir, store) = store().await;
        let ledger = store.ledger(clock(NOW).1).await.unwrap();
        assert_eq!(admitted(&ledger, limits, calls).await.len(), calls);
        assert_eq!(leased(&ledger), expected, "{limits:?} {calls}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ledgers_with_leases_admit_what_the_budget_has_and_no_more() {
    let (_dir, store) = store().await;
    let (_, clock) = clock(NOW);
    let ledgers = [
        Arc::new(store.ledger(Arc::clone(&clock)).await.unwrap()),
        Arc::new(store.ledger(clock).await.unwrap()),
    ];
    let callers: Vec<_> = (0..8)
        .map(|n: usize| {
            let ledger = Arc::clone(&ledgers[n % 2]);
            tokio::spawn(async move { admitted(&ledger, &LARGE[..1], 250).await.len() })
        })
        .collect();
    let mut sum = 0;
    for caller in callers {
        sum += caller.await.unwrap();
    }
    assert_eq!(sum, 1000);
}

#[tokio::test]
async fn what_a_leased_call_did_not_use_is_given_back_once() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    for ticket in admitted(&ledger, &LARGE, 200).await {
        ledger.settle(ticket.clone(), spent(20, 10, 5)).await;
        ledger.settle(ticket.clone(), spent(20, 10, 5)).await;
        ledger.give_back(ticket).await;
    }
    assert!(leased(&ledger));
    ledger.flush().await;
    assert!(!leased(&ledger));
    let tokens = Some(100_000 - 200 * 30);
    assert_eq!(left(&ledger, &LARGE).await, (None, tokens));
    ledger.close().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    assert_eq!(left(&ledger, &LARGE).await, (None, tokens));
}

#[tokio::test]
async fn what_is_left_is_told_as_if_there_were_no_leases() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    for call in 1..=300 {
        let reserved = ledger.reserve(claim(&LARGE)).await.unwrap();
        let figures = reserved.remaining.tokens.unwrap();
        assert_eq!(figures.remaining, 100_000 - 100 * call);
    }
}

#[tokio::test]
async fn calls_that_cost_nothing_take_no_money_and_what_they_cost_then_is_counted() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    let free = || Claim {
        money: Money(0),
        ..claim(&LARGE)
    };
    let mut tickets = Vec::new();
    for _ in 0..10 {
        tickets.push(ledger.reserve(free()).await.unwrap().ticket);
    }
    assert!(leased(&ledger));
    for ticket in tickets {
        ledger.settle(ticket, spent(20, 10, 7)).await;
    }
    ledger.flush().await;
    let all = Claim {
        money: Money(100_000_000),
        ..claim(&LARGE)
    };
    assert_eq!(refused(ledger.reserve(all).await).left, 100_000_000 - 70);
}

#[tokio::test]
async fn a_call_that_does_not_fit_is_decided_on_without_leases() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    admitted(&ledger, &LARGE, 10).await;
    assert!(leased(&ledger));
    let all = Claim {
        tokens: 99_000,
        ..claim(&LARGE)
    };
    assert!(ledger.reserve(all).await.is_ok());
    let more = Claim {
        tokens: 1,
        ..claim(&LARGE)
    };
    assert_eq!(refused(ledger.reserve(more).await).left, 0);
}

#[tokio::test]
async fn a_limit_that_is_lowered_holds_at_once() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    admitted(&ledger, &LARGE, 10).await;
    assert!(leased(&ledger));
    let refusal = refused(ledger.reserve(claim(&["1000 tokens/day"])).await);
    assert_eq!(refusal.left, 0);
    assert_eq!(admitted(&ledger, &["1100 tokens/day"], 3).await.len(), 1);
}

#[tokio::test]
async fn a_lease_ends_after_its_time_and_with_its_window() {
    let (_dir, store) = store().await;
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(Arc::clone(&clock)).await.unwrap();
    let midnight = (NOW / DAY + 1) * DAY;
    let (mut calls, mut before) = (0, NOW);
    for at in [NOW + 1_000_000, NOW + 500_000, midnight] {
        // A clock may be set back.
        time.store(before, Ordering::SeqCst);
        admitted(&ledger, &LARGE, 10).await;
        assert!(leased(&ledger));
        calls += 10;
        time.store(at, Ordering::SeqCst);
        admitted(&ledger, &LARGE, 1).await;
        assert!(!leased(&ledger), "{at}");
        before = at;
    }
    time.store(midnight - 1, Ordering::SeqCst);
    assert_eq!(
        left(&ledger, &LARGE).await.1,
        Some(100_000 - 100 * (calls + 2))
    );
    time.store(midnight, Ordering::SeqCst);
    assert_eq!(left(&ledger, &LARGE).await.1, Some(99_900));
}

#[tokio::test]
async fn a_lease_that_nobody_uses_is_given_back() {
    let (_dir, store) = store().await;
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(Arc::clone(&clock)).await.unwrap();
    admitted(&ledger, &LARGE, 10).await;
    assert!(leased(&ledger));
    time.store(NOW + 1_000_000, Ordering::SeqCst);
    let other = store.ledger(clock).await.unwrap();
    let begun = Instant::now();
    while left(&other, &LARGE).await.1 != Some(99_000) {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_ledger_that_is_closed_admits_nobody_from_leases() {
    let (_dir, store) = store().await;
    let (_, clock) = clock(NOW);
    let ledger = store.ledger(Arc::clone(&clock)).await.unwrap();
    admitted(&ledger, &LARGE, 10).await;
    assert!(leased(&ledger));
    let (_, answer) = tokio::join!(ledger.close(), ledger.reserve(claim(&LARGE)));
    assert!(matches!(answer, Err(LedgerError::Failed(_))), "{answer:?}");
    let other = store.ledger(clock).await.unwrap();
    assert_eq!(left(&other, &LARGE).await.1, Some(99_000));
}

#[tokio::test]
async fn where_the_database_fails_leases_end() {
    let (_dir, store) = store().await;
    let ledger = store.ledger(clock(NOW).1).await.unwrap();
    let tickets = admitted(&ledger, &LARGE, 10).await;
    assert!(leased(&ledger));
    rename(&store, "ledger_windows", "away").await;
    for ticket in tickets {
        ledger.settle(ticket, spent(20, 10, 5)).await;
    }
    let begun = Instant::now();
    while leased(&ledger) {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = ledger.reserve(claim(&LARGE)).await;
    assert!(matches!(answer, Err(LedgerError::Failed(_))), "{answer:?}");
    rename(&store, "away", "ledger_windows").await;
    assert_eq!(left(&ledger, &LARGE).await.1, Some(99_700));
}

#[tokio::test]
async fn a_ledger_without_leases_has_none() {
    let (_dir, store) = store().await;
    let ledger = store.ledger_without_leases(clock(NOW).1).await.unwrap();
    admitted(&ledger, &LARGE, 20).await;
    assert!(!leased(&ledger));
    assert_eq!(left(&ledger, &LARGE).await.1, Some(98_000));
}

#[tokio::test]
async fn a_lease_of_a_process_that_was_killed_stays_counted() {
    let (_dir, store) = store().await;
    let (_, clock) = clock(NOW);
    let ledger = store.ledger(Arc::clone(&clock)).await.unwrap();
    admitted(&ledger, &LARGE, 10).await;
    assert!(leased(&ledger));
    // Nothing of it is ended or dropped.
    std::mem::forget(ledger);
    let other = store.ledger(clock).await.unwrap();
    let (_, tokens) = left(&other, &LARGE).await;
    assert!((97_300..99_000).contains(&tokens.unwrap()), "{tokens:?}");
}
