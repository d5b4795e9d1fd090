//! The knowledge graph of a base, as it was extracted: names and triples of each chunk, which names are one
//! entity, and how far the extraction is. Each chunk is written in one transaction. Left out: what a graph
//! is as a whole, and who may see what of it.

mod entities;
mod rows;
#[cfg(test)]
mod tests;

use praxis_core::{ChunkId, EntityId, Usage};
use sqlx::Row;

use crate::documents::headings;
use crate::{Store, StoreError};

pub use entities::{EntityVector, HandMerge, UnembeddedEntity};
pub use rows::{GraphPlace, GraphRows, MentionRow, StoredTriple};

/// A chunk to be read for the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphChunk {
    /// The chunk.
    pub id: ChunkId,
    /// Its number: chunks come in the order of theirs.
    pub number: u64,
    /// Its document's title.
    pub title: String,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its first character in the document's text.
    pub start: usize,
    /// Its text.
    pub text: String,
}

/// How far an extraction is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractionCount {
    /// Chunks that were read by the method.
    pub done: u64,
    /// Of these, chunks whose answer could not be read.
    pub failed: u64,
    /// Triples that were dropped.
    pub dropped: u64,
    /// Chunks in all.
    pub chunks: u64,
}

/// What one model extracted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractionTotal {
    /// Its name.
    pub model: String,
    /// Chunks that it read, by whatever method, beside all chunks.
    pub count: ExtractionCount,
    /// Tokens that it took.
    pub usage: Usage,
}

/// What was extracted from one chunk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewExtraction {
    /// Digest of model, instructions and vocabulary.
    pub method: String,
    /// The model's name.
    pub model: String,
    /// Why its answer could not be read.
    pub error: Option<String>,
    /// Triples that the chunk does not bear out.
    pub dropped: u64,
    /// Tokens that it took.
    pub usage: Usage,
    /// The entities that it names.
    pub mentions: Vec<NewMention>,
    /// What it says of them; each end is among the mentions.
    pub triples: Vec<NewTriple>,
}

/// An entity that a chunk names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMention {
    /// Its id.
    pub entity: EntityId,
    /// Its type.
    pub kind: String,
    /// Its name, normalized.
    pub key: String,
    /// Its name as it is written.
    pub name: String,
}

/// A triple of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTriple {
    /// Of whom it is said.
    pub subject: EntityId,
    /// What.
    pub relation: String,
    /// And of whom.
    pub object: EntityId,
    /// First character of the quote in the document's text.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
}

impl Store {
    /// How far the extraction of a base by this method is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn extraction_count(
        &self,
        base: &str,
        method: &str,
    ) -> Result<ExtractionCount, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(x.chunk), COUNT(x.error), COALESCE(SUM(x.dropped), 0), COUNT(*) FROM chunks c \
             JOIN documents d ON d.id = c.document \
             LEFT JOIN graph_extractions x ON x.chunk = c.id AND x.method = ? WHERE d.base = ?",
        )
        .bind(method)
        .bind(base)
        .fetch_one(&self.pool)
        .await?;
        let count = |i: usize| -> Result<u64, StoreError> {
            Ok(u64::try_from(row.try_get::<i64, _>(i)?).unwrap_or_default())
        };
        Ok(ExtractionCount {
            done: count(0)?,
            failed: count(1)?,
            dropped: count(2)?,
            chunks: count(3)?,
        })
    }

    /// Whether a base has a graph with anything in it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_graph(&self, base: &str) -> Result<bool, StoreError> {
        let has = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM graph_entities WHERE base = ?)");
        Ok(has.bind(base).fetch_one(&self.pool).await?)
    }

    /// What each model extracted of a base, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn extractions(&self, base: &str) -> Result<Vec<ExtractionTotal>, StoreError> {
        let rows = sqlx::query(
            "SELECT x.model, COUNT(*), COUNT(x.error), SUM(x.dropped), SUM(x.input_tokens), \
             SUM(x.output_tokens), \
             (SELECT COUNT(*) FROM chunks a JOIN documents b ON b.id = a.document WHERE b.base = ?) \
             FROM graph_extractions x JOIN chunks c ON c.id = x.chunk \
             JOIN documents d ON d.id = c.document WHERE d.base = ? GROUP BY x.model ORDER BY x.model",
        )
        .bind(base)
        .bind(base)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let count = |i: usize| -> Result<u64, StoreError> {
                    Ok(u64::try_from(row.try_get::<i64, _>(i)?).unwrap_or_default())
                };
                Ok(ExtractionTotal {
                    model: row.try_get(0)?,
                    count: ExtractionCount {
                        done: count(1)?,
                        failed: count(2)?,
                        dropped: count(3)?,
                        chunks: count(6)?,
                    },
                    usage: Usage {
                        input_tokens: count(4)?,
                        output_tokens: count(5)?,
                        ..Usage::default()
                    },
                })
            })
            .collect()
    }

    /// Up to `limit` chunks with a number above `after` that this method has not read, by number; with
    /// `failed` also those whose answer could not be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unextracted_chunks(
        &self,
        base: &str,
        method: &str,
        failed: bool,
        after: u64,
        limit: usize,
    ) -> Result<Vec<GraphChunk>, StoreError> {
        let rows = sqlx::query(
            // In the order of numbers, so that a page reads no more than its chunks.
            "SELECT c.id, c.number, d.title, c.headings, c.start, c.text FROM chunks c \
             CROSS JOIN documents d \
             LEFT JOIN graph_extractions x ON x.chunk = c.id AND x.method = ? AND (? = 0 OR x.error IS NULL) \
             WHERE d.id = c.document AND d.base = ? AND c.number > ? AND x.chunk IS NULL ORDER BY c.number LIMIT ?",
        )
        .bind(method)
        .bind(i64::from(failed))
        .bind(base)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(GraphChunk {
                    id: ChunkId::from_string(row.try_get::<String, _>(0)?),
                    number: row.try_get::<i64, _>(1)? as u64,
                    title: row.try_get(2)?,
                    headings: headings(row)?,
                    start: row.try_get::<i64, _>(4)? as usize,
                    text: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Writes what was extracted from a chunk in the place of what was there. Returns `false`, with nothing
    /// written, where the chunk went meanwhile.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_extraction(
        &self,
        base: &str,
        chunk: &ChunkId,
        new: &NewExtraction,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let written = sqlx::query(
            "INSERT INTO graph_extractions (chunk, method, model, error, dropped, input_tokens, output_tokens) \
             SELECT id, ?, ?, ?, ?, ?, ? FROM chunks WHERE id = ? \
             ON CONFLICT (chunk) DO UPDATE SET method = excluded.method, model = excluded.model, \
             error = excluded.error, dropped = excluded.dropped, \
             input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens",
        )
        .bind(&new.method)
        .bind(&new.model)
        .bind(&new.error)
        .bind(new.dropped as i64)
        .bind(new.usage.input_tokens as i64)
        .bind(new.usage.output_tokens as i64)
        .bind(chunk.as_str())
        .execute(&mut *tx)
        .await?;
        if written.rows_affected() == 0 {
            return Ok(false);
        }
        for delete in [
            "DELETE FROM graph_triples WHERE chunk = ?",
            "DELETE FROM graph_mentions WHERE chunk = ?",
        ] {
            sqlx::query(delete)
                .bind(chunk.as_str())
                .execute(&mut *tx)
                .await?;
        }
        for mention in &new.mentions {
            sqlx::query(
                "INSERT INTO graph_entities (id, base, kind, name) VALUES (?, ?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(mention.entity.as_str())
            .bind(base)
            .bind(&mention.kind)
            .bind(&mention.key)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "INSERT INTO graph_mentions (chunk, entity, name) VALUES (?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(chunk.as_str())
            .bind(mention.entity.as_str())
            .bind(&mention.name)
            .execute(&mut *tx)
            .await?;
        }
        for triple in &new.triples {
            sqlx::query(
                "INSERT INTO graph_triples (chunk, subject, relation, object, start, \"end\") \
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(chunk.as_str())
            .bind(triple.subject.as_str())
            .bind(&triple.relation)
            .bind(triple.object.as_str())
            .bind(triple.start as i64)
            .bind(triple.end as i64)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}
