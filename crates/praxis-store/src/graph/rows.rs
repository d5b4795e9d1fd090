//! Reading the graph of a base as a whole. Strings that come again and again are numbers here. Left out: who
//! may see what; each row says which document it is from.

use std::collections::HashMap;

use futures::TryStreamExt;
use praxis_core::{ChunkId, DocumentId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::HandMerge;
use crate::{Store, StoreError};

/// A chunk that names something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphPlace {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The base's generation that wrote the document.
    pub generation: u64,
    /// The document's path relative to its source.
    pub uri: String,
}

/// A name in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MentionRow {
    /// Place of the name among the names.
    pub name: u32,
    /// Place of the chunk among the chunks.
    pub place: u32,
    /// The name as it is written there.
    pub written: String,
}

/// A triple as a chunk states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTriple {
    /// Place of the subject among the names.
    pub subject: u32,
    /// What is said.
    pub relation: String,
    /// Place of the object among the names.
    pub object: u32,
    /// Place of the chunk among the chunks.
    pub place: u32,
    /// First character of the quote in the document's text.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
}

/// The graph of a base as it was extracted, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphRows {
    /// Types and normalized names.
    pub names: Vec<(String, String)>,
    /// Chunks that name something.
    pub places: Vec<GraphPlace>,
    /// Which chunk names what.
    pub mentions: Vec<MentionRow>,
    /// What they say.
    pub triples: Vec<StoredTriple>,
    /// Pairs of names that a build found to be one entity.
    pub aliases: Vec<(u32, u32)>,
    /// Pairs that a person named.
    pub merges: Vec<HandMerge>,
}

/// Ids to places.
type Places = HashMap<String, u32>;

impl Store {
    /// Grows when there is something new to see in the graph of a base; 0 where nothing was ever built.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn graph_revision(&self, base: &str) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT revision FROM graphs WHERE base = ?")
            .bind(base)
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(0), |row| Ok(row.try_get(0)?))
    }

    /// The graph of a base.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn graph(&self, base: &str) -> Result<GraphRows, StoreError> {
        // One transaction sees one moment, whatever is written meanwhile.
        let mut tx = self.pool.begin().await?;
        let mut graph = GraphRows::default();
        let names = read_names(&mut tx, base, &mut graph).await?;
        let places = read_places(&mut tx, base, &mut graph).await?;
        read_statements(&mut tx, base, &names, &places, &mut graph).await?;
        let rows = sqlx::query(
            "SELECT a.one, a.other FROM graph_aliases a JOIN graph_entities e ON e.id = a.one \
             WHERE e.base = ? ORDER BY a.one, a.other",
        )
        .bind(base)
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            if let (Some(one), Some(other)) = (at(&names, &row, 0)?, at(&names, &row, 1)?) {
                graph.aliases.push((one, other));
            }
        }
        let rows = sqlx::query(
            "SELECT kind, one, other FROM graph_merges WHERE base = ? ORDER BY kind, one, other",
        )
        .bind(base)
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            graph.merges.push(HandMerge {
                kind: row.try_get(0)?,
                one: row.try_get(1)?,
                other: row.try_get(2)?,
            });
        }
        Ok(graph)
    }
}

async fn read_names(
    tx: &mut Transaction<'_, Sqlite>,
    base: &str,
    graph: &mut GraphRows,
) -> Result<Places, StoreError> {
    let mut places = Places::new();
    let mut rows =
        sqlx::query("SELECT id, kind, name FROM graph_entities WHERE base = ? ORDER BY kind, name")
            .bind(base)
            .fetch(&mut **tx);
    while let Some(row) = rows.try_next().await? {
        places.insert(row.try_get(0)?, place(graph.names.len())?);
        graph.names.push((row.try_get(1)?, row.try_get(2)?));
    }
    Ok(places)
}

async fn read_places(
    tx: &mut Transaction<'_, Sqlite>,
    base: &str,
    graph: &mut GraphRows,
) -> Result<Places, StoreError> {
    let mut places = Places::new();
    let mut rows = sqlx::query(
        "SELECT c.id, d.id, d.generation, d.uri FROM graph_extractions x \
         JOIN chunks c ON c.id = x.chunk JOIN documents d ON d.id = c.document \
         WHERE d.base = ? ORDER BY c.number",
    )
    .bind(base)
    .fetch(&mut **tx);
    while let Some(row) = rows.try_next().await? {
        let chunk: String = row.try_get(0)?;
        places.insert(chunk.clone(), place(graph.places.len())?);
        graph.places.push(GraphPlace {
            chunk: ChunkId::from_string(chunk),
            document: DocumentId::from_string(row.try_get::<String, _>(1)?),
            generation: row.try_get::<i64, _>(2)? as u64,
            uri: row.try_get(3)?,
        });
    }
    Ok(places)
}

async fn read_statements(
    tx: &mut Transaction<'_, Sqlite>,
    base: &str,
    names: &Places,
    places: &Places,
    graph: &mut GraphRows,
) -> Result<(), StoreError> {
    let mut rows = sqlx::query(
        "SELECT m.entity, m.chunk, m.name FROM graph_mentions m JOIN graph_entities e ON e.id = m.entity \
         WHERE e.base = ? ORDER BY m.chunk, m.entity",
    )
    .bind(base)
    .fetch(&mut **tx);
    while let Some(row) = rows.try_next().await? {
        let found = (at(names, &row, 0)?, at(places, &row, 1)?);
        if let (Some(name), Some(place)) = found {
            graph.mentions.push(MentionRow {
                name,
                place,
                written: row.try_get(2)?,
            });
        }
    }
    drop(rows);
    let mut rows = sqlx::query(
        "SELECT t.subject, t.object, t.chunk, t.relation, t.start, t.\"end\" FROM graph_triples t \
         JOIN graph_entities e ON e.id = t.subject WHERE e.base = ? \
         ORDER BY t.subject, t.relation, t.object, t.chunk",
    )
    .bind(base)
    .fetch(&mut **tx);
    while let Some(row) = rows.try_next().await? {
        let ends = (at(names, &row, 0)?, at(names, &row, 1)?);
        if let ((Some(subject), Some(object)), Some(place)) = (ends, at(places, &row, 2)?) {
            graph.triples.push(StoredTriple {
                subject,
                object,
                place,
                relation: row.try_get(3)?,
                start: row.try_get::<i64, _>(4)? as usize,
                end: row.try_get::<i64, _>(5)? as usize,
            });
        }
    }
    Ok(())
}

/// The place of the id in a column.
fn at(places: &Places, row: &SqliteRow, column: usize) -> Result<Option<u32>, StoreError> {
    let id: &str = row.try_get(column)?;
    Ok(places.get(id).copied())
}

fn place(count: usize) -> Result<u32, StoreError> {
    u32::try_from(count).map_err(|_| StoreError::Damaged(format!("a graph of {count} names")))
}
