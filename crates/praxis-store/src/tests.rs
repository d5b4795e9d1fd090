//! What every store must do. Written against [`Store`]'s methods only, so that another database
//! behind them runs through the same checks.

use praxis_core::metadata::Kind;
use praxis_core::trace::{Span, SpanKind, SpanStatus};
use praxis_core::{
    Attribute, Caller, ChunkId, Clearance, DocumentId, Metadata, Money, SpanId, TraceId, TraceSink,
    Usage,
};
use serde_json::json;

use super::*;

pub(crate) async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    (dir, store)
}

pub(crate) fn document(uri: &str, chunks: usize) -> NewDocument {
    NewDocument {
        id: DocumentId::from_string(format!("d-{uri}")),
        uri: uri.into(),
        origin: Origin::default(),
        title: "藤野先生".into(),
        text: "text".into(),
        hash: "h".into(),
        size: 4,
        modified: 7,
        error: None,
        hint: None,
        vector: vec![0.5, 0.25],
        own: Metadata::new(),
        metadata: Metadata::new(),
        labels: Vec::new(),
        settings: "s".into(),
        chunks: (0..chunks)
            .map(|i| Chunk {
                id: ChunkId::from_string(format!("{uri}-{i}")),
                headings: vec!["A".into(), "B \"quoted\"".into()],
                page: Some(3),
                section: Some(7),
                start: i,
                end: i + 1,
                text: format!("文{i}"),
                context: String::new(),
                vector: vec![i as f32, -0.5],
            })
            .collect(),
    }
}

/// Takes from an older store's tables what version 21 adds to them.
pub(crate) const WITHOUT_21: &str = "DROP INDEX IF EXISTS unwell_root_spans; DROP INDEX IF EXISTS feedback_by_thumb; \
     DROP INDEX IF EXISTS chunks_in_order; DROP INDEX IF EXISTS vector_store_files_by_status; \
     DROP INDEX IF EXISTS vector_store_files_by_place; DROP INDEX IF EXISTS file_batches_by_store; \
     DROP INDEX IF EXISTS open_batches_by_id; DROP INDEX IF EXISTS approvals_by_state; \
     DROP INDEX IF EXISTS tool_calls_by_outcome; DROP INDEX IF EXISTS tool_calls_by_function; \
     DROP INDEX IF EXISTS usage_by_payer; DROP INDEX IF EXISTS running_attempts;";

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
    let start = Place::after(0);
    let first = store.vectors_after("docs", start, 9).await.unwrap();
    assert_eq!(
        first.iter().map(|v| v.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(first[1].vector, [1.0, -0.5]);
    assert_eq!(
        store
            .vectors_after("docs", first[0].place, 1)
            .await
            .unwrap(),
        first[1..2]
    );

    store
        .put_document("docs", &document("a.md", 1))
        .await
        .unwrap();
    assert_eq!(store.removed_chunks("docs", since).await.unwrap(), [1, 2]);
    let place = Place::after(since);
    let new = store.vectors_after("docs", place, 9).await.unwrap();
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
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    let seen: Vec<_> = heads.iter().map(|d| (d.uri.as_str(), d.chunks)).collect();
    assert_eq!(seen, [("a.md", 2), ("b.md", 1)]);
    let chunk = store
        .chunk(&ChunkId::from_string("a.md-1"), &Clearance::default())
        .await
        .unwrap()
        .unwrap();
    let found = store
        .document(&chunk.document, &Clearance::default())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.base.as_str(), found.text.as_str()), ("docs", "text"));
    let mut want = document("a.md", 2).chunks;
    want.iter_mut().for_each(|c| c.vector.clear());
    assert_eq!(found.chunks, want);
    let place = Place::after(0);
    let vectors = store.vectors_after("docs", place, 9).await.unwrap();
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
    let documents = store.documents("docs", &Clearance::Full);
    assert!(documents.await.unwrap().is_empty());
    assert_eq!(
        store.base("docs").await.unwrap().unwrap().embedder,
        "minilm@1"
    );
}

#[tokio::test]
async fn other_settings_leave_documents_until_each_is_replaced() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    for uri in ["a.md", "b.md"] {
        store.put_document("docs", &document(uri, 2)).await.unwrap();
    }
    assert!(!store.prepare_base("docs", "e5@1", "t").await.unwrap());
    assert_eq!(store.base("docs").await.unwrap().unwrap().settings, "t");
    let anew = NewDocument {
        settings: "t".to_owned(),
        ..document("b.md", 1)
    };
    store.put_document("docs", &anew).await.unwrap();
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    let seen = heads.iter().map(|d| (d.settings.as_str(), d.chunks));
    assert_eq!(seen.collect::<Vec<_>>(), [("s", 2), ("t", 1)]);
    assert_eq!(store.dimension("docs").await.unwrap(), Some(2));
    assert_eq!(store.dimension("others").await.unwrap(), None);
}

/// What a store of the version before the settings of each document has becomes theirs.
#[tokio::test]
async fn documents_of_an_older_store_were_cut_with_the_settings_of_their_base() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("praxis.db");
    let store = Store::open(&path).await.unwrap();
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    store
        .put_document("docs", &document("a.md", 1))
        .await
        .unwrap();
    for query in [
        "ALTER TABLE documents DROP COLUMN settings",
        "ALTER TABLE chunks DROP COLUMN section",
        "ALTER TABLE chunks DROP COLUMN context",
        "DROP TABLE written_contexts",
        "DROP TABLE api_keys",
        "DROP TABLE ledger_rates",
        "DROP TABLE ledger_windows",
        "DROP TABLE ledger_open",
        "DROP TABLE usage_daily",
        "DROP TABLE tool_calls",
        "DROP TABLE approvals",
        "DROP TABLE idempotency",
        "DROP TABLE upload_parts",
        "DROP TABLE uploads",
        "DROP TABLE batch_answers",
        "DROP TABLE batches",
        "DROP TABLE response_events",
        "DROP TABLE response_items",
        "DROP TABLE responses",
        "DROP TABLE conversation_items",
        "DROP TABLE conversations",
        "DROP TABLE feedback",
        "DROP INDEX root_spans_by_trace",
        WITHOUT_21,
        "ALTER TABLE vector_store_files DROP COLUMN paid_by",
        "DELETE FROM _sqlx_migrations WHERE version >= 10",
    ] {
        sqlx::query(query).execute(&store.pool).await.unwrap();
    }
    store.pool.close().await;
    let store = Store::open(&path).await.unwrap();
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    assert_eq!(heads[0].settings, "s");
    let found = store.document(&heads[0].id, &Clearance::Full).await;
    assert_eq!(found.unwrap().unwrap().chunks[0].section, None);
}

#[tokio::test]
async fn settings_of_a_document_are_noted_without_a_change_of_it() {
    let (_dir, store) = store().await;
    for base in ["docs", "other"] {
        store.prepare_base(base, "e5@1", "s").await.unwrap();
    }
    for uri in ["a.md", "b.md"] {
        store.put_document("docs", &document(uri, 1)).await.unwrap();
    }
    let all = &Clearance::Full;
    let before = store.documents("docs", all).await.unwrap();
    let id = before[0].id.clone();
    let of = |settings: &str| vec![(id.clone(), settings.to_owned())];
    store.set_settings("docs", &of("t")).await.unwrap();
    store.set_settings("other", &of("u")).await.unwrap();
    let after = store.documents("docs", all).await.unwrap();
    let mut expected = before.clone();
    expected[0].settings = "t".to_owned();
    assert_eq!(after, expected);
}

#[tokio::test]
async fn documents_come_in_pages_of_those_that_may_be_read() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    for uri in ["a.md", "b.md", "c.md", "d.md"] {
        let labels: &[&str] = if uri == "b.md" { &["hr"] } else { &[] };
        let mut new = labelled(uri, labels);
        if uri == "d.md" {
            (new.error, new.chunks) = (Some("broken".to_owned()), Vec::new());
        }
        store.put_document("docs", &new).await.unwrap();
    }
    let nobody = Clearance::default();
    let page = async |after, limit, clearance: &Clearance| {
        let page = store.documents_page("docs", after, limit, clearance).await;
        let page = page.unwrap();
        let uris: Vec<String> = page.items.into_iter().map(|d| d.uri).collect();
        (uris.join(" "), page.has_more)
    };
    assert_eq!(page(None, 2, &nobody).await, ("a.md c.md".to_owned(), true));
    assert_eq!(
        page(None, 2, &Clearance::Full).await,
        ("a.md b.md".to_owned(), true)
    );
    // A page begins after a document also where that is gone.
    assert_eq!(
        page(Some("bb.md"), 2, &nobody).await,
        ("c.md d.md".to_owned(), false)
    );
    assert_eq!(page(None, 0, &nobody).await, (String::new(), true));
    let counts = store.document_counts("docs", &nobody).await.unwrap();
    assert_eq!((counts.documents, counts.failed), (3, 1));
    let all = store
        .document_counts("docs", &Clearance::Full)
        .await
        .unwrap();
    assert_eq!((all.documents, all.chunks > counts.chunks), (4, true));
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
    let documents = store.documents("docs", &Clearance::Full);
    assert_eq!(documents.await.unwrap()[0].chunks, 2);
}

#[tokio::test]
async fn a_full_disk_is_survived() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    // What this database calls a full disk, for all that may write to it.
    let limit = async |pages: u32| {
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            all.push(store.pool.acquire().await.unwrap());
        }
        for connection in &mut all {
            let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            let limit = sqlx::query(limit).execute(&mut **connection);
            limit.await.unwrap();
        }
    };
    limit(1).await;
    let large = NewDocument {
        text: "x".repeat(1 << 20),
        ..document("large.md", 1)
    };
    let error = store.put_document("docs", &large).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    limit(1 << 30).await;
    for number in 0..2 * CONNECTIONS {
        let document = document(&format!("{number}.md"), 1);
        store.put_document("docs", &document).await.unwrap();
    }
    let kept = store.documents("docs", &Clearance::Full).await.unwrap();
    assert_eq!(kept.len(), 2 * CONNECTIONS as usize);
}

pub(crate) fn span(trace: &TraceId, parent: Option<&SpanId>, tokens: u64) -> Span {
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
        caller: None,
    }
}

/// Writes spans.
pub(crate) async fn put_spans(store: &Store, spans: impl IntoIterator<Item = Span>) {
    let writer = TraceWriter::start(store).unwrap();
    spans.into_iter().for_each(|span| writer.record(span));
    writer.flush().await;
}

#[tokio::test]
async fn traces_come_back_as_they_were_and_roots_sum_their_tree() {
    let (_dir, store) = store().await;
    let writer = TraceWriter::start(&store).unwrap();
    let trace = TraceId::generate();
    let root = span(&trace, None, 10);
    let child = span(&trace, Some(&root.span_id), 20);
    writer.record(child.clone());
    writer.record(root.clone());
    writer.flush().await;
    assert_eq!(
        store
            .spans_of(trace.as_str(), &Caller::full())
            .await
            .unwrap(),
        [root.clone(), child.clone()]
    );
    let end = &trace.as_str()[24..];
    let all = Caller::full();
    assert_eq!(store.spans_of(end, &all).await.unwrap().len(), 2);
    assert_eq!(store.spans_of("", &all).await.unwrap(), []);
    let other = TraceId::from_string(format!("other{end}"));
    writer.record(span(&other, None, 30));
    writer.flush().await;
    assert_eq!(store.spans_of(end, &all).await.unwrap(), []);
    assert_eq!(store.spans_of(other.as_str(), &all).await.unwrap().len(), 1);
    let listed = store.traces(5, &all).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].usage, root.usage + child.usage);
    assert_eq!((listed[1].cost, writer.dropped()), (Money(6), 0));
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
    put_spans(&store, spans).await;
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
        .neighbours(&ChunkId::from_string("a.md-1"), 2, &Clearance::default())
        .await
        .unwrap();
    let seen: Vec<_> = around.iter().map(|n| n.text.as_str()).collect();
    assert_eq!(seen, ["文0", "文1", "文2", "文3"]);
    assert_eq!(around[0].headings, ["A", "B \"quoted\""]);
    let public = Clearance::default();
    let text = async |start, end| store.text(&new.id, start, end, &public).await.unwrap();
    assert_eq!(text(3, 6).await, "生\u{1f600}是");
    assert_eq!(text(9, 12).await, "");
    let head = store.head(&new.id, &public).await.unwrap().unwrap();
    assert_eq!((head.uri.as_str(), head.chunks), ("a.md", 5));
}

#[tokio::test]
async fn vectors_of_documents_are_read_in_pieces() {
    let (_dir, store) = store().await;
    for base in ["docs", "other"] {
        store.prepare_base(base, "e5@1", "s").await.unwrap();
    }
    for (number, uri) in ["a.md", "b.md", "c.md"].into_iter().enumerate() {
        let mut new = document(uri, 1);
        new.vector = vec![number as f32, 0.25];
        store.put_document("docs", &new).await.unwrap();
    }
    let mut elsewhere = document("d.md", 1);
    elsewhere.vector = vec![9.0, 9.0];
    store.put_document("other", &elsewhere).await.unwrap();
    let mut unreadable = document("e.md", 0);
    unreadable.vector = Vec::new();
    store.put_document("docs", &unreadable).await.unwrap();

    let after = async |generation, limit| {
        let piece = store
            .document_vectors_after("docs", generation, limit)
            .await;
        piece.unwrap()
    };
    let all = after(0, 9).await;
    let values: Vec<_> = all.iter().map(|v| v.vector[0]).collect();
    assert_eq!(values, [0.0, 1.0, 2.0]);
    assert_eq!(after(0, 2).await, all[..2]);
    assert_eq!(after(all[1].generation, 2).await, all[2..]);
    assert!(after(all[2].generation, 2).await.is_empty());

    // One that is written anew is another one.
    let changed = document("a.md", 1);
    store.put_document("docs", &changed).await.unwrap();
    let came = after(all[2].generation, 9).await;
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].vector, [0.5, 0.25]);
    let mut generations = store.document_generations("docs").await.unwrap();
    generations.sort_unstable();
    assert_eq!(generations.len(), 4);
    assert!(!generations.contains(&all[0].generation));
    assert!(generations.contains(&came[0].generation));
}

fn labelled(uri: &str, labels: &[&str]) -> NewDocument {
    let mut new = document(uri, 2);
    new.labels = labels.iter().map(|l| (*l).to_owned()).collect();
    new
}

#[tokio::test]
async fn what_may_not_be_read_is_as_if_it_were_not_there() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    for new in [
        labelled("open.md", &[]),
        labelled("hr.md", &["hr", "board"]),
        labelled("board.md", &["board"]),
    ] {
        store.put_document("docs", &new).await.unwrap();
    }
    let id = |uri: &str| DocumentId::from_string(format!("d-{uri}"));
    let chunk = |uri: &str| ChunkId::from_string(format!("{uri}-0"));
    for (clearance, seen) in [
        (Clearance::Full, &["board.md", "hr.md", "open.md"][..]),
        (Clearance::of(["hr"]), &["hr.md", "open.md"]),
        (Clearance::default(), &["open.md"]),
    ] {
        let documents = store.documents("docs", &clearance).await.unwrap();
        let uris: Vec<_> = documents.iter().map(|d| d.uri.as_str()).collect();
        assert_eq!(uris, seen, "{clearance:?}");
        for uri in ["open.md", "hr.md", "board.md"] {
            let is_seen = seen.contains(&uri);
            let found = store.document(&id(uri), &clearance).await.unwrap();
            assert_eq!(found.is_some(), is_seen, "{uri} {clearance:?}");
            let found = store.head(&id(uri), &clearance).await.unwrap();
            assert_eq!(found.is_some(), is_seen, "{uri} {clearance:?}");
            let found = store.chunk(&chunk(uri), &clearance).await.unwrap();
            assert_eq!(found.is_some(), is_seen, "{uri} {clearance:?}");
            let around = store.neighbours(&chunk(uri), 1, &clearance).await.unwrap();
            assert_eq!(!around.is_empty(), is_seen, "{uri} {clearance:?}");
            let text = store.text(&id(uri), 0, 4, &clearance).await.unwrap();
            assert_eq!(text == "text", is_seen, "{uri} {clearance:?}");
        }
    }
    // Of a document's labels a caller sees its own.
    let hr = store.head(&id("hr.md"), &Clearance::of(["hr"])).await;
    assert_eq!(hr.unwrap().unwrap().labels, ["hr"]);
    assert!(store.has_labels("docs").await.unwrap());
    let mut sets = store.documents_by_labels("docs").await.unwrap();
    sets.sort();
    let sizes: Vec<_> = sets.iter().map(|(l, d)| (l.len(), d.len())).collect();
    assert_eq!(sizes, [(0, 1), (1, 1), (2, 1)]);
}

#[tokio::test]
async fn documents_are_found_by_their_values_and_change_without_their_texts() {
    let (_dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    let values = |year: f64, tags: &[&str]| -> Metadata {
        let tags = tags.iter().map(|t| (*t).to_owned()).collect();
        [
            ("date", Attribute::Date("1970-01-02".into())),
            ("draft", Attribute::Bool(year < 2025.0)),
            ("tags", Attribute::Texts(tags)),
            ("year", Attribute::Number(year)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    };
    for (uri, year, tags) in [("a.md", 2024.0, &["x", "y"][..]), ("b.md", 2026.0, &["y"])] {
        let mut new = document(uri, 1);
        new.metadata = values(year, tags);
        store.put_document("docs", &new).await.unwrap();
    }
    let with = async |key: &str, range: ValueRange| {
        let mut found = store.documents_with("docs", key, &range).await.unwrap();
        found.sort_unstable();
        found
    };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let text = |t: &str| ValueRange::Text(Included(t.into()), Included(t.into()));
    let number = |low, high| ValueRange::Number(Kind::Number, low, high);
    assert_eq!(with("tags", text("y")).await, [2, 3]);
    assert_eq!(with("tags", text("x")).await, [2]);
    assert_eq!(with("tags", ValueRange::All(Kind::Text)).await, [2, 2, 3]);
    assert_eq!(with("year", number(Excluded(2024.0), Unbounded)).await, [3]);
    assert_eq!(
        with("year", number(Unbounded, Included(2026.0))).await,
        [2, 3]
    );
    let day = ValueRange::Number(Kind::Date, Included(86_400.0), Excluded(172_800.0));
    assert_eq!(with("date", day).await, [2, 3]);
    let draft = ValueRange::Number(Kind::Bool, Included(1.0), Included(1.0));
    assert_eq!(with("draft", draft).await, [2]);
    assert_eq!(
        store.kinds_of("docs", "year").await.unwrap(),
        [Kind::Number]
    );
    assert!(store.kinds_of("docs", "nothing").await.unwrap().is_empty());
    let keys = store.keys("docs", 9).await.unwrap();
    assert_eq!(keys, ["date", "draft", "tags", "year"]);

    // What is told of a document changes, and neither its generation nor its vectors do.
    let before = store.base("docs").await.unwrap().unwrap();
    let new = NewAttributes {
        document: DocumentId::from_string("d-a.md"),
        origin: Origin {
            source: "site".into(),
            version: Some("v2".into()),
        },
        modified: 9,
        own: Metadata::new(),
        metadata: values(1999.0, &["z"]),
        labels: vec!["hr".into()],
    };
    store.set_attributes("docs", &[new]).await.unwrap();
    let after = store.base("docs").await.unwrap().unwrap();
    assert_eq!(after.generation, before.generation);
    assert!(after.revision > before.revision);
    assert_eq!(with("tags", text("z")).await, [2]);
    assert!(with("tags", text("x")).await.is_empty());
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    assert_eq!((heads[0].modified, heads[0].labels.len()), (9, 1));
    assert_eq!(heads[0].metadata, values(1999.0, &["z"]));
    assert_eq!(heads[0].origin.version.as_deref(), Some("v2"));
    let shown = serde_json::to_value(&heads[0]).unwrap();
    assert_eq!(shown["metadata"]["year"], 1999);
    assert_eq!(shown["metadata"]["tags"], json!(["z"]));

    // A document that goes takes its values along.
    let gone = [DocumentId::from_string("d-b.md")];
    store.delete_documents("docs", &gone).await.unwrap();
    assert!(with("tags", text("y")).await.is_empty());
}

#[tokio::test]
async fn one_changed_document_costs_its_own_chunks_only() {
    let (_dir, store) = store().await;
    let sql = format!("EXPLAIN QUERY PLAN {}", changes::VECTORS_AFTER);
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind("docs")
        .bind(0)
        .bind(0)
        .bind(0)
        .bind(9)
        .fetch_all(&store.pool)
        .await
        .unwrap();
    let plan = details(&rows);
    assert_eq!(plan.len(), 2, "{plan:?}");
    assert!(
        plan[0].contains("documents_by_generation") && plan[1].contains("(document=?"),
        "{plan:?}"
    );

    let sql = format!(
        "EXPLAIN QUERY PLAN {}",
        surroundings::DOCUMENT_VECTORS_AFTER
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind("docs")
        .bind(0)
        .bind(9)
        .fetch_all(&store.pool)
        .await
        .unwrap();
    let plan = details(&rows);
    assert_eq!(plan.len(), 1, "{plan:?}");
    assert!(
        plan[0].contains("documents_by_generation (base=? AND generation>?)"),
        "{plan:?}"
    );
}

/// What a plan of a query says it does.
fn details(plan: &[sqlx::sqlite::SqliteRow]) -> Vec<String> {
    plan.iter()
        .map(|row| sqlx::Row::try_get(row, "detail").unwrap())
        .collect()
}

#[tokio::test]
async fn a_caller_sees_the_traces_of_its_own_calls() {
    let (_dir, store) = store().await;
    let hr = |labels: &[&str]| Caller {
        name: Some("hr".into()),
        clearance: Clearance::of(labels.iter().copied()),
    };
    let (own, other) = (TraceId::generate(), TraceId::generate());
    let mut root = span(&own, None, 1);
    root.caller = Some(hr(&["hr"]));
    let child = span(&own, Some(&root.span_id), 1);
    put_spans(&store, [child, root.clone(), span(&other, None, 1)]).await;
    for (reader, listed, sees_own, sees_other) in [
        (Caller::full(), 2, 2, 1),
        (hr(&["hr"]), 1, 2, 0),
        (hr(&["hr", "board"]), 0, 0, 0),
        (Caller::default(), 0, 0, 0),
    ] {
        let traces = store.traces(9, &reader).await.unwrap();
        assert_eq!(traces.len(), listed, "{reader:?}");
        let of = async |trace: &TraceId| {
            let spans = store.spans_of(trace.as_str(), &reader).await.unwrap();
            spans.len()
        };
        assert_eq!(of(&own).await, sees_own, "{reader:?}");
        assert_eq!(of(&other).await, sees_other, "{reader:?}");
    }
    let seen = store.traces(9, &hr(&["hr"])).await.unwrap();
    assert_eq!(seen[0].caller, root.caller);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("praxis.db");
    std::fs::write(&path, "no database".repeat(1000)).unwrap();
    let told = Store::open(&path).await.unwrap_err().to_string();
    assert!(told.contains("from a backup"), "{told}");
}
