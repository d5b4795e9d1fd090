//! Files that clients sent: what is known of them. Their bytes lie on the disk by their hash; left out here.

use praxis_core::Clearance;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::attributes::{read_labels, write_labels};
use crate::documents::{next_generation, remove_document};
use crate::page::{Page, Paged};
use crate::{Store, StoreError};

/// A file that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its id; ids sort by time.
    pub id: String,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub hash: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What its sender calls it.
    pub filename: String,
    /// What it was sent for.
    pub purpose: String,
    /// When it came, in seconds since the epoch.
    pub created: i64,
    /// When it goes, in seconds since the epoch.
    pub expires: Option<i64>,
    /// Name of the key that sent it; none for one that may read everything.
    pub owner: Option<String>,
    /// Labels of which a reader needs one.
    pub labels: Vec<String>,
}

/// What went with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedFile {
    /// Hash of its bytes.
    pub hash: String,
    /// Whether no other file has these bytes.
    pub is_last: bool,
    /// Bases that had a document of it.
    pub bases: Vec<String>,
}

const COLUMNS: &str = "id, hash, bytes, filename, purpose, created, expires, owner, labels";

impl Store {
    /// Adds a file, unless all files together would then have more than `most` bytes: then `false`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_file(&self, file: &StoredFile, most: u64) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let added = add_file(&mut tx, file, most).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// A file that has not expired at `now`, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn file(
        &self,
        id: &str,
        clearance: &Clearance,
        now: i64,
    ) -> Result<Option<StoredFile>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM files WHERE id = ? AND (expires IS NULL OR expires > ?)"
        ));
        let row = sqlx::query(sql)
            .bind(id)
            .bind(now)
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(None), |row| read(&row, clearance))
    }

    /// A page of the files that may be read and have not expired at `now`, by id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn files(
        &self,
        purpose: Option<&str>,
        page: &Page,
        clearance: &Clearance,
        now: i64,
    ) -> Result<Paged<StoredFile>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT id, hash, bytes, filename, purpose, created, expires, owner, labels FROM files \
             WHERE (expires IS NULL OR expires > ",
        );
        query.push_bind(now).push(")");
        if let Some(purpose) = purpose {
            query.push(" AND purpose = ").push_bind(purpose.to_owned());
        }
        page.push(&mut query, "id");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| read(row, clearance)).await
    }

    /// Deletes a file with its documents in all bases; `None` where it is gone already.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn delete_file(&self, id: &str) -> Result<Option<DeletedFile>, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query("SELECT hash FROM files WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let hash: String = row.try_get(0)?;
        let rows = sqlx::query(
            "SELECT v.store, v.document FROM vector_store_files v \
             JOIN documents d ON d.id = v.document WHERE v.file = ?",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await?;
        let mut bases = Vec::with_capacity(rows.len());
        for row in rows {
            let (base, document): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let generation = next_generation(&mut tx, &base).await?;
            remove_document(&mut tx, generation, &document).await?;
            bases.push(base);
        }
        sqlx::query("DELETE FROM files WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM files WHERE hash = ?)")
            .bind(&hash)
            .fetch_one(&mut *tx)
            .await?;
        let is_last = row.try_get::<i64, _>(0)? == 0;
        tx.commit().await?;
        Ok(Some(DeletedFile {
            hash,
            is_last,
            bases,
        }))
    }

    /// Ids of up to `limit` files that have expired at `now`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn expired_files(&self, now: i64, limit: usize) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT id FROM files WHERE expires <= ? ORDER BY expires LIMIT ?")
            .bind(now)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Whether a file has these bytes, or an open batch was made of them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_bytes(&self, hash: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM files WHERE hash = ?1) \
             OR EXISTS (SELECT 1 FROM batches WHERE hash = ?1 AND ended IS NULL)",
        )
        .bind(hash)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }
}

/// Adds a file, unless all files together would then have more than `most` bytes: then `false`.
pub(crate) async fn add_file(
    tx: &mut Transaction<'_, Sqlite>,
    file: &StoredFile,
    most: u64,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT COALESCE(SUM(bytes), 0) FROM files")
        .fetch_one(&mut **tx)
        .await?;
    let held = row.try_get::<i64, _>(0)? as u64;
    if held.saturating_add(file.bytes) > most {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO files (id, hash, bytes, filename, purpose, created, expires, owner, labels) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&file.id)
    .bind(&file.hash)
    .bind(file.bytes as i64)
    .bind(&file.filename)
    .bind(&file.purpose)
    .bind(file.created)
    .bind(file.expires)
    .bind(&file.owner)
    .bind(write_labels(&file.labels)?)
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

fn read(row: &SqliteRow, clearance: &Clearance) -> Result<Option<StoredFile>, StoreError> {
    let labels = read_labels(&row.try_get::<String, _>("labels")?)?;
    if !clearance.permits(&labels) {
        return Ok(None);
    }
    Ok(Some(StoredFile {
        id: row.try_get("id")?,
        hash: row.try_get("hash")?,
        bytes: row.try_get::<i64, _>("bytes")? as u64,
        filename: row.try_get("filename")?,
        purpose: row.try_get("purpose")?,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
        owner: row.try_get("owner")?,
        labels,
    }))
}
