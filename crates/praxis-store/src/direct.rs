//! Connections for what is written at each call, by threads of their own and rusqlite: sqlx sends each statement to a
//! thread and its answer back, which takes several times as long as the statement. What they commit is in the
//! operating system's hands (`synchronous = NORMAL`): it survives `kill -9` of the process, without a wait for the
//! disk in each call. In SQLite they would wait for each other by sleeping; so they take turns. Left out: who writes
//! what (`ledger`, `writer`), and the log, which none of them writes back (`ledger::checkpoint`).

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Mutex, MutexGuard};

use crate::{Store, StoreError};

/// A database that several threads write to in turn.
#[derive(Debug, Clone)]
pub(crate) struct Direct {
    path: PathBuf,
    /// That of tokio lets go who came first.
    turn: Arc<Mutex<()>>,
}

impl Store {
    /// Its database, for threads that write at each call.
    pub(crate) fn direct(&self) -> Direct {
        Direct {
            path: self.pool.connect_options().get_filename().to_owned(),
            turn: Arc::clone(&self.turn),
        }
    }
}

impl Direct {
    /// Opens a connection, which waits so long for other processes.
    ///
    /// # Errors
    /// Where that fails.
    pub(crate) fn connect(&self, patience: Duration) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(patience)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(connection)
    }

    /// Waits for its turn, on a thread that may.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.blocking_lock()
    }

    /// The file of the write-ahead log.
    pub(crate) fn log(&self) -> PathBuf {
        PathBuf::from(format!("{}-wal", self.path.display()))
    }
}

/// Transactions of one thread, by a connection that it keeps.
pub(crate) struct Transactions {
    database: Direct,
    patience: Duration,
    /// None before the first, and where the last one failed: nothing is known of its connection then.
    connection: Cell<Option<Connection>>,
}

impl Transactions {
    /// Those of a database, which wait so long for other processes.
    pub(crate) fn of(database: Direct, patience: Duration) -> Self {
        Self {
            database,
            patience,
            connection: Cell::default(),
        }
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// Where that fails.
    pub(crate) fn open(&self) -> Result<(), StoreError> {
        self.connection
            .set(Some(self.database.connect(self.patience)?));
        Ok(())
    }

    /// Makes one in its turn. Where it fails, its connection is given up, and with it what was done.
    ///
    /// # Errors
    /// Where the database fails, or `work` does.
    pub(crate) fn make<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect(self.patience)?,
        };
        let turn = self.database.turn();
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = work(&connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        drop(turn);
        self.connection.set(Some(connection));
        Ok(done)
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// Where that fails.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        match self.connection.take() {
            Some(connection) => connection.close().map_err(|(_, error)| error.into()),
            None => Ok(()),
        }
    }
}
