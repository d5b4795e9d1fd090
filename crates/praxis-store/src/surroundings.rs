//! What a search reads beside chunks: vectors of whole documents, and what stands around a chunk.

use praxis_core::{ChunkId, Clearance, DocumentId};
use sqlx::Row;

use crate::attributes::numbers;
use crate::documents::{decode_vector, headings, labels, section};
use crate::{Store, StoreError};

/// A document's vector, by the generation that wrote the document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentVector {
    /// The base's generation that wrote the document, which no other document of the base ever has.
    pub generation: u64,
    /// Embedding of its summary.
    pub vector: Vec<f32>,
}

/// Characters of a document's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Number of the section that it is from; `None` where that was not noted yet.
    pub section: Option<u32>,
    /// First character.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// Those characters.
    pub text: String,
}

/// A document that came costs no look at those that were there before.
pub(crate) const DOCUMENT_VECTORS_AFTER: &str = "SELECT generation, vector FROM documents \
     WHERE base = ? AND generation > ? AND vector IS NOT NULL ORDER BY generation LIMIT ?";

impl Store {
    /// Up to `limit` vectors of documents that were written after a generation, by the generation that wrote them.
    /// Documents that have none are left out.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn document_vectors_after(
        &self,
        base: &str,
        generation: u64,
        limit: usize,
    ) -> Result<Vec<DocumentVector>, StoreError> {
        let rows = sqlx::query(DOCUMENT_VECTORS_AFTER)
            .bind(base)
            .bind(i64::try_from(generation).unwrap_or(i64::MAX))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(DocumentVector {
                    generation: row.try_get::<i64, _>(0)? as u64,
                    vector: decode_vector(row.try_get(1)?)?,
                })
            })
            .collect()
    }

    /// The generations that wrote the documents of a base, in no order; read from an index alone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn document_generations(&self, base: &str) -> Result<Vec<u64>, StoreError> {
        // As one text: a row each would take longer to pass on than to read.
        let all =
            sqlx::query_scalar("SELECT group_concat(generation) FROM documents WHERE base = ?");
        numbers(all.bind(base).fetch_one(&self.pool).await?)
    }

    /// A chunk and those up to `reach` before and after it in its document, in order, if they may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn neighbours(
        &self,
        chunk: &ChunkId,
        reach: usize,
        clearance: &Clearance,
    ) -> Result<Vec<Neighbour>, StoreError> {
        let rows = sqlx::query(
            "SELECT n.headings, n.section, n.start, n.\"end\", n.text, d.labels FROM chunks c \
             JOIN documents d ON d.id = c.document JOIN chunks n ON n.document = c.document \
             AND n.ordinal BETWEEN c.ordinal - ? AND c.ordinal + ? \
             WHERE c.id = ? ORDER BY n.ordinal",
        )
        .bind(reach as i64)
        .bind(reach as i64)
        .bind(chunk.as_str())
        .fetch_all(&self.pool)
        .await?;
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        // All are of one document.
        if !clearance.permits(&labels(first)?) {
            return Ok(Vec::new());
        }
        rows.iter()
            .map(|row| {
                Ok(Neighbour {
                    headings: headings(row)?,
                    section: section(row)?,
                    start: row.try_get::<i64, _>("start")? as usize,
                    end: row.try_get::<i64, _>("end")? as usize,
                    text: row.try_get("text")?,
                })
            })
            .collect()
    }

    /// The characters `start..end` of a document's text; nothing if it may not be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn text(
        &self,
        document: &DocumentId,
        start: usize,
        end: usize,
        clearance: &Clearance,
    ) -> Result<String, StoreError> {
        let row = sqlx::query("SELECT substr(text, ?, ?), labels FROM documents WHERE id = ?")
            .bind(start as i64 + 1)
            .bind(end.saturating_sub(start) as i64)
            .bind(document.as_str())
            .fetch_optional(&self.pool)
            .await?;
        match row {
            Some(row) if clearance.permits(&labels(&row)?) => Ok(row.try_get(0)?),
            _ => Ok(String::new()),
        }
    }
}
