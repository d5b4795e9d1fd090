//! Vector stores: bases that clients make while the server runs. A vector store is a base of its own id. Left
//! out: the files in them (`members`).

use std::collections::BTreeMap;

use praxis_core::Clearance;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::attributes::{read_labels, write_labels};
use crate::documents::AT_ONCE;
use crate::page::{Page, Paged};
use crate::{Store, StoreError};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A vector store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStore {
    /// Its id, and the name of its base; ids sort by time.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What its maker notes of it.
    pub metadata: BTreeMap<String, String>,
    /// Days without use after which it expires.
    pub expires_days: Option<u32>,
    /// When it was made, in seconds since the epoch.
    pub created: i64,
    /// When it was last used, in seconds since the epoch.
    pub active: i64,
    /// Whether it was found to have expired.
    pub expired: bool,
    /// Name of the key that made it; none for one that may read everything.
    pub owner: Option<String>,
    /// Labels of which a reader needs one.
    pub labels: Vec<String>,
    /// Its files by their state.
    pub counts: FileCounts,
    /// Bytes of its documents' texts and vectors.
    pub usage_bytes: u64,
}

impl VectorStore {
    /// When it expires, in seconds since the epoch, if it is not used before.
    pub fn expires(&self) -> Option<i64> {
        let days = i64::from(self.expires_days?);
        Some(self.active.saturating_add(days * DAY))
    }

    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expired || self.expires().is_some_and(|end| end <= now)
    }
}

/// Files by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Yet to be read, or being read.
    pub in_progress: u64,
    /// Ready to be found.
    pub completed: u64,
    /// Could not be read.
    pub failed: u64,
    /// Were called off.
    pub cancelled: u64,
}

impl FileCounts {
    /// All of them.
    pub fn total(self) -> u64 {
        self.in_progress + self.completed + self.failed + self.cancelled
    }
}

/// What is to change of a vector store; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VectorStoreChange {
    /// Its name.
    pub name: Option<String>,
    /// Days after which it expires, or never.
    pub expires_days: Option<Option<u32>>,
    /// All of its metadata.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Columns of a [`VectorStore`].
const SELECT: &str = "SELECT s.id, s.name, s.description, s.metadata, s.expires_days, s.created, s.active, \
     s.state, s.owner, s.labels, \
     (SELECT COUNT(*) FROM vector_store_files v WHERE v.store = s.id AND v.status = 'in_progress') AS in_progress, \
     (SELECT COUNT(*) FROM vector_store_files v WHERE v.store = s.id AND v.status = 'completed') AS completed, \
     (SELECT COUNT(*) FROM vector_store_files v WHERE v.store = s.id AND v.status = 'failed') AS failed, \
     (SELECT COUNT(*) FROM vector_store_files v WHERE v.store = s.id AND v.status = 'cancelled') AS cancelled, \
     (SELECT COALESCE(SUM(usage_bytes), 0) FROM vector_store_files v WHERE v.store = s.id) AS usage_bytes \
     FROM vector_stores s WHERE s.state <> 'deleted'";

impl Store {
    /// Adds a vector store without files.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_vector_store(&self, new: &VectorStore) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO vector_stores (id, name, description, metadata, expires_days, created, active, \
             state, owner, labels) VALUES (?, ?, ?, ?, ?, ?, ?, 'live', ?, ?)",
        )
        .bind(&new.id)
        .bind(&new.name)
        .bind(&new.description)
        .bind(write_texts(&new.metadata)?)
        .bind(new.expires_days.map(i64::from))
        .bind(new.created)
        .bind(new.active)
        .bind(&new.owner)
        .bind(write_labels(&new.labels)?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A vector store, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn vector_store(
        &self,
        id: &str,
        clearance: &Clearance,
    ) -> Result<Option<VectorStore>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" AND s.id = ").push_bind(id.to_owned());
        let row = query.build().fetch_optional(&self.pool).await?;
        row.map_or(Ok(None), |row| read(&row, clearance))
    }

    /// A page of the vector stores that may be read, by id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn vector_stores(
        &self,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<VectorStore>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        page.push(&mut query, "s.id");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| read(row, clearance)).await
    }

    /// Changes a vector store that is neither expired nor deleted, which counts as a use of it at `now`.
    /// Returns whether there is one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn change_vector_store(
        &self,
        id: &str,
        change: &VectorStoreChange,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("UPDATE vector_stores SET active = ");
        query.push_bind(now);
        if let Some(name) = &change.name {
            query.push(", name = ").push_bind(name.clone());
        }
        if let Some(days) = change.expires_days {
            query
                .push(", expires_days = ")
                .push_bind(days.map(i64::from));
        }
        if let Some(metadata) = &change.metadata {
            query
                .push(", metadata = ")
                .push_bind(write_texts(metadata)?);
        }
        query.push(" WHERE state = 'live' AND id = ");
        query.push_bind(id.to_owned());
        let done = query.build().execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a vector store is deleted: from now on nobody sees it, and [`Store::empty_vector_store`] takes
    /// away what it held. Returns whether there was one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn mark_vector_store_deleted(&self, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE vector_stores SET state = 'deleted' WHERE id = ?")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes which vector stores have expired at `now`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn expire_vector_stores(&self, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE vector_stores SET state = 'expired' WHERE state = 'live' \
             AND expires_days IS NOT NULL AND active + expires_days * ? <= ?",
        )
        .bind(DAY)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Vector stores that hold something and should not any more: deleted and expired ones, and bases that are
    /// left of some.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn vector_stores_to_empty(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT id FROM vector_stores WHERE state = 'deleted' \
             UNION SELECT s.id FROM vector_stores s JOIN bases b ON b.name = s.id WHERE s.state = 'expired' \
             UNION SELECT store FROM vector_store_files JOIN vector_stores ON id = store \
                   WHERE state = 'expired' AND status = 'in_progress' \
             UNION SELECT b.name FROM bases b WHERE b.name GLOB 'vs_[0-9a-f]*' AND length(b.name) = 35 \
                   AND NOT EXISTS (SELECT 1 FROM vector_stores s WHERE s.id = b.name)",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Removes the base of a vector store that is deleted or expired, with all documents; of a deleted one, the
    /// store itself too. The files stay.
    ///
    /// # Errors
    /// Where the database fails; then it goes on where it was when it is called again.
    pub async fn empty_vector_store(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = loop {
            let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let row = sqlx::query("SELECT state FROM vector_stores WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
            let state: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
            if state.as_deref() == Some("live") {
                return Ok(());
            }
            // Nobody sees them any more, so they go by and by: whoever writes meanwhile waits for no more than a few.
            let gone = sqlx::query(
                "DELETE FROM documents WHERE id IN (SELECT id FROM documents WHERE base = ? LIMIT ?)",
            )
            .bind(id)
            .bind(AT_ONCE as i64)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if gone < AT_ONCE as u64 {
                break tx;
            }
            tx.commit().await?;
        };
        for sql in [
            "DELETE FROM removed_chunks WHERE base = ?",
            "DELETE FROM bases WHERE name = ?",
            "DELETE FROM vector_stores WHERE id = ? AND state = 'deleted'",
            "UPDATE vector_store_files SET usage_bytes = 0 WHERE store = ?",
            "UPDATE vector_store_files SET status = 'cancelled', revision = revision + 1 \
             WHERE store = ? AND status = 'in_progress'",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Vector stores that can be searched: id, name and labels of each.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn live_vector_stores(
        &self,
    ) -> Result<Vec<(String, String, Vec<String>)>, StoreError> {
        let rows = sqlx::query("SELECT id, name, labels FROM vector_stores WHERE state = 'live'")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let labels = read_labels(&row.try_get::<String, _>(2)?)?;
                Ok((row.try_get(0)?, row.try_get(1)?, labels))
            })
            .collect()
    }
}

/// The counts of a row with a column for each state.
fn counts(row: &SqliteRow) -> Result<FileCounts, StoreError> {
    let count = |column: &str| Ok::<_, StoreError>(row.try_get::<i64, _>(column)? as u64);
    Ok(FileCounts {
        in_progress: count("in_progress")?,
        completed: count("completed")?,
        failed: count("failed")?,
        cancelled: count("cancelled")?,
    })
}

pub(crate) fn write_texts(texts: &BTreeMap<String, String>) -> Result<String, StoreError> {
    serde_json::to_string(texts).map_err(|e| StoreError::Damaged(e.to_string()))
}

fn read(row: &SqliteRow, clearance: &Clearance) -> Result<Option<VectorStore>, StoreError> {
    let labels = read_labels(&row.try_get::<String, _>("labels")?)?;
    if !clearance.permits(&labels) {
        return Ok(None);
    }
    let metadata: String = row.try_get("metadata")?;
    let metadata = serde_json::from_str(&metadata)
        .map_err(|e| StoreError::Damaged(format!("a vector store's metadata: {e}")))?;
    let days: Option<i64> = row.try_get("expires_days")?;
    Ok(Some(VectorStore {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        metadata,
        expires_days: days.and_then(|days| u32::try_from(days).ok()),
        created: row.try_get("created")?,
        active: row.try_get("active")?,
        expired: row.try_get::<String, _>("state")? == "expired",
        owner: row.try_get("owner")?,
        labels,
        counts: counts(row)?,
        usage_bytes: row.try_get::<i64, _>("usage_bytes")? as u64,
    }))
}
