//! The files of vector stores: added, alone or in batches, changed and taken out again. Each change of what a
//! file should be makes a new revision, and what was begun for an older one comes to nothing. Left out: how
//! they are worked through (`waiting`).

use praxis_core::DocumentId;
use praxis_core::ledger::PaidBy;
use serde_json::{Map, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::documents::{next_generation, remove_document};
use crate::page::{Page, Paged};
use crate::vector_stores::FileCounts;
use crate::{NewAttributes, Store, StoreError};

/// What has become of a file in a vector store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStatus {
    /// Yet to be read, or being read.
    InProgress,
    /// Ready to be found.
    Completed,
    /// Could not be read.
    Failed,
    /// Was called off.
    Cancelled,
}

impl MemberStatus {
    const ALL: [Self; 4] = [
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As it is stored, which is as OpenAI's API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// How a file is cut, where it is not as bases have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The most tokens of a chunk.
    pub max_tokens: u32,
    /// Tokens that were asked to be in two chunks.
    pub overlap: u32,
}

/// A file in a vector store.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The vector store.
    pub store: String,
    /// The file.
    pub file: String,
    /// Its document in the base, once it is there.
    pub document: DocumentId,
    /// What has become of it.
    pub status: MemberStatus,
    /// Why it failed: OpenAI's code for it, and for people.
    pub error: Option<(String, String)>,
    /// Values to search by.
    pub attributes: Map<String, Value>,
    /// How it is cut.
    pub cut: Option<Cut>,
    /// Bytes of its document's text and vectors.
    pub usage_bytes: u64,
    /// When it was added, in seconds since the epoch.
    pub created: i64,
    /// Grows with each change that was asked for.
    pub revision: i64,
    /// Who pays for what is embedded of it; `None`: nobody.
    pub paid_by: Option<PaidBy>,
}

/// A file to be added to a vector store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMember {
    /// The file.
    pub file: String,
    /// An id that sorts after those of all members before.
    pub place: String,
    /// Its document in the base.
    pub document: DocumentId,
    /// Values to search by.
    pub attributes: Map<String, Value>,
    /// How it is cut.
    pub cut: Option<Cut>,
    /// Who pays for what is embedded of it; `None`: nobody.
    pub paid_by: Option<PaidBy>,
}

/// Files that were added together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBatch {
    /// Its id.
    pub id: String,
    /// The vector store.
    pub store: String,
    /// When it was made, in seconds since the epoch.
    pub created: i64,
    /// Whether it was called off.
    pub cancelled: bool,
    /// Its files by their state.
    pub counts: FileCounts,
}

/// What came of adding files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// All of them wait to be read.
    All,
    /// None: so many wait already.
    TooMany(u64),
    /// None: the vector store is gone or has expired.
    NoStore,
    /// None: this file is gone.
    NoFile(String),
}

const COLUMNS: &str = "SELECT v.store, v.file, v.document, v.status, v.error_code, v.error, v.attributes, \
     v.max_tokens, v.overlap, v.usage_bytes, v.created, v.revision, v.paid_by FROM vector_store_files v ";

impl Store {
    /// Adds files to a vector store, all or none, as one batch where it has an id. A file that is there already
    /// is read anew. No more than `most` files may wait in all. Counts as a use of the store at `now`.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn add_members(
        &self,
        store: &str,
        batch: Option<&str>,
        members: &[NewMember],
        now: i64,
        most: u64,
    ) -> Result<Added, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let used =
            sqlx::query("UPDATE vector_stores SET active = ? WHERE id = ? AND state = 'live'")
                .bind(now)
                .bind(store)
                .execute(&mut *tx)
                .await?;
        if used.rows_affected() == 0 {
            return Ok(Added::NoStore);
        }
        let row =
            sqlx::query("SELECT COUNT(*) FROM vector_store_files WHERE status = 'in_progress'")
                .fetch_one(&mut *tx)
                .await?;
        let waiting = row.try_get::<i64, _>(0)? as u64;
        if waiting + members.len() as u64 > most {
            return Ok(Added::TooMany(waiting));
        }
        if let Some(batch) = batch {
            sqlx::query(
                "INSERT INTO file_batches (id, store, created, cancelled) VALUES (?, ?, ?, 0)",
            )
            .bind(batch)
            .bind(store)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        for member in members {
            let found = sqlx::query("SELECT 1 FROM files WHERE id = ?")
                .bind(&member.file)
                .fetch_optional(&mut *tx)
                .await?;
            if found.is_none() {
                return Ok(Added::NoFile(member.file.clone()));
            }
            sqlx::query(
                "INSERT INTO vector_store_files (store, file, place, document, status, attributes, max_tokens, \
                 overlap, usage_bytes, created, revision, attempts, paid_by) \
                 VALUES (?, ?, ?, ?, 'in_progress', ?, ?, ?, 0, ?, 1, 0, ?) \
                 ON CONFLICT (store, file) DO UPDATE SET status = 'in_progress', error_code = NULL, \
                 error = NULL, attributes = excluded.attributes, max_tokens = excluded.max_tokens, \
                 overlap = excluded.overlap, revision = vector_store_files.revision + 1, attempts = 0, \
                 paid_by = excluded.paid_by",
            )
            .bind(store)
            .bind(&member.file)
            .bind(&member.place)
            .bind(member.document.as_str())
            .bind(write_attributes(&member.attributes)?)
            .bind(member.cut.map(|cut| i64::from(cut.max_tokens)))
            .bind(member.cut.map(|cut| i64::from(cut.overlap)))
            .bind(now)
            .bind(member.paid_by.as_ref().map(write_payer).transpose()?)
            .execute(&mut *tx)
            .await?;
            if let Some(batch) = batch {
                sqlx::query(
                    "INSERT INTO file_batch_files (batch, store, file) VALUES (?, ?, ?) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(batch)
                .bind(store)
                .bind(&member.file)
                .execute(&mut *tx)
                .await?;
            }
        }
        tx.commit().await?;
        Ok(Added::All)
    }

    /// A file of a vector store.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn member(&self, store: &str, file: &str) -> Result<Option<Member>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
        query.push("WHERE v.store = ").push_bind(store.to_owned());
        query.push(" AND v.file = ").push_bind(file.to_owned());
        let row = query.build().fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// A page of the files of a vector store, or of one batch, in the order in which they were added. The keys
    /// of the page are files.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn members(
        &self,
        store: &str,
        batch: Option<&str>,
        status: Option<MemberStatus>,
        page: &Page,
    ) -> Result<Paged<Member>, StoreError> {
        let place = Page {
            after: self
                .place(store, page.after.as_deref(), !page.descending)
                .await?,
            before: self
                .place(store, page.before.as_deref(), page.descending)
                .await?,
            ..page.clone()
        };
        let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
        query.push("WHERE v.store = ").push_bind(store.to_owned());
        if let Some(batch) = batch {
            query.push(" AND EXISTS (SELECT 1 FROM file_batch_files b WHERE b.store = v.store AND b.file = v.file \
                        AND b.batch = ");
            query.push_bind(batch.to_owned()).push(")");
        }
        if let Some(status) = status {
            query.push(" AND v.status = ").push_bind(status.as_str());
        }
        place.push(&mut query, "v.place");
        let rows = query.build().fetch(&self.pool);
        place.collect(rows, |row| read(row).map(Some)).await
    }

    /// The place of a file among those of its store. One that was taken out since is where the files that were
    /// sent before it end, seen in the direction of the list.
    async fn place(
        &self,
        store: &str,
        file: Option<&str>,
        upward: bool,
    ) -> Result<Option<String>, StoreError> {
        let Some(file) = file else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT place FROM vector_store_files WHERE store = ? AND file = ?")
            .bind(store)
            .bind(file)
            .fetch_optional(&self.pool)
            .await?;
        if let Some(row) = row {
            return Ok(Some(row.try_get(0)?));
        }
        let (sql, end) = match upward {
            true => (
                "SELECT MAX(place) FROM vector_store_files WHERE store = ? AND file < ?",
                "",
            ),
            false => (
                "SELECT MIN(place) FROM vector_store_files WHERE store = ? AND file > ?",
                "~",
            ),
        };
        let row = sqlx::query(sql)
            .bind(store)
            .bind(file)
            .fetch_one(&self.pool)
            .await?;
        let place: Option<String> = row.try_get(0)?;
        Ok(Some(place.unwrap_or_else(|| end.to_owned())))
    }

    /// Replaces the attributes of a file, and what is known of its document, if it still has this revision; the
    /// file has the next one then. Returns whether it had.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn set_member_attributes(
        &self,
        member: &Member,
        attributes: &Map<String, Value>,
        document: Option<NewAttributes>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let changed = sqlx::query(
            "UPDATE vector_store_files SET attributes = ?, revision = revision + 1 \
             WHERE store = ? AND file = ? AND revision = ?",
        )
        .bind(write_attributes(attributes)?)
        .bind(&member.store)
        .bind(&member.file)
        .bind(member.revision)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE vector_stores SET active = ? WHERE id = ? AND state = 'live'")
            .bind(now)
            .bind(&member.store)
            .execute(&mut *tx)
            .await?;
        if let Some(document) = document {
            Self::write_all_attributes(&mut tx, &member.store, &[document]).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a file out of a vector store, with its document. Returns whether it was there.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn remove_member(&self, store: &str, file: &str) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        remove_documents(&mut tx, store, &[file]).await?;
        let done = sqlx::query("DELETE FROM vector_store_files WHERE store = ? AND file = ?")
            .bind(store)
            .bind(file)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// A batch of a vector store.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn file_batch(&self, store: &str, id: &str) -> Result<Option<FileBatch>, StoreError> {
        let row = sqlx::query(
            "SELECT b.created, b.cancelled, \
             COALESCE(SUM(v.status = 'in_progress'), 0) AS in_progress, \
             COALESCE(SUM(v.status = 'completed'), 0) AS completed, \
             COALESCE(SUM(v.status = 'failed'), 0) AS failed, \
             COALESCE(SUM(v.status = 'cancelled'), 0) AS cancelled \
             FROM file_batches b LEFT JOIN file_batch_files m ON m.batch = b.id \
             LEFT JOIN vector_store_files v ON v.store = m.store AND v.file = m.file \
             WHERE b.store = ? AND b.id = ? GROUP BY b.id",
        )
        .bind(store)
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(FileBatch {
                id: id.to_owned(),
                store: store.to_owned(),
                created: row.try_get(0)?,
                cancelled: row.try_get::<i64, _>(1)? != 0,
                counts: FileCounts {
                    cancelled: row.try_get::<i64, _>(5)? as u64,
                    in_progress: row.try_get::<i64, _>(2)? as u64,
                    completed: row.try_get::<i64, _>(3)? as u64,
                    failed: row.try_get::<i64, _>(4)? as u64,
                },
            })
        })
        .transpose()
    }

    /// Calls off what of a batch is not done yet.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn cancel_file_batch(&self, store: &str, id: &str) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let rows = sqlx::query(
            "UPDATE vector_store_files SET status = 'cancelled', usage_bytes = 0, revision = revision + 1 \
             WHERE store = ? AND status = 'in_progress' \
             AND file IN (SELECT file FROM file_batch_files WHERE batch = ?) RETURNING file",
        )
        .bind(store)
        .bind(id)
        .fetch_all(&mut *tx)
        .await?;
        let files = rows.iter().map(|row| row.try_get(0));
        let files: Vec<String> = files.collect::<Result<_, _>>()?;
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        remove_documents(&mut tx, store, &files).await?;
        // One that was done is no cancelled one.
        if !files.is_empty() {
            sqlx::query("UPDATE file_batches SET cancelled = 1 WHERE id = ?")
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Removes the documents of these files from a vector store, where they are there.
pub(crate) async fn remove_documents(
    tx: &mut Transaction<'_, Sqlite>,
    store: &str,
    files: &[&str],
) -> Result<(), StoreError> {
    for file in files {
        let row = sqlx::query(
            "SELECT d.id FROM vector_store_files v JOIN documents d ON d.id = v.document \
             WHERE v.store = ? AND v.file = ?",
        )
        .bind(store)
        .bind(*file)
        .fetch_optional(&mut **tx)
        .await?;
        if let Some(row) = row {
            let document: String = row.try_get(0)?;
            let generation = next_generation(tx, store).await?;
            remove_document(tx, generation, &document).await?;
        }
    }
    Ok(())
}

fn write_attributes(attributes: &Map<String, Value>) -> Result<String, StoreError> {
    serde_json::to_string(attributes).map_err(|e| StoreError::Damaged(e.to_string()))
}

fn write_payer(paid_by: &PaidBy) -> Result<String, StoreError> {
    serde_json::to_string(paid_by).map_err(|e| StoreError::Damaged(e.to_string()))
}

pub(crate) fn read(row: &SqliteRow) -> Result<Member, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("a file of a vector store: {what}"));
    let status: String = row.try_get("status")?;
    let attributes: String = row.try_get("attributes")?;
    let code: Option<String> = row.try_get("error_code")?;
    let message: Option<String> = row.try_get("error")?;
    let max_tokens: Option<i64> = row.try_get("max_tokens")?;
    let overlap: Option<i64> = row.try_get("overlap")?;
    let paid_by: Option<String> = row.try_get("paid_by")?;
    let paid_by = paid_by.map(|text| serde_json::from_str(&text));
    Ok(Member {
        store: row.try_get("store")?,
        file: row.try_get("file")?,
        document: DocumentId::from_string(row.try_get::<String, _>("document")?),
        status: MemberStatus::parse(&status).ok_or_else(|| damaged(format!("`{status}`")))?,
        error: code.map(|code| (code, message.unwrap_or_default())),
        attributes: serde_json::from_str(&attributes).map_err(|e| damaged(e.to_string()))?,
        cut: max_tokens.map(|max_tokens| Cut {
            max_tokens: u32::try_from(max_tokens).unwrap_or(u32::MAX),
            overlap: overlap.and_then(|o| u32::try_from(o).ok()).unwrap_or(0),
        }),
        usage_bytes: row.try_get::<i64, _>("usage_bytes")? as u64,
        created: row.try_get("created")?,
        revision: row.try_get("revision")?,
        paid_by: paid_by.transpose().map_err(|e| damaged(e.to_string()))?,
    })
}
