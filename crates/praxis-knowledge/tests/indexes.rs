//! The indexes of a base, whatever happened to their files: merged, damaged, ahead of the store, in use.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/counts.rs"]
mod counts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counts::Counts;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Embedder, ModelError, Query, Retriever};
use praxis_knowledge::{BaseConfig, Knowledge, SearchConfig, SegmentConfig};
use praxis_store::{Place, Store};
use praxis_vectors::{Index, Options};

/// Chunks of a document, one for each paragraph.
const PARAGRAPHS: usize = 30;
/// Documents of a base with more chunks than an index leaves unmerged.
const MANY: usize = 80;

/// The embedder of the other tests, but that some texts tell nothing to it.
struct Blanks;

#[async_trait]
impl Embedder for Blanks {
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
        let is_passage = matches!(kind, EmbedKind::Passage);
        let is_blank = |text: &String| is_passage && text.contains("unspeakable");
        let blank: Vec<bool> = texts.iter().map(is_blank).collect();
        let mut vectors = Counts.embed(kind, texts).await?;
        for (vector, _) in vectors.iter_mut().zip(blank).filter(|(_, blank)| *blank) {
            vector.fill(0.0);
        }
        Ok(vectors)
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Counts.token_counter().await
    }
}

async fn store(dir: &Path) -> Store {
    Store::open(&dir.join("praxis.db")).await.unwrap()
}

/// The base of a folder, as each process opens it for itself.
async fn opened(dir: &Path) -> Knowledge {
    opened_with(dir, SearchConfig::default().keyword_weight).await
}

async fn opened_with(dir: &Path, keyword_weight: f32) -> Knowledge {
    let config = BaseConfig {
        search: SearchConfig {
            keyword_weight,
            feedback: 0.0,
            ..SearchConfig::default()
        },
        segment: SegmentConfig {
            max_tokens: 16,
            min_tokens: 4,
            ..SegmentConfig::default()
        },
        ..BaseConfig::default()
    };
    std::fs::create_dir_all(dir.join("knowledge")).unwrap();
    Knowledge::open(
        dir.join("state"),
        store(dir).await,
        vec![("docs".to_owned(), dir.join("knowledge"), config)],
        Arc::new(|_| Ok(Arc::new(Blanks) as Arc<dyn Embedder>)),
    )
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(dir.join("knowledge")).unwrap();
    std::fs::write(dir.join("knowledge").join(name), text).unwrap();
}

/// A document of many chunks.
fn write_long(dir: &Path, number: usize) {
    let paragraph = |i: usize| {
        format!(
            "Paragraph p{i} of volume v{number} tells of w{} and x{}, and no more.\n\n",
            i * 7,
            number * i
        )
    };
    let text: String = (0..PARAGRAPHS).map(paragraph).collect();
    write(dir, &format!("{number}.md"), &text);
}

async fn ingest(knowledge: &Knowledge) -> usize {
    let cx = CallContext::new(Arc::new(NoTrace));
    let report = knowledge.ingest("docs", &|_| {}, &cx).await;
    report.unwrap().chunks
}

async fn found(knowledge: &Knowledge, query: &str, limit: usize) -> Vec<String> {
    let cx = CallContext::new(Arc::new(NoTrace));
    let found = knowledge
        .search("docs", &Query::new(query, limit), &cx)
        .await;
    found.unwrap().passages.into_iter().map(|p| p.uri).collect()
}

/// URIs of the documents that are found, best first.
async fn documents(knowledge: &Knowledge, query: &str, limit: usize) -> Vec<String> {
    let cx = CallContext::new(Arc::new(NoTrace));
    let query = Query::new(query, limit);
    let found = knowledge.search_documents("docs", &query, &cx).await;
    found
        .unwrap()
        .documents
        .into_iter()
        .map(|d| d.uri)
        .collect()
}

/// The files of the index of chunks' vectors with this ending.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    files_of(dir, "vectors", ending)
}

/// The folder of the index of documents' vectors.
fn folder_of_documents(dir: &Path) -> PathBuf {
    let logs = files_of(dir, "document-vectors", "log");
    logs[0].parent().unwrap().to_owned()
}

/// The files with this ending of the index of vectors of a kind.
fn files_of(dir: &Path, kind: &str, ending: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(dir.join("state/index/docs").join(kind)).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == ending));
    files
}

fn size(files: &[PathBuf]) -> u64 {
    files
        .iter()
        .map(|f| std::fs::metadata(f).unwrap().len())
        .sum()
}

/// A base of so many chunks that its vectors are merged; the process that made it is gone.
async fn large(dir: &Path) -> usize {
    (0..MANY).for_each(|number| write_long(dir, number));
    let knowledge = opened(dir).await;
    let chunks = ingest(&knowledge).await;
    assert!(chunks > 2048, "{chunks} chunks");
    chunks
}

#[tokio::test]
async fn an_ingest_and_a_rebuild_return_when_the_vectors_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let chunks = large(dir.path()).await;
    assert_eq!(files(dir.path(), "codes").len(), 1);
    let log = size(&files(dir.path(), "log"));
    assert!(log < 1000, "{log} bytes of log");
    let knowledge = opened(dir.path()).await;
    let report = knowledge.rebuild("docs").await.unwrap();
    assert!(
        report.chunks == chunks && !report.vectors_elsewhere,
        "{report:?}"
    );
    assert_eq!(files(dir.path(), "codes").len(), 1);
    let report = knowledge.check("docs").await.unwrap();
    assert!(report.is_clean() && !report.vectors_elsewhere, "{report}");
}

#[tokio::test]
async fn a_rebuild_beside_a_server_leaves_the_vectors_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    write(dir.path(), "otter.md", "The otter slides into the river.");
    let server = opened(dir.path()).await;
    let chunks = ingest(&server).await;
    assert_eq!(found(&server, "the heron stands", 1).await, ["heron.md"]);
    let vectors = || std::fs::read(&files(dir.path(), "log")[0]).unwrap();
    let before = vectors();

    let other = opened(dir.path()).await;
    let report = other.rebuild("docs").await.unwrap();
    assert!(
        report.chunks == chunks && report.vectors_elsewhere,
        "{report:?}"
    );
    assert_eq!(vectors(), before);
    for process in [&server, &other] {
        assert_eq!(found(process, "the otter slides", 1).await, ["otter.md"]);
    }
    drop((server, other));

    let report = opened(dir.path()).await.rebuild("docs").await.unwrap();
    assert!(
        report.chunks == chunks && !report.vectors_elsewhere,
        "{report:?}"
    );
}

#[tokio::test]
async fn what_an_earlier_process_left_unmerged_is_merged_by_the_first_search() {
    let dir = tempfile::tempdir().unwrap();
    large(dir.path()).await;
    // The same vectors, as a process leaves them that ends before it merges.
    let folder = files(dir.path(), "log")[0].parent().unwrap().to_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    let never = Options {
        seal: usize::MAX,
        full: usize::MAX,
    };
    let store = store(dir.path()).await;
    let generation = store.base("docs").await.unwrap().unwrap().generation;
    let all = store.vectors_after("docs", Place::after(0), 100_000).await;
    let index = Index::open_with(&folder, 64, never).unwrap();
    for found in all.unwrap() {
        index
            .insert([(found.number, found.vector.as_slice())])
            .unwrap();
    }
    index.commit(u64::try_from(generation).unwrap()).unwrap();
    drop(index);
    assert_eq!(files(dir.path(), "codes").len(), 0);

    let server = opened(dir.path()).await;
    assert!(!found(&server, "volume v3", 3).await.is_empty());
    for _ in 0..600 {
        if files(dir.path(), "codes").len() == 1 && size(&files(dir.path(), "log")) < 1000 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was not merged");
}

#[tokio::test]
async fn a_lost_file_of_an_index_is_made_anew() {
    for (kind, ending) in [
        ("vectors", "codes"),
        ("vectors", "vectors"),
        ("vectors", "log"),
        ("document-vectors", "log"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        large(dir.path()).await;
        let lost = files_of(dir.path(), kind, ending);
        std::fs::remove_file(&lost[0]).unwrap();
        let knowledge = opened(dir.path()).await;
        assert_eq!(found(&knowledge, "volume v3", 3).await.len(), 3, "{ending}");
        let report = knowledge.check("docs").await.unwrap();
        assert!(
            report.is_clean() && !report.vectors_elsewhere,
            "{kind}, {ending}: {report}"
        );
    }
}

#[tokio::test]
async fn a_changed_byte_of_a_log_makes_an_index_anew() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path()).await;
    for kind in ["vectors", "document-vectors"] {
        let log = files_of(dir.path(), kind, "log")[0].clone();
        let mut bytes = std::fs::read(&log).unwrap();
        // In the first of its vectors: all later ones are read no more.
        bytes[40] ^= 1;
        std::fs::write(&log, bytes).unwrap();
        assert_three_are_found(dir.path()).await;
    }
}

/// The files of an index of keywords.
fn files_of_keywords(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("state/index/docs").join(kind)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind != "lock"));
    files.sort();
    files
}

#[tokio::test]
async fn an_index_of_keywords_whose_files_are_lost_or_cut_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    for (uri, text, _) in THREE {
        write(dir.path(), uri, text);
    }
    ingest(&opened_with(dir.path(), 1.0).await).await;
    for kind in ["keyword", "documents"] {
        for at in 0..files_of_keywords(dir.path(), kind).len() {
            for is_lost in [true, false] {
                // Made anew, they have other names.
                let file = files_of_keywords(dir.path(), kind)[at].clone();
                if is_lost {
                    std::fs::remove_file(&file).unwrap();
                } else {
                    let bytes = std::fs::read(&file).unwrap();
                    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
                }
                let knowledge = opened_with(dir.path(), 1.0).await;
                for (uri, _, question) in THREE {
                    assert_eq!(found(&knowledge, question, 1).await, [uri], "{file:?}");
                }
                let report = knowledge.check("docs").await.unwrap();
                assert!(report.is_clean(), "{file:?}: {report}");
            }
        }
    }
}

#[tokio::test]
async fn a_check_tells_of_a_changed_byte_in_keywords_and_a_rebuild_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path()).await;
    let files = files_of_keywords(dir.path(), "documents");
    let is_store = |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "store");
    let file = files.iter().find(is_store).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(file, bytes).unwrap();
    let knowledge = opened_with(dir.path(), 0.0).await;
    let report = knowledge.check("docs").await.unwrap();
    assert!(!report.is_clean(), "{report}");
    assert!(
        report.to_string().contains("not what was written"),
        "{report}"
    );
    knowledge.rebuild("docs").await.unwrap();
    drop(knowledge);
    assert_three_are_found(dir.path()).await;
}

#[tokio::test]
async fn an_ingest_that_meets_a_damaged_index_of_keywords_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path()).await;
    for kind in ["keyword", "documents"] {
        let files = files_of_keywords(dir.path(), kind);
        let is_terms = |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "term");
        std::fs::remove_file(files.iter().find(is_terms).unwrap()).unwrap();
    }
    write(dir.path(), "newt.md", "The newt hides under a stone.");
    let knowledge = opened_with(dir.path(), 1.0).await;
    ingest(&knowledge).await;
    assert_eq!(found(&knowledge, "the newt hides", 1).await, ["newt.md"]);
    assert_eq!(found(&knowledge, "the otter slides", 1).await, ["otter.md"]);
    let report = knowledge.check("docs").await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_process_that_only_ingests_leaves_the_vectors_to_a_server() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    // As `praxis ingest --watch` stays, and began first.
    let watching = opened(dir.path()).await;
    ingest(&watching).await;
    let server = opened(dir.path()).await;
    assert_eq!(found(&server, "the heron stands", 1).await, ["heron.md"]);
    for (uri, text, question) in &THREE[1..] {
        write(dir.path(), uri, text);
        ingest(&watching).await;
        assert_eq!(found(&server, question, 1).await, [*uri]);
        let report = server.check("docs").await.unwrap();
        assert!(report.is_clean() && !report.vectors_elsewhere, "{report}");
    }
}

/// The files that this process has open, where the system tells.
const OPEN: &str = "/proc/self/fd";

/// Whether this process has files of the store in a folder open.
fn is_open(dir: &Path) -> bool {
    let dir = dir.canonicalize().unwrap();
    let files = std::fs::read_dir(OPEN).unwrap();
    // One that is closed meanwhile is none.
    let mut files = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    files.any(|file| {
        let name = file.file_name().and_then(|name| name.to_str());
        file.starts_with(&dir) && name.is_some_and(|name| name.starts_with("praxis.db"))
    })
}

/// Waits until the store in a folder is closed: connections that were given up are closed by threads of their own. That
/// its log is gone would not tell: it stays where two connections are closed at a time.
async fn is_closed(dir: &Path) {
    let began = Instant::now();
    while is_open(dir) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "a connection to the store in `{}` stays open",
            dir.display()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Copies the store, which nobody uses.
async fn copy_store(from: &Path, to: &Path) {
    if Path::new(OPEN).exists() {
        is_closed(from).await;
        is_closed(to).await;
    } else {
        // Nothing tells: as long as it takes on a machine that is not busy.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for file in ["praxis.db", "praxis.db-wal", "praxis.db-shm"] {
        let _ = std::fs::remove_file(to.join(file));
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
}

#[tokio::test]
async fn indexes_that_are_ahead_of_a_store_that_was_put_back_are_made_anew() {
    for ingest_first in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let backup = tempfile::tempdir().unwrap();
        write(dir.path(), "heron.md", "The heron stands in the reeds.");
        ingest(&opened(dir.path()).await).await;
        copy_store(dir.path(), backup.path()).await;
        write(dir.path(), "otter.md", "The otter slides into the river.");
        write(dir.path(), "lynx.md", "The lynx walks in the snow.");
        ingest(&opened(dir.path()).await).await;

        copy_store(backup.path(), dir.path()).await;
        std::fs::remove_file(dir.path().join("knowledge/otter.md")).unwrap();
        std::fs::remove_file(dir.path().join("knowledge/lynx.md")).unwrap();
        let knowledge = opened(dir.path()).await;
        if ingest_first {
            // The generations, and the numbers of chunks, that others had.
            write(dir.path(), "lynx.md", "The kite circles above the hill.");
            write(dir.path(), "otter.md", "The newt hides under a stone.");
            ingest(&knowledge).await;
            assert_eq!(found(&knowledge, "the kite circles", 3).await[0], "lynx.md");
            assert_eq!(found(&knowledge, "the newt hides", 3).await[0], "otter.md");
        } else {
            assert_eq!(found(&knowledge, "the otter slides", 3).await, ["heron.md"]);
        }
        let report = knowledge.check("docs").await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

#[tokio::test]
async fn indexes_of_another_store_are_made_anew() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(dir.path(), "heron.md", "The heron stands in the reeds.");
    ingest(&opened(dir.path()).await).await;
    // The generations of the one, and more.
    write(other.path(), "kite.md", "The kite circles above the hill.");
    write(other.path(), "newt.md", "The newt hides under a stone.");
    ingest(&opened(other.path()).await).await;
    copy_store(other.path(), dir.path()).await;
    let knowledge = opened(dir.path()).await;
    assert_eq!(found(&knowledge, "the kite circles", 3).await[0], "kite.md");
    assert_eq!(found(&knowledge, "the newt hides", 3).await[0], "newt.md");
    let report = knowledge.check("docs").await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_check_looks_at_the_files_and_says_where_it_cannot() {
    let dir = tempfile::tempdir().unwrap();
    large(dir.path()).await;
    write(dir.path(), "blank.md", "The unspeakable.");
    let server = opened(dir.path()).await;
    ingest(&server).await;
    // What has no direction is found by its words, and not missing.
    assert_eq!(found(&server, "unspeakable", 1).await, ["blank.md"]);
    let report = server.check("docs").await.unwrap();
    assert!(report.is_clean() && !report.vectors_elsewhere, "{report}");

    let other = opened(dir.path()).await;
    let report = other.check("docs").await.unwrap();
    assert!(report.vectors_elsewhere, "{report}");
    assert!(report.to_string().contains("another process"), "{report}");
    drop((server, other));

    // A changed byte among the vectors, which no search has to notice.
    let file = files(dir.path(), "vectors")[0].clone();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let report = opened(dir.path()).await.check("docs").await.unwrap();
    assert!(!report.is_clean(), "{report}");
    assert!(
        report.to_string().contains("checksum of its vectors"),
        "{report}"
    );
}

#[tokio::test]
async fn as_many_results_are_found_as_may_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..8 {
        write_long(dir.path(), number);
    }
    // By one lane, which then gives all of them.
    let knowledge = opened_with(dir.path(), 0.0).await;
    assert!(ingest(&knowledge).await > 150);
    assert_eq!(
        found(&knowledge, "paragraph of a volume", 100).await.len(),
        100
    );
}

/// Three documents of one chunk each, and for each a question that its vector alone answers.
const THREE: [(&str, &str, &str); 3] = [
    (
        "heron.md",
        "The heron stands in the reeds.",
        "the heron stands",
    ),
    (
        "otter.md",
        "The otter slides into the river.",
        "the otter slides",
    ),
    ("lynx.md", "The lynx walks in the snow.", "the lynx walks"),
];

/// A base of these, which is searched by vectors alone; the process that made it is gone.
async fn three(dir: &Path) {
    for (uri, text, _) in THREE {
        write(dir, uri, text);
    }
    assert_eq!(ingest(&opened_with(dir, 0.0).await).await, THREE.len());
}

/// Opens a base of three documents, and asks for each.
async fn assert_three_are_found(dir: &Path) {
    let knowledge = opened_with(dir, 0.0).await;
    for (uri, _, question) in THREE {
        let found = documents(&knowledge, question, 9).await;
        assert_eq!((found.len(), found[0].as_str()), (THREE.len(), uri));
    }
    let report = knowledge.check("docs").await.unwrap();
    assert!(report.is_clean() && !report.vectors_elsewhere, "{report}");
}

#[tokio::test]
async fn a_document_is_found_by_what_it_is_and_not_by_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.md", "The otter slides into the river.");
    write(dir.path(), "b.md", "A bend of the river.");
    write(dir.path(), "c.md", "The lynx walks in the snow.");
    let question = "the otter slides into the river";
    let server = opened_with(dir.path(), 0.0).await;
    ingest(&server).await;
    assert_eq!(documents(&server, question, 9).await[0], "a.md");

    write(
        dir.path(),
        "a.md",
        "Granite comes from quarries above town.",
    );
    std::fs::remove_file(dir.path().join("knowledge/c.md")).unwrap();
    ingest(&server).await;
    // Another process, which has to read all vectors.
    let other = opened_with(dir.path(), 0.0).await;
    for (process, is_other) in [(&server, false), (&other, true)] {
        assert_eq!(documents(process, question, 9).await, ["b.md", "a.md"]);
        let granite = documents(process, "granite from quarries", 9).await;
        assert_eq!(granite, ["a.md", "b.md"]);
        let report = process.check("docs").await.unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.vectors_elsewhere, is_other, "{report}");
    }
}

#[tokio::test]
async fn vectors_of_documents_that_a_killed_process_had_not_committed_are_taken_over_again() {
    for committed in 0..THREE.len() {
        let dir = tempfile::tempdir().unwrap();
        three(dir.path()).await;
        let store = store(dir.path()).await;
        let all = store.document_vectors_after("docs", 0, 9).await.unwrap();
        let folder = folder_of_documents(dir.path());
        std::fs::remove_dir_all(&folder).unwrap();
        let index = Index::open(&folder, 64).unwrap();
        let (before, after) = all.split_at(committed);
        let vectors = before.iter().map(|v| (v.generation, v.vector.as_slice()));
        index.insert(vectors).unwrap();
        index
            .commit(before.last().map_or(0, |v| v.generation))
            .unwrap();
        // It ends while it writes what came since: documents that the store had for a while, and one that went.
        let other = all[(committed + 1) % all.len()].vector.as_slice();
        let vectors = after.iter().map(|v| (v.generation, other));
        index.insert(vectors.chain([(1000, other)])).unwrap();
        drop(index);
        assert_three_are_found(dir.path()).await;
    }
}

#[tokio::test]
async fn a_document_whose_vector_was_lost_is_told_and_comes_back_by_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path()).await;
    let store = store(dir.path()).await;
    let all = store.document_vectors_after("docs", 0, 9).await.unwrap();
    let index = Index::open(&folder_of_documents(dir.path()), 64).unwrap();
    assert_eq!(index.delete([all[1].generation]).unwrap(), 1);
    index.commit(index.watermark()).unwrap();
    drop(index);
    let knowledge = opened_with(dir.path(), 0.0).await;
    let report = knowledge.check("docs").await.unwrap();
    let missing = (report.missing_vectors, report.missing_document_vectors);
    assert!(!report.is_clean() && missing == (0, 1), "{report}");
    knowledge.rebuild("docs").await.unwrap();
    drop(knowledge);
    assert_three_are_found(dir.path()).await;
}
