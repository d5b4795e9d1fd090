//! Snapshots: who loads them, and which one stays.

use futures::future::join_all;

use super::*;

#[tokio::test]
async fn searches_that_begin_together_load_a_base_once_and_what_is_better_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    store.prepare_base("docs", "none@1", "").await.unwrap();
    let base = ("docs".to_owned(), dir.path().into(), BaseConfig::default());
    let none = |_: Option<&str>| Err(ModelError::NotFound("none".to_owned()));
    let state = dir.path().join("state");
    let knowledge = Knowledge::open(state, store, vec![base], Arc::new(none));
    let ask = async || {
        let (snapshot, _) = knowledge.snapshot("docs").await.unwrap().unwrap();
        snapshot
    };

    // While somebody ingests, and nothing is loaded yet.
    let lock = knowledge.lock("docs", &CancellationToken::new()).await;
    let all = join_all((0..8).map(|_| ask())).await;
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])));
    assert_eq!(all[0].generation, NO_GENERATION);

    drop(lock);
    let better = ask().await;
    assert!(better.generation > 0);
    let late = knowledge.snapshot_beside("docs", "none@1".to_owned()).await;
    assert!(Arc::ptr_eq(&late.unwrap(), &better));
}
