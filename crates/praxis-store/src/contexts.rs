//! What chat models wrote about chunks of documents that are on their way into the store: kept answer by answer, so
//! that an ingest that is stopped or killed asks for nothing twice, and a document that changes in one place is asked
//! about there only. Left out: what is asked, and the contexts of chunks that are here (`documents`).

use std::collections::HashMap;

use sqlx::Row;

use crate::{Store, StoreError};

impl Store {
    /// What was written about the chunks of a document, by the digest of what was asked.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn written_contexts(
        &self,
        base: &str,
        uri: &str,
    ) -> Result<HashMap<String, String>, StoreError> {
        let rows =
            sqlx::query("SELECT digest, text FROM written_contexts WHERE base = ? AND uri = ?")
                .bind(base)
                .bind(uri)
                .fetch_all(&self.pool)
                .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Keeps what was written about a chunk.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_written_context(
        &self,
        base: &str,
        uri: &str,
        digest: &str,
        text: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO written_contexts (base, uri, digest, text) VALUES (?, ?, ?, ?) \
             ON CONFLICT (base, uri, digest) DO UPDATE SET text = excluded.text",
        )
        .bind(base)
        .bind(uri)
        .bind(digest)
        .bind(text)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets what was written about chunks that a document has no more.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn forget_written_contexts(
        &self,
        base: &str,
        uri: &str,
        digests: &[String],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for digest in digests {
            sqlx::query("DELETE FROM written_contexts WHERE base = ? AND uri = ? AND digest = ?")
                .bind(base)
                .bind(uri)
                .bind(digest)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what was written about documents that the base does not have.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_contexts_of_strangers(&self, base: &str) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM written_contexts WHERE base = ? \
             AND uri NOT IN (SELECT uri FROM documents WHERE base = ?)",
        )
        .bind(base)
        .bind(base)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
