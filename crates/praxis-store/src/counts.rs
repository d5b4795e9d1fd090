//! How many documents and chunks a base has. To count them is a walk over all, so it is done once for each state of a
//! base, however often and by whomever it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use praxis_core::Clearance;
use serde::Serialize;
use sqlx::Row;

use crate::documents::labels;
use crate::{Store, StoreError};

/// Bases whose counts are kept, at most.
const BASES: usize = 1024;

/// How many documents of a base a reader may know of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DocumentCounts {
    /// All of them.
    pub documents: u64,
    /// Of these, documents that could not be read.
    pub failed: u64,
    /// Chunks of all of them.
    pub chunks: u64,
}

/// Counts by base. Who counts one holds its lock, so that others wait for what is found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Counted>>>>>);

/// What was counted of a base by labels, and its generation and revision then.
#[derive(Debug, Default)]
struct Counted {
    state: Option<(i64, i64)>,
    parts: Vec<(Vec<String>, DocumentCounts)>,
}

impl Counts {
    fn of(&self, base: &str) -> Arc<tokio::sync::Mutex<Counted>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= BASES && !all.contains_key(base) {
            all.clear();
        }
        Arc::clone(all.entry(base.to_owned()).or_default())
    }
}

impl Store {
    /// How many documents of a base may be read, and their chunks.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn document_counts(
        &self,
        base: &str,
        clearance: &Clearance,
    ) -> Result<DocumentCounts, StoreError> {
        let counted = self.counts.of(base);
        let mut counted = counted.lock().await;
        // Each change of documents or labels moves one of the two.
        let state = self.base(base).await?;
        let state = state.map(|base| (base.generation, base.revision));
        if state.is_none() {
            return Ok(DocumentCounts::default());
        }
        if counted.state != state {
            let parts = self.count_documents(base).await?;
            *counted = Counted { state, parts };
        }
        let mut sum = DocumentCounts::default();
        for (labels, part) in &counted.parts {
            if clearance.permits(labels) {
                sum.documents += part.documents;
                sum.failed += part.failed;
                sum.chunks += part.chunks;
            }
        }
        Ok(sum)
    }

    async fn count_documents(
        &self,
        base: &str,
    ) -> Result<Vec<(Vec<String>, DocumentCounts)>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.labels, COUNT(*), COUNT(d.error), \
             SUM((SELECT COUNT(*) FROM chunks c WHERE c.document = d.id)) \
             FROM documents d WHERE d.base = ? GROUP BY d.labels",
        )
        .bind(base)
        .fetch_all(&self.pool)
        .await?;
        let part = |row: &sqlx::sqlite::SqliteRow| {
            let number = |at: usize| Ok::<_, StoreError>(row.try_get::<i64, _>(at)? as u64);
            let counts = DocumentCounts {
                documents: number(1)?,
                failed: number(2)?,
                chunks: number(3)?,
            };
            Ok((labels(row)?, counts))
        };
        rows.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::{Clearance, DocumentId};

    use crate::documents::AT_ONCE;
    use crate::tests::{document, store};

    #[tokio::test]
    async fn counts_follow_each_change_also_one_by_many_transactions() {
        let (_dir, store) = store().await;
        store.prepare_base("docs", "e5@1", "s").await.unwrap();
        let count = async || {
            let counts = store.document_counts("docs", &Clearance::Full).await;
            let counts = counts.unwrap();
            (counts.documents, counts.chunks)
        };
        assert_eq!(count().await, (0, 0));
        let number = 2 * AT_ONCE + 1;
        let mut all: Vec<_> = (0..number).map(|i| document(&i.to_string(), 2)).collect();
        store.put_documents("docs", &all).await.unwrap();
        assert_eq!(count().await, (number as u64, 2 * number as u64));
        all[0].labels = vec!["hr".into()];
        store.put_document("docs", &all[0]).await.unwrap();
        let nobody = Clearance::default();
        let open = store.document_counts("docs", &nobody).await.unwrap();
        assert_eq!(open.documents, number as u64 - 1);

        let before = store.base("docs").await.unwrap().unwrap().generation;
        let gone: Vec<DocumentId> = all[1..].iter().map(|d| d.id.clone()).collect();
        store.delete_documents("docs", &gone).await.unwrap();
        assert_eq!(count().await, (1, 2));
        let removed = store.removed_chunks("docs", before).await.unwrap();
        assert_eq!(removed.len(), 2 * gone.len());

        // Another embedder empties a base however large it is.
        store.put_documents("docs", &all).await.unwrap();
        let before = store.base("docs").await.unwrap().unwrap().generation;
        assert!(store.prepare_base("docs", "e5@2", "s").await.unwrap());
        assert_eq!(count().await, (0, 0));
        let removed = store.removed_chunks("docs", before).await.unwrap();
        assert_eq!(removed.len(), 2 * number);
        assert!(!store.prepare_base("docs", "e5@2", "s").await.unwrap());
    }
}
