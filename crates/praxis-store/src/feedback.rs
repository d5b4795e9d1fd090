//! What people say of calls: a thumb, a score, words. It belongs to the trace of the call, and who sees that sees it.
//! Left out: what is made of it.

use praxis_core::{Caller, TraceId, ids};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::attributes::write_caller;
use crate::conversations::whose;
use crate::page::{Page, Paged};
use crate::{Store, StoreError};

/// The most that is kept of one call, so that a page that sends it again and again does not fill the disk.
const MOST: i64 = 100;

/// Whether an answer was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Thumb {
    /// It was.
    Up,
    /// It was not.
    Down,
}

impl Thumb {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// That of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|thumb| thumb.as_str() == word)
    }
}

/// What is said of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewFeedback {
    /// Whether the answer was good.
    pub thumb: Option<Thumb>,
    /// How good it was, from 0 to 1.
    pub score: Option<f64>,
    /// In words.
    pub comment: Option<String>,
    /// Who says so, as the client calls them.
    pub by: Option<String>,
}

/// What was said of a call.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Feedback {
    /// Its id.
    pub id: String,
    /// The trace of the call.
    pub trace_id: TraceId,
    /// Whether the answer was good.
    pub thumb: Option<Thumb>,
    /// How good it was, from 0 to 1.
    pub score: Option<f64>,
    /// In words.
    pub comment: Option<String>,
    /// Who says so, as the client calls them.
    pub by: Option<String>,
    /// The name of the key that it came with; none for the server's one key, or a server without keys.
    pub key: Option<String>,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

/// What came of giving feedback.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// It is kept.
    Kept(Feedback),
    /// There is no such trace, or the caller may not see it.
    NoTrace,
    /// The trace has as much as is kept of one.
    Full,
}

/// Which feedback is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedbackFilter {
    /// Only that of this call.
    pub trace_id: Option<TraceId>,
    /// Only that with this thumb.
    pub thumb: Option<Thumb>,
}

impl Store {
    /// Keeps what a caller says of a call that it may see.
    ///
    /// # Errors
    /// Where the database fails; then nothing is kept.
    pub async fn give_feedback(
        &self,
        trace_id: &TraceId,
        new: &NewFeedback,
        caller: &Caller,
        now_ms: i64,
    ) -> Result<Given, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let seen = sqlx::query(
            "SELECT 1 FROM spans \
             WHERE trace_id = ?1 AND parent_id IS NULL AND (?2 IS NULL OR caller = ?2) LIMIT 1",
        )
        .bind(trace_id.as_str())
        .bind(whose(caller)?)
        .fetch_optional(&mut *tx)
        .await?;
        if seen.is_none() {
            return Ok(Given::NoTrace);
        }
        let there: i64 = sqlx::query("SELECT COUNT(*) FROM feedback WHERE trace_id = ?")
            .bind(trace_id.as_str())
            .fetch_one(&mut *tx)
            .await?
            .try_get(0)?;
        if there >= MOST {
            return Ok(Given::Full);
        }
        let given = Feedback {
            id: ids::generate("feedback-"),
            trace_id: trace_id.clone(),
            thumb: new.thumb,
            score: new.score,
            comment: new.comment.clone(),
            by: new.by.clone(),
            key: caller.name.clone(),
            created_ms: now_ms,
        };
        let is_known = caller.name.is_some() || !caller.clearance.is_full();
        sqlx::query(
            "INSERT INTO feedback (id, trace_id, caller, said_by, thumb, score, comment, created_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&given.id)
        .bind(given.trace_id.as_str())
        .bind(write_caller(is_known.then_some(caller))?)
        .bind(&given.by)
        .bind(given.thumb.map(Thumb::as_str))
        .bind(given.score)
        .bind(&given.comment)
        .bind(given.created_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Given::Kept(given))
    }

    /// All that was said of a call, oldest first. Whether the reader sees the trace is for the caller to ask.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn feedback_of(&self, trace_id: &TraceId) -> Result<Vec<Feedback>, StoreError> {
        let rows = sqlx::query("SELECT * FROM feedback WHERE trace_id = ? ORDER BY id")
            .bind(trace_id.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// A page of what was said of the calls that the reader may see.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn feedback(
        &self,
        filter: &FeedbackFilter,
        page: &Page,
        reader: &Caller,
    ) -> Result<Paged<Feedback>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM feedback f WHERE 1 = 1");
        if let Some(trace_id) = &filter.trace_id {
            query.push(" AND trace_id = ");
            query.push_bind(trace_id.as_str().to_owned());
        }
        if let Some(thumb) = filter.thumb {
            query.push(" AND thumb = ").push_bind(thumb.as_str());
        }
        // As [`Caller::sees_traces_of`] has it.
        if let Some(own) = whose(reader)? {
            query.push(
                " AND EXISTS (SELECT 1 FROM spans r WHERE r.trace_id = f.trace_id AND r.parent_id IS NULL \
                 AND r.caller = ",
            );
            query.push_bind(own).push(")");
        }
        page.push(&mut query, "id");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| read(row).map(Some)).await
    }
}

fn read(row: &SqliteRow) -> Result<Feedback, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("feedback: {what}"));
    let thumb: Option<String> = row.try_get("thumb")?;
    let thumb = thumb.map(|word| Thumb::parse(&word).ok_or_else(|| damaged(format!("`{word}`"))));
    let caller: Option<String> = row.try_get("caller")?;
    let caller = caller.map(|json| serde_json::from_str::<Caller>(&json));
    let caller = caller
        .transpose()
        .map_err(|e| damaged(format!("who gave it: {e}")))?;
    Ok(Feedback {
        id: row.try_get("id")?,
        trace_id: TraceId::from_string(row.try_get::<String, _>("trace_id")?),
        thumb: thumb.transpose()?,
        score: row.try_get("score")?,
        comment: row.try_get("comment")?,
        by: row.try_get("said_by")?,
        key: caller.and_then(|caller| caller.name),
        created_ms: row.try_get("created_ms")?,
    })
}

#[cfg(test)]
mod tests;
