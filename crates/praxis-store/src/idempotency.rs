//! Answers to requests that may be sent again: the first attempt at a request runs, others get its answer. An attempt
//! holds a lease that it renews while it runs, so that one whose process was killed does not stand in the way of the
//! next for long. What is kept is bounded: beyond the bounds the oldest answers go first. Left out: which answers are
//! worth keeping, and what tells two requests apart (the edge).

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::{Store, StoreError};

/// An attempt at a request. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What its request is known by: who asked, the address and the key.
    pub id: String,
    /// What who asked is known by.
    pub owner: String,
    /// What the request's body is known by.
    pub request: String,
    /// Its own id.
    pub run: String,
    /// Until when it counts as running, unless it renews that.
    pub lease_ms: i64,
    /// Until when its answer is kept.
    pub expires_ms: i64,
}

/// What an attempt finds of those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it runs, and holds the lease.
    Runs,
    /// The same request is under way.
    UnderWay,
    /// The same request was answered.
    Answered(KeptAnswer),
    /// Another request had the key.
    Differs,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Those of its headers that are given again.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The most answers that are kept, and their most bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MostKept {
    /// How many.
    pub answers: u32,
    /// Bytes of all together.
    pub bytes: u64,
}

impl Store {
    /// Begins an attempt at a request, unless one before it runs or was answered. One whose lease is over counts for
    /// nothing.
    ///
    /// # Errors
    /// Where the database fails; then the attempt has not begun.
    pub async fn begin_attempt(&self, attempt: &Attempt, now_ms: i64) -> Result<Begun, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "SELECT request, lease_ms, status, headers, body FROM idempotency \
             WHERE id = ? AND expires_ms > ? AND (lease_ms IS NULL OR lease_ms > ?)",
        )
        .bind(&attempt.id)
        .bind(now_ms)
        .bind(now_ms)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = row {
            if row.try_get::<String, _>("request")? != attempt.request {
                return Ok(Begun::Differs);
            }
            return match row.try_get::<Option<i64>, _>("lease_ms")? {
                Some(_) => Ok(Begun::UnderWay),
                None => Ok(Begun::Answered(read(&row)?)),
            };
        }
        sqlx::query("DELETE FROM idempotency WHERE id = ?")
            .bind(&attempt.id)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO idempotency (id, owner, expires_ms, bytes, lease_ms, run, request) \
             VALUES (?, ?, ?, 0, ?, ?, ?)",
        )
        .bind(&attempt.id)
        .bind(&attempt.owner)
        .bind(attempt.expires_ms)
        .bind(attempt.lease_ms)
        .bind(&attempt.run)
        .bind(&attempt.request)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Begun::Runs)
    }

    /// Lets an attempt count as running until `lease_ms`; `false` where it does not any more: another one took its
    /// place, or it was answered.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_attempt(
        &self,
        id: &str,
        run: &str,
        lease_ms: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE idempotency SET lease_ms = ? WHERE id = ? AND run = ? AND lease_ms IS NOT NULL",
        )
        .bind(lease_ms)
        .bind(id)
        .bind(run)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Keeps the answer of an attempt, and drops the oldest of the same caller beyond `most`; `false` where another
    /// attempt took its place meanwhile.
    ///
    /// # Errors
    /// Where the database fails; then nothing is kept.
    pub async fn keep_answer(
        &self,
        (id, run): (&str, &str),
        answer: &KeptAnswer,
        most: MostKept,
    ) -> Result<bool, StoreError> {
        let headers = serde_json::to_string(&answer.headers)
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        let bytes = headers.len().saturating_add(answer.body.len());
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "UPDATE idempotency SET lease_ms = NULL, bytes = ?, status = ?, headers = ?, body = ? \
             WHERE id = ? AND run = ? AND lease_ms IS NOT NULL RETURNING owner",
        )
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .bind(i64::from(answer.status))
        .bind(headers)
        .bind(&answer.body)
        .bind(id)
        .bind(run)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else {
            return Ok(false);
        };
        let owner: String = row.try_get(0)?;
        trim(&mut tx, Some(&owner), most).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends an attempt without an answer: the next one runs.
    ///
    /// # Errors
    /// Where the database fails; then the next one runs when the lease is over.
    pub async fn give_up_attempt(&self, id: &str, run: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM idempotency WHERE id = ? AND run = ? AND lease_ms IS NOT NULL")
            .bind(id)
            .bind(run)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Drops what has expired, attempts that are over, and the oldest answers of all callers beyond `most`. It is for
    /// now and then.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn sweep_answers(&self, most: MostKept, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM idempotency WHERE expires_ms <= ? OR lease_ms <= ?")
            .bind(now_ms)
            .bind(now_ms)
            .execute(&mut *tx)
            .await?;
        trim(&mut tx, None, most).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Drops the oldest answers beyond `most`: those of one caller, or of all.
async fn trim(
    tx: &mut SqliteConnection,
    owner: Option<&str>,
    most: MostKept,
) -> Result<(), StoreError> {
    let whose = |query: &mut QueryBuilder<Sqlite>| {
        if let Some(owner) = owner {
            query.push(" AND owner = ").push_bind(owner.to_owned());
        }
    };
    let (most_bytes, most_answers) = (
        i64::try_from(most.bytes).unwrap_or(i64::MAX),
        i64::from(most.answers),
    );
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT COALESCE(SUM(bytes), 0), COUNT(*) FROM idempotency WHERE lease_ms IS NULL",
    );
    whose(&mut query);
    let (bytes, answers): (i64, i64) = query.build_query_as().fetch_one(&mut *tx).await?;
    if bytes <= most_bytes && answers <= most_answers {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "DELETE FROM idempotency WHERE id IN (SELECT id FROM (\
         SELECT id, SUM(bytes) OVER newest AS held, ROW_NUMBER() OVER newest AS place \
         FROM idempotency WHERE lease_ms IS NULL",
    );
    whose(&mut query);
    query.push(" WINDOW newest AS (ORDER BY expires_ms DESC, id DESC)) AS kept WHERE held > ");
    query.push_bind(most_bytes);
    query.push(" OR place > ").push_bind(most_answers);
    query.push(")");
    query.build().execute(&mut *tx).await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<KeptAnswer, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("a kept answer's {what}"));
    let headers: String = row.try_get("headers")?;
    Ok(KeptAnswer {
        status: u16::try_from(row.try_get::<i64, _>("status")?).map_err(|_| damaged("status"))?,
        headers: serde_json::from_str(&headers).map_err(|_| damaged("headers"))?,
        body: row.try_get("body")?,
    })
}

#[cfg(test)]
mod tests;
