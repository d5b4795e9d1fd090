//! Vectors of a schema's tables and columns: made once, kept below the state folder, and found again by the embedder's
//! identity and the schema's words, so that a changed schema or another embedder never meets old vectors.
//!
//! A file is one line of JSON and then floats, little end first. It is written beside its place and moved there, so
//! that a killed process leaves a whole file or none. Left out: what is done with likeness (`score`).

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use praxis_core::embed::dot;
use praxis_core::{EmbedKind, Embedder, ModelError};
use serde::{Deserialize, Serialize};

use super::score::Meaning;
use super::words::spoken;
use crate::sql::{Schema, Table};

/// Schemas that are kept in memory and on the disk: callers with different rights see different ones.
const KEPT: usize = 16;

/// Texts that are embedded at a time.
const AT_ONCE: usize = 64;

/// The most tables and columns that get vectors.
const MOST_TEXTS: usize = 20_000;

/// Vectors of a schema, tables before their columns.
#[derive(Debug, PartialEq)]
pub(crate) struct Vectors {
    dimension: usize,
    floats: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    identity: String,
    dimension: usize,
    count: usize,
}

/// The vectors of a database's schemas.
pub(crate) struct Shelf {
    folder: PathBuf,
    embedder: Arc<dyn Embedder>,
    recent: Mutex<VecDeque<(String, Arc<Vectors>)>>,
}

impl Shelf {
    /// Vectors by this embedder, kept in this folder, which is made when it is needed.
    pub fn new(folder: PathBuf, embedder: Arc<dyn Embedder>) -> Self {
        Self {
            folder,
            embedder,
            recent: Mutex::default(),
        }
    }

    /// How much a question is like each table and column.
    ///
    /// # Errors
    /// The embedder's. A cache that cannot be read or written is not missed.
    pub async fn meaning(&self, schema: &Schema, question: &str) -> Result<Meaning, ModelError> {
        let vectors = self.vectors(schema).await?;
        let asked = self
            .embedder
            .embed(EmbedKind::Query, vec![question.to_owned()])
            .await?;
        let asked = asked
            .into_iter()
            .next()
            .ok_or_else(|| ModelError::Internal("the embedder gave no vector".to_owned()))?;
        let mut likeness = vectors
            .floats
            .chunks_exact(vectors.dimension.max(1))
            .map(|v| dot(v, &asked));
        let mut meaning = Meaning::default();
        for table in &schema.tables {
            meaning.tables.push(likeness.next().unwrap_or(0.0));
            let columns = likeness.by_ref().take(table.columns.len());
            meaning.columns.push(columns.collect());
        }
        Ok(meaning)
    }

    async fn vectors(&self, schema: &Schema) -> Result<Arc<Vectors>, ModelError> {
        let texts = texts(schema);
        if texts.len() > MOST_TEXTS {
            return Err(ModelError::InvalidRequest(format!(
                "the schema has {} tables and columns, more than {MOST_TEXTS}",
                texts.len()
            )));
        }
        let identity = self.embedder.identity();
        let key = key(&identity, &texts);
        if let Some(known) = self.recall(&key) {
            return Ok(known);
        }
        let path = self.folder.join(format!("{key}.vectors"));
        let stored = tokio::fs::read(&path).await.ok();
        let stored = stored.and_then(|bytes| unpacked(&bytes, &identity, texts.len()));
        let vectors = match stored {
            Some(vectors) => Arc::new(vectors),
            None => {
                let vectors = Arc::new(self.embedded(texts).await?);
                self.store(path, identity, Arc::clone(&vectors)).await;
                vectors
            }
        };
        self.keep(key, Arc::clone(&vectors));
        Ok(vectors)
    }

    async fn embedded(&self, texts: Vec<String>) -> Result<Vectors, ModelError> {
        let dimension = self.embedder.dimension().await?;
        let mut floats = Vec::with_capacity(texts.len() * dimension);
        for batch in texts.chunks(AT_ONCE) {
            let vectors = self
                .embedder
                .embed(EmbedKind::Passage, batch.to_vec())
                .await?;
            if vectors.len() != batch.len() || vectors.iter().any(|v| v.len() != dimension) {
                return Err(ModelError::Internal(
                    "the embedder gave other vectors than were asked for".to_owned(),
                ));
            }
            floats.extend(vectors.into_iter().flatten());
        }
        Ok(Vectors { dimension, floats })
    }

    async fn store(&self, path: PathBuf, identity: String, vectors: Arc<Vectors>) {
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            file.write_all(&packed(&identity, &vectors)?)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sweep(&folder);
            std::io::Result::Ok(())
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "vectors of a schema are not kept"),
            Err(error) => tracing::warn!(%error, "vectors of a schema are not kept"),
        }
    }

    fn recall(&self, key: &str) -> Option<Arc<Vectors>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent.iter().find(|(known, _)| known == key)?;
        Some(Arc::clone(&found.1))
    }

    fn keep(&self, key: String, vectors: Arc<Vectors>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((key, vectors));
        recent.truncate(KEPT);
    }
}

/// What is embedded: each table with its columns, then each column with its table.
fn texts(schema: &Schema) -> Vec<String> {
    let mut all = Vec::new();
    for table in &schema.tables {
        all.push(about_table(table));
        for column in &table.columns {
            let mut text = format!("{}: {}", spoken(&table.name), spoken(&column.name));
            if let Some(comment) = &column.comment {
                text.push_str(&format!(", {comment}"));
            }
            if !column.samples.is_empty() {
                let few: Vec<&str> = column.samples.iter().take(3).map(String::as_str).collect();
                text.push_str(&format!(" ({})", few.join(", ")));
            }
            all.push(text);
        }
    }
    all
}

fn about_table(table: &Table) -> String {
    let mut text = spoken(&table.name);
    if let Some(comment) = &table.comment {
        text.push_str(&format!(", {comment}"));
    }
    let columns: Vec<String> = table.columns.iter().map(|c| spoken(&c.name)).collect();
    text.push_str(&format!(": {}", columns.join(", ")));
    text
}

/// What vectors are found by.
fn key(identity: &str, texts: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in std::iter::once(identity).chain(texts.iter().map(String::as_str)) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn packed(identity: &str, vectors: &Vectors) -> std::io::Result<Vec<u8>> {
    let head = Head {
        identity: identity.to_owned(),
        dimension: vectors.dimension,
        count: vectors.floats.len() / vectors.dimension.max(1),
    };
    let mut bytes = serde_json::to_vec(&head)?;
    bytes.push(b'\n');
    for float in &vectors.floats {
        bytes.extend_from_slice(&float.to_le_bytes());
    }
    Ok(bytes)
}

/// Vectors of a file, if it is whole and holds `count` vectors of the embedder.
fn unpacked(bytes: &[u8], identity: &str, count: usize) -> Option<Vectors> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    let body = &bytes[end + 1..];
    let wanted = head.count.checked_mul(head.dimension)?.checked_mul(4)?;
    if head.identity != identity
        || head.count != count
        || head.dimension == 0
        || body.len() != wanted
    {
        return None;
    }
    let floats = body
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Some(Vectors {
        dimension: head.dimension,
        floats,
    })
}

/// Removes the files that were used longest ago, as far as there are too many.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "vectors"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    files.sort();
    let old = files.len().saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(old) {
        // Another process may have removed it.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use praxis_core::embed::TokenCounter;

    use super::*;
    use crate::sql::Dialect;
    use crate::sql::ask::fixtures::music;

    /// Vectors that say whether a text has the words `money`, `sound` and others, and how often it was asked.
    struct Counted {
        identity: &'static str,
        texts: AtomicUsize,
    }

    #[async_trait]
    impl Embedder for Counted {
        fn identity(&self) -> String {
            self.identity.to_owned()
        }

        async fn dimension(&self) -> Result<usize, ModelError> {
            Ok(2)
        }

        async fn max_tokens(&self) -> Result<usize, ModelError> {
            Ok(100)
        }

        async fn embed(
            &self,
            _: EmbedKind,
            texts: Vec<String>,
        ) -> Result<Vec<Vec<f32>>, ModelError> {
            self.texts.fetch_add(texts.len(), Ordering::Relaxed);
            let vector = |text: &String| match text.contains("invoice") || text.contains("money") {
                true => vec![1.0, 0.0],
                false => vec![0.0, 1.0],
            };
            Ok(texts.iter().map(vector).collect())
        }

        async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
            Ok(Arc::new(str::len))
        }
    }

    fn counted(identity: &'static str) -> Arc<Counted> {
        Arc::new(Counted {
            identity,
            texts: AtomicUsize::new(0),
        })
    }

    #[tokio::test]
    async fn a_schema_is_embedded_once_for_each_embedder() {
        let dir = tempfile::tempdir().unwrap();
        let schema = music(Dialect::Sqlite);
        let all = texts(&schema).len();
        let embedder = counted("a@1");
        let shelf = Shelf::new(
            dir.path().join("vectors"),
            Arc::clone(&embedder) as Arc<dyn Embedder>,
        );
        let meaning = shelf.meaning(&schema, "where is the money").await.unwrap();
        let at = schema
            .tables
            .iter()
            .position(|t| t.name == "invoice")
            .unwrap();
        assert_eq!((meaning.tables[at], meaning.tables[0]), (1.0, 0.0));
        assert_eq!(meaning.columns[at].len(), schema.tables[at].columns.len());
        assert_eq!(embedder.texts.load(Ordering::Relaxed), all + 1);
        // From memory, and by another process from the disk.
        shelf.meaning(&schema, "money").await.unwrap();
        let other = Shelf::new(
            dir.path().join("vectors"),
            Arc::clone(&embedder) as Arc<dyn Embedder>,
        );
        assert_eq!(
            other.meaning(&schema, "where is the money").await.unwrap(),
            meaning
        );
        assert_eq!(embedder.texts.load(Ordering::Relaxed), all + 3);
        // Another embedder's are not these.
        let newer = counted("a@2");
        let shelf = Shelf::new(
            dir.path().join("vectors"),
            Arc::clone(&newer) as Arc<dyn Embedder>,
        );
        shelf.meaning(&schema, "money").await.unwrap();
        assert_eq!(newer.texts.load(Ordering::Relaxed), all + 1);
    }

    #[test]
    fn a_file_that_is_not_whole_is_no_file() {
        let vectors = Vectors {
            dimension: 2,
            floats: vec![0.5, -1.0, 2.0, 0.25],
        };
        let bytes = packed("a", &vectors).unwrap();
        assert_eq!(unpacked(&bytes, "a", 2).as_ref(), Some(&vectors));
        for (bytes, identity, count) in [
            (&bytes[..bytes.len() - 1], "a", 2),
            (&bytes[..10], "a", 2),
            (&bytes[..], "b", 2),
            (&bytes[..], "a", 3),
            (&b"{}\n"[..], "a", 0),
            (&b""[..], "a", 0),
        ] {
            assert!(unpacked(bytes, identity, count).is_none());
        }
    }
}
