//! Files of vector stores that wait to be read, and what comes of them. Whoever reads one says which revision it
//! read; if that is not the file's any more, what it has is dropped and the file waits on. So a document is in
//! the base only for a file that should be there, whoever is killed when.

use sqlx::{QueryBuilder, Row, Sqlite};

use crate::members::{Member, read, remove_documents};
use crate::{NewDocument, Store, StoreError};

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The file.
    pub file: String,
    /// The revision that was read.
    pub revision: i64,
    /// Bytes of its document's text and vectors.
    pub usage_bytes: u64,
}

impl Store {
    /// A vector store with files that wait: the next one after `last` by id, so that none waits for ever.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn waiting_store(&self, last: &str) -> Result<Option<String>, StoreError> {
        for after in [last, ""] {
            let row = sqlx::query(
                "SELECT v.store FROM vector_store_files v JOIN vector_stores s ON s.id = v.store \
                 WHERE v.status = 'in_progress' AND s.state = 'live' AND v.store > ? \
                 ORDER BY v.store LIMIT 1",
            )
            .bind(after)
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = row {
                return Ok(Some(row.try_get(0)?));
            }
        }
        Ok(None)
    }

    /// Up to `limit` files of a vector store that wait, in their order.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn waiting_members(
        &self,
        store: &str,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT v.store, v.file, v.document, v.status, v.error_code, v.error, v.attributes, v.max_tokens, \
             v.overlap, v.usage_bytes, v.created, v.revision, v.paid_by FROM vector_store_files v \
             JOIN vector_stores s ON s.id = v.store \
             WHERE v.status = 'in_progress' AND s.state = 'live' AND v.store = ",
        );
        query.push_bind(store.to_owned());
        query.push(" ORDER BY v.place LIMIT ");
        query.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = query.build().fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }

    /// Notes that a file is begun; gives how often it was by now, or nothing if it does not wait any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_member(&self, member: &Member) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query(
            "UPDATE vector_store_files SET attempts = attempts + 1 \
             WHERE store = ? AND file = ? AND revision = ? AND status = 'in_progress' RETURNING attempts",
        )
        .bind(&member.store)
        .bind(&member.file)
        .bind(member.revision)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok(row.try_get::<i64, _>(0)? as u64))
            .transpose()
    }

    /// Notes that no file that waits was to blame for the end of whoever began it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forgive_members(&self) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE vector_store_files SET attempts = 0 WHERE status = 'in_progress' AND attempts > 0",
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes the document of a file that waits, if it still has this revision. Returns whether it had.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_member_document(
        &self,
        member: &Member,
        document: &NewDocument,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let waits = sqlx::query(
            "SELECT 1 FROM vector_store_files v JOIN vector_stores s ON s.id = v.store \
             WHERE v.store = ? AND v.file = ? AND v.revision = ? AND v.status = 'in_progress' \
             AND s.state = 'live'",
        )
        .bind(&member.store)
        .bind(&member.file)
        .bind(member.revision)
        .fetch_optional(&mut *tx)
        .await?;
        if waits.is_none() {
            return Ok(false);
        }
        Self::write_document(&mut tx, &member.store, document).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes that files are ready to be found; those with another revision by now wait on.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn complete_members(
        &self,
        store: &str,
        finished: &[Finished],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for one in finished {
            sqlx::query(
                "UPDATE vector_store_files SET status = 'completed', error_code = NULL, error = NULL, \
                 usage_bytes = ?, attempts = 0 \
                 WHERE store = ? AND file = ? AND revision = ? AND status = 'in_progress'",
            )
            .bind(i64::try_from(one.usage_bytes).unwrap_or(i64::MAX))
            .bind(store)
            .bind(&one.file)
            .bind(one.revision)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes why a file cannot be read, and removes what an earlier reading left of it; one with another
    /// revision by now waits on.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn fail_member(
        &self,
        member: &Member,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let failed = sqlx::query(
            "UPDATE vector_store_files SET status = 'failed', error_code = ?, error = ?, usage_bytes = 0, \
             attempts = 0 WHERE store = ? AND file = ? AND revision = ? AND status = 'in_progress'",
        )
        .bind(code)
        .bind(message)
        .bind(&member.store)
        .bind(&member.file)
        .bind(member.revision)
        .execute(&mut *tx)
        .await?;
        if failed.rows_affected() > 0 {
            remove_documents(&mut tx, &member.store, &[&member.file]).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
