//! Traces: spans in, lists and trees out.

use praxis_core::trace::{Span, SpanKind, SpanStatus};
use praxis_core::{Caller, Money, SpanId, TraceId, Usage};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::attributes::write_caller;
use crate::{Store, StoreError};

impl Store {
    /// Writes spans in one transaction.
    ///
    /// # Errors
    /// Where the database fails; then none is written.
    pub async fn put_spans(&self, spans: &[Span]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for span in spans {
            let status = serde_json::to_string(&span.status)
                .map_err(|e| StoreError::Damaged(e.to_string()))?;
            sqlx::query(
                "INSERT INTO spans (span_id, trace_id, parent_id, kind, name, started_ms, \
                 duration_us, first_token_us, input, output, input_tokens, cached_tokens, \
                 output_tokens, cost_micros, status, caller) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(span.span_id.as_str())
            .bind(span.trace_id.as_str())
            .bind(span.parent_id.as_ref().map(SpanId::as_str))
            .bind(span.kind.as_str())
            .bind(&span.name)
            .bind(span.started_ms)
            .bind(span.duration_us)
            .bind(span.first_token_us)
            .bind(span.input.to_string())
            .bind(span.output.to_string())
            .bind(span.usage.input_tokens as i64)
            .bind(span.usage.cached_tokens as i64)
            .bind(span.usage.output_tokens as i64)
            .bind(span.cost.0)
            .bind(status)
            .bind(write_caller(span.caller.as_ref())?)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The newest root spans that `reader` may see, each with the tokens and cost of its whole tree.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn traces(&self, limit: usize, reader: &Caller) -> Result<Vec<Span>, StoreError> {
        // As [`Caller::sees_traces_of`] has it.
        let own = match reader.clearance.is_full() {
            true => None,
            false => write_caller(Some(reader))?,
        };
        let rows = sqlx::query(
            "SELECT r.*, s.i AS sum_in, s.c AS sum_cached, s.o AS sum_out, s.m AS sum_cost \
             FROM (SELECT * FROM spans WHERE parent_id IS NULL AND (?1 IS NULL OR caller = ?1) \
             ORDER BY started_ms DESC, span_id DESC LIMIT ?2) r JOIN (SELECT trace_id, SUM(input_tokens) i, SUM(cached_tokens) c, \
             SUM(output_tokens) o, SUM(cost_micros) m FROM spans GROUP BY trace_id) s \
             ON s.trace_id = r.trace_id ORDER BY r.started_ms DESC, r.span_id DESC",
        )
        .bind(own)
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let mut root = span(row)?;
                root.usage = Usage {
                    input_tokens: row.try_get::<i64, _>("sum_in")? as u64,
                    cached_tokens: row.try_get::<i64, _>("sum_cached")? as u64,
                    output_tokens: row.try_get::<i64, _>("sum_out")? as u64,
                    ..Usage::default()
                };
                root.cost = Money(row.try_get("sum_cost")?);
                Ok(root)
            })
            .collect()
    }

    /// The spans of the one trace whose id ends with `id`, oldest first; none if there is no such
    /// trace or several, or `reader` may not see it. (Ids sort by time, so it is their end that tells them
    /// apart.)
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn spans_of(&self, id: &str, reader: &Caller) -> Result<Vec<Span>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM spans WHERE substr(trace_id, -length(?1)) = ?1 ORDER BY started_ms, span_id",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        let spans: Vec<Span> = rows.iter().map(span).collect::<Result<_, _>>()?;
        let one = spans
            .windows(2)
            .all(|pair| pair[0].trace_id == pair[1].trace_id);
        let root = spans.iter().find(|span| span.parent_id.is_none());
        let visible = reader.clearance.is_full()
            || root.is_some_and(|root| reader.sees_traces_of(root.caller.as_ref()));
        Ok(if one && visible && !id.is_empty() {
            spans
        } else {
            Vec::new()
        })
    }
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
