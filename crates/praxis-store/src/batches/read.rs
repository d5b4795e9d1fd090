//! Rows of batches and of their answers, as they are read.

use praxis_core::{Clearance, Usage};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{
    Batch, BatchAnswer, BatchStatus, BatchTimes, LineOutcome, Maker, RequestCounts, unsigned,
};
use crate::StoreError;
use crate::attributes::read_labels;

/// Columns of a [`Batch`].
pub(super) const COLUMNS: &str = "id, input, hash, endpoint, metadata, output_expires, status, ending, errors, \
     model, total, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens, output_file, \
     error_file, created, expires, begun, finalizing, cancelling, ended, made_by, key, tags, host, owner, labels";

/// A batch, if it may be read.
pub(super) fn batch(row: &SqliteRow, clearance: &Clearance) -> Result<Option<Batch>, StoreError> {
    let labels = read_labels(&row.try_get::<String, _>("labels")?)?;
    if !clearance.permits(&labels) {
        return Ok(None);
    }
    let count = |column: &str| Ok::<_, StoreError>(unsigned(row.try_get(column)?));
    let metadata: Option<String> = row.try_get("metadata")?;
    let ending: Option<String> = row.try_get("ending")?;
    Ok(Some(Batch {
        id: row.try_get("id")?,
        input: row.try_get("input")?,
        hash: row.try_get("hash")?,
        endpoint: row.try_get("endpoint")?,
        metadata: metadata.as_deref().map(json).transpose()?,
        output_expires: row.try_get("output_expires")?,
        status: status(&row.try_get::<String, _>("status")?)?,
        ending: ending.as_deref().map(status).transpose()?,
        errors: json(&row.try_get::<String, _>("errors")?)?,
        model: row.try_get("model")?,
        counts: RequestCounts {
            total: count("total")?,
            completed: count("completed")?,
            failed: count("failed")?,
        },
        usage: Usage {
            input_tokens: count("input_tokens")?,
            cached_tokens: count("cached_tokens")?,
            output_tokens: count("output_tokens")?,
            reasoning_tokens: count("reasoning_tokens")?,
            ..Usage::default()
        },
        output_file: row.try_get("output_file")?,
        error_file: row.try_get("error_file")?,
        times: BatchTimes {
            created: row.try_get("created")?,
            expires: row.try_get("expires")?,
            begun: row.try_get("begun")?,
            finalizing: row.try_get("finalizing")?,
            cancelling: row.try_get("cancelling")?,
            ended: row.try_get("ended")?,
        },
        maker: maker(&row.try_get::<String, _>("made_by")?, row.try_get("key")?)?,
        tags: row.try_get("tags")?,
        host: row.try_get("host")?,
        owner: row.try_get("owner")?,
        labels,
    }))
}

/// A request that is done with.
pub(super) fn answer(row: &SqliteRow) -> Result<BatchAnswer, StoreError> {
    let status: Option<i64> = row.try_get("status")?;
    let (request, body): (String, String) = (row.try_get("request")?, row.try_get("body")?);
    let outcome = match status {
        Some(status) => LineOutcome::Answered {
            status: u16::try_from(status).map_err(|_| damaged(format!("the status {status}")))?,
            request,
            body,
        },
        None => LineOutcome::Unanswered {
            code: request,
            message: body,
        },
    };
    Ok(BatchAnswer {
        line: unsigned(row.try_get("line")?),
        id: row.try_get("id")?,
        custom_id: row.try_get("custom_id")?,
        outcome,
    })
}

fn maker(made_by: &str, key: Option<String>) -> Result<Maker, StoreError> {
    match (made_by, key) {
        ("none", _) => Ok(Maker::Nobody),
        ("configured", name) => Ok(Maker::Configured(name)),
        ("stored", Some(id)) => Ok(Maker::Stored(id)),
        (other, _) => Err(damaged(format!("made by `{other}`"))),
    }
}

fn status(name: &str) -> Result<BatchStatus, StoreError> {
    BatchStatus::parse(name).ok_or_else(|| damaged(format!("the status `{name}`")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| damaged(e.to_string()))
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged(format!("a batch: {what}"))
}
