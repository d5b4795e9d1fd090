//! Turns: so many calls run at a time, so many wait, and no more. Left out: what a turn is used for.

use std::sync::atomic::{AtomicU64, Ordering};

use praxis_core::{CallError, ErrorCode, ModelError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// Who may go on, and who waits.
pub(super) struct Gate {
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
    pub fn new(at_once: u64, most: u64) -> Self {
        let at_once = usize::try_from(at_once).unwrap_or(usize::MAX);
        Self {
            turns: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicU64::new(0),
            most,
        }
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
