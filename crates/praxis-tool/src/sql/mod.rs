//! Databases as tools: `tools/NAME.sql.toml` makes `NAME/ask`, `NAME/query` and `NAME/schema` of a database or of
//! files.
//!
//! Nothing but one SELECT over what the caller may see reaches a database (`check`), and it runs read-only, bounded in
//! time, rows and bytes (`run`). What there is to see comes from the database itself (`introspect`) or from files that
//! are made tables (`files`), as far as the file's permissions give it (`access`). Left out: anything that writes.

mod absent;
mod access;
mod answer;
mod ask;
mod check;
mod config;
mod database;
mod files;
mod functions;
mod introspect;
mod link;
mod named;
mod powers;
mod run;
mod schema;
mod target;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use praxis_core::{CallError, Problem};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::access::{Access, Known};
use self::check::Rules;
pub use self::config::Config;
pub use self::database::Database;
pub use self::schema::{Column, Dialect, ForeignKey, Schema, Table};
use crate::deps::ToolDeps;
use crate::toolbox::{Made, Names};

/// Rows of a query where nothing else is said.
const ROWS: u64 = 1000;

/// A query that was checked, as it is sent.
#[derive(Debug)]
pub struct Query {
    sql: String,
    binds: Vec<Option<String>>,
    tables: Vec<String>,
    notes: Vec<String>,
    /// What of files is not in the tables that it reads.
    left: Vec<String>,
    rows: u64,
    /// Whether the database's estimate was within the limits.
    planned: AtomicBool,
}

impl Query {
    /// The SQL that is sent: written anew, with a limit and with what the caller may see in the place of tables.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The tables that it reads, as [`Table::name`] has them.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// What is likely not as meant, such as tables that no condition joins.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What its answer lacks: files, and rows of files, that were left out of the tables.
    pub fn left_out(&self) -> &[String] {
        &self.left
    }
}

/// What a database expects of a query before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Plan {
    /// Its cost, in the units of PostgreSQL's planner; none elsewhere.
    pub cost: Option<f64>,
    /// Rows that it looks at in its largest step, about; none in SQLite, which estimates nothing.
    pub rows: Option<f64>,
}

/// What a query gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// What the columns are called.
    pub columns: Vec<String>,
    /// Their values. Whole numbers beyond 2^53 and decimals of more than 15 digits are texts with all their digits,
    /// dates are texts as in ISO 8601, bytes are a text that says how many.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows, or longer values, than these.
    pub cut: bool,
}

/// A value of the database that words of a question are like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its table.
    pub table: String,
    /// Its column.
    pub column: String,
    /// The value.
    pub value: String,
}

/// Why a query gave nothing. What it displays is for who wrote the query, and may write a better one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It was never sent.
    #[error("{0}")]
    Refused(String),
    /// The database refused it, in these words.
    #[error("the database says: {0}")]
    Failed(String),
    /// It takes more than it may.
    #[error("{0}")]
    TooMuch(String),
    /// Not the query's fault.
    #[error("{0}")]
    Call(CallError),
}

/// Checks a query against a schema all of which may be seen, and writes what would be sent. `place` is where its tables
/// are: a schema of PostgreSQL, a database of MySQL; SQLite's is always `main`.
///
/// # Errors
/// [`Fault::Refused`] with what is wrong.
pub fn checked(sql: &str, schema: &Schema, place: &str) -> Result<Query, Fault> {
    let place = if schema.dialect == Dialect::Sqlite {
        "main"
    } else {
        place
    };
    let rules = Rules {
        dialect: schema.dialect,
        schema,
        access: &Access::open(Arc::new(schema.clone())),
        known: &Known::default(),
        places: &[place.to_owned()],
        functions: &[],
        rows: ROWS,
    };
    check::check(sql, &rules)
}

/// Makes the functions of a file. Where the URL's environment variable is not set, they are there and say so.
///
/// # Errors
/// A URL, a condition or an examples file that cannot be read.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    if let Some((variable, problem)) = config.unset() {
        return Ok(Made {
            tools: absent::tools(name, config, variable)?,
            warnings: vec![problem],
        });
    }
    let database = Database::open(name, config, deps).await?;
    let about = config.description.as_deref();
    let mut tools = functions::tools(name, about, &database)?;
    tools.push(crate::toolbox::Tool {
        function: ask::tool(name, about, &config.ask, Arc::clone(&database), deps)?,
        outside: true,
    });
    Ok(Made {
        tools,
        warnings: Vec::new(),
    })
}

/// Names of the functions of a file.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![
        ask::name(name),
        functions::query_name(name),
        functions::schema_name(name),
    ])
}
