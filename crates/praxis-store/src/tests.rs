//! What every store must do. Written against [`Store`]'s methods only, so that another database
//! behind them runs through the same checks.

use praxis_core::trace::{Span, SpanKind, SpanStatus};
use praxis_core::{ChunkId, DocumentId, Money, SpanId, TraceId, TraceSink, Usage};
use serde_json::json;

use super::*;

async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    (dir, store)
}

fn document(uri: &str, chunks: usize) -> NewDocument {
    NewDocument {
        id: DocumentId::from_string(format!("d-{uri}")),
        uri: uri.into(),
        title: "藤野先生".into(),
        text: "text".into(),
        hash: "h".into(),
        size: 4,
        modified: 7,
        error: None,
        hint: None,
        vector: vec![0.5, 0.25],
        chunks: (0..chunks)
            .map(|i| Chunk {
                id: ChunkId::from_string(format!("{uri}-{i}")),
                headings: vec!["A".into(), "B \"quoted\"".into()],
                page: Some(3),
                start: i,
                end: i + 1,
                text: format!("文{i}"),
                vector: vec![i as f32, -0.5],
            })
            .collect(),
    }
}

#[tokio::test]
async fn an_index_can_follow_what_comes_and_goes() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    for (uri, chunks) in [("a.md", 2), ("b.md", 1)] {
        let document = document(uri, chunks);
        store.put_document("docs", &document).await.unwrap();
    }
    let generation = async || store.base("docs").await.unwrap().unwrap().generation;
    let since = generation().await;
    let first = store.vectors_since("docs", 0, 0, 9).await.unwrap();
    assert_eq!(
        first.iter().map(|v| v.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(first[1].vector, [1.0, -0.5]);
    assert_eq!(
        store.vectors_since("docs", 0, 1, 1).await.unwrap(),
        first[1..2]
    );

    store
        .put_document("docs", &document("a.md", 1))
        .await
        .unwrap();
    assert_eq!(store.removed_chunks("docs", since).await.unwrap(), [1, 2]);
    let new = store.vectors_since("docs", since, 0, 9).await.unwrap();
    assert_eq!(new.iter().map(|v| v.number).collect::<Vec<_>>(), [4]);
    let entries = store.chunk_entries("docs").await.unwrap();
    assert_eq!(entries.iter().map(|e| e.number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(
        (entries[1].chunk.as_str(), entries[1].document.as_str()),
        ("a.md-0", "d-a.md")
    );
    assert_eq!(store.id().await.unwrap().len(), 32);

    // What went is known until it is forgotten, also where all of a base went.
    let middle = generation().await;
    store.forget_removed("docs", middle).await.unwrap();
    let b = DocumentId::from_string("d-b.md".to_owned());
    store.delete_documents("docs", &[b]).await.unwrap();
    assert_eq!(store.removed_chunks("docs", 0).await.unwrap(), [3]);
    store.prepare_base("docs", "e5@2", "s").await.unwrap();
    let mut all = store.removed_chunks("docs", middle).await.unwrap();
    all.sort_unstable();
    assert_eq!(all, [3, 4]);
    assert!(
        store
            .removed_chunks("docs", generation().await)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_document_comes_back_whole_and_its_replacement_leaves_nothing_behind() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    store
        .put_document("docs", &document("a.md", 3))
        .await
        .unwrap();
    store
        .put_document("docs", &document("b.md", 1))
        .await
        .unwrap();
    store
        .put_document("docs", &document("a.md", 2))
        .await
        .unwrap();
    let heads = store.documents("docs").await.unwrap();
    let seen: Vec<_> = heads.iter().map(|d| (d.uri.as_str(), d.chunks)).collect();
    assert_eq!(seen, [("a.md", 2), ("b.md", 1)]);
    let chunk = store
        .chunk(&ChunkId::from_string("a.md-1"))
        .await
        .unwrap()
        .unwrap();
    let found = store.document(&chunk.document).await.unwrap().unwrap();
    assert_eq!((found.base.as_str(), found.text.as_str()), ("docs", "text"));
    let mut want = document("a.md", 2).chunks;
    want.iter_mut().for_each(|c| c.vector.clear());
    assert_eq!(found.chunks, want);
    let vectors = store.vectors_since("docs", 0, 0, 9).await.unwrap();
    let vectors: Vec<_> = vectors.into_iter().map(|v| v.vector).collect();
    assert_eq!(vectors, [vec![0.0, -0.5], vec![0.0, -0.5], vec![1.0, -0.5]]);
}

#[tokio::test]
async fn every_change_moves_the_generation() {
    let (_dir, store) = store().await;
    let generation = async || store.base("docs").await.unwrap().map(|b| b.generation);
    assert_eq!(generation().await, None);
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    let first = generation().await;
    assert!(!store.prepare_base("docs", "e5@1", "s").await.unwrap());
    assert_eq!(generation().await, first, "nothing changed");
    store
        .put_document("docs", &document("a.md", 1))
        .await
        .unwrap();
    let second = generation().await;
    assert!(second > first);
    store
        .delete_documents("docs", &[DocumentId::from_string("d-a.md")])
        .await
        .unwrap();
    assert!(generation().await > second);
    assert!(store.chunk_entries("docs").await.unwrap().is_empty());
}

#[tokio::test]
async fn another_embedder_empties_the_base() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    store
        .put_document("docs", &document("a.md", 1))
        .await
        .unwrap();
    assert!(store.prepare_base("docs", "minilm@1", "s").await.unwrap());
    assert!(store.documents("docs").await.unwrap().is_empty());
    assert_eq!(
        store.base("docs").await.unwrap().unwrap().embedder,
        "minilm@1"
    );
}

#[tokio::test]
async fn a_failed_write_changes_nothing() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    store
        .put_document("docs", &document("a.md", 2))
        .await
        .unwrap();
    let mut broken = document("a.md", 2);
    broken.chunks[1].id = broken.chunks[0].id.clone();
    assert!(store.put_document("docs", &broken).await.is_err());
    assert_eq!(store.documents("docs").await.unwrap()[0].chunks, 2);
}

fn span(trace: &TraceId, parent: Option<&SpanId>, tokens: u64) -> Span {
    Span {
        trace_id: trace.clone(),
        span_id: SpanId::generate(),
        parent_id: parent.cloned(),
        kind: SpanKind::Chat,
        name: "m".into(),
        started_ms: 5,
        duration_us: 6,
        first_token_us: Some(2),
        input: json!({"q": "问"}),
        output: json!("a"),
        usage: Usage {
            input_tokens: tokens,
            cached_tokens: 1,
            output_tokens: 2,
            ..Usage::default()
        },
        cost: Money(3),
        status: SpanStatus::Error("x".into()),
    }
}

#[tokio::test]
async fn traces_come_back_as_they_were_and_roots_sum_their_tree() {
    let (_dir, store) = store().await;
    let writer = TraceWriter::start(store.clone());
    let trace = TraceId::generate();
    let root = span(&trace, None, 10);
    let child = span(&trace, Some(&root.span_id), 20);
    writer.record(child.clone());
    writer.record(root.clone());
    writer.flush().await;
    assert_eq!(
        store.spans_of(trace.as_str()).await.unwrap(),
        [root.clone(), child.clone()]
    );
    let end = &trace.as_str()[24..];
    assert_eq!(store.spans_of(end).await.unwrap().len(), 2);
    let listed = store.traces(5).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].usage, root.usage + child.usage);
    assert_eq!((listed[0].cost, writer.dropped()), (Money(6), 0));
}

#[tokio::test]
async fn versions_of_prompts_are_kept_once_and_counted_from_traces() {
    let (_dir, store) = store().await;
    let version = |version: &str, seen| PromptVersion {
        function: "answer".into(),
        version: version.into(),
        sources: [("answer.prompt".to_owned(), format!("text {version}"))].into(),
        first_seen_ms: seen,
    };
    let (first, second) = (version("aaa", 1), version("bbb", 2));
    store
        .note_prompt_versions(&[first.clone(), second.clone()])
        .await
        .unwrap();
    store
        .note_prompt_versions(&[version("aaa", 9)])
        .await
        .unwrap();
    assert_eq!(
        store.prompt_versions(Some("answer")).await.unwrap(),
        [second, first]
    );
    assert_eq!(store.prompt_versions(Some("other")).await.unwrap(), []);
    let mut spans = Vec::new();
    for (version, us, status) in [
        ("aaa", 10, SpanStatus::Ok),
        ("aaa", 30, SpanStatus::Cancelled),
        ("bbb", 50, SpanStatus::Ok),
    ] {
        let trace = TraceId::generate();
        let mut root = span(&trace, None, 0);
        root.kind = SpanKind::Function;
        root.name = "answer".into();
        root.input = json!({"input": {}, "version": version});
        (root.duration_us, root.status, root.cost) = (us, status, Money(0));
        let child = span(&trace, Some(&root.span_id), 1);
        let below = span(&trace, Some(&child.span_id), 1);
        spans.extend([root, child, below]);
    }
    store.put_spans(&spans).await.unwrap();
    let seen: Vec<_> = store
        .version_use(Some("answer"))
        .await
        .unwrap()
        .into_iter()
        .map(|u| (u.version, u.calls, u.failed, u.cost, u.mean_us))
        .collect();
    assert_eq!(
        seen,
        [
            ("aaa".to_owned(), 2, 1, Money(12), 20),
            ("bbb".to_owned(), 1, 0, Money(6), 50)
        ]
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("praxis.db");
    std::fs::write(&path, "not a database, but somebody's notes".repeat(40)).unwrap();
    let error = Store::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("praxis.db"), "{error}");
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("not a database")
    );
}

#[tokio::test]
async fn what_stands_around_a_chunk_is_found() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    let mut new = document("a.md", 5);
    new.text = "藤野先生\u{1f600}是".into();
    store.put_document("docs", &new).await.unwrap();
    store
        .put_document("docs", &document("b.md", 2))
        .await
        .unwrap();
    let around = store
        .neighbours(&ChunkId::from_string("a.md-1"), 2)
        .await
        .unwrap();
    let seen: Vec<_> = around.iter().map(|n| n.text.as_str()).collect();
    assert_eq!(seen, ["文0", "文1", "文2", "文3"]);
    assert_eq!(around[0].headings, ["A", "B \"quoted\""]);
    assert_eq!(store.text(&new.id, 3, 6).await.unwrap(), "生\u{1f600}是");
    assert_eq!(store.text(&new.id, 9, 12).await.unwrap(), "");
    let head = store.head(&new.id).await.unwrap().unwrap();
    assert_eq!((head.uri.as_str(), head.chunks), ("a.md", 5));
    let vectors = store.document_vectors("docs").await.unwrap();
    assert_eq!(vectors.len(), 2);
    assert_eq!(vectors[0].vector, [0.5, 0.25]);
}
