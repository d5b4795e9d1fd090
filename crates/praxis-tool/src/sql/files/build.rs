//! Writes the rows of files into a database, which appears whole or not at all. Left out: what is read (`read`).

use std::path::Path;
use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite, SqliteConnection};
use tokio::sync::mpsc;

use super::cell::Cell;
use super::read::{Message, Table, read};
use super::{Input, LEFT, NOTES, Options};
use crate::sql::check::quoted;
use crate::sql::schema::Dialect;

/// Values of one statement.
const BINDS: usize = 2000;

/// What databases in the making are called.
const PREFIX: &str = "making-";

/// After which a database in the making is one that nobody makes any more.
const STALE: Duration = Duration::from_secs(3600);

/// Makes the database of files at `path`, and takes away those that are not of now.
///
/// # Errors
/// No file can be read, or there is no room.
pub(super) async fn build(
    inputs: Vec<Input>,
    options: Options,
    folder: &Path,
    path: &Path,
) -> Result<(), CallError> {
    std::fs::create_dir_all(folder).map_err(CallError::failure)?;
    let making = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempfile_in(folder)
        .map_err(CallError::failure)?;
    let (sender, receiver) = mpsc::channel(4);
    let reading = tokio::task::spawn_blocking(move || read(&inputs, options, &sender));
    let written = write(making.path(), receiver).await;
    reading.await.map_err(CallError::failure)?;
    let notes = written?;
    for note in &notes.said {
        tracing::warn!("{note}");
    }
    if notes.tables == 0 {
        let message = format!("none of the files is a table: {}", notes.said.join("; "));
        return Err(CallError::new(ErrorCode::InvalidRequest, message)
            .with_hint("files are tables of rows, as CSV, XLSX or Parquet"));
    }
    let file = making.as_file().try_clone().map_err(CallError::failure)?;
    file.sync_all().map_err(CallError::failure)?;
    making
        .persist(path)
        .map_err(|error| CallError::failure(error.error))?;
    if let Ok(folder) = std::fs::File::open(folder) {
        // The name is safe with the folder.
        let _ = folder.sync_all();
    }
    sweep(folder, path);
    Ok(())
}

/// What was said of files, and how many tables they gave.
struct Notes {
    said: Vec<String>,
    tables: usize,
}

async fn write(path: &Path, mut receiver: mpsc::Receiver<Message>) -> Result<Notes, CallError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(CallError::failure)?;
    let notes_table = format!(
        "CREATE TABLE {NOTES} (\"table\" TEXT NOT NULL, \"column\" TEXT, comment TEXT NOT NULL)"
    );
    execute(&mut connection, notes_table).await?;
    let left_table = format!("CREATE TABLE {LEFT} (\"table\" TEXT, note TEXT NOT NULL)");
    execute(&mut connection, left_table).await?;
    execute(&mut connection, "BEGIN".to_owned()).await?;
    let mut notes = Notes {
        said: Vec::new(),
        tables: 0,
    };
    let mut insert = Insert::default();
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Table(table) => {
                insert = create(&mut connection, table).await?;
                notes.tables += 1;
            }
            Message::Rows(rows) => insert.rows(&mut connection, rows).await?,
            Message::Note(note) => notes.said.push(note),
            Message::Left { table, note } => {
                let insert = format!("INSERT INTO {LEFT} VALUES (?1, ?2)");
                sqlx::query::<Sqlite>(AssertSqlSafe(insert))
                    .bind(table)
                    .bind(note.clone())
                    .execute(&mut connection)
                    .await
                    .map_err(CallError::failure)?;
                notes.said.push(note);
            }
        }
    }
    execute(&mut connection, "COMMIT".to_owned()).await?;
    connection.close().await.map_err(CallError::failure)?;
    Ok(notes)
}

async fn execute(connection: &mut SqliteConnection, sql: String) -> Result<(), CallError> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map_err(CallError::failure)?;
    Ok(())
}

async fn create(connection: &mut SqliteConnection, table: Table) -> Result<Insert, CallError> {
    let name = quoted(Dialect::Sqlite, &table.name);
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|(column, kind, _)| format!("{} {}", quoted(Dialect::Sqlite, column), kind.declared()))
        .collect();
    execute(
        connection,
        format!("CREATE TABLE {name} ({})", columns.join(", ")),
    )
    .await?;
    let mut told = vec![(None, table.comment)];
    for (column, _, original) in &table.columns {
        if let Some(original) = original {
            told.push((Some(column.clone()), original.clone()));
        }
    }
    let insert = format!("INSERT INTO {NOTES} VALUES (?1, ?2, ?3)");
    for (column, comment) in told {
        sqlx::query::<Sqlite>(AssertSqlSafe(insert.clone()))
            .bind(table.name.clone())
            .bind(column)
            .bind(comment)
            .execute(&mut *connection)
            .await
            .map_err(CallError::failure)?;
    }
    Ok(Insert {
        table: name,
        width: table.columns.len(),
    })
}

/// Where rows go.
#[derive(Default)]
struct Insert {
    table: String,
    width: usize,
}

impl Insert {
    async fn rows(
        &self,
        connection: &mut SqliteConnection,
        rows: Vec<Vec<Cell>>,
    ) -> Result<(), CallError> {
        let together = (BINDS / self.width.max(1)).max(1);
        let row = format!("({})", vec!["?"; self.width].join(", "));
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some: Vec<Vec<Cell>> = rows.by_ref().take(together).collect();
            let sql = format!(
                "INSERT INTO {} VALUES {}",
                self.table,
                vec![row.as_str(); some.len()].join(", ")
            );
            let mut insert = sqlx::query::<Sqlite>(AssertSqlSafe(sql));
            for cell in some.into_iter().flatten() {
                insert = bound(insert, cell);
            }
            insert
                .execute(&mut *connection)
                .await
                .map_err(CallError::failure)?;
        }
        Ok(())
    }
}

fn bound(
    insert: Query<'_, Sqlite, SqliteArguments>,
    cell: Cell,
) -> Query<'_, Sqlite, SqliteArguments> {
    match cell {
        Cell::Empty => insert.bind(None::<String>),
        Cell::Bool(value) => insert.bind(value),
        Cell::Int(value) => insert.bind(value),
        Cell::Real(value) => insert.bind(value),
        Cell::Date(text) | Cell::Moment(text) | Cell::Text(text) => insert.bind(text),
    }
}

/// Takes away databases of other states of the files, and what was left in the making.
fn sweep(folder: &Path, keep: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let age = entry
            .metadata()
            .and_then(|m| m.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let stale = name.starts_with(PREFIX) && age.is_some_and(|age| age > STALE);
        let old = name.ends_with(".db") && path != keep;
        if stale || old {
            let _ = std::fs::remove_file(path);
        }
    }
}
