//! The write-ahead log of a database that is written at each call. Whoever commits would write it back every thousand
//! pages, and wait for the disk: a few milliseconds, in which no call is admitted. So those who write at each call leave
//! it to a thread beside them, which holds them up for the very end of it alone.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::StoreError;
use crate::direct::Direct;

/// Bytes of the log from which on it is written back. Whoever appends to the log waits while the disk takes it: of 1, 4, 8
/// and 32 MiB, 1 and 4 made the 99th percentile of transactions the shortest.
const LONG: u64 = 2 << 20;

/// How long the end of it may wait for those who read.
const PATIENCE: Duration = Duration::from_millis(20);

/// Writes a log back, on a thread of its own, which ends with this.
pub(super) struct Keeper {
    log: PathBuf,
    wake: SyncSender<()>,
}

impl Keeper {
    /// That of a database.
    ///
    /// # Errors
    /// Where there is no thread.
    pub(super) fn start(database: Direct) -> Result<Self, StoreError> {
        let log = database.log();
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new().name("praxis-wal".to_owned());
        let keep = move || keep(&database, &woken);
        thread.spawn(keep).map_err(StoreError::Thread)?;
        Ok(Self { log, wake })
    }

    /// Has the log written back if it is long. To be called after a transaction; it does not wait.
    pub(super) fn look(&self) {
        if std::fs::metadata(&self.log).is_ok_and(|file| file.len() > LONG) {
            // Where it is told already, once is enough.
            let _ = self.wake.try_send(());
        }
    }
}

fn keep(database: &Direct, woken: &Receiver<()>) {
    for () in woken {
        if let Err(error) = write_back(database) {
            tracing::warn!(%error, "the log of the store was not written back");
        }
    }
}

/// Writes all of the log back that is there, beside who writes; then what came meanwhile, which is little, while those
/// who have turns wait.
fn write_back(database: &Direct) -> Result<(), StoreError> {
    let connection = database.connect(PATIENCE)?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    let _turn = database.turn();
    // Where somebody reads for longer, it is for the next time.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::tests::store;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_long_log_is_written_back() {
        let (dir, store) = store().await;
        let log = dir.path().join("praxis.db-wal");
        let keeper = Keeper::start(store.direct()).unwrap();
        let connection = store.direct().connect(PATIENCE).unwrap();
        connection.execute("CREATE TABLE t (x BLOB)", []).unwrap();
        let size = i64::try_from(LONG + 1).unwrap();
        let fill = "INSERT INTO t VALUES (zeroblob(?))";
        connection.execute(fill, [size]).unwrap();
        let long = std::fs::metadata(&log).unwrap().len();
        assert!(long > LONG, "{long}");
        let began = Instant::now();
        while std::fs::metadata(&log).unwrap().len() > 0 {
            assert!(began.elapsed() < Duration::from_secs(60));
            keeper.look();
            thread::sleep(Duration::from_millis(10));
        }
        let sql = "SELECT length(x) FROM t";
        let kept: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(kept, size);
    }
}
