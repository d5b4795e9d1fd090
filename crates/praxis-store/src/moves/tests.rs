//! Moves to another embedder: where they go on, and what they look at.

use super::*;
use crate::tests::{document, store};
use crate::{changes, documents, surroundings};

/// Chunks from a place on, and how far that goes.
async fn some(store: &Store, after: Place, limit: usize) -> (Vec<String>, Place) {
    let chunks = store.unmoved_chunks("docs", after, limit).await.unwrap();
    let place = chunks.last().map_or(after, |last| last.place);
    let ids = chunks.iter().map(|c| c.id.as_str().to_owned()).collect();
    (ids, place)
}

async fn move_chunks(store: &Store, ids: &[String]) {
    let vectors: Vec<_> = ids
        .iter()
        .map(|id| (ChunkId::from_string(id.as_str()), vec![1.0, 0.0]))
        .collect();
    store.put_moved_chunks(&vectors).await.unwrap();
}

#[tokio::test]
async fn a_move_goes_on_behind_what_it_has_seen_and_finds_what_came_since() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    store.prepare_base("other", "e5@1", "s").await.unwrap();
    for (base, uri) in [("docs", "a.md"), ("other", "x.md"), ("docs", "b.md")] {
        store.put_document(base, &document(uri, 2)).await.unwrap();
    }
    store.begin_move("docs", "e5@2").await.unwrap();
    let (first, place) = some(&store, Place::after(0), 3).await;
    assert_eq!(first, ["a.md-0", "a.md-1", "b.md-0"]);
    move_chunks(&store, &first[..2]).await;

    // A document that is written anew comes last, as does one that is new.
    for uri in ["a.md", "c.md"] {
        store.put_document("docs", &document(uri, 1)).await.unwrap();
    }
    let (rest, place) = some(&store, place, 9).await;
    assert_eq!(rest, ["b.md-1", "a.md-0", "c.md-0"]);
    move_chunks(&store, &rest).await;
    assert!(some(&store, place, 9).await.0.is_empty());
    assert!(!store.finish_move("docs", "e5@2", "new").await.unwrap());

    // What was passed over is found from the beginning.
    let (left, _) = some(&store, Place::after(0), 9).await;
    assert_eq!(left, ["b.md-0"]);
    move_chunks(&store, &left).await;
    let documents = store.unmoved_documents("docs", 0, 9).await.unwrap();
    let ids: Vec<_> = documents.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["d-b.md", "d-a.md", "d-c.md"]);
    let behind = store.unmoved_documents("docs", documents[1].1, 9).await;
    assert_eq!(behind.unwrap(), documents[2..]);
    let vectors: Vec<_> = documents
        .into_iter()
        .map(|(id, generation)| (id, generation, vec![1.0, 0.0]))
        .collect();
    store.put_moved_documents(&vectors).await.unwrap();
    assert!(store.finish_move("docs", "e5@2", "new").await.unwrap());
    let base = store.base("docs").await.unwrap().unwrap();
    assert_eq!(base.embedder, "e5@2");
}

#[tokio::test]
async fn what_a_move_got_no_vector_for_can_be_asked_for_again() {
    let (_dir, store) = store().await;
    for base in ["docs", "other"] {
        store.prepare_base(base, "e5@1", "s").await.unwrap();
        store
            .put_document(base, &document(&format!("{base}.md"), 2))
            .await
            .unwrap();
        store.begin_move(base, "e5@2").await.unwrap();
    }
    let nothing = vec![0.0, 0.0];
    let chunk = |id: &str, vector: &[f32]| (ChunkId::from_string(id), vector.to_vec());
    let moved = [
        chunk("docs.md-0", &nothing),
        chunk("docs.md-1", &[1.0, 0.0]),
        chunk("other.md-0", &nothing),
    ];
    store.put_moved_chunks(&moved).await.unwrap();
    let documents = store.unmoved_documents("docs", 0, 9).await.unwrap();
    let (id, generation) = documents[0].clone();
    store
        .put_moved_documents(&[(id, generation, nothing.clone())])
        .await
        .unwrap();
    assert_eq!(store.forget_moved("docs", &nothing).await.unwrap(), 1);
    assert_eq!(
        some(&store, Place::after(0), 9).await.0,
        ["docs.md-0"],
        "the others have their vectors"
    );
    assert_eq!(
        store.unmoved_documents("docs", 0, 9).await.unwrap(),
        documents
    );
    assert_eq!(store.move_progress("other").await.unwrap().moved, 1);
    assert_eq!(store.forget_moved("docs", &nothing).await.unwrap(), 0);
}

/// What a plan of a query says it does.
async fn plan(store: &Store, sql: &str, values: usize) -> Vec<String> {
    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let mut query = sqlx::query::<Sqlite>(sql).bind("docs");
    for _ in 1..values {
        query = query.bind(0);
    }
    let rows = query.fetch_all(&store.pool).await.unwrap();
    rows.iter()
        .map(|row| row.try_get("detail").unwrap())
        .collect()
}

#[tokio::test]
async fn what_a_move_has_seen_costs_it_nothing_more() {
    let (_dir, store) = store().await;
    let documents = format!(
        "SELECT d.id {UNMOVED_DOCUMENTS} AND d.generation > ? ORDER BY d.generation LIMIT ?"
    );
    for (sql, values) in [
        (UNMOVED_AFTER, 5),
        (changes::ENTRIES_AFTER, 2),
        (documents::GENERATIONS_AFTER, 2),
        (surroundings::DOCUMENT_VECTORS_AFTER, 3),
        (documents.as_str(), 3),
    ] {
        let plan = plan(&store, sql, values).await;
        assert!(
            plan[0].contains("documents_by_generation (base=? AND generation>?)"),
            "{sql}: {plan:?}"
        );
        let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!sorted, "{sql}: {plan:?}");
    }
    let of_chunks = plan(&store, UNMOVED_AFTER, 5).await;
    assert!(of_chunks[1].contains("(document=?"), "{of_chunks:?}");
}
