//! A database of a tool file, and who asks it. Left out: what is in it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

use std::path::Path;
use std::sync::Arc;

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Caller, Clearance};
use praxis_tool::sql::{Config, Database, Fault, Rows};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Runs statements in a SQLite file, which is made where there is none.
pub async fn fill(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// The database of a tool file in the application `dir`.
pub fn open(dir: &Path, toml: &str) -> Database {
    let config: Config = toml::from_str(toml).unwrap();
    Database::new("shop", &config, dir, &dir.join(".praxis/tools"))
        .unwrap_or_else(|problem| panic!("{problem}"))
}

/// A caller with a name and labels.
pub fn caller(name: &str, labels: &[&str]) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    }
}

/// A call of a caller's.
pub fn call(caller: &Caller) -> CallContext {
    CallContext::new(Arc::new(NoTrace)).with_caller(caller.clone())
}

/// What a caller gets of a query.
pub async fn asked(database: &Database, caller: &Caller, sql: &str) -> Result<Rows, Fault> {
    let schema = database.schema(caller).await.unwrap();
    let query = database.check(sql, &schema, caller)?;
    database.run(&query, &call(caller)).await
}

/// The rows of a query that has to work.
pub async fn rows(database: &Database, caller: &Caller, sql: &str) -> Rows {
    asked(database, caller, sql)
        .await
        .unwrap_or_else(|fault| panic!("{sql}: {fault}"))
}
