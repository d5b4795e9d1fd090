//! Versions of prompts: their sources as they were when the application was loaded with them, and
//! what the traces say about each. Left out: how a version is computed.

use std::collections::{BTreeMap, HashSet};

use praxis_core::Money;
use praxis_core::trace::{SpanKind, SpanStatus};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{Store, StoreError};

/// A version of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptVersion {
    /// The function's name.
    pub function: String,
    /// The version that its traces name.
    pub version: String,
    /// Its prompt and partials: file name and text.
    pub sources: BTreeMap<String, String>,
    /// When it was first loaded here, in milliseconds since the Unix epoch.
    pub first_seen_ms: i64,
}

/// What the traces say about a version.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionUse {
    /// The function's name.
    pub function: String,
    /// Its version.
    pub version: String,
    /// Calls that are stored.
    pub calls: u64,
    /// Those of them that did not end well.
    pub failed: u64,
    /// Cost of all of them, with all that they called.
    pub cost: Money,
    /// Their mean duration in microseconds.
    pub mean_us: i64,
}

impl Store {
    /// Notes versions that are not known yet; known ones cost one read and no write.
    ///
    /// # Errors
    /// Where the database fails; then none is noted.
    pub async fn note_prompt_versions(&self, versions: &[PromptVersion]) -> Result<(), StoreError> {
        let known: HashSet<(String, String)> =
            sqlx::query_as("SELECT function, version FROM prompt_versions")
                .fetch_all(&self.pool)
                .await?
                .into_iter()
                .collect();
        let is_new = |v: &&PromptVersion| !known.contains(&(v.function.clone(), v.version.clone()));
        let new: Vec<&PromptVersion> = versions.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for version in new {
            let sources = serde_json::to_string(&version.sources)
                .map_err(|e| StoreError::Damaged(e.to_string()))?;
            sqlx::query(
                "INSERT INTO prompt_versions (function, version, sources, first_seen_ms) \
                 VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&version.function)
            .bind(&version.version)
            .bind(sources)
            .bind(version.first_seen_ms)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The versions of a function, or of all, newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prompt_versions(
        &self,
        function: Option<&str>,
    ) -> Result<Vec<PromptVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM prompt_versions WHERE ?1 IS NULL OR function = ?1 \
             ORDER BY first_seen_ms DESC, function, version",
        )
        .bind(function)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(prompt_version).collect()
    }

    /// Calls, cost and latency of each version of a function, or of all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn version_use(&self, function: Option<&str>) -> Result<Vec<VersionUse>, StoreError> {
        let ok = serde_json::to_string(&SpanStatus::Ok)
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        let rows = sqlx::query(
            "WITH RECURSIVE calls AS (\
               SELECT span_id, trace_id, name, input ->> 'version' AS version, duration_us, status, \
               cost_micros AS cost \
               FROM spans WHERE kind = ?2 AND (?1 IS NULL OR name = ?1)), \
             below (call, trace_id, span_id, cost) AS (\
               SELECT span_id, trace_id, span_id, cost FROM calls UNION ALL \
               SELECT b.call, s.trace_id, s.span_id, s.cost_micros \
               FROM below b JOIN spans s ON s.trace_id = b.trace_id AND s.parent_id = b.span_id), \
             costs AS (SELECT call, SUM(cost) AS cost FROM below GROUP BY call) \
             SELECT name, version, COUNT(*) AS calls, SUM(c.status <> ?3) AS failed, \
               SUM(k.cost) AS cost, CAST(AVG(duration_us) AS BIGINT) AS mean_us \
             FROM calls c JOIN costs k ON k.call = c.span_id \
             WHERE version IS NOT NULL GROUP BY name, version ORDER BY name, version",
        )
        .bind(function)
        .bind(SpanKind::Function.as_str())
        .bind(ok)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(VersionUse {
                    function: row.try_get("name")?,
                    version: row.try_get("version")?,
                    calls: row.try_get::<i64, _>("calls")? as u64,
                    failed: row.try_get::<i64, _>("failed")? as u64,
                    cost: Money(row.try_get("cost")?),
                    mean_us: row.try_get("mean_us")?,
                })
            })
            .collect()
    }
}

fn prompt_version(row: &SqliteRow) -> Result<PromptVersion, StoreError> {
    let sources: String = row.try_get("sources")?;
    Ok(PromptVersion {
        function: row.try_get("function")?,
        version: row.try_get("version")?,
        sources: serde_json::from_str(&sources)
            .map_err(|e| StoreError::Damaged(format!("a prompt's sources: {e}")))?,
        first_seen_ms: row.try_get("first_seen_ms")?,
    })
}
