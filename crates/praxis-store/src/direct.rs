//! Connections for what is written at each call, by threads of their own and rusqlite: sqlx sends each statement to a
//! thread and its answer back, which takes several times as long as the statement. What they commit is in the
//! operating system's hands (`synchronous = NORMAL`): it survives `kill -9` of the process, without a wait for the
//! disk in each call. In SQLite they would wait for each other by sleeping; so they take turns. Left out: who writes
//! what (`ledger`, `writer`), and the log, which none of them writes back (`ledger::checkpoint`).

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
