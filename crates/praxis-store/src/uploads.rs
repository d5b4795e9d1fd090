//! Uploads: files that come in parts. What is known of them and of their parts; an upload that is complete becomes a
//! file in one transaction. Left out: the bytes of parts, which lie on the disk by the part's id.

#[cfg(test)]
mod tests;

use praxis_core::Clearance;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use crate::attributes::{read_labels, write_labels};
use crate::batches::{signed, unsigned};
use crate::files::{StoredFile, add_file};
use crate::{Store, StoreError};

/// What has become of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStatus {
    /// Parts may come.
    Pending,
    /// It is a file.
    Completed,
    /// It was called off.
    Cancelled,
    /// Its time was over before it was complete.
    Expired,
}

impl UploadStatus {
    /// As OpenAI's API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// A file that comes in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUpload {
    /// Its id; ids sort by time.
    pub id: String,
    /// What its sender calls the file.
    pub filename: String,
    /// What the file is sent for.
    pub purpose: String,
    /// How many bytes the whole file has.
    pub bytes: u64,
    /// Seconds after which the file goes.
    pub expires_after: Option<i64>,
    /// What has become of it.
    pub status: UploadStatus,
    /// The file that it became.
    pub file: Option<String>,
    /// When it was begun, in seconds since the epoch.
    pub created: i64,
    /// Until when it has to be complete, in seconds since the epoch.
    pub expires: i64,
    /// Name of the key that began it; none for one that may read everything.
    pub owner: Option<String>,
    /// Labels of which a reader needs one.
    pub labels: Vec<String>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    /// Its id.
    pub id: String,
    /// What it is a part of.
    pub upload: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it came, in seconds since the epoch.
    pub created: i64,
}

/// How much may be there of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadBounds {
    /// Uploads that wait for parts.
    pub pending: u64,
    /// Parts of one upload.
    pub parts: u64,
    /// Bytes of all files and all parts together.
    pub bytes: u64,
}

/// What came of adding a part, or of completing an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStep {
    /// It is noted.
    Noted,
    /// It is not: the upload has more parts than it may.
    TooMany,
    /// It is not: all files and parts together would be too large.
    NoRoom,
    /// It is not: the upload is not pending any more.
    Closed,
}

/// Condition of an upload that parts may come to at a time.
const PENDING: &str = "SELECT 1 FROM uploads WHERE id = ? AND status = 'pending' AND expires > ?";

impl Store {
    /// Adds an upload, unless so many are pending already: then `false`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_upload(
        &self,
        new: &StoredUpload,
        bounds: UploadBounds,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row =
            sqlx::query("SELECT COUNT(*) FROM uploads WHERE status = 'pending' AND expires > ?")
                .bind(new.created)
                .fetch_one(&mut *tx)
                .await?;
        if unsigned(row.try_get(0)?) >= bounds.pending {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO uploads (id, filename, purpose, bytes, expires_after, status, created, expires, owner, \
             labels) VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
        )
        .bind(&new.id)
        .bind(&new.filename)
        .bind(&new.purpose)
        .bind(signed(new.bytes))
        .bind(new.expires_after)
        .bind(new.created)
        .bind(new.expires)
        .bind(&new.owner)
        .bind(write_labels(&new.labels)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// An upload as it is at `now`, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn upload(
        &self,
        id: &str,
        clearance: &Clearance,
        now: i64,
    ) -> Result<Option<StoredUpload>, StoreError> {
        let row = sqlx::query(
            "SELECT id, filename, purpose, bytes, expires_after, status, file, created, expires, owner, labels \
             FROM uploads WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map_or(Ok(None), |row| read(&row, clearance, now))
    }

    /// Adds a part whose bytes are on the disk, to an upload that is pending at `now`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_part(
        &self,
        part: &UploadPart,
        bounds: UploadBounds,
        now: i64,
    ) -> Result<UploadStep, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if !is_pending(&mut tx, &part.upload, now).await? {
            return Ok(UploadStep::Closed);
        }
        let row = sqlx::query("SELECT COUNT(*) FROM upload_parts WHERE upload = ?")
            .bind(&part.upload)
            .fetch_one(&mut *tx)
            .await?;
        if unsigned(row.try_get(0)?) >= bounds.parts {
            return Ok(UploadStep::TooMany);
        }
        let row = sqlx::query(
            "SELECT (SELECT COALESCE(SUM(bytes), 0) FROM files) \
             + (SELECT COALESCE(SUM(bytes), 0) FROM upload_parts)",
        )
        .fetch_one(&mut *tx)
        .await?;
        if unsigned(row.try_get(0)?).saturating_add(part.bytes) > bounds.bytes {
            return Ok(UploadStep::NoRoom);
        }
        sqlx::query("INSERT INTO upload_parts (id, upload, bytes, created) VALUES (?, ?, ?, ?)")
            .bind(&part.id)
            .bind(&part.upload)
            .bind(signed(part.bytes))
            .bind(part.created)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(UploadStep::Noted)
    }

    /// All parts of an upload, in the order in which they came.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn upload_parts(&self, upload: &str) -> Result<Vec<UploadPart>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, upload, bytes, created FROM upload_parts WHERE upload = ? ORDER BY id",
        )
        .bind(upload)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UploadPart {
                    id: row.try_get("id")?,
                    upload: row.try_get("upload")?,
                    bytes: unsigned(row.try_get("bytes")?),
                    created: row.try_get("created")?,
                })
            })
            .collect()
    }

    /// Whether there is a part of this id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_part(&self, id: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM upload_parts WHERE id = ?)")
            .bind(id)
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }

    /// Makes an upload that is pending at `now` a file whose bytes are on the disk, unless all files together would
    /// then have more than `most` bytes. Its parts are gone then.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn complete_upload(
        &self,
        id: &str,
        file: &StoredFile,
        most: u64,
        now: i64,
    ) -> Result<UploadStep, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if !is_pending(&mut tx, id, now).await? {
            return Ok(UploadStep::Closed);
        }
        if !add_file(&mut tx, file, most).await? {
            return Ok(UploadStep::NoRoom);
        }
        sqlx::query("UPDATE uploads SET status = 'completed', file = ? WHERE id = ?")
            .bind(&file.id)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        drop_parts(&mut tx, id).await?;
        tx.commit().await?;
        Ok(UploadStep::Noted)
    }

    /// Calls off an upload that is pending at `now`. Gives the parts that it had, or nothing where it is not.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn cancel_upload(
        &self,
        id: &str,
        now: i64,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if !is_pending(&mut tx, id, now).await? {
            return Ok(None);
        }
        sqlx::query("UPDATE uploads SET status = 'cancelled' WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let parts = drop_parts(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Some(parts))
    }

    /// Drops up to `limit` parts of uploads that have expired at `now`, and gives them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn expire_parts(&self, now: i64, limit: usize) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "DELETE FROM upload_parts WHERE id IN (SELECT p.id FROM uploads u JOIN upload_parts p ON p.upload = u.id \
             WHERE u.expires <= ? LIMIT ?) RETURNING id",
        )
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Forgets uploads without parts that have expired at `now`, whatever became of them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_uploads(&self, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM uploads WHERE expires <= ? \
             AND NOT EXISTS (SELECT 1 FROM upload_parts p WHERE p.upload = uploads.id)",
        )
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

async fn is_pending(
    tx: &mut Transaction<'_, Sqlite>,
    id: &str,
    now: i64,
) -> Result<bool, StoreError> {
    let row = sqlx::query(PENDING)
        .bind(id)
        .bind(now)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.is_some())
}

/// Drops all parts of an upload, and gives them.
async fn drop_parts(
    tx: &mut Transaction<'_, Sqlite>,
    upload: &str,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query("DELETE FROM upload_parts WHERE upload = ? RETURNING id")
        .bind(upload)
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn read(
    row: &SqliteRow,
    clearance: &Clearance,
    now: i64,
) -> Result<Option<StoredUpload>, StoreError> {
    let labels = read_labels(&row.try_get::<String, _>("labels")?)?;
    if !clearance.permits(&labels) {
        return Ok(None);
    }
    let expires: i64 = row.try_get("expires")?;
    let status = match row.try_get::<String, _>("status")?.as_str() {
        "pending" if expires <= now => UploadStatus::Expired,
        "pending" => UploadStatus::Pending,
        "completed" => UploadStatus::Completed,
        "cancelled" => UploadStatus::Cancelled,
        other => return Err(StoreError::Damaged(format!("an upload: `{other}`"))),
    };
    Ok(Some(StoredUpload {
        id: row.try_get("id")?,
        filename: row.try_get("filename")?,
        purpose: row.try_get("purpose")?,
        bytes: unsigned(row.try_get("bytes")?),
        expires_after: row.try_get("expires_after")?,
        status,
        file: row.try_get("file")?,
        created: row.try_get("created")?,
        expires,
        owner: row.try_get("owner")?,
        labels,
    }))
}
