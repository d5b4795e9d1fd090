//! Who is refused is refused again without a transaction, and no longer than before.

use std::time::Duration;

use super::*;

const LIMITS: [&str; 2] = ["2 requests/minute", "5000 tokens/day"];
const TENTH: i64 = 100_000;

/// A ledger that has given all requests of a minute, and its clock.
async fn used_up(store: &Store) -> (StoreLedger, Arc<AtomicI64>, Reserved) {
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    ledger.reserve(claim(&LIMITS)).await.unwrap();
    let last = ledger.reserve(claim(&LIMITS)).await.unwrap();
    let refusal = refused(ledger.reserve(claim(&LIMITS)).await);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(30)));
    (ledger, time, last)
}

#[tokio::test]
async fn a_refusal_holds_without_the_database() {
    let (dir, store) = store().await;
    let (ledger, time, _) = used_up(&store).await;
    // Nobody else can write for as long as this is open.
    let other = rusqlite::Connection::open(dir.path().join("praxis.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    time.store(NOW + TENTH - 1, Ordering::SeqCst);
    let again = tokio::time::timeout(Duration::from_secs(5), ledger.reserve(claim(&LIMITS)));
    let again = refused(again.await.expect("no transaction"));
    assert_eq!(again.retry_after, Some(Duration::from_micros(29_900_001)));
    let figures = again.remaining.requests.unwrap();
    assert_eq!(figures.remaining, 0);
    assert_eq!(figures.reset, Some(Duration::from_micros(59_900_001)));
    // What is asked of the limits that have room is not refused with it.
    let no_request = Claim {
        requests: 0,
        ..claim(&LIMITS)
    };
    let waits = tokio::time::timeout(Duration::from_millis(100), ledger.reserve(no_request));
    assert!(waits.await.is_err());
    other.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test]
async fn a_refusal_ends_when_there_is_room() {
    let (_dir, store) = store().await;
    let (ledger, time, last) = used_up(&store).await;
    ledger.give_back(last.ticket).await;
    ledger.reserve(claim(&LIMITS)).await.unwrap();
    refused(ledger.reserve(claim(&LIMITS)).await);
    time.store(NOW + 30_000_000, Ordering::SeqCst);
    ledger.reserve(claim(&LIMITS)).await.unwrap();
}

#[tokio::test]
async fn what_another_process_gives_back_is_seen_a_tenth_of_a_second_later() {
    let (_dir, store) = store().await;
    let other = store.ledger(clock(NOW).1).await.unwrap();
    let given = other.reserve(claim(&LIMITS)).await.unwrap();
    let (time, clock) = clock(NOW);
    let ledger = store.ledger(clock).await.unwrap();
    ledger.reserve(claim(&LIMITS)).await.unwrap();
    refused(ledger.reserve(claim(&LIMITS)).await);
    other.give_back(given.ticket).await;
    other.flush().await;
    refused(ledger.reserve(claim(&LIMITS)).await);
    time.store(NOW + TENTH, Ordering::SeqCst);
    ledger.reserve(claim(&LIMITS)).await.unwrap();
}
