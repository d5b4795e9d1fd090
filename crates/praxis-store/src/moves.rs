//! A base that moves to another embedder: vectors are written beside those that serve, and take their
//! place together. Documents may come and go meanwhile: what comes has no new vector yet, what goes takes
//! its own along. Left out: making the vectors.

use praxis_core::{ChunkId, DocumentId};
use sqlx::{Row, Sqlite, Transaction};

use crate::documents::{encode_vector, headings, next_generation};
use crate::{Place, Store, StoreError};

/// A chunk without its new vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmovedChunk {
    /// Where it is among others, to go on from.
    pub place: Place,
    /// The chunk.
    pub id: ChunkId,
    /// Its document's title.
    pub title: String,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its text.
    pub text: String,
    /// What was written for it to be found by.
    pub context: String,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoveProgress {
    /// Chunks that have their new vector.
    pub moved: u64,
    /// Chunks in all.
    pub chunks: u64,
}

/// Chunks of the base that have no new vector.
const UNMOVED: &str = "FROM chunks c JOIN documents d ON d.id = c.document \
     LEFT JOIN moved_chunks m ON m.chunk = c.id WHERE d.base = ? AND m.chunk IS NULL";

/// Documents of the base that have a vector, and no new one.
const UNMOVED_DOCUMENTS: &str = "FROM documents d LEFT JOIN moved_documents m ON m.document = d.id \
     WHERE d.base = ? AND m.document IS NULL AND EXISTS (SELECT 1 FROM chunks c WHERE c.document = d.id)";

/// Some of these, from a place on, in the order in which chunks came: what was moved before that is not looked at
/// again. From the documents to their chunks, as [`crate::changes::VECTORS_AFTER`].
const UNMOVED_AFTER: &str = "SELECT d.generation, c.ordinal, c.id, d.title, c.headings, c.text, c.context \
     FROM documents d CROSS JOIN chunks c LEFT JOIN moved_chunks m ON m.chunk = c.id \
     WHERE c.document = d.id AND d.base = ? AND d.generation >= ? \
     AND (d.generation > ? OR c.ordinal > ?) AND m.chunk IS NULL \
     ORDER BY d.generation, c.ordinal LIMIT ?";

impl Store {
    /// Begins a move of `base` to the embedder of that identity, or goes on with it. What an unfinished
    /// move to another one left behind is dropped.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_move(&self, base: &str, embedder: &str) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let same = sqlx::query("SELECT 1 FROM moves WHERE base = ? AND embedder = ?")
            .bind(base)
            .bind(embedder)
            .fetch_optional(&mut *tx)
            .await?;
        if same.is_none() {
            drop_moved(&mut tx, base).await?;
            sqlx::query(
                "INSERT INTO moves (base, embedder) VALUES (?, ?) \
                 ON CONFLICT (base) DO UPDATE SET embedder = excluded.embedder",
            )
            .bind(base)
            .bind(embedder)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// How many chunks have their new vector.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn move_progress(&self, base: &str) -> Result<MoveProgress, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(m.chunk), COUNT(*) FROM chunks c JOIN documents d ON d.id = c.document \
             LEFT JOIN moved_chunks m ON m.chunk = c.id WHERE d.base = ?",
        )
        .bind(base)
        .fetch_one(&self.pool)
        .await?;
        let count = |i: usize| -> Result<u64, StoreError> {
            Ok(u64::try_from(row.try_get::<i64, _>(i)?).unwrap_or_default())
        };
        Ok(MoveProgress {
            moved: count(0)?,
            chunks: count(1)?,
        })
    }

    /// Drops the new vectors of a base that are just this one, of chunks and of documents, so that it has none for these
    /// again. Returns how many chunks they are.
    ///
    /// # Errors
    /// Where the database fails; then none is dropped.
    pub async fn forget_moved(&self, base: &str, vector: &[f32]) -> Result<u64, StoreError> {
        let vector = encode_vector(vector);
        // All new vectors are read for it: before other writers have to wait.
        let chunks = sqlx::query(
            "SELECT m.chunk FROM moved_chunks m JOIN chunks c ON c.id = m.chunk \
             JOIN documents d ON d.id = c.document WHERE d.base = ? AND m.vector = ?",
        )
        .bind(base)
        .bind(vector.clone())
        .fetch_all(&self.pool)
        .await?;
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut dropped = 0;
        for row in &chunks {
            let id: String = row.try_get(0)?;
            let done = sqlx::query("DELETE FROM moved_chunks WHERE chunk = ?")
                .bind(id)
                .execute(&mut *tx)
                .await?;
            dropped += done.rows_affected();
        }
        sqlx::query(
            "DELETE FROM moved_documents WHERE vector = ? \
             AND document IN (SELECT id FROM documents WHERE base = ?)",
        )
        .bind(vector)
        .bind(base)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(dropped)
    }

    /// Up to `limit` chunks without a new vector that came after a place, in the order in which they came.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unmoved_chunks(
        &self,
        base: &str,
        after: Place,
        limit: usize,
    ) -> Result<Vec<UnmovedChunk>, StoreError> {
        let rows = sqlx::query(UNMOVED_AFTER)
            .bind(base)
            .bind(after.generation)
            .bind(after.generation)
            .bind(after.ordinal)
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(UnmovedChunk {
                    place: Place {
                        generation: row.try_get(0)?,
                        ordinal: row.try_get(1)?,
                    },
                    id: ChunkId::from_string(row.try_get::<String, _>(2)?),
                    title: row.try_get(3)?,
                    headings: headings(row)?,
                    text: row.try_get(5)?,
                    context: row.try_get(6)?,
                })
            })
            .collect()
    }

    /// Up to `limit` documents without a new vector that were written after a generation, by the generation that
    /// wrote them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unmoved_documents(
        &self,
        base: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(DocumentId, i64)>, StoreError> {
        let query = format!(
            "SELECT d.id, d.generation {UNMOVED_DOCUMENTS} AND d.generation > ? \
             ORDER BY d.generation LIMIT ?"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(base)
            .bind(after)
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let id = DocumentId::from_string(row.try_get::<String, _>(0)?);
                Ok((id, row.try_get(1)?))
            })
            .collect()
    }

    /// Writes new vectors of chunks; those of chunks that went meanwhile are left out.
    ///
    /// # Errors
    /// Where the database fails; then none is written.
    pub async fn put_moved_chunks(
        &self,
        vectors: &[(ChunkId, Vec<f32>)],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (id, vector) in vectors {
            sqlx::query(
                "INSERT OR REPLACE INTO moved_chunks (chunk, vector) \
                 SELECT id, ? FROM chunks WHERE id = ?",
            )
            .bind(encode_vector(vector))
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes new vectors of documents of these generations; those of documents that went or changed
    /// meanwhile are left out.
    ///
    /// # Errors
    /// Where the database fails; then none is written.
    pub async fn put_moved_documents(
        &self,
        vectors: &[(DocumentId, i64, Vec<f32>)],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (id, generation, vector) in vectors {
            sqlx::query(
                "INSERT OR REPLACE INTO moved_documents (document, vector) \
                 SELECT id, ? FROM documents WHERE id = ? AND generation = ?",
            )
            .bind(encode_vector(vector))
            .bind(id.as_str())
            .bind(generation)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends a move: the new vectors take the place of the others, and the base has the embedder of that
    /// identity, known as `name`. Returns `false`, with nothing changed, where a vector is missing or the
    /// base moves to another one by now.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn finish_move(
        &self,
        base: &str,
        embedder: &str,
        name: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let unfinished = format!(
            "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM moves WHERE base = ? AND embedder = ?) \
             OR EXISTS (SELECT 1 {UNMOVED}) OR EXISTS (SELECT 1 {UNMOVED_DOCUMENTS})"
        );
        let unfinished = sqlx::query(sqlx::AssertSqlSafe(unfinished))
            .bind(base)
            .bind(embedder)
            .bind(base)
            .bind(base)
            .fetch_optional(&mut *tx)
            .await?;
        if unfinished.is_some() {
            return Ok(false);
        }
        next_generation(&mut tx, base).await?;
        for query in [
            "UPDATE chunks SET vector = m.vector FROM moved_chunks m WHERE m.chunk = chunks.id \
             AND chunks.document IN (SELECT id FROM documents WHERE base = ?)",
            "UPDATE documents SET vector = m.vector FROM moved_documents m \
             WHERE m.document = documents.id AND documents.base = ?",
        ] {
            sqlx::query(query).bind(base).execute(&mut *tx).await?;
        }
        sqlx::query("UPDATE bases SET embedder = ?, embedder_name = ? WHERE name = ?")
            .bind(embedder)
            .bind(name)
            .bind(base)
            .execute(&mut *tx)
            .await?;
        drop_moved(&mut tx, base).await?;
        sqlx::query("DELETE FROM moves WHERE base = ?")
            .bind(base)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Drops the new vectors of a base.
async fn drop_moved(tx: &mut Transaction<'_, Sqlite>, base: &str) -> Result<(), StoreError> {
    for query in [
        "DELETE FROM moved_chunks WHERE chunk IN (SELECT c.id FROM chunks c \
         JOIN documents d ON d.id = c.document WHERE d.base = ?)",
        "DELETE FROM moved_documents WHERE document IN (SELECT id FROM documents WHERE base = ?)",
    ] {
        sqlx::query(query).bind(base).execute(&mut **tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
