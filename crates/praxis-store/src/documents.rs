//! Documents and their chunks. A document is written with all its chunks or not at all. Whatever reads
//! of it takes the reader's clearance, and what may not be read is as if it were not there.

use std::collections::BTreeMap;

use praxis_core::{ChunkId, Clearance, DocumentId, Metadata};
use serde::{Serialize, Serializer};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row};

use crate::attributes::{
    read_labels, read_metadata, write_attributes, write_labels, write_metadata,
};
use crate::changes::{note_removed, write_chunks};
use crate::{Page, Paged, Store, StoreError};

/// Documents that one transaction deletes, at most: those who write at each call wait for it.
pub(crate) const AT_ONCE: usize = 100;

/// A knowledge base as it was last ingested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Identity of its vectors.
    pub embedder: String,
    /// Name of the model that made them, where the base has moved to it.
    pub embedder_name: Option<String>,
    /// The settings that its documents were to be cut with last; each document has its own.
    pub settings: String,
    /// Grows with each change of a document.
    pub generation: i64,
    /// Grows with each change of metadata or labels alone.
    pub revision: i64,
}

/// Where a document comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Origin {
    /// The source of its base that lists it; empty for the base's folder.
    pub source: String,
    /// Its version there; `None` where size and time of modification tell.
    pub version: Option<String>,
}

/// A document to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    /// Its id.
    pub id: DocumentId,
    /// Path relative to its source, or URL.
    pub uri: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Title.
    pub title: String,
    /// Canonical text; empty where it could not be read.
    pub text: String,
    /// Hash of the file's bytes.
    pub hash: String,
    /// Bytes of the file.
    pub size: u64,
    /// Time of last modification, nanoseconds since the epoch.
    pub modified: i64,
    /// Why it could not be read.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Embedding of its summary; empty where it has none.
    pub vector: Vec<f32>,
    /// What its file says of it.
    pub own: Metadata,
    /// All that is known of it: its file's values among others.
    pub metadata: Metadata,
    /// Labels of which a reader needs one; none for a document that every caller may read.
    pub labels: Vec<String>,
    /// The settings that it was cut with.
    pub settings: String,
    /// Its chunks, in order.
    pub chunks: Vec<Chunk>,
}

/// A chunk of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Its id.
    pub id: ChunkId,
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its first page, where the format has pages.
    pub page: Option<u32>,
    /// Number of the section that it is from, or begins in; `None` where that was not noted yet.
    pub section: Option<u32>,
    /// First character in the document's text.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// Those characters.
    pub text: String,
    /// What a chat model wrote for it to be found by; empty where nothing was. Indexed, never cited.
    pub context: String,
    /// Its embedding.
    pub vector: Vec<f32>,
}

/// A chunk with what is needed to cite it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundChunk {
    /// The chunk, its vector left empty.
    pub chunk: Chunk,
    /// Its document.
    pub document: DocumentId,
    /// The document's path relative to its source.
    pub uri: String,
    /// The document's title.
    pub title: String,
}

/// All of a document but its text and chunks.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct DocumentHead {
    /// Its id.
    pub id: DocumentId,
    /// Path relative to its source, or URL.
    pub uri: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// Title.
    pub title: String,
    /// Hash of the file's bytes.
    pub hash: String,
    /// Bytes of the file.
    pub size: u64,
    /// Time of last modification, nanoseconds since the epoch.
    pub modified: i64,
    /// Why it could not be read.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The base's generation that wrote it. It goes to nobody: gaps would tell of documents that others may
    /// read.
    #[serde(skip)]
    pub generation: i64,
    /// How many chunks it has.
    pub chunks: u64,
    /// What is known of it.
    #[serde(serialize_with = "plainly")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub metadata: Metadata,
    /// Its access labels, as far as the reader has them.
    pub labels: Vec<String>,
    /// What its file says of it; nothing if it was read before files were asked.
    #[serde(skip)]
    pub own: Option<Metadata>,
    /// The settings that it was cut with.
    #[serde(skip)]
    pub settings: String,
}

fn plainly<S: Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    let plain: BTreeMap<&String, serde_json::Value> =
        metadata.iter().map(|(k, v)| (k, v.to_json())).collect();
    plain.serialize(serializer)
}

/// A document with its text and its chunks (without vectors).
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// All but text and chunks.
    pub head: DocumentHead,
    /// The base it belongs to.
    pub base: String,
    /// Canonical text.
    pub text: String,
    /// Its chunks in order, their vectors left empty.
    pub chunks: Vec<Chunk>,
}

/// Columns of a [`DocumentHead`], and the base.
const HEAD: &str = "d.id, d.base, d.uri, d.source, d.version, d.title, d.hash, d.size, d.modified, d.error, d.hint, \
     d.generation, d.own, d.metadata, d.labels, d.settings, (SELECT COUNT(*) FROM chunks c WHERE c.document = d.id) AS chunks";

/// What came after a generation, without a look at what was there.
pub(crate) const GENERATIONS_AFTER: &str =
    "SELECT id, generation FROM documents WHERE base = ? AND generation > ? ORDER BY generation";

impl Store {
    /// The base of that name, if it has been ingested.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn base(&self, name: &str) -> Result<Option<Base>, StoreError> {
        let row = sqlx::query(
            "SELECT embedder, settings, generation, revision, embedder_name FROM bases WHERE name = ?",
        )
        .bind(name)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|r| {
            Ok(Base {
                embedder: r.try_get(0)?,
                settings: r.try_get(1)?,
                generation: r.try_get(2)?,
                revision: r.try_get(3)?,
                embedder_name: r.try_get(4)?,
            })
        })
        .transpose()
    }

    /// Creates the base, empties it where the embedder changed, and notes its settings. Where only these changed, its
    /// documents stay until each is replaced. Returns whether documents that were there are gone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prepare_base(
        &self,
        name: &str,
        embedder: &str,
        settings: &str,
    ) -> Result<bool, StoreError> {
        let mut goes = false;
        loop {
            let ids: Vec<String> = sqlx::query_scalar(
                "SELECT d.id FROM bases b JOIN documents d ON d.base = b.name \
                 WHERE b.name = ? AND b.embedder <> ? LIMIT ?",
            )
            .bind(name)
            .bind(embedder)
            .bind(AT_ONCE as i64)
            .fetch_all(&self.pool)
            .await?;
            if ids.len() < AT_ONCE {
                break;
            }
            let ids: Vec<_> = ids.into_iter().map(DocumentId::from_string).collect();
            self.delete_documents(name, &ids).await?;
            goes = true;
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let generation: Option<i64> = sqlx::query("SELECT generation FROM bases WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *tx)
            .await?
            .map(|row| row.try_get(0))
            .transpose()?;
        if let Some(generation) = generation {
            let changed = "d.base IN (SELECT name FROM bases WHERE name = ? AND embedder <> ?)";
            note_removed(&mut tx, generation + 1, changed, &[name, embedder]).await?;
        }
        let emptied = sqlx::query(
            "DELETE FROM documents WHERE base IN (SELECT name FROM bases WHERE name = ? AND embedder <> ?)",
        )
        .bind(name)
        .bind(embedder)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        sqlx::query(
            "INSERT INTO bases (name, embedder, settings, generation) VALUES (?, ?, ?, 1) \
             ON CONFLICT (name) DO UPDATE SET embedder = excluded.embedder, \
             settings = excluded.settings, generation = bases.generation + 1, embedder_name = \
             CASE WHEN bases.embedder = excluded.embedder THEN bases.embedder_name END \
             WHERE bases.embedder <> excluded.embedder OR bases.settings <> excluded.settings",
        )
        .bind(name)
        .bind(embedder)
        .bind(settings)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(goes || emptied > 0)
    }

    /// Writes a document with all its chunks in one transaction, replacing what was at its URI.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_document(&self, base: &str, new: &NewDocument) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Self::write_document(&mut tx, base, new).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes documents as [`Store::put_document`] writes one, all in one transaction.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_documents(&self, base: &str, new: &[NewDocument]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for document in new {
            Self::write_document(&mut tx, base, document).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes a document as part of a transaction.
    pub(crate) async fn write_document(
        tx: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
        base: &str,
        new: &NewDocument,
    ) -> Result<(), StoreError> {
        let generation = next_generation(tx, base).await?;
        let replaced = "d.id = ? OR (d.base = ? AND d.uri = ?)";
        let place = [new.id.as_str(), base, &new.uri];
        note_removed(tx, generation, replaced, &place).await?;
        sqlx::query("DELETE FROM documents WHERE id = ? OR (base = ? AND uri = ?)")
            .bind(new.id.as_str())
            .bind(base)
            .bind(&new.uri)
            .execute(&mut **tx)
            .await?;
        sqlx::query(
            "INSERT INTO documents (id, base, uri, title, text, hash, size, modified, error, hint, \
             generation, vector, own, metadata, labels, source, version, settings) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.id.as_str())
        .bind(base)
        .bind(&new.uri)
        .bind(&new.title)
        .bind(&new.text)
        .bind(&new.hash)
        .bind(new.size as i64)
        .bind(new.modified)
        .bind(&new.error)
        .bind(&new.hint)
        .bind(generation)
        .bind((!new.vector.is_empty()).then(|| encode_vector(&new.vector)))
        .bind(write_metadata(&new.own)?)
        .bind(write_metadata(&new.metadata)?)
        .bind(write_labels(&new.labels)?)
        .bind(&new.origin.source)
        .bind(&new.origin.version)
        .bind(&new.settings)
        .execute(&mut **tx)
        .await?;
        write_attributes(tx, base, generation, &new.metadata).await?;
        write_chunks(tx, new.id.as_str(), &new.chunks).await?;
        Ok(())
    }

    /// Notes other settings of documents that stay as they are.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn set_settings(
        &self,
        base: &str,
        all: &[(DocumentId, String)],
    ) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (id, settings) in all {
            sqlx::query("UPDATE documents SET settings = ? WHERE id = ? AND base = ?")
                .bind(settings)
                .bind(id.as_str())
                .bind(base)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Deletes documents with their chunks, few at a time: calls and traces are written meanwhile.
    ///
    /// # Errors
    /// Where the database fails; then some of them may be gone, each as a whole.
    pub async fn delete_documents(&self, base: &str, ids: &[DocumentId]) -> Result<(), StoreError> {
        for some in ids.chunks(AT_ONCE) {
            let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let generation = next_generation(&mut tx, base).await?;
            for id in some {
                remove_document(&mut tx, generation, id.as_str()).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// The documents of a base that may be read, by URI.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn documents(
        &self,
        base: &str,
        clearance: &Clearance,
    ) -> Result<Vec<DocumentHead>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {HEAD} FROM documents d WHERE d.base = ? ORDER BY d.uri"
        ));
        let rows = sqlx::query(sql).bind(base).fetch_all(&self.pool).await?;
        let heads = rows.iter().map(|row| head(row, clearance));
        heads.filter_map(Result::transpose).collect()
    }

    /// Up to `limit` documents of a base that may be read, by URI, from the first after `after` on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn documents_page(
        &self,
        base: &str,
        after: Option<&str>,
        limit: usize,
        clearance: &Clearance,
    ) -> Result<Paged<DocumentHead>, StoreError> {
        let page = Page {
            limit,
            after: after.map(str::to_owned),
            ..Page::default()
        };
        let mut query =
            QueryBuilder::new(format!("SELECT {HEAD} FROM documents d WHERE d.base = "));
        query.push_bind(base);
        page.push(&mut query, "d.uri");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| head(row, clearance)).await
    }

    /// Length of a base's vectors; `None` for a base without any.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn dimension(&self, base: &str) -> Result<Option<usize>, StoreError> {
        let row = sqlx::query(
            "SELECT LENGTH(c.vector) FROM documents d CROSS JOIN chunks c \
             WHERE c.document = d.id AND d.base = ? LIMIT 1",
        )
        .bind(base)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok(row.try_get::<i64, _>(0)? as usize / size_of::<f32>()))
            .transpose()
    }

    /// The documents of a base that were written after the generation `since`, each with the generation that wrote it,
    /// in the order in which they came: for indexes, which hold them all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn generations_after(
        &self,
        base: &str,
        since: i64,
    ) -> Result<Vec<(DocumentId, i64)>, StoreError> {
        let rows = sqlx::query(GENERATIONS_AFTER)
            .bind(base)
            .bind(since)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let id = DocumentId::from_string(row.try_get::<String, _>(0)?);
                Ok((id, row.try_get(1)?))
            })
            .collect()
    }

    /// One document without its text and chunks, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn head(
        &self,
        id: &DocumentId,
        clearance: &Clearance,
    ) -> Result<Option<DocumentHead>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {HEAD} FROM documents d WHERE d.id = ?"));
        let row = sqlx::query(sql)
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(None), |row| head(&row, clearance))
    }

    /// One document with its text and chunks, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn document(
        &self,
        id: &DocumentId,
        clearance: &Clearance,
    ) -> Result<Option<Document>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {HEAD}, d.text FROM documents d WHERE d.id = ?"
        ));
        let row = sqlx::query(sql)
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let Some(head) = head(&row, clearance)? else {
            return Ok(None);
        };
        let rows = sqlx::query(
            "SELECT id, headings, page, section, start, \"end\", text, context FROM chunks WHERE document = ? \
             ORDER BY ordinal",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(Some(Document {
            head,
            base: row.try_get("base")?,
            text: row.try_get("text")?,
            chunks: rows.iter().map(chunk).collect::<Result<_, _>>()?,
        }))
    }

    /// A chunk with its document's name, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn chunk(
        &self,
        id: &ChunkId,
        clearance: &Clearance,
    ) -> Result<Option<FoundChunk>, StoreError> {
        let row = sqlx::query(
            "SELECT c.id, c.headings, c.page, c.section, c.start, c.\"end\", c.text, c.context, c.document, \
             d.uri, d.title, d.labels FROM chunks c JOIN documents d ON d.id = c.document WHERE c.id = ?",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        if !clearance.permits(&labels(&row)?) {
            return Ok(None);
        }
        Ok(Some(FoundChunk {
            chunk: chunk(&row)?,
            document: DocumentId::from_string(row.try_get::<String, _>("document")?),
            uri: row.try_get("uri")?,
            title: row.try_get("title")?,
        }))
    }
}

/// Deletes a document as part of a transaction that makes this generation of its base.
pub(crate) async fn remove_document(
    tx: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    generation: i64,
    id: &str,
) -> Result<(), StoreError> {
    note_removed(tx, generation, "d.id = ?", &[id]).await?;
    sqlx::query("DELETE FROM documents WHERE id = ?")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(crate) async fn next_generation(
    tx: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    base: &str,
) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "UPDATE bases SET generation = generation + 1 WHERE name = ? RETURNING generation",
    )
    .bind(base)
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get(0)?)
}

pub(crate) fn labels(row: &SqliteRow) -> Result<Vec<String>, StoreError> {
    read_labels(&row.try_get::<String, _>("labels")?)
}

fn head(row: &SqliteRow, clearance: &Clearance) -> Result<Option<DocumentHead>, StoreError> {
    let labels = labels(row)?;
    if !clearance.permits(&labels) {
        return Ok(None);
    }
    let own: Option<String> = row.try_get("own")?;
    Ok(Some(DocumentHead {
        id: DocumentId::from_string(row.try_get::<String, _>("id")?),
        uri: row.try_get("uri")?,
        origin: Origin {
            source: row.try_get("source")?,
            version: row.try_get("version")?,
        },
        title: row.try_get("title")?,
        hash: row.try_get("hash")?,
        size: row.try_get::<i64, _>("size")? as u64,
        modified: row.try_get("modified")?,
        error: row.try_get("error")?,
        hint: row.try_get("hint")?,
        generation: row.try_get("generation")?,
        chunks: row.try_get::<i64, _>("chunks")? as u64,
        metadata: read_metadata(&row.try_get::<String, _>("metadata")?)?,
        labels: clearance.shown(labels),
        own: own.map(|json| read_metadata(&json)).transpose()?,
        settings: row.try_get("settings")?,
    }))
}

pub(crate) fn headings(row: &SqliteRow) -> Result<Vec<String>, StoreError> {
    let headings: String = row.try_get("headings")?;
    serde_json::from_str(&headings)
        .map_err(|e| StoreError::Damaged(format!("a chunk's headings: {e}")))
}

pub(crate) fn section(row: &SqliteRow) -> Result<Option<u32>, StoreError> {
    let section: Option<i64> = row.try_get("section")?;
    Ok(section.and_then(|number| u32::try_from(number).ok()))
}

fn chunk(row: &SqliteRow) -> Result<Chunk, StoreError> {
    Ok(Chunk {
        id: ChunkId::from_string(row.try_get::<String, _>("id")?),
        headings: headings(row)?,
        page: row.try_get::<Option<i64>, _>("page")?.map(|p| p as u32),
        section: section(row)?,
        start: row.try_get::<i64, _>("start")? as usize,
        end: row.try_get::<i64, _>("end")? as usize,
        text: row.try_get("text")?,
        context: row.try_get("context")?,
        vector: Vec::new(),
    })
}

pub(crate) fn encode_vector(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub(crate) fn decode_vector(bytes: &[u8]) -> Result<Vec<f32>, StoreError> {
    let (values, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(StoreError::Damaged(format!(
            "a vector of {} bytes",
            bytes.len()
        )));
    }
    Ok(values.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
