//! Batches of requests: what is known of them, and what came of their requests so far. A result is a row of its
//! own until the output files have it; then files and end are noted in one transaction, and the rows go. Left out:
//! what is in a request, and how it is answered.

mod answers;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use praxis_core::{Clearance, Usage};
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::attributes::write_labels;
use crate::files::StoredFile;
use crate::page::{Page, Paged};
use crate::{Store, StoreError};
use read::{COLUMNS, batch};

/// What has become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchStatus {
    /// Its input is yet to be read.
    Validating,
    /// Its input is not what it should be, or nobody stands for it any more.
    Failed,
    /// Its requests are made.
    InProgress,
    /// All results are there, and its output files are yet to be written.
    Finalizing,
    /// It is done.
    Completed,
    /// Its time was over before all requests were made.
    Expired,
    /// It was called off, and its output files are yet to be written.
    Cancelling,
    /// It was called off.
    Cancelled,
}

impl BatchStatus {
    const ALL: [Self; 8] = [
        Self::Validating,
        Self::Failed,
        Self::InProgress,
        Self::Finalizing,
        Self::Completed,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// As it is stored, which is as OpenAI's API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Which key made something, for work that goes on after the request that brought it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// None: the server had no keys.
    Nobody,
    /// A key of the configuration, by its name; the server's one key has none.
    Configured(Option<String>),
    /// A key of the store, by its id.
    Stored(String),
}

impl Maker {
    /// Its columns.
    fn columns(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Nobody => ("none", None),
            Self::Configured(name) => ("configured", name.as_deref()),
            Self::Stored(id) => ("stored", Some(id)),
        }
    }
}

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchError {
    /// Stable code.
    pub code: String,
    /// The line of the input, from 1.
    pub line: Option<u64>,
    /// For people.
    pub message: String,
    /// The field.
    pub param: Option<String>,
}

/// Requests of a batch by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// All of them; none before the input was read.
    pub total: u64,
    /// Those that were answered well.
    pub completed: u64,
    /// Those that failed, or were not made and will not be.
    pub failed: u64,
}

/// When things happened to a batch, in seconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchTimes {
    /// When it was made.
    pub created: i64,
    /// When its time is over.
    pub expires: i64,
    /// When its input was found good.
    pub begun: Option<i64>,
    /// When its results were there.
    pub finalizing: Option<i64>,
    /// When it was called off.
    pub cancelling: Option<i64>,
    /// When it ended, however it did.
    pub ended: Option<i64>,
}

/// A batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its id; ids sort by time.
    pub id: String,
    /// The file of its requests, which may be gone.
    pub input: String,
    /// Hash of that file's bytes, which stay while the batch is open.
    pub hash: String,
    /// What its requests are made to.
    pub endpoint: String,
    /// What its maker notes of it.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Seconds after which its output files go.
    pub output_expires: Option<i64>,
    /// What has become of it.
    pub status: BatchStatus,
    /// The status that it will have, once that is decided.
    pub ending: Option<BatchStatus>,
    /// What is wrong with it.
    pub errors: Vec<BatchError>,
    /// The model, where all requests name the same.
    pub model: Option<String>,
    /// Its requests by their state.
    pub counts: RequestCounts,
    /// Tokens of all answers.
    pub usage: Usage,
    /// The file of what was answered well.
    pub output_file: Option<String>,
    /// The file of all else.
    pub error_file: Option<String>,
    /// When things happened to it.
    pub times: BatchTimes,
    /// Whose key made it.
    pub maker: Maker,
    /// What its requests are counted under, as the client sent it.
    pub tags: String,
    /// The name by which the client called the server.
    pub host: String,
    /// Name of the key that made it; none for one that may read everything.
    pub owner: Option<String>,
    /// Labels of which a reader needs one.
    pub labels: Vec<String>,
}

/// How many batches may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBounds {
    /// Of one key.
    pub of_one: u64,
    /// Of all.
    pub of_all: u64,
}

/// What came of adding a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAdded {
    /// It waits.
    Added,
    /// It was not added: its maker has so many open.
    MakerHas(u64),
    /// It was not added: so many are open in all.
    AllHave(u64),
    /// It was not added: its input is gone.
    NoInput,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineOutcome {
    /// It was made.
    Answered {
        /// Status of HTTP.
        status: u16,
        /// Id of the request.
        request: String,
        /// JSON.
        body: String,
    },
    /// It was not made, and will not be.
    Unanswered {
        /// Why: a stable code.
        code: String,
        /// For people.
        message: String,
    },
}

/// A request of a batch that is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAnswer {
    /// Its line of the input, from 1.
    pub line: u64,
    /// Its id.
    pub id: String,
    /// What the client calls it.
    pub custom_id: String,
    /// What came of it.
    pub outcome: LineOutcome,
}

impl BatchAnswer {
    /// Whether it was answered well.
    pub fn is_success(&self) -> bool {
        match self.outcome {
            LineOutcome::Answered { status, .. } => (200..300).contains(&status),
            LineOutcome::Unanswered { .. } => false,
        }
    }
}

/// The files that a batch ends with.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchFiles<'a> {
    /// What was answered well.
    pub output: Option<&'a StoredFile>,
    /// All else.
    pub error: Option<&'a StoredFile>,
}

/// What came of noting an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is noted.
    Noted,
    /// Nothing is: all files together would be too large.
    NoRoom,
    /// Nothing is: the batch is not about to end, or has ended.
    NotNow,
}

impl Store {
    /// Adds a batch whose input is there. No more may be open than `bounds` say.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_batch(
        &self,
        new: &Batch,
        bounds: BatchBounds,
    ) -> Result<BatchAdded, StoreError> {
        let (made_by, key) = new.maker.columns();
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "SELECT COUNT(*), COALESCE(SUM(made_by = ? AND key IS ?), 0) FROM batches WHERE ended IS NULL",
        )
        .bind(made_by)
        .bind(key)
        .fetch_one(&mut *tx)
        .await?;
        let (all, own) = (unsigned(row.try_get(0)?), unsigned(row.try_get(1)?));
        if own >= bounds.of_one {
            return Ok(BatchAdded::MakerHas(own));
        }
        if all >= bounds.of_all {
            return Ok(BatchAdded::AllHave(all));
        }
        // From now on the bytes of the input stay.
        let done = sqlx::query(
            "INSERT INTO batches (id, input, hash, endpoint, metadata, output_expires, status, errors, total, \
             completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens, created, expires, \
             made_by, key, tags, host, owner, labels) \
             SELECT ?, id, hash, ?, ?, ?, 'validating', '[]', 0, 0, 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ? \
             FROM files WHERE id = ?",
        )
        .bind(&new.id)
        .bind(&new.endpoint)
        .bind(new.metadata.as_ref().map(json).transpose()?)
        .bind(new.output_expires)
        .bind(new.times.created)
        .bind(new.times.expires)
        .bind(made_by)
        .bind(key)
        .bind(&new.tags)
        .bind(&new.host)
        .bind(&new.owner)
        .bind(write_labels(&new.labels)?)
        .bind(&new.input)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(match done.rows_affected() {
            0 => BatchAdded::NoInput,
            _ => BatchAdded::Added,
        })
    }

    /// A batch, if it may be read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn batch(
        &self,
        id: &str,
        clearance: &Clearance,
    ) -> Result<Option<Batch>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(None), |row| batch(&row, clearance))
    }

    /// A page of the batches that may be read, by id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn batches(
        &self,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<Batch>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE 1 = 1");
        let mut query = QueryBuilder::<Sqlite>::new(sql);
        page.push(&mut query, "id");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| batch(row, clearance)).await
    }

    /// All batches that are open, the oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn open_batches(&self) -> Result<Vec<Batch>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE ended IS NULL ORDER BY id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        let all = rows.iter().map(|row| batch(row, &Clearance::Full));
        all.filter_map(Result::transpose).collect()
    }

    /// Notes that the input of a batch is good. Returns whether that was still to be told.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_batch(
        &self,
        id: &str,
        total: u64,
        model: Option<&str>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE batches SET status = 'in_progress', total = ?, model = ?, begun = ? \
             WHERE id = ? AND status = 'validating'",
        )
        .bind(signed(total))
        .bind(model)
        .bind(now)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a batch whose input is not what it should be. Returns whether that was still to be told.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reject_batch(
        &self,
        id: &str,
        errors: &[BatchError],
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE batches SET status = 'failed', errors = ?, ended = ? \
             WHERE id = ? AND status = 'validating'",
        )
        .bind(json(errors)?)
        .bind(now)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Calls off a batch that has requests to make. Returns whether it had.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn cancel_batch(&self, id: &str, now: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE batches SET status = 'cancelling', ending = 'cancelled', cancelling = ? \
             WHERE id = ? AND status IN ('validating', 'in_progress')",
        )
        .bind(now)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that no more requests of a batch are made, what it will end as, and why. Returns whether any still
    /// could be.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn close_batch(
        &self,
        id: &str,
        ending: BatchStatus,
        errors: &[BatchError],
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE batches SET status = 'finalizing', ending = ?, errors = ?, finalizing = ? \
             WHERE id = ? AND status = 'in_progress'",
        )
        .bind(ending.as_str())
        .bind(json(errors)?)
        .bind(now)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Damaged(e.to_string()))
}

/// A number as the database has it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count of the database.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
