//! How a database is reached: SQLite files, PostgreSQL, MySQL and MariaDB. Left out: connections (`run`), and files of
//! rows (`files`).

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use praxis_core::{KeyReference, Problem};
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::schema::Dialect;

/// A database, as it is reached.
#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
    Mysql(Box<MySqlConnectOptions>),
}

/// What is wrong with a `url` as written, with the fix.
///
/// # Errors
/// Message and help.
pub(crate) fn check(reference: &KeyReference) -> Result<(), (String, &'static str)> {
    let written = reference.written();
    if reference.variable().is_some() {
        return Ok(());
    }
    if written.starts_with("env:") || written.is_empty() {
        let message = "`url` names no environment variable".to_owned();
        return Err((message, "write `url = \"env:NAME\"`"));
    }
    if written.starts_with("sqlite:") {
        return Ok(());
    }
    let Ok(url) = url::Url::parse(written) else {
        let message = "`url` is no URL of a database".to_owned();
        return Err((
            message,
            "it looks like sqlite:shop.db, postgres://user@host/name or mysql://user@host/name",
        ));
    };
    if !matches!(
        url.scheme(),
        "postgres" | "postgresql" | "mysql" | "mariadb"
    ) {
        let message = format!("`{}` databases are not read", url.scheme());
        return Err((
            message,
            "SQLite, PostgreSQL, MySQL and MariaDB are; export what is elsewhere as `files`",
        ));
    }
    let secret = url.query_pairs().any(|(key, _)| key.contains("password"));
    if url.password().is_some() || secret {
        let message = "the URL holds a password".to_owned();
        return Err((
            message,
            "put the URL into an environment variable and write `url = \"env:NAME\"`",
        ));
    }
    Ok(())
}

/// The variable that holds the URL, where it is not set.
pub(crate) fn unset(reference: &KeyReference) -> Option<&str> {
    reference.variable().filter(|name| value(name).is_none())
}

/// What a variable holds.
fn value(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The SQL that the database of a reference speaks; all that there is where that does not show.
pub(crate) fn dialects(reference: &KeyReference) -> Vec<Dialect> {
    let url = match reference.variable() {
        Some(name) => value(name).unwrap_or_default(),
        None => reference.written().to_owned(),
    };
    match url.split(':').next() {
        Some("sqlite") => vec![Dialect::Sqlite],
        Some("postgres" | "postgresql") => vec![Dialect::Postgres],
        Some("mysql" | "mariadb") => vec![Dialect::Mysql],
        _ => vec![Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql],
    }
}

impl Target {
    /// The database of a reference; paths are below `root`.
    ///
    /// # Errors
    /// An environment variable that is not set, or a URL that cannot be read.
    pub fn of(reference: &KeyReference, root: &Path) -> Result<Self, Problem> {
        let wrong = |message: String, help: String| Problem {
            path: "url".to_owned(),
            message,
            help: Some(help),
        };
        check(reference).map_err(|(message, help)| wrong(message, help.to_owned()))?;
        let url = match reference.variable() {
            None => reference.written().to_owned(),
            Some(name) => value(name).ok_or_else(|| {
                wrong(
                    format!("the environment variable {name} is not set"),
                    format!("export {name}=... before the application starts"),
                )
            })?,
        };
        // What is wrong with a URL is not shown: it may hold a password.
        let unread = || {
            wrong(
                "the URL of the database cannot be read".to_owned(),
                "it looks like postgres://user:password@host/name, mysql://… or sqlite:path/to/file.db".to_owned(),
            )
        };
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => {
                let options = PgConnectOptions::from_str(&url).map_err(|_| unread())?;
                let options = options
                    .application_name("praxis")
                    .statement_cache_capacity(16);
                Ok(Self::Postgres(Box::new(
                    options.disable_statement_logging(),
                )))
            }
            Some("mysql" | "mariadb") => {
                let options = MySqlConnectOptions::from_str(&url).map_err(|_| unread())?;
                if options.get_database().is_none_or(str::is_empty) {
                    return Err(wrong(
                        "the URL names no database".to_owned(),
                        "write it at the end: mysql://user:password@host/shop".to_owned(),
                    ));
                }
                // Texts are UTF-8 whatever the server's default is: in other charsets a byte of a letter may be a
                // quote.
                let options = options
                    .charset("utf8mb4")
                    .pipes_as_concat(true)
                    .statement_cache_capacity(16);
                Ok(Self::Mysql(Box::new(options.disable_statement_logging())))
            }
            Some("sqlite") => {
                let path = url.trim_start_matches("sqlite:");
                let path = path.strip_prefix("//").unwrap_or(path);
                let path = path.split('?').next().unwrap_or_default();
                if path.is_empty() || path.contains(":memory:") {
                    return Err(unread());
                }
                Ok(Self::Sqlite(Box::new(sqlite(&root.join(path)))))
            }
            _ => Err(unread()),
        }
    }

    /// The SQL that it speaks.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::Mysql(_) => Dialect::Mysql,
        }
    }
}

/// A SQLite file that is opened to be read, and nothing in it can name a function that does more. What queries keep
/// while they run stays in memory.
pub(crate) fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .pragma("query_only", "ON")
        .pragma("trusted_schema", "OFF")
        .pragma("temp_store", "MEMORY")
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}
