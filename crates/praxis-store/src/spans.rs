//! Traces: spans in, lists and trees out.

use praxis_core::trace::{Span, SpanKind, SpanStatus};
use praxis_core::{Caller, Money, SpanId, TraceId, Usage};
use rusqlite::{Connection, params};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::attributes::write_caller;
use crate::conversations::whose;
use crate::feedback::Thumb;
use crate::page::{Page, Paged};
use crate::{Store, StoreError};

/// A trace in a list: its first step, and what all steps took.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TraceHead {
    /// The trace's id.
    pub id: TraceId,
    /// What its first step measures.
    pub kind: SpanKind,
    /// The function's, base's or model's name.
    pub name: String,
    /// Start, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Duration of the first step in microseconds.
    pub duration_us: i64,
    /// Time to the first token in microseconds, for streamed answers.
    pub first_token_us: Option<i64>,
    /// Tokens of all steps.
    pub usage: Usage,
    /// Cost of all steps.
    pub cost: Money,
    /// How the first step ended.
    pub status: SpanStatus,
    /// Who called, where that caller has a name or may not read everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// How often something was said of it.
    pub feedback: u64,
}

/// How traces ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceEnd {
    /// As hoped.
    Ok,
    /// With an error.
    Error,
    /// The caller stopped it.
    Cancelled,
}

impl TraceEnd {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Error, Self::Cancelled];

    /// As it is written, which is as [`SpanStatus`] has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }

    /// That of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == word)
    }

    /// What the JSON of such a status begins with.
    fn begin(self) -> String {
        format!("{{\"status\":\"{}\"", self.as_str())
    }
}

/// Which traces are wanted; what nothing is said of may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// Whose first step has this name: a function's, a model's.
    pub name: Option<String>,
    /// What their first step measures.
    pub kind: Option<SpanKind>,
    /// How their first step ended.
    pub end: Option<TraceEnd>,
    /// The name of the key that called.
    pub key: Option<String>,
    /// That began then or later, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// That began before then.
    pub before_ms: Option<i64>,
    /// Of which somebody said so.
    pub thumb: Option<Thumb>,
}

impl TraceFilter {
    /// Adds it to a query of root spans, called `r`.
    fn push(&self, query: &mut QueryBuilder<Sqlite>) -> Result<(), StoreError> {
        if let Some(name) = &self.name {
            query.push(" AND r.name = ").push_bind(name.clone());
        }
        if let Some(kind) = self.kind {
            query.push(" AND r.kind = ").push_bind(kind.as_str());
        }
        if let Some(end) = self.end {
            query.push(" AND instr(r.status, ").push_bind(end.begin());
            query.push(") = 1");
            if end != TraceEnd::Ok {
                // In the words of an index.
                query.push(" AND r.status <> '{\"status\":\"ok\"}'");
            }
        }
        if let Some(key) = &self.key {
            // Callers are written with their name first.
            let name =
                serde_json::to_string(key).map_err(|e| StoreError::Damaged(e.to_string()))?;
            query.push(" AND instr(r.caller, ");
            query.push_bind(format!("{{\"name\":{name},")).push(") = 1");
        }
        if let Some(since) = self.since_ms {
            query.push(" AND r.started_ms >= ").push_bind(since);
        }
        if let Some(before) = self.before_ms {
            query.push(" AND r.started_ms < ").push_bind(before);
        }
        if let Some(thumb) = self.thumb {
            query.push(" AND r.trace_id IN (SELECT f.trace_id FROM feedback f WHERE f.thumb = ");
            query.push_bind(thumb.as_str()).push(")");
        }
        Ok(())
    }
}

/// Characters of a trace's id: so many are not the end of another.
const WHOLE_ID: usize = 32;

/// What all steps of the trace of `r` took, as columns.
macro_rules! sums {
    () => {
        "(SELECT SUM(s.input_tokens) FROM spans s WHERE s.trace_id = r.trace_id) AS sum_in, \
         (SELECT SUM(s.cached_tokens) FROM spans s WHERE s.trace_id = r.trace_id) AS sum_cached, \
         (SELECT SUM(s.output_tokens) FROM spans s WHERE s.trace_id = r.trace_id) AS sum_out, \
         (SELECT SUM(s.cost_micros) FROM spans s WHERE s.trace_id = r.trace_id) AS sum_cost"
    };
}

/// Root spans with the sums of their traces; of a trace with several, the first.
const HEADS: &str = concat!(
    "SELECT r.*, ",
    sums!(),
    ", (SELECT COUNT(*) FROM feedback f WHERE f.trace_id = r.trace_id) AS said \
     FROM spans r WHERE r.parent_id IS NULL AND NOT EXISTS (SELECT 1 FROM spans e \
     WHERE e.trace_id = r.trace_id AND e.parent_id IS NULL AND e.span_id < r.span_id)"
);

/// Writes a span, unless it is there.
///
/// # Errors
/// Where the database fails.
pub(crate) fn put_span(tx: &Connection, span: &Span) -> Result<(), StoreError> {
    let status = serde_json::to_string(&span.status);
    let status = status.map_err(|e| StoreError::Damaged(e.to_string()))?;
    let mut put = tx.prepare_cached(
        "INSERT INTO spans (span_id, trace_id, parent_id, kind, name, started_ms, duration_us, \
         first_token_us, input, output, input_tokens, cached_tokens, output_tokens, cost_micros, \
         status, caller) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO NOTHING",
    )?;
    put.execute(params![
        span.span_id.as_str(),
        span.trace_id.as_str(),
        span.parent_id.as_ref().map(SpanId::as_str),
        span.kind.as_str(),
        span.name,
        span.started_ms,
        span.duration_us,
        span.first_token_us,
        span.input.to_string(),
        span.output.to_string(),
        span.usage.input_tokens as i64,
        span.usage.cached_tokens as i64,
        span.usage.output_tokens as i64,
        span.cost.0,
        status,
        write_caller(span.caller.as_ref())?,
    ])?;
    Ok(())
}

impl Store {
    /// The newest root spans that `reader` may see, each with the tokens and cost of its whole tree.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn traces(&self, limit: usize, reader: &Caller) -> Result<Vec<Span>, StoreError> {
        // As [`Caller::sees_traces_of`] has it.
        let own = whose(reader)?;
        let rows = sqlx::query(concat!(
            "SELECT r.*, ",
            sums!(),
            " FROM (SELECT * FROM spans WHERE parent_id IS NULL AND (?1 IS NULL OR caller = ?1) \
             ORDER BY started_ms DESC, span_id DESC LIMIT ?2) r ORDER BY r.started_ms DESC, r.span_id DESC",
        ))
        .bind(own)
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let mut root = span(row)?;
                (root.usage, root.cost) = sums(row)?;
                Ok(root)
            })
            .collect()
    }

    /// A page of the traces that `reader` may see, by id, which sorts by time.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn trace_page(
        &self,
        filter: &TraceFilter,
        page: &Page,
        reader: &Caller,
    ) -> Result<Paged<TraceHead>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(HEADS);
        // As [`Caller::sees_traces_of`] has it.
        if let Some(own) = whose(reader)? {
            query.push(" AND r.caller = ").push_bind(own);
        }
        filter.push(&mut query)?;
        page.push(&mut query, "r.trace_id");
        let rows = query.build().fetch(&self.pool);
        page.collect(rows, |row| head(row).map(Some)).await
    }

    /// The spans of the one trace whose id ends with `id`, oldest first; none if there is no such
    /// trace or several, or `reader` may not see it. (Ids sort by time, so it is their end that tells them
    /// apart.)
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn spans_of(&self, id: &str, reader: &Caller) -> Result<Vec<Span>, StoreError> {
        let mut rows = self.spans_in(id).await?;
        if rows.is_empty() && (1..WHOLE_ID).contains(&id.len()) {
            let ending = "SELECT DISTINCT trace_id FROM spans WHERE substr(trace_id, -length(?1)) = ?1 LIMIT 2";
            let ids: Vec<String> = sqlx::query_scalar(ending)
                .bind(id)
                .fetch_all(&self.pool)
                .await?;
            if let [only] = ids.as_slice() {
                rows = self.spans_in(only).await?;
            }
        }
        let spans: Vec<Span> = rows.iter().map(span).collect::<Result<_, _>>()?;
        let root = spans.iter().find(|span| span.parent_id.is_none());
        let visible = reader.clearance.is_full()
            || root.is_some_and(|root| reader.sees_traces_of(root.caller.as_ref()));
        Ok(if visible { spans } else { Vec::new() })
    }

    async fn spans_in(&self, trace: &str) -> Result<Vec<SqliteRow>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM spans WHERE trace_id = ? ORDER BY started_ms, span_id");
        Ok(rows.bind(trace).fetch_all(&self.pool).await?)
    }
}

/// What all steps of a trace took.
fn sums(row: &SqliteRow) -> Result<(Usage, Money), StoreError> {
    let usage = Usage {
        input_tokens: row.try_get::<i64, _>("sum_in")? as u64,
        cached_tokens: row.try_get::<i64, _>("sum_cached")? as u64,
        output_tokens: row.try_get::<i64, _>("sum_out")? as u64,
        ..Usage::default()
    };
    Ok((usage, Money(row.try_get("sum_cost")?)))
}

fn head(row: &SqliteRow) -> Result<TraceHead, StoreError> {
    let root = span(row)?;
    let (usage, cost) = sums(row)?;
    Ok(TraceHead {
        id: root.trace_id,
        kind: root.kind,
        name: root.name,
        started_ms: root.started_ms,
        duration_us: root.duration_us,
        first_token_us: root.first_token_us,
        usage,
        cost,
        status: root.status,
        caller: root.caller,
        feedback: row.try_get::<i64, _>("said")? as u64,
    })
}

fn span(row: &SqliteRow) -> Result<Span, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let json = |column: &str| {
        serde_json::from_str(&text(column)?)
            .map_err(|e| StoreError::Damaged(format!("a span's {column}: {e}")))
    };
    let kind = text("kind")?;
    let status: SpanStatus = serde_json::from_str(&text("status")?)
        .map_err(|e| StoreError::Damaged(format!("a span's status: {e}")))?;
    Ok(Span {
        trace_id: TraceId::from_string(text("trace_id")?),
        span_id: SpanId::from_string(text("span_id")?),
        parent_id: row
            .try_get::<Option<String>, _>("parent_id")?
            .map(SpanId::from_string),
        kind: SpanKind::parse(&kind)
            .ok_or_else(|| StoreError::Damaged(format!("a span of kind `{kind}`")))?,
        name: text("name")?,
        started_ms: row.try_get("started_ms")?,
        duration_us: row.try_get("duration_us")?,
        first_token_us: row.try_get("first_token_us")?,
        input: json("input")?,
        output: json("output")?,
        usage: Usage {
            input_tokens: row.try_get::<i64, _>("input_tokens")? as u64,
            cached_tokens: row.try_get::<i64, _>("cached_tokens")? as u64,
            output_tokens: row.try_get::<i64, _>("output_tokens")? as u64,
            ..Usage::default()
        },
        cost: Money(row.try_get("cost_micros")?),
        status,
        caller: row
            .try_get::<Option<String>, _>("caller")?
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|e| StoreError::Damaged(format!("a span's caller: {e}")))?,
    })
}
