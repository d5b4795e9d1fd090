//! How much a question is like a schema's tables and columns, by vectors of what they are called and described as. Left
//! out: where vectors are kept (`crate::vectors`), and what is done with likeness (`score`).

use std::path::PathBuf;
use std::sync::Arc;

use praxis_core::embed::dot;
use praxis_core::{EmbedKind, Embedder, ModelError};

use super::score::Meaning;
use super::words::spoken;
use crate::sql::{Schema, Table};
use crate::vectors::Vectors;

/// The most tables and columns that get vectors.
const MOST_TEXTS: usize = 20_000;

/// The vectors of a database's schemas: callers with different rights see different ones.
pub(crate) struct Shelf {
    embedder: Arc<dyn Embedder>,
    vectors: Vectors,
}

impl Shelf {
    /// Vectors by this embedder, kept in this folder, which is made when it is needed.
    pub fn new(folder: PathBuf, embedder: Arc<dyn Embedder>) -> Self {
        Self {
            embedder,
            vectors: Vectors::new(folder),
        }
    }

    /// How much a question is like each table and column.
    ///
    /// # Errors
    /// The embedder's. A cache that cannot be read or written is not missed.
    pub async fn meaning(&self, schema: &Schema, question: &str) -> Result<Meaning, ModelError> {
        let texts = texts(schema);
        if texts.len() > MOST_TEXTS {
            return Err(ModelError::InvalidRequest(format!(
                "the schema has {} tables and columns, more than {MOST_TEXTS}",
                texts.len()
            )));
        }
        let vectors = self.vectors.of(self.embedder.as_ref(), texts).await?;
        let asked = self
            .embedder
            .embed(EmbedKind::Query, vec![question.to_owned()])
            .await?;
        let asked = asked
            .into_iter()
            .next()
            .ok_or_else(|| ModelError::Internal("the embedder gave no vector".to_owned()))?;
        let mut likeness = vectors.iter().map(|vector| dot(vector, &asked));
        let mut meaning = Meaning::default();
        for table in &schema.tables {
            meaning.tables.push(likeness.next().unwrap_or(0.0));
            let columns = likeness.by_ref().take(table.columns.len());
            meaning.columns.push(columns.collect());
        }
        Ok(meaning)
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
}
