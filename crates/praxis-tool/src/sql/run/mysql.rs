//! MySQL and MariaDB: a read-only transaction with a time-out of its own, and rows in the binary protocol, which takes
//! one statement at a time. Left out: other databases.
//!
//! Sources: MySQL 8.4, "SET TRANSACTION", "Binary Protocol Resultset"; MariaDB, "SET STATEMENT", "max_statement_time".

use std::time::Duration;

use futures::StreamExt;
use praxis_core::{CallError, ErrorCode};
use serde_json::Value;
use sqlx::mysql::{MySqlPool, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, MySql, MySqlConnection, Row, SqlSafeStr,
    Statement, TypeInfo, ValueRef,
};

use super::pool::Pool;
use super::rows::{bound, collected};
use super::{Collector, Settings, Texts, failed, unreachable, value};
use crate::sql::{Fault, Plan, Query, Rows};

/// How often a recursive query may go round.
const ROUNDS: u32 = 1000;

impl Pool<MySql> {
    /// The database that unqualified names are of.
    pub fn database(&self) -> &str {
        self.options().get_database().unwrap_or_default()
    }
}

/// A transaction. Dropped before it is closed, it has the server end what it runs, and its connection goes.
pub(in crate::sql) struct Session {
    connection: Option<PoolConnection<MySql>>,
    pool: MySqlPool,
    /// The connection's number at the server, 0 where it is not known.
    number: u64,
    time: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let connection = connection.detach();
        let (pool, number) = (self.pool.clone(), self.number);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if number != 0 {
                    let kill = AssertSqlSafe(format!("KILL QUERY {number}"));
                    let _ = sqlx::raw_sql(kill).execute(&pool).await;
                }
                let _ = connection.close_hard().await;
            });
        }
    }
}

impl Session {
    pub async fn open(pool: &Pool<MySql>, settings: &Settings) -> Result<Self, Fault> {
        let pool = pool.get();
        let mut session = Self {
            connection: Some(pool.acquire().await.map_err(unreachable)?),
            pool,
            number: 0,
            time: settings.time,
        };
        let row = sqlx::raw_sql("SELECT VERSION(), CONNECTION_ID()")
            .fetch_one(session.connection()?)
            .await
            .map_err(unreachable)?;
        let version: String = row.try_get_unchecked(0).map_err(unreachable)?;
        session.number = row.try_get_unchecked(1).map_err(unreachable)?;
        let seconds = settings.time.as_secs().max(1);
        let limits = if version.contains("MariaDB") {
            format!(
                "max_statement_time = {}, max_recursive_iterations = {ROUNDS}",
                settings.time.as_secs_f64()
            )
        } else {
            format!(
                "max_execution_time = {}, cte_max_recursion_depth = {ROUNDS}",
                settings.time.as_millis()
            )
        };
        let begin = format!(
            "SET SESSION {limits}, lock_wait_timeout = {seconds}; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        );
        sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(session.connection()?)
            .await
            .map_err(unreachable)?;
        Ok(session)
    }

    fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
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
        collector.name(
            statement
                .columns()
                .iter()
                .map(|c| c.name().to_owned())
                .collect(),
        );
        let rows = bound::<MySql, _>(query.sql.clone(), &query.binds).fetch(connection);
        let rows = rows.map(|row| row.and_then(|row| cells(&row)));
        collected(rows, collector, time).await
    }

    /// The rows that MySQL looks at: those of tables that are joined, multiplied.
    pub async fn plan(&mut self, query: &Query) -> Result<Plan, Fault> {
        let time = self.time;
        let explain = format!("EXPLAIN {}", query.sql);
        let rows = bound::<MySql, _>(explain, &query.binds)
            .persistent(false)
            .fetch_all(self.connection()?)
            .await
            .map_err(|e| failed(e, time))?;
        let steps: Vec<(Value, f64)> = rows
            .iter()
            .filter_map(|row| Some((named(row, "id")?, amount(&named(row, "rows")?)?)))
            .collect();
        Ok(Plan {
            cost: None,
            rows: joined(&steps),
        })
    }

    pub async fn texts(&mut self, sql: String, binds: &[String]) -> Result<Vec<Texts>, Fault> {
        let time = self.time;
        let rows = bound::<MySql, _>(sql, binds)
            .persistent(false)
            .fetch_all(self.connection()?)
            .await
            .map_err(|e| failed(e, time))?;
        let text = |row: &MySqlRow, i: usize| {
            let bytes = row
                .try_get_unchecked::<Option<Vec<u8>>, _>(i)
                .ok()
                .flatten()?;
            String::from_utf8(bytes).ok()
        };
        Ok(rows
            .iter()
            .map(|row| (0..row.len()).map(|i| text(row, i)).collect())
            .collect())
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

/// The values of a row.
fn cells(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len()).map(|i| cell(row, i)).collect()
}

/// A value of the binary protocol, by the type of its column.
fn cell(row: &MySqlRow, i: usize) -> Result<Value, sqlx::Error> {
    let kind = {
        let raw = row.try_get_raw(i)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        raw.type_info().name().to_owned()
    };
    let bytes = || row.try_get_unchecked::<Vec<u8>, _>(i);
    Ok(match kind.as_str() {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "INT" | "MEDIUMINT" | "BIGINT" => {
            value::integer(row.try_get_unchecked::<i64, _>(i)?.into())
        }
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "INT UNSIGNED" | "MEDIUMINT UNSIGNED"
        | "BIGINT UNSIGNED" | "YEAR" | "BIT" => {
            value::integer(row.try_get_unchecked::<u64, _>(i)?.into())
        }
        // By the digits of its own width, so that 1.1 stays 1.1.
        "FLOAT" => {
            let digits = row.try_get_unchecked::<f32, _>(i)?.to_string();
            digits.parse().map_or(Value::Null, value::float)
        }
        "DOUBLE" => value::float(row.try_get_unchecked(i)?),
        "DECIMAL" => {
            String::from_utf8(bytes()?).map_or(Value::Null, |digits| value::number(&digits))
        }
        "DATE" | "DATETIME" | "TIMESTAMP" => {
            moment(&bytes()?, kind == "DATE").map_or(Value::Null, Value::String)
        }
        "TIME" => duration(&bytes()?).map_or(Value::Null, Value::String),
        "JSON" => serde_json::from_slice(&bytes()?).unwrap_or_default(),
        _ => {
            let bytes = bytes()?;
            let length = bytes.len();
            String::from_utf8(bytes).map_or_else(|_| value::blob(length), Value::String)
        }
    })
}

/// A date, with its time: a byte with the length, then year, month, day, hour, minute, second and microseconds as far
/// as they are not 0.
fn moment(bytes: &[u8], is_date: bool) -> Option<String> {
    let (&length, rest) = bytes.split_first()?;
    let part = |range: std::ops::Range<usize>| rest.get(range);
    let year = u16::from_le_bytes(part(0..2)?.try_into().ok()?);
    let (month, day) = (rest.get(2)?, rest.get(3)?);
    let date = format!("{year:04}-{month:02}-{day:02}");
    if is_date {
        return Some(date);
    }
    if length < 7 {
        return Some(format!("{date}T00:00:00"));
    }
    let (hour, minute, second) = (rest.get(4)?, rest.get(5)?, rest.get(6)?);
    let whole = format!("{date}T{hour:02}:{minute:02}:{second:02}");
    if length < 11 {
        return Some(whole);
    }
    let micros = u32::from_le_bytes(part(7..11)?.try_into().ok()?);
    Some(format!("{whole}.{micros:06}"))
}

/// A time, which may be negative and longer than a day: a byte with the length, the sign, days, hours, minutes, seconds
/// and microseconds.
fn duration(bytes: &[u8]) -> Option<String> {
    let (&length, rest) = bytes.split_first()?;
    if length == 0 {
        return Some("00:00:00".to_owned());
    }
    let sign = if *rest.first()? == 0 { "" } else { "-" };
    let days = u32::from_le_bytes(rest.get(1..5)?.try_into().ok()?);
    let (hour, minute, second) = (*rest.get(5)?, rest.get(6)?, rest.get(7)?);
    let hours = u64::from(days) * 24 + u64::from(hour);
    let whole = format!("{sign}{hours:02}:{minute:02}:{second:02}");
    if length < 12 {
        return Some(whole);
    }
    let micros = u32::from_le_bytes(rest.get(8..12)?.try_into().ok()?);
    Some(format!("{whole}.{micros:06}"))
}

/// A value by the name of its column.
fn named(row: &MySqlRow, name: &str) -> Option<Value> {
    let i = row
        .columns()
        .iter()
        .position(|c| c.name().eq_ignore_ascii_case(name))?;
    cell(row, i).ok()
}

/// A number, or a text that begins with one.
fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text.get(..end)?.parse().ok()
        }
        _ => None,
    }
}

/// The rows of steps: those of one SELECT are multiplied, and the largest SELECT counts.
fn joined(steps: &[(Value, f64)]) -> Option<f64> {
    let product = |id: &Value| -> f64 {
        let own = steps.iter().filter(|(other, _)| other == id);
        own.map(|(_, rows)| rows.max(1.0)).product()
    };
    steps.iter().map(|(id, _)| product(id)).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_and_times_are_read_from_their_bytes() {
        // 2026-01-02 03:04:05.000007, after MySQL's own example of the protocol.
        let micros = [11, 0xea, 0x07, 1, 2, 3, 4, 5, 7, 0, 0, 0];
        for (bytes, is_date, expected) in [
            (&micros[..], false, Some("2026-01-02T03:04:05.000007")),
            (&micros[..], true, Some("2026-01-02")),
            (
                &[7, 0xea, 0x07, 1, 2, 3, 4, 5][..],
                false,
                Some("2026-01-02T03:04:05"),
            ),
            (
                &[4, 0xea, 0x07, 12, 31][..],
                false,
                Some("2026-12-31T00:00:00"),
            ),
            (&[4, 0xea, 0x07, 12, 31][..], true, Some("2026-12-31")),
            (&[0][..], true, None),
            (&[][..], true, None),
            (&[11, 0xea][..], false, None),
        ] {
            assert_eq!(moment(bytes, is_date).as_deref(), expected, "{bytes:?}");
        }
        for (bytes, expected) in [
            (&[0][..], Some("00:00:00")),
            (&[8, 1, 1, 0, 0, 0, 2, 3, 4][..], Some("-26:03:04")),
            (
                &[12, 0, 0, 0, 0, 0, 2, 3, 4, 0x20, 0xa1, 0x07, 0][..],
                Some("02:03:04.500000"),
            ),
            (&[8, 1][..], None),
        ] {
            assert_eq!(duration(bytes).as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn rows_of_a_join_are_multiplied() {
        let steps = [(json!(1), 10.0), (json!(1), 20.0), (json!(2), 30.0)];
        assert_eq!(joined(&steps), Some(200.0));
        assert_eq!(joined(&[]), None);
        assert_eq!(amount(&json!("12|50%")), Some(12.0));
        assert_eq!(amount(&json!(3)), Some(3.0));
    }
}
