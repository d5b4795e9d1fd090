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

/// The base of a folder, whose configuration names this embedder.
async fn opened(dir: &Path, configured: &str, embedded: &Arc<AtomicUsize>) -> Knowledge {
    let config = BaseConfig {
        embedder: Some(configured.to_owned()),
        search: SearchConfig {
            // What is found is found by the vectors.
            keyword_weight: 0.0,
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
            let (name, dimension) = match name {
                Some("new") => ("new", 40),
                Some("old") => ("old", 26),
                other => return Err(ModelError::NotFound(format!("no {other:?}"))),
            };
            Ok(Arc::new(Letters {
                name,
                dimension,
                embedded: Arc::clone(&embedded),
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
