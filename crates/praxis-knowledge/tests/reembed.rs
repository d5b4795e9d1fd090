//! A base that moves to another embedder: what it finds meanwhile and after, and what a stop leaves.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use praxis_core::embed::{EmbedKind, TokenCounter, dot};
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Embedder, ErrorCode, ModelError, Query, Retriever};
use praxis_knowledge::{BaseConfig, Knowledge, SearchConfig};
use praxis_store::Store;
use tokio_util::sync::CancellationToken;

/// Counts of letters, turned by so many places: each is another embedder, and all find the same.
struct Letters {
    name: &'static str,
    dimension: usize,
    embedded: Arc<AtomicUsize>,
    /// Passages with this word are refused, as by a filter; all texts, where it is empty.
    refuses: Option<&'static str>,
}

#[async_trait]
impl Embedder for Letters {
    fn identity(&self) -> String {
        format!("{}@1", self.name)
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(self.dimension)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(512)
    }

    async fn embed(&self, _: EmbedKind, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        let is_refused = |word: &str| texts.iter().any(|text| text.contains(word));
        if self.refuses.is_some_and(is_refused) {
            return Err(ModelError::InvalidRequest("a word is not allowed".into()));
        }
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        let vector = |text: &String| {
            let mut vector = vec![0.01f32; self.dimension];
            for byte in text.to_lowercase().bytes().filter(u8::is_ascii_lowercase) {
                vector[usize::from(byte - b'a')] += 1.0;
            }
            let length = dot(&vector, &vector).sqrt();
            vector.iter_mut().for_each(|v| *v /= length);
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(|text: &str| text.split_whitespace().count()))
    }
}

fn cx() -> CallContext {
    CallContext::new(Arc::new(NoTrace))
}

/// The base of a folder, whose configuration names this embedder. What is found is found by the vectors.
async fn opened(dir: &Path, configured: &str, embedded: &Arc<AtomicUsize>) -> Knowledge {
    searched_by(dir, configured, embedded, (0.0, 0.5)).await
}

/// The same, searched with these weights of words and vectors.
async fn searched_by(
    dir: &Path,
    configured: &str,
    embedded: &Arc<AtomicUsize>,
    (keyword_weight, vector_weight): (f32, f32),
) -> Knowledge {
    let config = BaseConfig {
        embedder: Some(configured.to_owned()),
        search: SearchConfig {
            keyword_weight,
            vector_weight,
            feedback: 0.0,
            ..SearchConfig::default()
        },
        ..BaseConfig::default()
    };
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let embedded = Arc::clone(embedded);
    Knowledge::open(
        dir.join("state"),
        store,
        vec![("docs".to_owned(), dir.join("knowledge"), config)],
        Arc::new(move |name| {
            let (name, dimension, refuses) = match name {
                Some("new") => ("new", 40, None),
                Some("old") => ("old", 26, None),
                Some("strict") => ("strict", 40, Some("dense")),
                Some("deaf") => ("deaf", 40, Some("")),
                other => return Err(ModelError::NotFound(format!("no {other:?}"))),
            };
            Ok(Arc::new(Letters {
                name,
                dimension,
                embedded: Arc::clone(&embedded),
                refuses,
            }) as Arc<dyn Embedder>)
        }),
    )
}

/// A word that has its letters in a mixture of its own.
fn word(number: usize) -> String {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
    let first = letter(number).to_string().repeat(3);
    format!("{first}{}", letter(number + number / 26 + 1))
}

fn write(dir: &Path, number: usize) {
    let word = word(number);
    let text = format!("# {word}\n\n{word} {word} {word}.\n\n## {word}\n\n{word} {word}.\n");
    std::fs::write(dir.join(format!("knowledge/{number}.md")), text).unwrap();
}

async fn ingest(knowledge: &Knowledge) {
    knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap();
}

async fn finds(knowledge: &Knowledge, query: &str) -> String {
    let query = Query::new(query, 1);
    let found = knowledge.search("docs", &query, &cx()).await.unwrap();
    found.passages[0].uri.clone()
}

#[tokio::test]
async fn a_base_serves_while_it_moves_and_after() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    (0..130).for_each(|n| write(dir.path(), n));
    let embedded = Arc::default();
    let serving = opened(dir.path(), "old", &embedded).await;
    ingest(&serving).await;
    assert_eq!(finds(&serving, &word(16)).await, "16.md");

    // Another process moves it, and is stopped on the way.
    let moving = opened(dir.path(), "old", &embedded).await;
    let cancel = CancellationToken::new();
    let stopped = moving
        .reembed("docs", "new", &|_| cancel.cancel(), &cancel)
        .await
        .unwrap_err();
    assert_eq!(stopped.code, ErrorCode::Cancelled);
    // Documents come, change and go meanwhile.
    write(dir.path(), 130);
    std::fs::write(
        dir.path().join("knowledge/0.md"),
        "# zx\n\nzx zx zx zx zx zx\n",
    )
    .unwrap();
    std::fs::remove_file(dir.path().join("knowledge/1.md")).unwrap();
    ingest(&serving).await;
    assert_eq!(finds(&serving, "zx zx").await, "0.md");

    let before = embedded.load(Ordering::Relaxed);
    let report = moving
        .reembed("docs", "new", &|_| {}, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        (report.from.as_str(), report.to.as_str()),
        ("old@1", "new@1")
    );
    // What was done before the stop was not done again.
    let again = embedded.load(Ordering::Relaxed) - before;
    assert!(
        (60..80).contains(&report.embedded) && again < 210,
        "{report:?}, {again}"
    );

    // The one that serves still has the old name in its configuration, and follows.
    assert_eq!(finds(&serving, &word(16)).await, "16.md");
    assert!(serving.check("docs").await.unwrap().is_clean());
    write(dir.path(), 131);
    ingest(&serving).await;
    assert!(serving.check("docs").await.unwrap().is_clean());
    let named = opened(dir.path(), "new", &embedded).await;
    assert_eq!(finds(&named, "zx zx").await, "0.md");

    // Moved already: nothing to do.
    let cancel = CancellationToken::new();
    let none = named.reembed("docs", "new", &|_| {}, &cancel).await;
    assert_eq!(none.unwrap().embedded, 0);
}

/// Two documents with texts that an embedder refuses: the first is one such text, the last has one among others.
fn write_refused(dir: &Path) {
    let passage = |word: &str| format!("## {word}\n\n{}\n\n", format!("{word} ").repeat(80));
    let long: String = ["ooo", "dense", "ppp"].map(passage).concat();
    for (name, text) in [("-.md", "# qqq\n\nqqq dense qqq.\n"), ("z.md", &long)] {
        std::fs::write(dir.join("knowledge").join(name), text).unwrap();
    }
}

#[tokio::test]
async fn a_text_that_the_new_embedder_refuses_is_named_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    (0..100).for_each(|n| write(dir.path(), n));
    write_refused(dir.path());
    let embedded = Arc::default();
    let knowledge = opened(dir.path(), "old", &embedded).await;
    ingest(&knowledge).await;

    // What was refused before a stop is told by the move that goes on.
    let cancel = CancellationToken::new();
    let stopped = knowledge
        .reembed("docs", "strict", &|_| cancel.cancel(), &cancel)
        .await
        .unwrap_err();
    assert_eq!(stopped.code, ErrorCode::Cancelled);
    let before = embedded.load(Ordering::Relaxed);
    let report = knowledge
        .reembed("docs", "strict", &|_| {}, &CancellationToken::new())
        .await
        .unwrap();
    // 39 chunks were left, and each of 100 documents; what is refused costs its neighbours a few tries at most.
    let again = embedded.load(Ordering::Relaxed) - before;
    assert!(report.embedded < 60 && again < 300, "{report:?}, {again}");
    let refused: Vec<_> = report
        .refused
        .iter()
        .map(|text| (text.uri.as_str(), text.chunk.is_some()))
        .collect();
    assert_eq!(refused, [("-.md", true), ("z.md", true)], "{report:?}");
    let told = &report.refused[1];
    assert!(told.begins.contains("dense dense"), "{told:?}");
    assert!(told.reason.contains("not allowed"), "{told:?}");

    // All else has moved, what is refused is found by its words, and the next ingest tells it again.
    let named = opened(dir.path(), "strict", &embedded).await;
    assert_eq!(finds(&named, &word(16)).await, "16.md");
    assert_eq!(finds(&named, "ooo ooo").await, "z.md");
    assert!(named.check("docs").await.unwrap().is_clean());
    let by_words = searched_by(dir.path(), "strict", &embedded, (1.0, 0.0)).await;
    assert_eq!(finds(&by_words, "qqq").await, "-.md");
    let report = named.ingest("docs", &|_| {}, &cx()).await.unwrap();
    let failed: Vec<_> = report.failed.iter().map(|f| f.uri.as_str()).collect();
    assert_eq!(
        (failed.as_slice(), report.unchanged),
        (&["-.md", "z.md"][..], 100)
    );
    let after = finds(&by_words, "qqq").await;
    assert_eq!(after, "-.md", "what was read before stays");
}

#[tokio::test]
async fn an_embedder_that_refuses_every_text_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    (0..3).for_each(|n| write(dir.path(), n));
    let knowledge = opened(dir.path(), "old", &Arc::default()).await;
    ingest(&knowledge).await;
    let error = knowledge
        .reembed("docs", "deaf", &|_| {}, &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("deaf@1"), "{error:?}");
    assert!(error.hint.unwrap().contains("every text"));
    assert_eq!(finds(&knowledge, &word(1)).await, "1.md");
}

#[tokio::test]
async fn an_embedder_that_is_changed_in_the_file_empties_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    (0..3).for_each(|n| write(dir.path(), n));
    let embedded = Arc::default();
    ingest(&opened(dir.path(), "old", &embedded).await).await;
    let changed = opened(dir.path(), "new", &embedded).await;
    for error in [
        changed.ingest("docs", &|_| {}, &cx()).await.err().unwrap(),
        changed
            .search("docs", &Query::new("aaa", 1), &cx())
            .await
            .err()
            .unwrap(),
    ] {
        assert!(
            error
                .hint
                .unwrap()
                .contains("praxis knowledge reembed docs")
        );
    }
    let back = opened(dir.path(), "old", &embedded).await;
    assert_eq!(finds(&back, &word(1)).await, "1.md");
    changed
        .reembed("docs", "new", &|_| {}, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(finds(&changed, &word(1)).await, "1.md");
}

#[tokio::test]
async fn an_embedder_or_base_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    let knowledge = opened(dir.path(), "old", &Arc::default()).await;
    let cancel = CancellationToken::new();
    let empty = knowledge
        .reembed("docs", "new", &|_| {}, &cancel)
        .await
        .unwrap_err();
    assert!(empty.hint.unwrap().contains("praxis ingest docs"));
    write(dir.path(), 0);
    ingest(&knowledge).await;
    let unknown = knowledge
        .reembed("docs", "other", &|_| {}, &cancel)
        .await
        .unwrap_err();
    assert!(unknown.message.contains("other"), "{unknown:?}");
}
