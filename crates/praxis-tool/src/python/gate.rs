//! Turns: so many calls run at a time, so many wait, and no more. Who shares an interpreter's file shares its gate. Left
//! out: what a turn is used for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use praxis_core::{CallError, ErrorCode, ModelError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// The gates of this process that are in use, by the folder of the interpreter's file.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Gate>>>> = Mutex::new(None);

/// Who may go on, and who waits.
pub(super) struct Gate {
    at_once: u64,
    turns: Semaphore,
    waiting: AtomicU64,
    most: u64,
}

/// Counts one that waits, as long as it does.
struct Waits<'a>(&'a AtomicU64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// A gate that lets `at_once` in, while `most` wait.
    fn new(at_once: u64, most: u64) -> Self {
        let turns = usize::try_from(at_once).unwrap_or(usize::MAX);
        Self {
            at_once,
            turns: Semaphore::new(turns.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicU64::new(0),
            most,
        }
    }

    /// The gate of all who have this folder and these limits: ten tools of one file run no more at a time than one.
    pub fn shared(folder: &Path, at_once: u64, most: u64) -> Arc<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        open.retain(|_, gate| gate.strong_count() > 0);
        let there = open.get(folder).and_then(Weak::upgrade);
        if let Some(gate) = there.filter(|gate| (gate.at_once, gate.most) == (at_once, most)) {
            return gate;
        }
        let gate = Arc::new(Self::new(at_once, most));
        open.insert(folder.to_owned(), Arc::downgrade(&gate));
        gate
    }

    /// Waits for a turn, which ends when what it gives is dropped.
    ///
    /// # Errors
    /// `rate_limited` where too many wait, and `cancelled`.
    pub async fn turn(&self, cancel: &CancellationToken) -> Result<SemaphorePermit<'_>, CallError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waits = Waits(&self.waiting);
        if before >= self.most {
            let message = format!("{} calls of the interpreter wait already", self.most);
            return Err(CallError::new(ErrorCode::RateLimited, message).with_hint(
                "call it again in a while, or raise `limits.waiting` of the tool's file",
            ));
        }
        tokio::select! {
            turn = self.turns.acquire() => turn.map_err(CallError::failure),
            () = cancel.cancelled() => Err(ModelError::Cancelled.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_gate_as_long_as_its_limits_are_the_same() {
        let (here, there) = (Path::new("/gate-test/a"), Path::new("/gate-test/b"));
        let gate = Gate::shared(here, 1, 1);
        assert!(Arc::ptr_eq(&gate, &Gate::shared(here, 1, 1)));
        assert!(!Arc::ptr_eq(&gate, &Gate::shared(there, 1, 1)));
        // A file that was changed and is read anew has the new limits.
        assert!(!Arc::ptr_eq(&gate, &Gate::shared(here, 2, 1)));
    }

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_next_is_told() {
        let gate = Gate::new(1, 1);
        let never = CancellationToken::new();
        let first = gate.turn(&never).await.unwrap();
        let gone = CancellationToken::new();
        let (waited, refused, ()) = tokio::join!(
            gate.turn(&gone),
            async { gate.turn(&never).await.map(drop).unwrap_err() },
            async { gone.cancel() },
        );
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert_eq!(waited.map(drop).unwrap_err().code, ErrorCode::Cancelled);
        // Who does not wait any more leaves room.
        let (second, ()) = tokio::join!(gate.turn(&never), async { drop(first) });
        assert!(second.is_ok());
    }
}
