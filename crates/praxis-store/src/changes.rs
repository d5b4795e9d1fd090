//! What changed in a base since a generation, for indexes that follow the store: chunks that went, and
//! vectors that came. Chunks are known by their numbers here, which stay small and are unique in the
//! store. To take over a change twice must be harmless: what changes while it is read may come again.

use futures::TryStreamExt;
use praxis_core::{ChunkId, DocumentId};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::documents::{decode_vector, encode_vector};
use crate::{Chunk, Store, StoreError};

/// Where a chunk is among those that came, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The generation that wrote its document.
    pub(crate) generation: i64,
    /// Which chunk of the document it is.
    pub(crate) ordinal: i64,
}

impl Place {
    /// Before all that came after the generation `since`.
    pub fn after(since: i64) -> Self {
        Self {
            generation: since,
            ordinal: i64::MAX,
        }
    }
}

/// A chunk's vector, by the chunk's number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedVector {
    /// Where it is among others.
    pub place: Place,
    /// The chunk's number.
    pub number: u64,
    /// Its embedding.
    pub vector: Vec<f32>,
}

/// A chunk by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Its number.
    pub number: u64,
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The generation that wrote its document.
    pub generation: u64,
}

/// From the documents that came to their chunks, so that one document costs its own chunks only: a plain
/// join is planned from the chunks' numbers, over all of them.
pub(crate) const VECTORS_AFTER: &str = "SELECT d.generation, c.ordinal, c.number, c.vector \
     FROM documents d CROSS JOIN chunks c WHERE c.document = d.id AND d.base = ? \
     AND d.generation >= ? AND (d.generation > ? OR c.ordinal > ?) \
     ORDER BY d.generation, c.ordinal LIMIT ?";

/// From the documents, as above. Numbers grow with generations, and within a document.
pub(crate) const ENTRIES_AFTER: &str = "SELECT c.number, c.id, c.document, d.generation \
     FROM documents d CROSS JOIN chunks c WHERE c.document = d.id AND d.base = ? \
     AND d.generation > ? ORDER BY d.generation, c.ordinal";

impl Store {
    /// Numbers of the chunks that went after the generation `since`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn removed_chunks(&self, base: &str, since: i64) -> Result<Vec<u64>, StoreError> {
        let rows =
            sqlx::query("SELECT number FROM removed_chunks WHERE base = ? AND generation > ?")
                .bind(base)
                .bind(since)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(|row| number(row.try_get(0)?)).collect()
    }

    /// Forgets the chunks that went up to a generation, which nobody asks for any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_removed(&self, base: &str, up_to: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM removed_chunks WHERE base = ? AND generation <= ?")
            .bind(base)
            .bind(up_to)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Up to `limit` vectors of chunks that came after a place, in the order in which they came, which is
    /// that of their numbers.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn vectors_after(
        &self,
        base: &str,
        place: Place,
        limit: usize,
    ) -> Result<Vec<NumberedVector>, StoreError> {
        let rows = sqlx::query(VECTORS_AFTER)
            .bind(base)
            .bind(place.generation)
            .bind(place.generation)
            .bind(place.ordinal)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(NumberedVector {
                    place: Place {
                        generation: row.try_get(0)?,
                        ordinal: row.try_get(1)?,
                    },
                    number: number(row.try_get(2)?)?,
                    vector: decode_vector(row.try_get(3)?)?,
                })
            })
            .collect()
    }

    /// All chunks of a base, by number.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn chunk_entries(&self, base: &str) -> Result<Vec<ChunkEntry>, StoreError> {
        self.chunk_entries_after(base, 0).await
    }

    /// The chunks of the documents that were written after the generation `since`, by number: in the order in which
    /// they came.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn chunk_entries_after(
        &self,
        base: &str,
        since: i64,
    ) -> Result<Vec<ChunkEntry>, StoreError> {
        let mut rows = sqlx::query(ENTRIES_AFTER)
            .bind(base)
            .bind(since)
            .fetch(&self.pool);
        let mut entries = Vec::new();
        while let Some(row) = rows.try_next().await? {
            entries.push(ChunkEntry {
                number: number(row.try_get(0)?)?,
                chunk: ChunkId::from_string(row.try_get::<String, _>(1)?),
                document: DocumentId::from_string(row.try_get::<String, _>(2)?),
                generation: row.try_get::<i64, _>(3)? as u64,
            });
        }
        Ok(entries)
    }

    /// Tells this store from every other one, also from one that takes its place.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn id(&self) -> Result<String, StoreError> {
        let row = sqlx::query("SELECT id FROM store")
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get(0)?)
    }
}

fn number(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Damaged(format!("a chunk's number {stored}")))
}

/// Notes that the chunks of some documents go. `documents` is a condition on `d`, with its values.
pub(crate) async fn note_removed(
    tx: &mut Transaction<'_, Sqlite>,
    generation: i64,
    documents: &'static str,
    values: &[&str],
) -> Result<(), StoreError> {
    let mut query =
        QueryBuilder::<Sqlite>::new("INSERT INTO removed_chunks (base, number, generation) ");
    query
        .push("SELECT d.base, c.number, ")
        .push_bind(generation);
    query.push(" FROM chunks c JOIN documents d ON d.id = c.document WHERE ");
    let mut values = values.iter();
    for (i, part) in documents.split('?').enumerate() {
        if i > 0 {
            query.push_bind((*values.next().unwrap_or(&"")).to_owned());
        }
        query.push(part);
    }
    query.push(" ON CONFLICT (base, number) DO UPDATE SET generation = excluded.generation");
    query.build().execute(&mut **tx).await?;
    Ok(())
}

/// Writes the chunks of a document, each with a number that no chunk has or had of late.
pub(crate) async fn write_chunks(
    tx: &mut Transaction<'_, Sqlite>,
    document: &str,
    chunks: &[Chunk],
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT MAX((SELECT COALESCE(MAX(number), 0) FROM chunks), \
                    (SELECT COALESCE(MAX(number), 0) FROM removed_chunks))",
    )
    .fetch_one(&mut **tx)
    .await?;
    let last: i64 = row.try_get(0)?;
    for (ordinal, chunk) in (0i64..).zip(chunks) {
        let headings = serde_json::to_string(&chunk.headings)
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        sqlx::query(
            "INSERT INTO chunks (id, document, ordinal, headings, page, start, \"end\", text, \
             vector, number, section, context) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(chunk.id.as_str())
        .bind(document)
        .bind(ordinal)
        .bind(headings)
        .bind(chunk.page.map(i64::from))
        .bind(chunk.start as i64)
        .bind(chunk.end as i64)
        .bind(&chunk.text)
        .bind(encode_vector(&chunk.vector))
        .bind(last + 1 + ordinal)
        .bind(chunk.section.map(i64::from))
        .bind(&chunk.context)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
