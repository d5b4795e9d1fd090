//! Running a query: read-only, one statement, bounded in time, rows and bytes, and ended at the server when nobody
//! waits for it any more. Left out: whether it may run (`check`).

mod mysql;
mod pool;
mod postgres;
mod rows;
mod scan;
mod sqlite;
mod value;

use std::sync::Arc;
use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{MySql, Postgres};
use tokio::sync::Semaphore;

use self::pool::Pool;
pub(super) use self::rows::Collector;
use super::target::Target;
use super::{Fault, Plan, Query, Rows};

/// The longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Characters that are said of a database's error.
const LONGEST_MESSAGE: usize = 500;

/// What sessions keep to.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The longest that a statement may take.
    pub time: Duration,
    /// The role of PostgreSQL.
    pub role: Option<String>,
    /// Whether that may be a superuser's.
    pub allow_superuser: bool,
    /// Schemas of PostgreSQL.
    pub places: Vec<String>,
    /// Whether it matters how many rows a query looks at, which PostgreSQL is asked for beside its plan.
    pub scan: bool,
}

/// A row of texts.
pub(super) type Texts = Vec<Option<String>>;

/// Where sessions come from.
pub(super) enum Connector {
    Sqlite(sqlite::File),
    Postgres(Pool<Postgres>),
    Mysql(Pool<MySql>),
}

/// Turns at a file, of which so many are taken at a time.
pub(super) fn turns(connections: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(connections as usize))
}

/// Who writes what a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// We: what there is in the database is looked up.
    Own,
    /// A caller or a model: it was checked.
    Checked,
}

impl Connector {
    /// Connects when it is needed, with so many connections at most.
    pub fn new(target: Target, connections: u32) -> Self {
        match target {
            Target::Sqlite(options) => Self::file(*options, turns(connections)),
            Target::Postgres(options) => Self::Postgres(Pool::new(*options, connections)),
            Target::Mysql(options) => Self::Mysql(Pool::new(*options, connections)),
        }
    }

    /// A file of SQLite, whose connections take turns.
    pub fn file(options: SqliteConnectOptions, turns: Arc<Semaphore>) -> Self {
        Self::Sqlite(sqlite::File::new(options, turns))
    }

    /// A session that reads one state of the database and can change none.
    ///
    /// # Errors
    /// [`Fault::Call`] for a database that cannot be reached, or a role that may do too much.
    pub async fn open(&self, settings: &Settings, trust: Trust) -> Result<Session, Fault> {
        Ok(match self {
            Self::Sqlite(pool) => {
                Session::Sqlite(sqlite::Session::open(pool, settings, trust).await?)
            }
            Self::Postgres(pool) => {
                Session::Postgres(postgres::Session::open(pool, settings).await?)
            }
            Self::Mysql(pool) => Session::Mysql(mysql::Session::open(pool, settings).await?),
        })
    }
}

/// A connection in a read-only transaction. Dropped before it is closed, it ends what it runs at the server.
pub(super) enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
    Mysql(mysql::Session),
}

impl Session {
    /// The rows of a query.
    ///
    /// # Errors
    /// What the database says, or that it takes too long.
    pub async fn rows(&mut self, query: &Query, collector: Collector) -> Result<Rows, Fault> {
        match self {
            Self::Sqlite(session) => session.rows(query, collector).await,
            Self::Postgres(session) => session.rows(query, collector).await,
            Self::Mysql(session) => session.rows(query, collector).await,
        }
    }

    /// What the database expects of a query.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plan(&mut self, query: &Query) -> Result<Plan, Fault> {
        match self {
            Self::Sqlite(session) => session.plan(query).await,
            Self::Postgres(session) => session.plan(query).await,
            Self::Mysql(session) => session.plan(query).await,
        }
    }

    /// Rows of a statement of our own, whose columns are all texts.
    ///
    /// # Errors
    /// What the database says.
    pub async fn texts(&mut self, sql: String, binds: &[String]) -> Result<Vec<Texts>, Fault> {
        match self {
            Self::Sqlite(session) => session.texts(sql, binds).await,
            Self::Postgres(session) => session.texts(sql, binds).await,
            Self::Mysql(session) => session.texts(sql, binds).await,
        }
    }

    /// Ends the transaction and gives the connection back.
    pub async fn close(self) {
        match self {
            Self::Sqlite(session) => session.close().await,
            Self::Postgres(session) => session.close().await,
            Self::Mysql(session) => session.close().await,
        }
    }
}

/// A database that cannot be reached.
fn unreachable(error: sqlx::Error) -> Fault {
    let message = format!(
        "the database cannot be reached: {}",
        cut(&error.to_string())
    );
    Fault::Call(
        CallError::new(ErrorCode::Upstream, message)
            .with_hint("is it there, and does the URL of the tool's file name it?"),
    )
}

/// What a database says of a statement is the statement's fault, unless the connection went.
fn failed(error: sqlx::Error, time: Duration) -> Fault {
    let told = match &error {
        sqlx::Error::Database(told) => told,
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_) => {
            return Fault::Failed(cut(&error.to_string()));
        }
        _ => return unreachable(error),
    };
    let message = told.message();
    // 57014 is PostgreSQL's `query_canceled`.
    let ended = told.code().is_some_and(|code| code == "57014") || message.contains("interrupted");
    if ended {
        return Fault::TooMuch(format!(
            "the query took longer than {time:?}; read fewer rows, or join by keys"
        ));
    }
    // SQLite's words for what is longer than it may be.
    if message.contains("string or blob too big") {
        return Fault::TooMuch(format!(
            "a value is longer than {} bytes, which is all that a query may make or read; leave the column out, or ask \
             for its octet_length(…)",
            sqlite::MAX_VALUE
        ));
    }
    Fault::Failed(cut(message))
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_MESSAGE).collect()
}
