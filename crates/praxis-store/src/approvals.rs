//! Calls of tools that need a person's approval: rows that are reserved, decided on, consumed by one run and ended.
//! Each step is one statement that changes a row only where it stands as the step needs it, so that of any number of
//! processes one takes it. Left out: which calls need an approval (`praxis-tool`), and who may decide (the edge).

mod log;
mod port;

use praxis_core::approval::{ApprovalState, Decision, End, Ruling, Run, Wanted, may_decide};
use praxis_core::{Approval, Caller, TraceId, ids};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::page::{Page, Paged};
use crate::{Store, StoreError};

pub use self::log::{LogPage, LoggedCall};
pub use self::port::StoreApprovals;

/// The most calls of one caller that may wait.
const MOST_WAITING: i64 = 100;

/// How long a result is given again to the same request.
const RESULT_MS: i64 = 24 * 60 * 60 * 1000;

/// How long rows are kept after they are of use, and how many of the log.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
const MOST_LOGGED: i64 = 1_000_000;

/// The most bytes of a result that are kept; a longer one is not.
const MOST_RESULT: usize = 256 << 10;

const COLUMNS: &str = "id, digest, function, effects, arguments, shown, caller, payer_user, reason, trace, scope, \
     state, created_ms, expires_ms, decided_ms, decided_by, note, consumed_ms, ended_ms, result, error";

impl Store {
    /// The record that stands for a call, a new one where there is none: see [`praxis_core::Approvals`]. `None` where
    /// as many calls of the caller wait as may.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn reserve_approval(
        &self,
        wanted: &Wanted,
        now_ms: i64,
    ) -> Result<Option<Approval>, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE approvals SET state = 'expired' \
             WHERE digest = ? AND state IN ('pending', 'approved') AND expires_ms <= ?",
        )
        .bind(&wanted.digest)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
        if let Some(there) = standing(&mut tx, wanted, now_ms).await? {
            tx.commit().await?;
            return Ok(Some(there));
        }
        let caller = json(&wanted.caller)?;
        let waiting: i64 = sqlx::query(
            "SELECT COUNT(*) FROM approvals WHERE state = 'pending' AND caller = ? AND expires_ms > ?",
        )
        .bind(&caller)
        .bind(now_ms)
        .fetch_one(&mut *tx)
        .await?
        .try_get(0)?;
        if waiting >= MOST_WAITING {
            return Ok(None);
        }
        let valid_ms = i64::try_from(wanted.valid.as_millis()).unwrap_or(KEPT_MS);
        let valid_ms = valid_ms.min(KEPT_MS);
        let sql = format!(
            "INSERT INTO approvals (id, digest, function, effects, arguments, shown, caller, payer_user, reason, \
             trace, state, valid_ms, created_ms, expires_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?) RETURNING {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(ids::generate("approval-"))
            .bind(&wanted.digest)
            .bind(&wanted.function)
            .bind(json(&wanted.effects)?)
            .bind(wanted.arguments.to_string())
            .bind(wanted.shown.to_string())
            .bind(&caller)
            .bind(&wanted.user)
            .bind(&wanted.reason)
            .bind(wanted.trace_id.as_str())
            .bind(valid_ms)
            .bind(now_ms)
            .bind(now_ms.saturating_add(valid_ms))
            .fetch_one(&mut *tx)
            .await?;
        let new = read(&row, now_ms)?;
        tx.commit().await?;
        Ok(Some(new))
    }

    /// The record of this id. Whether the reader may see it is for the caller to ask.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approval(&self, id: &str, now_ms: i64) -> Result<Option<Approval>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(|row| read(row, now_ms)).transpose()
    }

    /// The record with this digest that was approved and holds, or was begun and has not ended.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn standing_approval(
        &self,
        digest: &str,
        now_ms: i64,
    ) -> Result<Option<Approval>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM approvals WHERE digest = ? \
             AND (state = 'consumed' OR (state = 'approved' AND expires_ms > ?)) \
             ORDER BY created_ms DESC, id DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(digest)
            .bind(now_ms)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(|row| read(row, now_ms)).transpose()
    }

    /// A page of the records that the reader may see, in one state or in all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approvals(
        &self,
        state: Option<ApprovalState>,
        page: &Page,
        reader: &Caller,
        now_ms: i64,
    ) -> Result<Paged<Approval>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM approvals WHERE 1 = 1");
        let mut query = QueryBuilder::<Sqlite>::new(sql);
        if let Some(state) = state {
            match state {
                // Most are: the list is read in its order, not by an index of states.
                ApprovalState::Expired => query
                    .push(" AND CASE WHEN state IN ('pending', 'approved') AND expires_ms <= ")
                    .push_bind(now_ms)
                    .push(" THEN 'expired' ELSE state END = 'expired'"),
                ApprovalState::Pending | ApprovalState::Approved => query
                    .push(" AND expires_ms > ")
                    .push_bind(now_ms)
                    .push(" AND state = ")
                    .push_bind(state.as_str()),
                state => query.push(" AND state = ").push_bind(state.as_str()),
            };
        }
        page.push(&mut query, "id");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| {
            let approval = read(row, now_ms)?;
            Ok(approval.is_seen_by(reader).then_some(approval))
        })
        .await
    }

    /// How many calls wait that the reader may decide on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn waiting_approvals(&self, reader: &Caller, now_ms: i64) -> Result<u64, StoreError> {
        let rows = sqlx::query(
            "SELECT caller, COUNT(*) AS number FROM approvals \
             WHERE state = 'pending' AND expires_ms > ? GROUP BY caller",
        )
        .bind(now_ms)
        .fetch_all(&self.pool)
        .await?;
        let mut waiting = 0;
        for row in &rows {
            let (caller, number): (Caller, i64) = (parsed(row, "caller")?, row.try_get("number")?);
            if may_decide(reader, &caller) {
                waiting += u64::try_from(number).unwrap_or_default();
            }
        }
        Ok(waiting)
    }

    /// Decides on a record, and gives it as it is then; `None` where there is none of this id. Where its state did not
    /// allow the decision, it is as it was.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn decide_approval(
        &self,
        id: &str,
        ruling: &Ruling,
        now_ms: i64,
    ) -> Result<Option<Approval>, StoreError> {
        let from = match ruling.decision {
            Decision::Approve => "state = 'pending' AND expires_ms > ?2",
            Decision::ApproveAgain => {
                "(state = 'pending' AND expires_ms > ?2 OR state = 'consumed')"
            }
            Decision::Deny => "state IN ('pending', 'approved') AND expires_ms > ?2",
        };
        let sql = format!(
            "UPDATE approvals SET state = ?1, decided_ms = ?2, decided_by = ?3, note = ?4, \
             expires_ms = ?2 + valid_ms WHERE id = ?5 AND {from} RETURNING {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(ruling.decision.state().as_str())
            .bind(now_ms)
            .bind(&ruling.by)
            .bind(&ruling.note)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        match row {
            Some(row) => Ok(Some(read(&row, now_ms)?)),
            None => self.approval(id, now_ms).await,
        }
    }

    /// Takes an approved record for a run; `false` where it is not approved, or not any more.
    ///
    /// # Errors
    /// Where the database fails; then it is not taken.
    pub async fn consume_approval(
        &self,
        id: &str,
        run: &Run,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE approvals SET state = 'consumed', run = ?, scope = ?, trace = ?, consumed_ms = ? \
             WHERE id = ? AND state = 'approved' AND expires_ms > ?",
        )
        .bind(&run.id)
        .bind(&run.scope)
        .bind(run.trace_id.as_str())
        .bind(now_ms)
        .bind(id)
        .bind(now_ms)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Drops rows that are past use, and the oldest of the log beyond the most that it holds. It is for now and then.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn sweep_approvals(&self, now_ms: i64) -> Result<(), StoreError> {
        let before = now_ms.saturating_sub(KEPT_MS);
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE approvals SET state = 'expired' \
             WHERE state IN ('pending', 'approved') AND expires_ms <= ?",
        )
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
        for (sql, bound) in [
            ("DELETE FROM approvals WHERE expires_ms < ?", before),
            ("DELETE FROM tool_calls WHERE at_ms < ?", before),
            (
                "DELETE FROM tool_calls WHERE number <= (SELECT MAX(number) FROM tool_calls) - ?",
                MOST_LOGGED,
            ),
        ] {
            sqlx::query(sql).bind(bound).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// The record that stands for a call, if there is one.
async fn standing(
    tx: &mut SqliteConnection,
    wanted: &Wanted,
    now_ms: i64,
) -> Result<Option<Approval>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE digest = ?1 \
         AND (state IN ('pending', 'approved', 'consumed') \
         OR (state = 'done' AND scope = ?2 AND expires_ms > ?3) \
         OR (state = 'denied' AND expires_ms > ?3)) \
         ORDER BY CASE state WHEN 'done' THEN 0 WHEN 'denied' THEN 2 ELSE 1 END, created_ms DESC, id DESC LIMIT 1"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&wanted.digest)
        .bind(&wanted.scope)
        .bind(now_ms)
        .fetch_optional(&mut *tx)
        .await?;
    row.as_ref().map(|row| read(row, now_ms)).transpose()
}

/// Notes how a run ended, if its record is still that run's: also one that was approved again meanwhile and not begun
/// again, since its end is known now.
async fn end(tx: &mut SqliteConnection, end: &End, now_ms: i64) -> Result<(), StoreError> {
    let (state, result, error) = match &end.result {
        Ok(value) => {
            let text = value.to_string();
            let kept = (text.len() <= MOST_RESULT).then_some(text);
            (ApprovalState::Done, kept, None)
        }
        Err(message) => (ApprovalState::Failed, None, Some(message.as_str())),
    };
    sqlx::query(
        "UPDATE approvals SET state = ?, ended_ms = ?, expires_ms = ?, result = ?, error = ? \
         WHERE id = ? AND run = ? AND state IN ('consumed', 'approved')",
    )
    .bind(state.as_str())
    .bind(now_ms)
    .bind(now_ms.saturating_add(RESULT_MS))
    .bind(result)
    .bind(error)
    .bind(&end.approval)
    .bind(&end.run)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Damaged(e.to_string()))
}

fn parsed<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|e| damaged(format!("{column}: {e}")))
}

fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("a call of a tool: {what}"))
}

fn read(row: &SqliteRow, now_ms: i64) -> Result<Approval, StoreError> {
    let written: String = row.try_get("state")?;
    let expires_ms: i64 = row.try_get("expires_ms")?;
    let state = match ApprovalState::parse(&written) {
        Some(ApprovalState::Pending | ApprovalState::Approved) if expires_ms <= now_ms => {
            ApprovalState::Expired
        }
        Some(state) => state,
        None => return Err(damaged(format!("state `{written}`"))),
    };
    let result: Option<String> = row.try_get("result")?;
    let result = result.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Approval {
        id: row.try_get("id")?,
        state,
        function: row.try_get("function")?,
        effects: parsed(row, "effects")?,
        arguments: parsed(row, "arguments")?,
        shown: parsed(row, "shown")?,
        digest: row.try_get("digest")?,
        reason: row.try_get("reason")?,
        caller: parsed(row, "caller")?,
        user: row.try_get("payer_user")?,
        trace_id: TraceId::from_string(row.try_get::<String, _>("trace")?),
        scope: row.try_get("scope")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms,
        decided_ms: row.try_get("decided_ms")?,
        decided_by: row.try_get("decided_by")?,
        note: row.try_get("note")?,
        consumed_ms: row.try_get("consumed_ms")?,
        ended_ms: row.try_get("ended_ms")?,
        result: result.map_err(|e| damaged(format!("result: {e}")))?,
        error: row.try_get("error")?,
    })
}

#[cfg(test)]
mod tests;
