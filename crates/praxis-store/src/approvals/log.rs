//! The log of calls of tools: rows that are added, read page by page, and dropped after a time. Left out: what is
//! written into it (`praxis-tool`).

use futures::TryStreamExt;
use praxis_core::approval::{End, Entry, Outcome};
use praxis_core::{Caller, TraceId, approval};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{damaged, end, json, parsed};
use crate::page::Paged;
use crate::{Store, StoreError};

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct LoggedCall {
    /// Its number: a later row has a larger one.
    pub number: i64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Which part of the log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The most rows.
    pub limit: usize,
    /// Whether the newest come first.
    pub descending: bool,
    /// The number of the row before the first, whether or not it is still there.
    pub after: Option<i64>,
    /// Only calls of this tool (`shop`), or of this one function (`shop/refund`).
    pub tool: Option<String>,
    /// Only rows with this outcome.
    pub outcome: Option<Outcome>,
    /// Only rows that were written at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
}

impl Store {
    /// Adds to the log, and notes how the run of an approved call ended, both or neither.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn note_tool_call(
        &self,
        entry: &Entry,
        ended: Option<&End>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(ended) = ended {
            end(&mut tx, ended, now_ms).await?;
        }
        sqlx::query(
            "INSERT INTO tool_calls (at_ms, call, function, effects, digest, arguments, caller, payer_user, trace, \
             tainted_by, decision, approval, outcome, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(now_ms)
        .bind(&entry.call)
        .bind(&entry.function)
        .bind(json(&entry.effects)?)
        .bind(&entry.digest)
        .bind(entry.arguments.to_string())
        .bind(json(&entry.caller)?)
        .bind(&entry.user)
        .bind(entry.trace_id.as_str())
        .bind(&entry.tainted_by)
        .bind(&entry.decision)
        .bind(&entry.approval)
        .bind(entry.outcome.as_str())
        .bind(&entry.message)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A page of the log: the rows that the reader may see.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tool_calls(
        &self,
        page: &LogPage,
        reader: &Caller,
    ) -> Result<Paged<LoggedCall>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM tool_calls WHERE 1 = 1");
        if let Some(after) = page.after {
            query.push(match page.descending {
                true => " AND number < ",
                false => " AND number > ",
            });
            query.push_bind(after);
        }
        if let Some(tool) = &page.tool {
            query.push(" AND (function = ").push_bind(tool.clone());
            // The name of a function is no file's.
            if !tool.contains('/') {
                query.push(" OR instr(function, ");
                query.push_bind(format!("{tool}/")).push(") = 1");
            }
            query.push(")");
        }
        if let Some(outcome) = page.outcome {
            query.push(" AND outcome = ").push_bind(outcome.as_str());
        }
        if let Some(since) = page.since_ms {
            query.push(" AND at_ms >= ").push_bind(since);
        }
        query.push(match page.descending {
            true => " ORDER BY number DESC",
            false => " ORDER BY number",
        });
        let mut rows = query.build().fetch(&self.pool);
        let (mut items, mut has_more) = (Vec::new(), false);
        while let Some(row) = rows.try_next().await? {
            let logged = read(&row)?;
            if !approval::oversees(reader, &logged.entry.caller) {
                continue;
            }
            if items.len() == page.limit {
                has_more = true;
                break;
            }
            items.push(logged);
        }
        Ok(Paged { items, has_more })
    }
}

fn read(row: &SqliteRow) -> Result<LoggedCall, StoreError> {
    let outcome: String = row.try_get("outcome")?;
    let outcome =
        Outcome::parse(&outcome).ok_or_else(|| damaged(format!("outcome `{outcome}`")))?;
    Ok(LoggedCall {
        number: row.try_get("number")?,
        at_ms: row.try_get("at_ms")?,
        entry: Entry {
            call: row.try_get("call")?,
            function: row.try_get("function")?,
            effects: parsed(row, "effects")?,
            digest: row.try_get("digest")?,
            arguments: parsed(row, "arguments")?,
            caller: parsed(row, "caller")?,
            user: row.try_get("payer_user")?,
            trace_id: TraceId::from_string(row.try_get::<String, _>("trace")?),
            tainted_by: row.try_get("tainted_by")?,
            decision: row.try_get("decision")?,
            approval: row.try_get("approval")?,
            outcome,
            message: row.try_get("message")?,
        },
    })
}
