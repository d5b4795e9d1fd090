//! What waits for the ledger's thread. Reservations wake it. What calls took only wakes it where nothing waited before:
//! nobody waits for that, so that under load it is counted with the next reservation, or after a pause with all that
//! came until then. Left out: counting (`desk`).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{CallError, ErrorCode};
use tokio::sync::oneshot;

use super::lease::Leases;
use super::{Asked, BATCH, Noted, QUEUE, Settlement};

/// What calls took that may wait: far more than calls run at a time. What is beyond is told of, and stays counted as it
/// was reserved.
const MOST_TAKEN: usize = 64 * QUEUE;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something came that the thread wants to know of.
    come: Condvar,
}

/// The thread serves as long as it has this, and then nobody does, also where it panics.
pub(super) struct Serving<'a> {
    pub(super) queue: &'a Queue,
    pub(super) leases: &'a Leases,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.leases.close();
        self.queue.end();
    }
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    taken: Taken,
    /// Who waits until all of it is counted.
    watching: Vec<oneshot::Sender<()>>,
    /// Nothing is taken any more.
    is_closed: bool,
    /// Nobody serves any more.
    is_over: bool,
}

/// What calls took.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) settlements: Vec<Settlement>,
    pub(super) notes: Vec<Noted>,
}

/// What the thread does next.
pub(super) struct Batch {
    pub(super) asked: Vec<Asked>,
    pub(super) taken: Taken,
    pub(super) watching: Vec<oneshot::Sender<()>>,
    /// Whether it is the last.
    pub(super) is_last: bool,
}

impl Taken {
    fn len(&self) -> usize {
        self.settlements.len() + self.notes.len()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in what a call asks for.
    ///
    /// # Errors
    /// Where too many wait, or nobody serves any more.
    pub(super) fn ask(&self, asked: Asked) -> Result<(), CallError> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(closed());
        }
        if waiting.asked.len() >= QUEUE {
            let message = format!("{QUEUE} calls wait to be counted, and no more may");
            return Err(CallError {
                retry_after: Some(Duration::from_secs(1)),
                ..CallError::new(ErrorCode::RateLimited, message)
            });
        }
        waiting.asked.push(asked);
        drop(waiting);
        self.come.notify_one();
        Ok(())
    }

    /// Hands in what a reservation came to.
    pub(super) fn settle(&self, settlement: Settlement) {
        self.took(|taken| taken.settlements.push(settlement));
    }

    /// Hands in what a call took for which nothing was reserved.
    pub(super) fn note(&self, noted: Noted) {
        self.took(|taken| taken.notes.push(noted));
    }

    fn took(&self, put: impl FnOnce(&mut Taken)) {
        let mut waiting = self.lock();
        if waiting.is_closed || waiting.taken.len() >= MOST_TAKEN {
            tracing::error!("the ledger is closed or overrun: what a call took is not counted");
            return;
        }
        put(&mut waiting.taken);
        let count = waiting.taken.len();
        drop(waiting);
        if count == 1 || count == BATCH {
            self.come.notify_one();
        }
    }

    /// Resolves when all that was handed in so far is counted, or the database has failed to.
    pub(super) async fn flushed(&self) {
        self.watch(false).await;
    }

    /// Takes nothing any more, and resolves when all that was handed in is counted.
    pub(super) async fn closed(&self) {
        self.watch(true).await;
    }

    async fn watch(&self, closes: bool) {
        let (done, wait) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.is_closed |= closes;
            if waiting.is_over {
                return;
            }
            waiting.watching.push(done);
        }
        self.come.notify_one();
        let _ = wait.await;
    }

    /// Takes nothing any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.come.notify_one();
    }

    /// Waits for something to do. What calls took waits until it is `due`; where none did, the thread wants to be back
    /// `later`.
    pub(super) fn next(&self, due: Instant, later: Option<Instant>) -> Batch {
        let mut waiting = self.lock();
        loop {
            let is_urgent =
                !waiting.asked.is_empty() || !waiting.watching.is_empty() || waiting.is_closed;
            if is_urgent || waiting.taken.len() >= BATCH {
                return waiting.batch();
            }
            let until = match waiting.taken.len() {
                0 => later,
                _ => Some(due),
            };
            let Some(until) = until else {
                let waited = self.come.wait(waiting);
                waiting = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let pause = until.saturating_duration_since(Instant::now());
            if pause.is_zero() {
                return waiting.batch();
            }
            let waited = self.come.wait_timeout(waiting, pause);
            (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody serves any more: lets go who waits.
    fn end(&self) {
        let mut waiting = self.lock();
        (waiting.is_closed, waiting.is_over) = (true, true);
        waiting.asked.clear();
        waiting.watching.clear();
    }
}

impl State {
    fn batch(&mut self) -> Batch {
        let asked = self.asked.len().min(BATCH);
        let is_last = self.is_closed && asked == self.asked.len();
        Batch {
            asked: self.asked.drain(..asked).collect(),
            taken: std::mem::take(&mut self.taken),
            // Those who watch wait for all that was asked before.
            watching: match self.asked.is_empty() {
                true => std::mem::take(&mut self.watching),
                false => Vec::new(),
            },
            is_last,
        }
    }
}

pub(super) fn closed() -> CallError {
    let message = "the ledger is closed: no call is begun that cannot be counted";
    CallError::new(ErrorCode::Internal, message)
}
