//! A base while it is ingested: what is found of it, who waits for whom, and what an embedder that refuses or fails
//! leaves. Vectors are counts of words, as slow and as strict as a test wants them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/counts.rs"]
mod counts;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use counts::Counts;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, CallError, ChunkId, Clearance, Embedder, ErrorCode, ModelError, Query, Retriever,
};
use praxis_knowledge::{BaseConfig, IngestEvent, IngestReport, Knowledge};
use praxis_store::{DocumentHead, NewDocument, Store};

/// Chunks that are too small to be joined, so that a document has as many as it has paragraphs.
const SMALL: &str = "[segment]\nmax_tokens = 16\nmin_tokens = 4\n";

/// Paragraphs of a document, more than are embedded in one call: each document is two.
const PARAGRAPHS: usize = 70;

/// An embedder of words that is slow, stops, refuses texts with a word, or fails, as it is told to.
#[derive(Default)]
struct Moody {
    /// Milliseconds that a call takes.
    pause: AtomicU64,
    /// Calls so far.
    calls: AtomicUsize,
    /// The call from which on all wait until this is 0.
    stops_at: AtomicUsize,
    /// The call from which on it is down, unless this is 0.
    fails_at: AtomicUsize,
    /// Texts with this word are refused; those with any, where it is empty.
    refuses: Mutex<Option<String>>,
}

impl Moody {
    fn refuse(&self, word: Option<&str>) {
        *self.refuses.lock().unwrap() = word.map(str::to_owned);
    }

    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for Moody {
    fn identity(&self) -> String {
        Counts.identity()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Counts.dimension().await
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Counts.max_tokens().await
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        if kind == EmbedKind::Passage {
            let call = 1 + self.calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(self.pause.load(Ordering::SeqCst))).await;
            let from = |at: &AtomicUsize| (1..=call).contains(&at.load(Ordering::SeqCst));
            while from(&self.stops_at) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if from(&self.fails_at) {
                return Err(ModelError::Unavailable("it is down".to_owned()));
            }
            let refused = self.refuses.lock().unwrap().clone();
            if refused.is_some_and(|word| texts.iter().any(|text| text.contains(&word))) {
                let reason = "input must have less than 512 tokens, given: 517";
                return Err(ModelError::InvalidRequest(reason.to_owned()));
            }
        }
        Counts.embed(kind, texts).await
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Counts.token_counter().await
    }
}

/// The base of a folder, as each process opens it for itself.
async fn opened(dir: &Path, toml: &str, embedder: &Arc<Moody>) -> Knowledge {
    let config: BaseConfig = toml::from_str(toml).unwrap();
    assert_eq!(config.problems(), []);
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let embedder = Arc::clone(embedder);
    Knowledge::open(
        dir.join("state"),
        store,
        vec![("docs".to_owned(), dir.join("knowledge"), config)],
        Arc::new(move |_| Ok(Arc::clone(&embedder) as Arc<dyn Embedder>)),
    )
}

fn write(dir: &Path, uri: &str, text: &str) {
    std::fs::create_dir_all(dir.join("knowledge")).unwrap();
    std::fs::write(dir.join("knowledge").join(uri), text).unwrap();
}

/// A document of many chunks, each with a word that no other document has, and with this one.
fn write_long(dir: &Path, name: &str, word: &str) {
    let paragraph = |i: usize| {
        format!("Paragraph {i} of the mark{name} is {word} all of the others here, it seems.\n\n")
    };
    let text: String = (0..PARAGRAPHS).map(paragraph).collect();
    write(dir, &format!("{name}.md"), &text);
}

fn cx() -> CallContext {
    CallContext::new(Arc::new(NoTrace))
}

async fn ingested(knowledge: &Knowledge) -> Result<IngestReport, CallError> {
    knowledge.ingest("docs", &|_| {}, &cx()).await
}

/// Texts of the passages of one document that its own word finds.
async fn texts(knowledge: &Knowledge, name: &str) -> Vec<String> {
    let query = Query::new(format!("mark{name}"), 5);
    let found = knowledge.search("docs", &query, &cx()).await.unwrap();
    let uri = format!("{name}.md");
    let own = found.passages.into_iter().filter(|p| p.uri == uri);
    own.map(|p| p.text).collect()
}

/// Whether a document is found in this form.
async fn is(knowledge: &Knowledge, name: &str, word: &str) -> bool {
    let texts = texts(knowledge, name).await;
    !texts.is_empty() && texts.iter().all(|text| text.contains(word))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_document_is_found_in_its_old_or_its_new_form_while_an_ingest_runs() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..10).map(|n| format!("doc{n}")).collect();
    for name in &names {
        write_long(dir.path(), name, "before");
    }
    write_long(dir.path(), "gone", "before");
    let embedder = Arc::new(Moody::default());
    let ingesting = opened(dir.path(), SMALL, &embedder).await;
    ingested(&ingesting).await.unwrap();
    // As a server beside it has the base.
    let server = opened(dir.path(), SMALL, &embedder).await;
    assert!(is(&server, "doc0", "before").await && is(&server, "gone", "before").await);

    for name in &names {
        write_long(dir.path(), name, "after");
    }
    // The first in their order.
    write_long(dir.path(), "added", "after");
    std::fs::remove_file(dir.path().join("knowledge/gone.md")).unwrap();
    embedder.calls();
    embedder.pause.store(150, Ordering::SeqCst);
    // Within the eighth document, two seconds after the first was begun: a step comes after one.
    embedder.stops_at.store(16, Ordering::SeqCst);
    let ingest = tokio::spawn(async move { ingested(&ingesting).await });
    for round in 0.. {
        for name in &names {
            let texts = texts(&server, name).await;
            assert!(!texts.is_empty(), "{name} is lost in round {round}");
        }
        let is_seen = is(&server, "added", "after").await && is(&server, "doc0", "after").await;
        if is_seen && !ingest.is_finished() {
            break;
        }
        assert!(!ingest.is_finished(), "nothing was seen before the end");
        assert!(round < 2000, "nothing of what was committed is found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(texts(&server, "gone").await.is_empty());
    assert!(is(&server, "doc9", "before").await);
    // What is under way is not missing.
    let report = server.check("docs").await.unwrap();
    assert!(report.is_clean(), "{report}");

    embedder.stops_at.store(0, Ordering::SeqCst);
    embedder.pause.store(0, Ordering::SeqCst);
    while !ingest.is_finished() {
        for name in &names {
            assert!(!texts(&server, name).await.is_empty(), "{name} is lost");
        }
    }
    let report = ingest.await.unwrap().unwrap();
    assert_eq!(
        (report.added, report.updated, report.removed),
        (1, 10, 1),
        "{report:?}"
    );
    for name in &names {
        assert!(is(&server, name, "after").await, "{name}");
    }
    assert!(server.check("docs").await.unwrap().is_clean());
}

/// The file of a lock, locked as another process would.
fn locked(dir: &Path, name: &str) -> File {
    let lock = File::create(dir.join("state/index").join(format!("{name}.lock"))).unwrap();
    lock.try_lock().unwrap();
    lock
}

/// Replaces the text of a document of one chunk in the store alone, as an ingest does before it indexes.
async fn replaced_in_store(dir: &Path, uri: &str, text: &str) {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    let head = heads.into_iter().find(|head| head.uri == uri).unwrap();
    let before = store.document(&head.id, &Clearance::Full).await.unwrap();
    let mut chunk = before.unwrap().chunks.remove(0);
    let vectors = Counts.embed(EmbedKind::Passage, vec![text.to_owned()]);
    chunk.id = ChunkId::from_string(format!("new-{uri}"));
    chunk.vector = vectors.await.unwrap().remove(0);
    text.clone_into(&mut chunk.text);
    (chunk.start, chunk.end) = (0, text.chars().count());
    let document = NewDocument {
        id: head.id,
        uri: head.uri,
        origin: head.origin,
        title: head.title,
        text: text.to_owned(),
        hash: head.hash,
        size: head.size,
        modified: head.modified,
        error: None,
        hint: None,
        vector: chunk.vector.clone(),
        own: head.own.unwrap_or_default(),
        metadata: head.metadata,
        labels: head.labels,
        settings: head.settings,
        chunks: vec![chunk],
    };
    store.put_document("docs", &document).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_between_the_store_and_the_indexes_waits_for_these() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    write(dir.path(), "otter.md", "The otter slides into the river.");
    let embedder = Arc::new(Moody::default());
    let server = opened(dir.path(), "", &embedder).await;
    ingested(&server).await.unwrap();
    let found = async |knowledge: &Knowledge, text: &str| {
        let query = Query::new(text, 1);
        let found = knowledge.search("docs", &query, &cx()).await.unwrap();
        found.passages.into_iter().next().unwrap()
    };
    assert_eq!(found(&server, "heron stands").await.uri, "heron.md");

    // An ingest has written a document, and not indexed it: the passage that the indexes know is gone.
    let lock = locked(dir.path(), "docs");
    replaced_in_store(dir.path(), "heron.md", "The heron stands on one leg.").await;
    let after = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        drop(lock);
    });
    let heron = found(&server, "heron stands").await;
    assert!(
        heron.uri == "heron.md" && heron.text.contains("one leg"),
        "{heron:?}"
    );
    after.await.unwrap();

    let lock = locked(dir.path(), "docs");
    replaced_in_store(dir.path(), "otter.md", "The otter sleeps.").await;
    let waited = AtomicBool::new(false);
    let lock = Mutex::new(Some(lock));
    let waiting = || {
        waited.store(true, Ordering::SeqCst);
        drop(lock.lock().unwrap().take());
    };
    let report = server.check_telling("docs", &waiting).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(waited.load(Ordering::SeqCst), "nobody was told of the wait");
}

#[tokio::test]
async fn an_ingest_that_waits_for_another_one_says_so() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    let knowledge = opened(dir.path(), "", &Arc::default()).await;
    std::fs::create_dir_all(dir.path().join("state/index")).unwrap();
    for name in ["docs.ingest", "docs"] {
        let lock = Mutex::new(Some(locked(dir.path(), name)));
        let waited = AtomicUsize::new(0);
        let progress = |event: IngestEvent| {
            if event == IngestEvent::Waiting {
                waited.fetch_add(1, Ordering::SeqCst);
                drop(lock.lock().unwrap().take());
            }
        };
        let report = knowledge.ingest("docs", &progress, &cx()).await.unwrap();
        assert_eq!(waited.load(Ordering::SeqCst), 1, "{name}");
        assert_eq!(report.added + report.unchanged, 1, "{report:?}");
    }
}

/// A base of many small documents.
fn fill(dir: &Path) {
    for number in 0..70 {
        let text = format!("# N{number}\n\nWord{number} of a text that is long enough.\n");
        write(dir, &format!("{number:02}.md"), &text);
    }
}

#[tokio::test]
async fn a_text_that_the_embedder_refuses_is_named_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    write(dir.path(), "35a.md", "# Odd\n\nA dense text.\n");
    let embedder = Arc::new(Moody::default());
    embedder.refuse(Some("dense"));
    let knowledge = opened(dir.path(), "", &embedder).await;
    let report = ingested(&knowledge).await.unwrap();
    assert_eq!((report.added, report.failed.len()), (70, 1), "{report:?}");
    let failed = &report.failed[0];
    assert_eq!(failed.uri, "35a.md");
    for part in ["refuses", "A dense text", "given: 517"] {
        assert!(failed.reason.contains(part), "{part}: {failed:?}");
    }
    assert!(failed.hint.as_ref().unwrap().contains("max_tokens"));
    assert!(knowledge.check("docs").await.unwrap().is_clean());
    let heads = knowledge.documents("docs", &Clearance::Full).await.unwrap();
    let odd = heads.iter().find(|head| head.uri == "35a.md").unwrap();
    assert!(odd.chunks == 0 && odd.error.is_some(), "{odd:?}");

    // Who looks at a source because a file was saved does not ask again, and tells it.
    embedder.calls();
    let folder: BTreeSet<String> = [String::new()].into();
    let saved = knowledge
        .ingest_sources("docs", Some(&folder), &|_| {}, &cx())
        .await
        .unwrap();
    assert_eq!((saved.unchanged, &saved.failed), (70, &report.failed));
    assert_eq!(embedder.calls(), 0);
    // Who ingests all does, and what is as it was is not written again.
    let stored = async || {
        let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
        store.base("docs").await.unwrap().unwrap().generation
    };
    let before = stored().await;
    let again = ingested(&knowledge).await.unwrap();
    assert_eq!((again.unchanged, &again.failed), (70, &report.failed));
    assert!(embedder.calls() > 0);
    assert_eq!(stored().await, before);
    embedder.refuse(None);
    let mended = ingested(&knowledge).await.unwrap();
    assert_eq!((mended.added, mended.failed.len()), (1, 0), "{mended:?}");
}

/// Has the store's documents as an older version of Praxis left them; one of them with a text that was refused when the
/// base moved.
async fn outdate(dir: &Path, refused: &str) {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    let older = |head: &DocumentHead| -> String {
        let mut settings: serde_json::Value = serde_json::from_str(&head.settings).unwrap();
        settings["revision"] = 1.into();
        if head.uri == refused {
            settings["refused"] = true.into();
        }
        settings.to_string()
    };
    let older: Vec<_> = heads
        .iter()
        .map(|head| (head.id.clone(), older(head)))
        .collect();
    store.set_settings("docs", &older).await.unwrap();
}

#[tokio::test]
async fn what_an_older_version_read_is_read_again_and_embedded_where_it_differs() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "rooms.csv", "Room,May\nSmall,40\nLarge,65\n");
    write(
        dir.path(),
        "hours.md",
        "# Hours\n\nThe library opens at nine.\n",
    );
    write(dir.path(), "otter.md", "# Otter\n\nThe otter sleeps.\n");
    let embedder = Arc::new(Moody::default());
    let knowledge = opened(dir.path(), "", &embedder).await;
    ingested(&knowledge).await.unwrap();
    assert_eq!(knowledge.check("docs").await.unwrap().outdated, 0);

    replaced_in_store(dir.path(), "rooms.csv", "Room: Small; May: 40").await;
    outdate(dir.path(), "otter.md").await;
    let checked = knowledge.check("docs").await.unwrap();
    assert!(checked.is_clean() && checked.outdated == 3, "{checked}");
    assert!(checked.to_string().contains("older version"), "{checked}");
    // What comes out the same has its vectors: it is not asked for, or it would be refused.
    embedder.refuse(Some("opens at nine"));
    let report = ingested(&knowledge).await.unwrap();
    assert_eq!(
        (report.outdated, report.updated, report.unchanged),
        (3, 2, 1),
        "{report:?}"
    );
    let query = Query::new("small room in may", 1);
    let found = knowledge.search("docs", &query, &cx()).await.unwrap();
    let rooms = &found.passages[0];
    assert!(
        rooms.uri == "rooms.csv" && rooms.text.contains("| Small | 40 |"),
        "{rooms:?}"
    );
    let checked = knowledge.check("docs").await.unwrap();
    assert!(checked.is_clean() && checked.outdated == 0, "{checked}");
    let again = ingested(&knowledge).await.unwrap();
    assert_eq!((again.outdated, again.unchanged), (0, 3), "{again:?}");
}

#[tokio::test]
async fn a_pointer_of_git_lfs_is_refused_until_its_file_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "4d7a".repeat(16)
    );
    write(dir.path(), "notes.md", &pointer);
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    let knowledge = opened(dir.path(), "", &Arc::default()).await;
    let report = ingested(&knowledge).await.unwrap();
    assert_eq!((report.added, report.failed.len()), (1, 1), "{report:?}");
    let failed = &report.failed[0];
    assert!(
        failed.uri == "notes.md" && failed.reason.contains("pointer of Git LFS"),
        "{failed:?}"
    );
    assert!(failed.hint.as_ref().unwrap().contains("git lfs pull"));

    // As a version before took its lines for a text.
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    let [heron, notes] = &heads[..] else {
        unreachable!("{heads:?}")
    };
    let stored = store.document(&heron.id, &Clearance::Full).await.unwrap();
    let mut chunk = stored.unwrap().chunks.remove(0);
    let vectors = Counts.embed(EmbedKind::Passage, vec![pointer.clone()]);
    chunk.id = ChunkId::from_string("pointer");
    chunk.vector = vectors.await.unwrap().remove(0);
    pointer.clone_into(&mut chunk.text);
    let read = NewDocument {
        id: notes.id.clone(),
        uri: notes.uri.clone(),
        origin: notes.origin.clone(),
        title: "notes".to_owned(),
        text: pointer.clone(),
        hash: notes.hash.clone(),
        size: notes.size,
        modified: notes.modified,
        error: None,
        hint: None,
        vector: chunk.vector.clone(),
        own: notes.own.clone().unwrap_or_default(),
        metadata: notes.metadata.clone(),
        labels: Vec::new(),
        settings: "of before".to_owned(),
        chunks: vec![chunk],
    };
    store.put_document("docs", &read).await.unwrap();
    assert_eq!(ingested(&knowledge).await.unwrap().failed.len(), 1);
    let heads = store.documents("docs", &Clearance::Full).await.unwrap();
    assert!(
        heads[1].chunks == 0 && heads[1].error.is_some(),
        "{heads:?}"
    );

    write(dir.path(), "notes.md", "The otter slides into the river.");
    let report = ingested(&knowledge).await.unwrap();
    assert_eq!((report.added, report.failed.len()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn what_is_refused_when_all_is_cut_anew_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let embedder = Arc::new(Moody::default());
    ingested(&opened(dir.path(), "", &embedder).await)
        .await
        .unwrap();
    embedder.refuse(Some("Word35 "));
    let knowledge = opened(dir.path(), "[segment]\nmax_tokens = 64\n", &embedder).await;
    let report = ingested(&knowledge).await.unwrap();
    assert_eq!((report.updated, report.failed.len()), (69, 1), "{report:?}");
    assert_eq!(report.failed[0].uri, "35.md");
    let query = Query::new("Word35", 1);
    let found = knowledge.search("docs", &query, &cx()).await.unwrap();
    assert_eq!(found.passages[0].uri, "35.md");
    // Its new text is not what was read before: nothing of that is shown as the document's.
    write(dir.path(), "35.md", "# N35\n\nWord35 of another text.\n");
    assert_eq!(ingested(&knowledge).await.unwrap().failed.len(), 1);
    let found = knowledge.search("docs", &query, &cx()).await.unwrap();
    assert!(found.passages.iter().all(|p| p.uri != "35.md"));
}

#[tokio::test]
async fn an_embedder_that_refuses_all_or_is_down_ends_an_ingest_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let embedder = Arc::new(Moody::default());
    let knowledge = opened(dir.path(), "", &embedder).await;
    embedder.refuse(Some(""));
    let refused = ingested(&knowledge).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    assert!(refused.message.starts_with("`00.md`: "), "{refused:?}");
    assert!(refused.hint.unwrap().contains("every text"));
    let documents = async || {
        let heads = knowledge.documents("docs", &Clearance::Full).await;
        heads.unwrap()
    };
    assert_eq!(documents().await.len(), 0, "no document is to blame");

    embedder.refuse(None);
    embedder.calls();
    embedder.fails_at.store(2, Ordering::SeqCst);
    let down = ingested(&knowledge).await.unwrap_err();
    assert_eq!(down.code, ErrorCode::Upstream);
    assert!(down.message.contains(".md` and "), "{down:?}");
    let kept = documents().await.len();
    assert!((1..70).contains(&kept), "{kept}");
    assert!(knowledge.check("docs").await.unwrap().is_clean());
    embedder.fails_at.store(0, Ordering::SeqCst);
    let report = ingested(&knowledge).await.unwrap();
    assert_eq!((report.added, report.unchanged), (70 - kept, kept));
}

#[tokio::test]
async fn who_may_no_longer_read_a_document_does_not_find_it_until_it_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    let embedder = Arc::new(Moody::default());
    let open = opened(dir.path(), "", &embedder).await;
    ingested(&open).await.unwrap();
    let listed = async |knowledge: &Knowledge, clearance: Clearance| {
        let heads = knowledge.documents("docs", &clearance).await;
        heads.unwrap().len()
    };
    assert_eq!(listed(&open, Clearance::default()).await, 1);

    // Its file and who may read it change, and it cannot be embedded.
    write(dir.path(), "heron.md", "The heron stands on one leg.");
    let rule = "[[metadata]]\nmatch = \"heron.md\"\nlabels = [\"hr\"]\n";
    let closed = opened(dir.path(), rule, &embedder).await;
    embedder.fails_at.store(1, Ordering::SeqCst);
    ingested(&closed).await.unwrap_err();
    assert_eq!(listed(&closed, Clearance::default()).await, 0);
    assert_eq!(listed(&closed, Clearance::of(["hr"])).await, 1);
    embedder.fails_at.store(0, Ordering::SeqCst);
    assert_eq!(ingested(&closed).await.unwrap().updated, 1);

    // What it will be is for all, and what it was is not.
    write(dir.path(), "heron.md", "The heron.");
    embedder.fails_at.store(1, Ordering::SeqCst);
    ingested(&open).await.unwrap_err();
    assert_eq!(listed(&open, Clearance::default()).await, 0);
    embedder.fails_at.store(0, Ordering::SeqCst);
    assert_eq!(ingested(&open).await.unwrap().updated, 1);
    assert_eq!(listed(&open, Clearance::default()).await, 1);
}
