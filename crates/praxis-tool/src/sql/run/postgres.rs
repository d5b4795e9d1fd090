//! PostgreSQL: a read-only transaction under the role of the file, with time-outs of its own, and rows that the server
//! writes as JSON, which it does exactly for all of its types. Left out: other databases.
//!
//! Sources: PostgreSQL 17, "SET TRANSACTION", "Client Connection Defaults", "JSON Functions and Operators".

use std::time::Duration;

use futures::StreamExt;
use praxis_core::{CallError, ErrorCode};
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgConnection, Postgres, Row, SqlSafeStr,
    Statement, TypeInfo,
};

use super::pool::Pool;
use super::rows::{bound, collected};
use super::scan::{self, Sizes};
use super::value::{self, MAX_CELL};
use super::{Collector, Settings, Texts, failed, unreachable};
use crate::sql::{Fault, Plan, Query, Rows};

/// Rows of a page of a table that was never counted.
const PAGE: f64 = 100.0;

/// A transaction. Dropped before it is closed, it has the server cancel what it runs, and its connection goes.
pub(in crate::sql) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    pool: PgPool,
    /// The server's process, 0 where it is not known.
    process: i32,
    time: Duration,
    /// Whether it matters how many rows a query looks at.
    scan: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let connection = connection.detach();
        let (pool, process) = (self.pool.clone(), self.process);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if process != 0 {
                    let cancel =
                        sqlx::query::<Postgres>("SELECT pg_cancel_backend($1)").bind(process);
                    let _ = cancel.execute(&pool).await;
                }
                let _ = connection.close_hard().await;
            });
        }
    }
}

/// A name in quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Session {
    pub async fn open(pool: &Pool<Postgres>, settings: &Settings) -> Result<Self, Fault> {
        let pool = pool.get();
        let mut session = Self {
            connection: Some(pool.acquire().await.map_err(unreachable)?),
            pool,
            process: 0,
            time: settings.time,
            scan: settings.scan,
        };
        let places: Vec<String> = settings.places.iter().map(|place| quoted(place)).collect();
        let milliseconds = settings.time.as_millis();
        let mut begin = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; \
             SET LOCAL search_path = pg_catalog, {}; \
             SET LOCAL standard_conforming_strings = on; SET LOCAL bytea_output = 'hex'; \
             SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL extra_float_digits = 1",
            milliseconds.saturating_mul(3),
            places.join(", ")
        );
        if let Some(role) = &settings.role {
            begin.push_str(&format!("; SET LOCAL ROLE {}", quoted(role)));
        }
        sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(session.connection()?)
            .await
            .map_err(unreachable)?;
        let who = "SELECT pg_backend_pid(), rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let row = sqlx::query::<Postgres>(who)
            .fetch_one(session.connection()?)
            .await
            .map_err(unreachable)?;
        session.process = row.try_get(0).map_err(unreachable)?;
        let superuser: bool = row.try_get(1).map_err(unreachable)?;
        if superuser && !settings.allow_superuser {
            session.close().await;
            let message = "the database is reached as a superuser, who may do more than read";
            return Err(Fault::Call(CallError::new(ErrorCode::Forbidden, message).with_hint(
                "make a role that may only read and name it in the URL or as `role`, or write `allow_superuser = true`",
            )));
        }
        Ok(session)
    }

    fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        match &mut self.connection {
            Some(connection) => Ok(&mut **connection),
            None => Err(Fault::Call(CallError::new(
                ErrorCode::Internal,
                "the connection was given back",
            ))),
        }
    }

    pub async fn rows(&mut self, query: &Query, mut collector: Collector) -> Result<Rows, Fault> {
        let time = self.time;
        let connection = self.connection()?;
        let sql = AssertSqlSafe(query.sql.clone()).into_sql_str();
        let statement = Executor::prepare(&mut *connection, sql)
            .await
            .map_err(|e| failed(e, time))?;
        let columns: Vec<(String, bool)> = statement
            .columns()
            .iter()
            .map(|column| {
                (
                    column.name().to_owned(),
                    column.type_info().name() == "BYTEA",
                )
            })
            .collect();
        collector.name(columns.iter().map(|(name, _)| name.clone()).collect());
        let sql = wrapped(&query.sql, &columns);
        let prepared = bound::<Postgres, _>(sql, &query.binds).persistent(false);
        let rows = prepared.fetch(connection);
        let rows = rows.map(|row| row.and_then(|row| cells(&row, &columns)));
        collected(rows, collector, time).await
    }

    pub async fn plan(&mut self, query: &Query) -> Result<Plan, Fault> {
        let time = self.time;
        let explain = format!("EXPLAIN (VERBOSE, FORMAT JSON) {}", query.sql);
        let row = bound::<Postgres, _>(explain, &query.binds)
            .persistent(false)
            .fetch_one(self.connection()?)
            .await
            .map_err(|e| failed(e, time))?;
        let text: String = row.try_get_unchecked(0).map_err(|e| failed(e, time))?;
        let plan: Value = serde_json::from_str(&text).unwrap_or_default();
        let plan = &plan[0]["Plan"];
        let sizes = if self.scan {
            self.sizes(&scan::tables(plan)).await?
        } else {
            Sizes::default()
        };
        Ok(Plan {
            cost: plan["Total Cost"].as_f64(),
            rows: scan::rows(plan, &sizes),
        })
    }

    /// Rows of tables, as the planner reckons them: as dense as they were when they were counted last, and as long as
    /// they are now.
    async fn sizes(&mut self, tables: &[(String, String)]) -> Result<Sizes, Fault> {
        if tables.is_empty() {
            return Ok(Sizes::default());
        }
        let pairs: Vec<String> = (0..tables.len())
            .map(|i| format!("(${}, ${})", 2 * i + 1, 2 * i + 2))
            .collect();
        let sql = format!(
            "SELECT n.nspname::text, c.relname::text, c.reltuples::text, c.relpages::text, \
             (pg_relation_size(c.oid) / current_setting('block_size')::bigint)::text \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE (n.nspname::text, c.relname::text) IN ({})",
            pairs.join(", ")
        );
        let names: Vec<String> = tables
            .iter()
            .flat_map(|(schema, table)| [schema.clone(), table.clone()])
            .collect();
        let found = self.texts(sql, &names).await?;
        let size = |row: Texts| {
            let [Some(schema), Some(table), counted, paged, pages] =
                <[_; 5]>::try_from(row).ok()?
            else {
                return None;
            };
            let number = |text: Option<String>| text.and_then(|t| t.parse::<f64>().ok());
            let (counted, paged) = (number(counted)?, number(paged)?);
            let rows = match number(pages).filter(|pages| *pages > 0.0) {
                Some(pages) if counted >= 0.0 && paged > 0.0 => counted / paged * pages,
                Some(pages) => PAGE * pages,
                // A table that is elsewhere has no pages here.
                None => counted.max(0.0),
            };
            Some(((schema, table), rows))
        };
        Ok(found.into_iter().filter_map(size).collect())
    }

    pub async fn texts(&mut self, sql: String, binds: &[String]) -> Result<Vec<Texts>, Fault> {
        let time = self.time;
        let rows = bound::<Postgres, _>(sql, binds)
            .persistent(false)
            .fetch_all(self.connection()?)
            .await
            .map_err(|e| failed(e, time))?;
        let texts = |row: &PgRow| -> Texts {
            (0..row.len())
                .map(|i| row.try_get::<Option<String>, _>(i).ok().flatten())
                .collect()
        };
        Ok(rows.iter().map(texts).collect())
    }

    pub async fn close(mut self) {
        let Ok(connection) = self.connection() else {
            return;
        };
        if sqlx::raw_sql("ROLLBACK").execute(connection).await.is_ok() {
            // It goes back to the others.
            drop(self.connection.take());
        }
    }
}

/// The query with each column as JSON, and of bytes how many there are. What is longer than a value may be stays there.
fn wrapped(sql: &str, columns: &[(String, bool)]) -> String {
    let names: Vec<String> = (1..=columns.len()).map(|i| format!("c{i}")).collect();
    let most = MAX_CELL + 2;
    let values: Vec<String> = columns
        .iter()
        .zip(&names)
        .map(|((_, is_bytes), name)| match is_bytes {
            true => format!("pg_catalog.octet_length(q.{name})::text"),
            false => format!("pg_catalog.left(pg_catalog.to_json(q.{name})::text, {most})"),
        })
        .collect();
    format!(
        "SELECT {} FROM ({sql}) AS q ({})",
        values.join(", "),
        names.join(", ")
    )
}

/// The values of a row.
fn cells(row: &PgRow, columns: &[(String, bool)]) -> Result<Vec<Value>, sqlx::Error> {
    let value = |(i, (_, is_bytes)): (usize, &(String, bool))| {
        let text = row.try_get::<Option<String>, _>(i);
        text.map(|text| cell(text, *is_bytes))
    };
    columns.iter().enumerate().map(value).collect()
}

/// A value that the server wrote as JSON.
fn cell(text: Option<String>, is_bytes: bool) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    if is_bytes {
        return value::blob(text.parse().unwrap_or_default());
    }
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => value::number(&text),
        // A text that was cut is no JSON any more.
        _ => serde_json::from_str(&text)
            .unwrap_or_else(|_| Value::String(text.strip_prefix('"').unwrap_or(&text).to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_as_the_server_writes_them() {
        for (text, is_bytes, expected) in [
            (None, false, Value::Null),
            (
                Some("12345678901234567890.5"),
                false,
                json!("12345678901234567890.5"),
            ),
            (Some("1.50"), false, json!(1.5)),
            (Some("true"), false, json!(true)),
            (Some("\"a\\\"b\""), false, json!("a\"b")),
            (
                Some("\"2026-01-02T03:04:05+00:00\""),
                false,
                json!("2026-01-02T03:04:05+00:00"),
            ),
            (Some("[1,2]"), false, json!([1, 2])),
            (
                Some("\"cut off in the mid"),
                false,
                json!("cut off in the mid"),
            ),
            (Some("7"), true, json!("<7 bytes>")),
        ] {
            assert_eq!(
                cell(text.map(str::to_owned), is_bytes),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn columns_get_names_of_their_own() {
        let columns = [("a".to_owned(), false), ("a".to_owned(), true)];
        let most = MAX_CELL + 2;
        assert_eq!(
            wrapped("SELECT 1", &columns),
            format!(
                "SELECT pg_catalog.left(pg_catalog.to_json(q.c1)::text, {most}), \
                 pg_catalog.octet_length(q.c2)::text FROM (SELECT 1) AS q (c1, c2)"
            )
        );
    }
}
