//! The write-ahead log of a database that is written at each call. Whoever commits would write it back every thousand
//! pages, and wait for the disk: a few milliseconds, in which no call is admitted. So those who write at each call leave
//! it to a thread beside them, which holds them up for the very end of it alone.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Mutex;

use crate::StoreError;

/// Bytes of the log from which on it is written back.
const LONG: u64 = 32 << 20;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// How long the end of it may wait for those who read.
const PATIENCE: Duration = Duration::from_millis(20);

/// A connection to a database that is there, which waits so long for others. What it commits is in the operating
/// system's hands; it does not write the log back.
pub(super) fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Writes the log back whenever it is long, until nobody can say `stop` any more.
pub(super) fn keep_short(path: &Path, turn: &Mutex<()>, stop: &Receiver<()>) {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(EVERY) {
        let is_long = std::fs::metadata(&log).is_ok_and(|file| file.len() > LONG);
        if is_long && let Err(error) = write_back(path, turn) {
            tracing::warn!(%error, "the log of the store was not written back");
        }
    }
}

/// Writes all of the log back that is there, beside who writes; then what came meanwhile, which is little, while those
/// who have turns wait.
fn write_back(path: &Path, turn: &Mutex<()>) -> Result<(), StoreError> {
    let connection = connect(path, PATIENCE)?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    let _turn = turn.blocking_lock();
    // Where somebody reads for longer, it is for the next time.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;
    use crate::tests::store;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_long_log_is_written_back() {
        let (dir, store) = store().await;
        let path = dir.path().join("praxis.db");
        let log = dir.path().join("praxis.db-wal");
        let connection = connect(&path, PATIENCE).unwrap();
        connection.execute("CREATE TABLE t (x BLOB)", []).unwrap();
        let fill = "INSERT INTO t VALUES (zeroblob(?))";
        let size = i64::try_from(LONG + 1).unwrap();
        connection.execute(fill, [size]).unwrap();
        let long = std::fs::metadata(&log).unwrap().len();
        assert!(long > LONG, "{long}");
        let (running, stop) = channel();
        let turn = store.turn.clone();
        let at = path.clone();
        let keeping = std::thread::spawn(move || keep_short(&at, &turn, &stop));
        let began = Instant::now();
        while std::fs::metadata(&log).unwrap().len() > 0 {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(running);
        keeping.join().unwrap();
        let sql = "SELECT length(x) FROM t";
        let kept: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(kept, size);
    }
}
