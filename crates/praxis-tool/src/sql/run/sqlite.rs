//! SQLite: a file that is opened read-only, with an authorizer that lets a statement read and compute and nothing
//! else, and a handler that ends it in time and before it has taken too much memory. Left out: other databases.
//!
//! What a query sorts, groups and remembers lies in memory and never in files beside the database (`target`), so that a
//! caller fills no disk and leaves no copies there.
//!
//! The handler is asked between instructions, and a function of one long text is one instruction. So texts are bounded
//! here, and what is dear with two long ones in `check`; a connection that goes on all the same keeps its turn until
//! its thread has ended.
//!
//! Sources: <https://www.sqlite.org/c3ref/set_authorizer.html>, <https://www.sqlite.org/security.html>.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libsqlite3_sys as ffi;
use praxis_core::{CallError, ErrorCode};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row, SqlSafeStr, Sqlite,
    SqliteConnection, Statement, TypeInfo, ValueRef,
};
use tokio::sync::Semaphore;

use super::rows::{bound, collected};
use super::{Collector, PATIENCE, Settings, Texts, Trust, failed, unreachable, value};
use crate::sql::{Fault, Plan, Query, Rows};

/// Instructions between two looks at the clock.
const STEPS: i32 = 1000;

/// Bytes of one value that a query makes or reads at most, and of one that we read.
pub(super) const MAX_VALUE: c_int = 1 << 20;
const MAX_OWN_VALUE: c_int = 64 << 20;

/// Bytes by which the memory of SQLite may grow while a query runs. SQLite counts it for the whole process, so that
/// queries that run side by side share it, and each of them is ended that looks when there is more.
const MAX_MEMORY: i64 = 256 << 20;

/// Characters of a pattern of LIKE and GLOB, which are looked for at each character of a text.
const MAX_PATTERN: c_int = 1000;

/// Functions that nothing may call, not even a view of the database.
const REFUSED: [&[u8]; 6] = [
    b"load_extension",
    b"fts3_tokenizer",
    b"readfile",
    b"writefile",
    b"edit",
    b"system",
];

/// A file, and the turns of its connections.
pub(in crate::sql) struct File {
    options: SqliteConnectOptions,
    turns: Arc<Semaphore>,
}

impl File {
    pub fn new(options: SqliteConnectOptions, turns: Arc<Semaphore>) -> Self {
        Self { options, turns }
    }
}

/// A connection that is ended with what it runs when it is dropped.
pub(in crate::sql) struct Session {
    stop: Stop,
    connection: SqliteConnection,
    time: Duration,
    /// Whether the handler ended a statement for the memory that it took.
    full: Arc<AtomicBool>,
}

/// Ends a statement that runs.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Session {
    pub async fn open(file: &File, settings: &Settings, trust: Trust) -> Result<Self, Fault> {
        let turn = Arc::clone(&file.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, turn).await else {
            let message = "all connections to the database are taken";
            return Err(Fault::Call(
                CallError::new(ErrorCode::RateLimited, message).with_hint(
                    "ask again when other queries have ended, or raise `limits.connections`",
                ),
            ));
        };
        let mut connection = file.options.connect().await.map_err(unreachable)?;
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        let full = Arc::new(AtomicBool::new(false));
        let deadline = Instant::now() + settings.time;
        let most = memory().saturating_add(MAX_MEMORY);
        {
            let (stopped, filled) = (Arc::clone(&stop.0), Arc::clone(&full));
            let mut handle = connection.lock_handle().await.map_err(unreachable)?;
            handle.set_progress_handler(STEPS, move || {
                // The handler is the connection's, and goes with its thread: so does the turn.
                let _ = &turn;
                if memory() > most {
                    filled.store(true, Ordering::Relaxed);
                    return false;
                }
                !stopped.load(Ordering::Relaxed) && Instant::now() < deadline
            });
            confine(handle.as_raw_handle(), trust);
        }
        Ok(Self {
            stop,
            connection,
            time: settings.time,
            full,
        })
    }

    /// A fault, with the reason for which the handler ended the statement.
    fn told(&self, fault: Fault) -> Fault {
        match fault {
            Fault::TooMuch(_) if self.full.load(Ordering::Relaxed) => Fault::TooMuch(format!(
                "the query needs more than {} MiB of memory to sort, group or join; read fewer rows and shorter texts, \
                 or filter before",
                MAX_MEMORY >> 20
            )),
            other => other,
        }
    }

    pub async fn rows(&mut self, query: &Query, mut collector: Collector) -> Result<Rows, Fault> {
        let time = self.time;
        let sql = AssertSqlSafe(query.sql.clone()).into_sql_str();
        let statement = Executor::prepare(&mut self.connection, sql)
            .await
            .map_err(|e| failed(e, time))?;
        let names = statement.columns().iter().map(|c| c.name().to_owned());
        collector.name(names.collect());
        let prepared = bound::<Sqlite, _>(query.sql.clone(), &query.binds).persistent(false);
        let rows = prepared.fetch(&mut self.connection);
        let rows = rows.map(|row| row.and_then(|row| cells(&row)));
        let rows = collected(rows, collector, time).await;
        rows.map_err(|fault| self.told(fault))
    }

    /// SQLite estimates nothing: that it can be planned is all there is to know.
    pub async fn plan(&mut self, query: &Query) -> Result<Plan, Fault> {
        let time = self.time;
        let explain = format!("EXPLAIN QUERY PLAN {}", query.sql);
        bound::<Sqlite, _>(explain, &query.binds)
            .persistent(false)
            .fetch_all(&mut self.connection)
            .await
            .map_err(|e| failed(e, time))?;
        Ok(Plan::default())
    }

    pub async fn texts(&mut self, sql: String, binds: &[String]) -> Result<Vec<Texts>, Fault> {
        let time = self.time;
        let rows = bound::<Sqlite, _>(sql, binds)
            .persistent(false)
            .fetch_all(&mut self.connection)
            .await
            .map_err(|e| self.told(failed(e, time)))?;
        Ok(rows.iter().map(texts).collect())
    }

    pub async fn close(self) {
        let Self {
            stop, connection, ..
        } = self;
        // What could be wrong with closing a file that was only read concerns nobody.
        let _ = connection.close().await;
        drop(stop);
    }
}

fn texts(row: &SqliteRow) -> Texts {
    (0..row.len())
        .map(|i| row.try_get_unchecked::<Option<String>, _>(i).ok().flatten())
        .collect()
}

/// The values of a row.
fn cells(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len()).map(|i| cell(row, i)).collect()
}

/// A value, by the type that it has: in SQLite columns have none.
fn cell(row: &SqliteRow, i: usize) -> Result<Value, sqlx::Error> {
    let kind = {
        let raw = row.try_get_raw(i)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        raw.type_info().name().to_owned()
    };
    Ok(match kind.as_str() {
        "INTEGER" | "BOOLEAN" => value::integer(row.try_get_unchecked::<i64, _>(i)?.into()),
        "REAL" => value::float(row.try_get_unchecked(i)?),
        "BLOB" => value::blob(row.try_get_unchecked::<Vec<u8>, _>(i)?.len()),
        _ => match row.try_get_unchecked::<String, _>(i) {
            Ok(text) => Value::String(text),
            // A text that is no UTF-8.
            Err(_) => value::blob(row.try_get_unchecked::<Vec<u8>, _>(i)?.len()),
        },
    })
}

/// Bytes that SQLite has in use, in all connections of the process.
fn memory() -> i64 {
    // SAFETY: it takes nothing, and SQLite answers it at any time and on any thread.
    unsafe { ffi::sqlite3_memory_used() }
}

/// Takes from a connection what no query needs.
fn confine(handle: NonNull<ffi::sqlite3>, trust: Trust) {
    let handle = handle.as_ptr();
    let most = match trust {
        Trust::Own => MAX_OWN_VALUE,
        Trust::Checked => MAX_VALUE,
    };
    // SAFETY: the handle is that of an open connection, which the caller has locked, so that nothing else uses it now.
    // `sqlite3_limit` takes any handle and any number.
    unsafe {
        ffi::sqlite3_limit(handle, ffi::SQLITE_LIMIT_LENGTH, most);
        ffi::sqlite3_limit(handle, ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN);
        ffi::sqlite3_limit(handle, ffi::SQLITE_LIMIT_ATTACHED, 0);
        ffi::sqlite3_limit(handle, ffi::SQLITE_LIMIT_WORKER_THREADS, 0);
    }
    if trust == Trust::Checked {
        // SAFETY: as above. `authorize` is a function without state of its own, so that it lives as long as any
        // connection, and it is given no user data.
        unsafe {
            ffi::sqlite3_set_authorizer(handle, Some(authorize), std::ptr::null_mut());
        }
    }
}

/// Whether a statement may do something: read tables that are the database's own content, and compute.
///
/// SQLite asks while it prepares a statement. Virtual tables ask for two things more when they are opened: that they
/// may declare their columns, which SQLite reports as an update of its own catalogue (it refuses a real one itself),
/// and for two harmless settings.
///
/// # Safety
/// SQLite calls it with texts that end with a zero byte, or with null pointers.
unsafe extern "C" fn authorize(
    _: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _: *const c_char,
    _: *const c_char,
) -> c_int {
    // SAFETY: what SQLite gives are texts that end with a zero byte, valid during the call, or null pointers.
    let (first, second) = unsafe { (bytes(first), bytes(second)) };
    let allowed = match action {
        ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE => true,
        ffi::SQLITE_READ => !first.to_ascii_lowercase().starts_with(b"sqlite_"),
        ffi::SQLITE_FUNCTION => !REFUSED.iter().any(|name| second.eq_ignore_ascii_case(name)),
        ffi::SQLITE_UPDATE => first == b"sqlite_master",
        ffi::SQLITE_PRAGMA => first == b"data_version" || first == b"page_size",
        _ => false,
    };
    if allowed {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_DENY
    }
}

/// The bytes of a text of SQLite's; none for a null pointer.
///
/// # Safety
/// The pointer is null, or that of a text that ends with a zero byte and lives as long as the bytes are used.
unsafe fn bytes<'t>(pointer: *const c_char) -> &'t [u8] {
    if pointer.is_null() {
        return b"";
    }
    // SAFETY: the pointer is not null, and the caller vouches for the text behind it.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
}
