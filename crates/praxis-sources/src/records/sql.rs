//! Rows of a database: one query, read-only, bounded in time and size. SQLite files, PostgreSQL, and MySQL
//! and MariaDB (`mysql`). Left out: anything that writes, and other databases.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use praxis_core::KeyReference;
use serde_json::{Map, Value};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Row, TypeInfo, ValueRef};

use super::{Collector, Fields, Limits, Mapping, Spool, Template, mysql};
use crate::config::SqlConfig;
use crate::{Content, Entry, Listing, Place, Run, Source, SourceError};

/// Rows between two reports of progress.
const REPORT_EVERY: usize = 500;

/// A database, as it is reached.
#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(Box<PgConnectOptions>),
    Mysql(Box<MySqlConnectOptions>),
}

impl Target {
    /// What is wrong with `database` as written, with the fix.
    ///
    /// # Errors
    /// Message and help.
    pub fn check(reference: &KeyReference) -> Result<(), (&'static str, &'static str)> {
        let written = reference.written();
        if reference.variable().is_some() {
            Ok(())
        } else if written.starts_with("env:") || written.is_empty() {
            Err((
                "`database` names no environment variable",
                "write `database = \"env:NAME\"`",
            ))
        } else if written.contains("://") {
            Err((
                "`database` holds a URL",
                "put the URL into an environment variable and write `database = \"env:NAME\"`: secrets do not belong into files",
            ))
        } else {
            Ok(())
        }
    }

    fn of(config: &SqlConfig, place: &Place) -> Result<Self, SourceError> {
        let wrong = |(message, hint): (&str, &str)| SourceError::settings(message, hint);
        let reference = config.database.as_ref().ok_or_else(|| {
            wrong((
                "there is no `database`",
                "name a SQLite file, or `env:NAME` of a URL",
            ))
        })?;
        Self::check(reference).map_err(wrong)?;
        let url = match reference.variable() {
            None => return Ok(Self::sqlite(place.dir.join(reference.written()))),
            Some(_) => place.secret("database", reference)?,
        };
        // What is wrong with a URL is not shown: it may hold a password.
        let unread = || {
            wrong((
                "the URL of the database cannot be read",
                "it looks like postgres://user:password@host/name, mysql://… or sqlite:///path/to/file.db",
            ))
        };
        let url = url.expose();
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => {
                let options = PgConnectOptions::from_str(url).map_err(|_| unread())?;
                Ok(Self::Postgres(Box::new(options.application_name("praxis"))))
            }
            Some("mysql" | "mariadb") => {
                let options = MySqlConnectOptions::from_str(url).map_err(|_| unread())?;
                Ok(Self::Mysql(Box::new(options)))
            }
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url).map_err(|_| unread())?;
                Ok(Self::Sqlite(read_only(options)))
            }
            Some(scheme) if url.contains("://") => Err(SourceError::settings(
                format!("`{scheme}` databases are not read"),
                "export its rows as JSON Lines and read them with `type = \"jsonl\"`",
            )),
            _ => Ok(Self::sqlite(place.dir.join(url))),
        }
    }

    fn sqlite(path: PathBuf) -> Self {
        Self::Sqlite(read_only(SqliteConnectOptions::new().filename(path)))
    }
}

fn read_only(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .read_only(true)
        .create_if_missing(false)
        .pragma("query_only", "ON")
        .busy_timeout(Duration::from_secs(10))
}

/// A query whose rows are documents.
pub(crate) struct Sql {
    config: SqlConfig,
    mapping: Mapping,
    target: Target,
    place: Place,
    name: String,
    spool: Arc<Spool>,
}

impl Sql {
    /// # Errors
    /// A database that is not named well, or a template that is none.
    pub fn new(config: SqlConfig, place: Place) -> Result<Self, SourceError> {
        let template = config.template.as_deref().map(Template::parse).transpose();
        let mapping = Mapping {
            fields: Fields::Same,
            id: Some(config.id.clone()),
            text: config.text.clone(),
            template: template.map_err(|e| SourceError::settings(e, "mend `template`"))?,
            title: config.title.clone(),
            modified: config.modified.clone(),
        };
        Ok(Self {
            target: Target::of(&config, &place)?,
            name: crate::SourceConfig::Sql(config.clone()).name(),
            mapping,
            config,
            place,
            spool: Arc::default(),
        })
    }

    /// The query as a part of one that bounds its rows. A statement that is no query does not fit in there.
    fn bounded(&self, columns: &str) -> String {
        let query = self.config.query.trim().trim_end_matches(';');
        format!(
            "SELECT {columns} FROM (\n{query}\n) AS document LIMIT {}",
            self.config.max_rows.saturating_add(1)
        )
    }

    async fn collect(&self, run: &Run<'_>) -> Result<Collector, SourceError> {
        let limits = Limits {
            rows: self.config.max_rows,
            record: self.config.max_file_bytes,
            all: self.config.max_bytes,
        };
        let mut collector = Collector::new(self.mapping.clone(), limits, &self.place)?;
        let prefix = format!("{}:", self.name);
        let mut add = |record: &Map<String, Value>| {
            run.check()?;
            let more = collector.add(&prefix, None, record)?;
            if collector.len() % REPORT_EVERY == 0 {
                (run.progress)(collector.len());
            }
            Ok::<bool, SourceError>(more)
        };
        match &self.target {
            Target::Sqlite(options) => {
                let mut connection = options.connect().await.map_err(unreachable)?;
                let query = AssertSqlSafe(self.bounded("*"));
                let mut rows = sqlx::query(query).fetch(&mut connection);
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    if !add(&record(&row)?)? {
                        break;
                    }
                }
            }
            Target::Postgres(options) => {
                let mut connection = options.connect().await.map_err(unreachable)?;
                let timeout = self.config.timeout.0.as_millis();
                let begin = format!(
                    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {timeout}"
                );
                sqlx::raw_sql(AssertSqlSafe(begin))
                    .execute(&mut connection)
                    .await
                    .map_err(unreachable)?;
                // The database makes JSON of its own types, dates and arrays among them.
                let query = AssertSqlSafe(self.bounded("to_jsonb(document)::text"));
                let mut rows = sqlx::query(query).fetch(&mut connection);
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    let text: String = row.try_get(0).map_err(failed)?;
                    let record: Map<String, Value> =
                        serde_json::from_str(&text).map_err(SourceError::unavailable)?;
                    if !add(&record)? {
                        break;
                    }
                }
            }
            Target::Mysql(options) => {
                let mut connection = mysql::open(options, self.config.timeout.0).await?;
                let query = self.bounded("*");
                mysql::check(&mut connection, &query).await?;
                let mut rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch(&mut connection);
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    if !add(&mysql::record(&row)?)? {
                        break;
                    }
                }
            }
        }
        Ok(collector)
    }
}

#[async_trait]
impl Source for Sql {
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError> {
        let timeout = self.config.timeout.0;
        let collector = tokio::select! {
            collected = tokio::time::timeout(timeout, self.collect(run)) => {
                collected.map_err(|_| SourceError::Unavailable(format!("the query took longer than {timeout:?}")))??
            }
            () = run.cancel.cancelled() => return Err(SourceError::Cancelled),
        };
        (run.progress)(collector.len());
        collector.finish(&self.spool)
    }

    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError> {
        self.spool.read(entry)
    }
}

/// A row of SQLite, by the types that its values have.
fn record(row: &SqliteRow) -> Result<Map<String, Value>, SourceError> {
    let mut record = Map::new();
    for (i, column) in row.columns().iter().enumerate() {
        let kind = {
            let value = row.try_get_raw(i).map_err(failed)?;
            if value.is_null() {
                String::new()
            } else {
                value.type_info().name().to_owned()
            }
        };
        let value = match kind.as_str() {
            "" => Value::Null,
            "INTEGER" | "BOOLEAN" => row.try_get_unchecked::<i64, _>(i).map_err(failed)?.into(),
            "REAL" => row.try_get_unchecked::<f64, _>(i).map_err(failed)?.into(),
            "BLOB" => {
                let bytes: Vec<u8> = row.try_get_unchecked(i).map_err(failed)?;
                String::from_utf8(bytes).map_or(Value::Null, Value::String)
            }
            _ => Value::String(row.try_get_unchecked(i).map_err(failed)?),
        };
        record.insert(column.name().to_owned(), value);
    }
    Ok(record)
}

pub(super) fn unreachable(error: sqlx::Error) -> SourceError {
    SourceError::Unavailable(format!("the database cannot be reached: {error}"))
}

/// What the database says of a query is the query's mistake, unless the connection went.
pub(super) fn failed(error: sqlx::Error) -> SourceError {
    match &error {
        sqlx::Error::Database(told) => SourceError::settings(
            format!("the query failed: {}", told.message()),
            "try `query` in the database's own shell; it has to be one SELECT",
        ),
        _ => SourceError::Unavailable(format!("the query failed: {error}")),
    }
}
