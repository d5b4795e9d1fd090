//! Rows of MySQL and MariaDB. Left out: JSON of MariaDB, which is text there.
//!
//! Rows come in the text protocol, in which the server writes values of all its types as text. That protocol takes
//! several statements at once, so a text is prepared first, which the server refuses for more than one.

use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Executor, MySqlConnection, Row, SqlSafeStr, TypeInfo,
    ValueRef,
};

use super::sql::{failed, unreachable};
use crate::SourceError;

/// A connection that reads one state of the database and can change none.
///
/// # Errors
/// A server that is not there, or refuses.
pub(super) async fn open(
    options: &MySqlConnectOptions,
    timeout: Duration,
) -> Result<MySqlConnection, SourceError> {
    // A query means what it does in the server's own shell.
    let options = options.clone().pipes_as_concat(false);
    let mut connection = options.connect().await.map_err(unreachable)?;
    let version: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(&mut connection)
        .await
        .map_err(unreachable)?;
    let limit = if version.contains("MariaDB") {
        format!("SET SESSION max_statement_time = {}", timeout.as_secs_f64())
    } else {
        format!("SET SESSION max_execution_time = {}", timeout.as_millis())
    };
    let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY".to_owned();
    for statement in [limit, begin] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map_err(unreachable)?;
    }
    Ok(connection)
}

/// # Errors
/// A text that is not one statement.
pub(super) async fn check(
    connection: &mut MySqlConnection,
    statement: &str,
) -> Result<(), SourceError> {
    let statement = AssertSqlSafe(statement.to_owned()).into_sql_str();
    connection.prepare(statement).await.map_err(failed)?;
    Ok(())
}

/// A row of the text protocol, by the types of its columns.
///
/// # Errors
/// A row that cannot be read.
pub(super) fn record(row: &MySqlRow) -> Result<Map<String, Value>, SourceError> {
    let mut record = Map::new();
    for (i, column) in row.columns().iter().enumerate() {
        let bytes: Vec<u8> = if row.try_get_raw(i).map_err(failed)?.is_null() {
            record.insert(column.name().to_owned(), Value::Null);
            continue;
        } else {
            row.try_get_unchecked(i).map_err(failed)?
        };
        // What is no text has nothing to be found by.
        let text = String::from_utf8(bytes).ok();
        let value = text.map_or(Value::Null, |text| value(column.type_info().name(), text));
        record.insert(column.name().to_owned(), value);
    }
    Ok(record)
}

/// A value that the server wrote as text.
fn value(kind: &str, text: String) -> Value {
    let kind = kind.trim_end_matches(" UNSIGNED");
    let is_json = matches!(
        kind,
        "BOOLEAN"
            | "TINYINT"
            | "SMALLINT"
            | "INT"
            | "MEDIUMINT"
            | "BIGINT"
            | "YEAR"
            | "FLOAT"
            | "DOUBLE"
            | "DECIMAL"
            | "JSON"
    );
    if is_json {
        // A number that is filled with zeros is no number of JSON.
        return serde_json::from_str(&text).unwrap_or(Value::String(text));
    }
    Value::String(text)
}
