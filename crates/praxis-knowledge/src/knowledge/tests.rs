//! Snapshots and the indexes under them: who loads them, which one stays, and what becomes of errors and damage.

use futures::future::join_all;
use praxis_core::{Attribute, Filter, Metadata};
use praxis_store::{Chunk, NewDocument, Origin};
use serde_json::json;
use tempfile::TempDir;

use super::snapshot::NO_GENERATION;
use super::*;
use crate::keyword::{KeywordIndex, KeywordQuery};
use crate::scope::Scoping;

/// The base `docs` of a folder, as each process opens it for itself.
async fn opened(dir: &Path) -> Knowledge {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    store.prepare_base("docs", "none@1", "").await.unwrap();
    let base = ("docs".to_owned(), dir.into(), BaseConfig::default());
    let none = |_: Option<&str>| Err(ModelError::NotFound("none".to_owned()));
    Knowledge::open(dir.join("state"), store, vec![base], Arc::new(none))
}

/// A folder whose base has so many documents in the store, and no indexes yet.
async fn stored(documents: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = opened(dir.path()).await;
    for number in 0..documents {
        put(&knowledge, number, "stands in the reeds").await;
    }
    dir
}

/// Writes a document of two chunks.
async fn put(knowledge: &Knowledge, number: usize, text: &str) {
    let vector = |at: usize| {
        let angle = (2 * number + at) as f32 * 0.1;
        vec![angle.cos(), angle.sin()]
    };
    let chunk = |at: usize| Chunk {
        id: ChunkId::from_string(format!("c{number}-{at}")),
        headings: Vec::new(),
        page: None,
        section: None,
        start: at,
        end: at + 1,
        text: format!("bird{number} {text}"),
        context: String::new(),
        vector: vector(at),
    };
    let document = NewDocument {
        id: DocumentId::from_string(format!("d{number}")),
        uri: format!("{number}.md"),
        origin: Origin::default(),
        title: String::new(),
        text: format!("bird{number} {text}"),
        hash: String::new(),
        size: 1,
        modified: 0,
        error: None,
        hint: None,
        vector: vector(0),
        own: Metadata::new(),
        metadata: [("number".to_owned(), Attribute::Number(number as f64))].into(),
        labels: Vec::new(),
        settings: String::new(),
        chunks: vec![chunk(0), chunk(1)],
    };
    let store = knowledge.store();
    store.put_document("docs", &document).await.unwrap();
}

async fn snapshot(knowledge: &Knowledge) -> Arc<Snapshot> {
    let (snapshot, _) = knowledge.snapshot("docs").await.unwrap().unwrap();
    snapshot
}

/// The same, once it is of what the store has: a search does not wait for long.
async fn fresh(knowledge: &Knowledge) -> Arc<Snapshot> {
    for _ in 0..1000 {
        let (snapshot, stored) = knowledge.snapshot("docs").await.unwrap().unwrap();
        if snapshot.generation == stored.generation {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it stays behind the store");
}

/// Chunks that have a word.
fn having(snapshot: &Snapshot, word: &str) -> Vec<String> {
    let mut query = KeywordQuery::default();
    query.add(word, 1.0);
    let found = snapshot.indexes.keywords.search(&query, 9, None, None);
    let mut ids: Vec<String> = found.unwrap().into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids
}

/// The chunk that is nearest to a document's first one.
fn nearest_to(snapshot: &Snapshot, number: usize) -> String {
    let angle = (2 * number) as f32 * 0.1;
    let query = [angle.cos(), angle.sin()];
    let found = snapshot.indexes.vectors.search(&query, 1, None).unwrap();
    found[0].0.to_string()
}

/// Files of the index of chunks' keywords with this ending.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("state/index/docs/keyword")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == ending));
    files.sort();
    files
}

#[tokio::test]
async fn searches_that_begin_together_load_a_base_once_and_what_is_better_stays() {
    let dir = stored(0).await;
    let knowledge = opened(dir.path()).await;
    // While somebody ingests, and nothing is loaded yet.
    let lock = knowledge.lock("docs", &CancellationToken::new()).await;
    let all = join_all((0..8).map(|_| snapshot(&knowledge))).await;
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])));
    assert_eq!(all[0].generation, NO_GENERATION);

    drop(lock);
    let better = snapshot(&knowledge).await;
    assert!(better.generation > 0);
    let keeper = knowledge.keeper("docs").unwrap();
    let late = keeper.beside("none@1".to_owned()).await;
    assert!(Arc::ptr_eq(&late.unwrap(), &better));
}

#[tokio::test]
async fn a_refresh_ends_although_the_search_that_began_it_hangs_up() {
    let dir = stored(40).await;
    let knowledge = opened(dir.path()).await;
    let base = knowledge.base("docs").unwrap();
    let begun = async {
        while base.loading.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = knowledge.snapshot("docs") => panic!("it is not so quick"),
        () = begun => {}
    }
    assert!(!base.is_searched());
    for _ in 0..3000 {
        if base.is_searched() {
            break;
        }
        // Nobody comes between: the indexes are half written.
        let keeper = knowledge.keeper("docs").unwrap();
        if base.held().is_some() {
            assert!(keeper.try_lock().unwrap().is_none());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let loaded = base.current().unwrap();
    assert_eq!(loaded.indexes.vectors.len(), 80);
    let same = snapshot(&knowledge).await;
    assert!(Arc::ptr_eq(&loaded, &same));
    assert_eq!(having(&same, "bird7"), ["c7-0", "c7-1"]);
}

#[tokio::test]
async fn a_small_change_is_taken_over_and_the_rest_is_shared() {
    let dir = stored(30).await;
    let knowledge = opened(dir.path()).await;
    let first = snapshot(&knowledge).await;
    put(&knowledge, 7, "flies away").await;
    put(&knowledge, 99, "is new").await;
    let gone = [DocumentId::from_string("d8")];
    let store = knowledge.store();
    store.delete_documents("docs", &gone).await.unwrap();

    let next = fresh(&knowledge).await;
    assert!(next.generation > first.generation);
    let vectors = &next.indexes.vectors;
    assert_eq!((vectors.len(), first.indexes.vectors.len()), (60, 60));
    assert_eq!(having(&next, "new"), ["c99-0", "c99-1"]);
    assert!(having(&next, "bird8").is_empty());
    for (number, there) in [(7, true), (8, false), (9, true), (99, true)] {
        let document = DocumentId::from_string(format!("d{number}"));
        let chunk = ChunkId::from_string(format!("c{number}-1"));
        assert_eq!(vectors.document(&chunk), there.then_some(&document));
    }
    assert_eq!(nearest_to(&next, 99), "c99-0");
    assert!(Arc::ptr_eq(&next, &snapshot(&knowledge).await));
}

#[tokio::test]
async fn a_filter_holds_of_nothing_that_is_being_replaced() {
    let dir = stored(3).await;
    let knowledge = opened(dir.path()).await;
    let known = snapshot(&knowledge).await;
    // What replaces it has the same chunks, and is not indexed yet.
    put(&knowledge, 1, "flies away").await;
    let stored = knowledge.store().base("docs").await.unwrap().unwrap();
    let scoping = Scoping {
        store: knowledge.store(),
        base: "docs",
        revision: stored.revision,
        is_current: known.generation == stored.generation,
        indexes: &known.indexes,
        scopes: &known.scopes,
    };
    let others = json!({ "type": "ne", "key": "number", "value": 1 });
    let others = Filter::parse(&others).unwrap();
    let scope = scoping.scope(Some(&others), &Clearance::Full).await;
    let scope = scope.unwrap();
    assert!(scope.lacks_replaced());
    for (number, counts) in [(0, true), (1, false), (2, true)] {
        let document = DocumentId::from_string(format!("d{number}"));
        let generation = known.indexes.vectors.catalog().generation(&document);
        let has = scope.has_document(generation.unwrap());
        assert_eq!(has, counts, "document {number}");
    }
}

#[tokio::test]
async fn vectors_that_another_process_has_open_are_read_once_and_then_opened() {
    let dir = stored(30).await;
    let server = opened(dir.path()).await;
    assert!(snapshot(&server).await.indexes.vectors.are_on_disk());
    let other = opened(dir.path()).await;
    let first = snapshot(&other).await;
    assert!(first.indexes.vectors.are_in_memory());
    assert_eq!(nearest_to(&first, 9), "c9-0");

    // What comes is read beside what is there.
    put(&other, 99, "is new").await;
    let next = fresh(&other).await;
    assert!(next.indexes.vectors.are_in_memory());
    assert_eq!(nearest_to(&next, 9), "c9-0");
    assert_eq!(nearest_to(&next, 99), "c99-0");

    // After a while it is tried again: in vain, and nothing is read for it.
    let base = other.base("docs").unwrap();
    let later = || base.elsewhere.store(0, Ordering::Relaxed);
    later();
    assert!(Arc::ptr_eq(&next, &snapshot(&other).await));
    drop(server);
    let soon = snapshot(&other).await;
    assert!(Arc::ptr_eq(&next, &soon), "not before a while");
    later();
    let mut last = snapshot(&other).await;
    for _ in 0..1000 {
        if !last.indexes.vectors.are_in_memory() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        last = snapshot(&other).await;
    }
    assert!(last.indexes.vectors.are_on_disk());
    assert_eq!(nearest_to(&last, 99), "c99-0");
}

#[tokio::test]
async fn whoever_gives_up_a_base_closes_the_vectors_that_it_does_not_search() {
    let dir = stored(3).await;
    let ingesting = opened(dir.path()).await;
    let stored = ingesting.store().base("docs").await.unwrap().unwrap();
    let lock = ingesting.lock("docs", &CancellationToken::new()).await;
    ingesting.index_vectors("docs", &stored).await.unwrap();
    let base = ingesting.base("docs").unwrap();
    assert!(base.open_vectors().chunks.is_some());
    drop(lock);
    assert!(base.open_vectors().chunks.is_none());
    let server = opened(dir.path()).await;
    assert!(snapshot(&server).await.indexes.vectors.are_on_disk());

    // Who searches keeps them.
    let lock = server.lock("docs", &CancellationToken::new()).await;
    server.tidy_vectors("docs").await.unwrap();
    drop(lock);
    let base = server.base("docs").unwrap();
    assert!(base.open_vectors().chunks.is_some());
}

#[tokio::test]
async fn an_index_in_which_a_search_met_damage_is_made_anew_where_it_is_damaged() {
    let dir = stored(3).await;
    let knowledge = opened(dir.path()).await;
    let first = snapshot(&knowledge).await;
    let before = files(dir.path(), "store");
    first.indexes.keywords.doubt();
    let second = snapshot(&knowledge).await;
    assert!(!Arc::ptr_eq(&first, &second) && !second.is_suspect());
    assert_eq!(
        files(dir.path(), "store"),
        before,
        "its files are what was written"
    );

    let mut bytes = std::fs::read(&before[0]).unwrap();
    bytes[0] ^= 1;
    // Under another name first: this process has it mapped.
    let changed = before[0].with_extension("changed");
    std::fs::write(&changed, bytes).unwrap();
    std::fs::rename(&changed, &before[0]).unwrap();
    second.indexes.keywords.doubt();
    let error = internal("what was read makes no sense");
    knowledge.mended("docs", error).await.unwrap();
    let third = snapshot(&knowledge).await;
    assert_ne!(files(dir.path(), "store"), before);
    assert_eq!(having(&third, "bird1"), ["c1-0", "c1-1"]);
    let keyword = dir.path().join("state/index/docs/keyword");
    assert_eq!(KeywordIndex::damage_in(&keyword).unwrap(), None);

    // Any other error is passed on.
    let error = knowledge.mended("docs", internal("a disk")).await;
    assert_eq!(error.unwrap_err().message, "a disk");
}

#[tokio::test]
async fn an_error_of_the_disk_leaves_an_index_as_it_is() {
    let dir = stored(3).await;
    snapshot(&opened(dir.path()).await).await;
    let before = files(dir.path(), "store");
    let list = dir.path().join("state/index/docs/keyword/meta.json");
    let kept = list.with_extension("kept");
    std::fs::rename(&list, &kept).unwrap();
    std::fs::create_dir(&list).unwrap();
    let knowledge = opened(dir.path()).await;
    let error = knowledge.snapshot("docs").await.err().unwrap();
    assert_eq!(error.code, ErrorCode::Internal, "{error}");
    assert_eq!(files(dir.path(), "store"), before);

    std::fs::remove_dir(&list).unwrap();
    std::fs::rename(&kept, &list).unwrap();
    let found = snapshot(&knowledge).await;
    assert_eq!(having(&found, "bird1"), ["c1-0", "c1-1"]);
    assert_eq!(files(dir.path(), "store"), before);
}

#[test]
fn what_cannot_be_written_is_told_with_its_path_and_what_it_takes() {
    let denied = std::io::Error::from(ErrorKind::PermissionDenied);
    let told = unwritten(Path::new("app/index"), &denied);
    assert!(told.message.contains("`app/index`"), "{told}");
    assert!(told.hint.unwrap().contains("able to write"));
    let broken = std::io::Error::from(ErrorKind::BrokenPipe);
    assert_eq!(unwritten(Path::new("app"), &broken).hint, None);
}
