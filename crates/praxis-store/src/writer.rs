//! The trace sink: spans go through a bounded queue to a thread that writes them in batches, so that no call waits for
//! the disk. It writes at once where it last wrote some time ago, and else with all that comes until then: so a busy
//! server makes one transaction of many calls, and what an idle one did can be read in the next moment. What is written
//! survives `kill -9` of the process; a crash of the machine may lose that of its last moments.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use praxis_core::{Span, TraceSink};
use tokio::sync::{mpsc, oneshot};

use crate::direct::Transactions;
use crate::spans::put_span;
use crate::{Store, StoreError};

/// Spans that may wait to be written; more are dropped and counted.
const QUEUE: usize = 4096;

/// What is taken from the queue at a time.
const BATCH: usize = 256;

/// Spans of one transaction: calls are admitted between two of them.
const AT_ONCE: usize = 16;

/// The shortest time from the end of a transaction that nobody waits for to the next.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// How long a transaction waits for those of other processes, and calls with it that are to be counted.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is tried.
const TRIES: usize = 30;

enum Item {
    Span(Box<Span>),
    Flush(oneshot::Sender<()>),
}

/// A [`TraceSink`] that writes to the store. When it is dropped, what it was given is written still.
#[derive(Debug)]
pub struct TraceWriter {
    queue: mpsc::Sender<Item>,
    dropped: AtomicU64,
}

impl TraceWriter {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where the system gives none.
    pub fn start(store: &Store) -> Result<Self, StoreError> {
        let (queue, items) = mpsc::channel(QUEUE);
        let transactions = Transactions::of(store.direct(), PATIENCE);
        let thread = thread::Builder::new().name("praxis-traces".to_owned());
        let write = move || write(&transactions, items);
        thread.spawn(write).map_err(StoreError::Thread)?;
        Ok(Self {
            queue,
            dropped: AtomicU64::new(0),
        })
    }

    /// Waits until all spans recorded so far are written.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Spans dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl TraceSink for TraceWriter {
    fn record(&self, span: Span) {
        if self.queue.try_send(Item::Span(Box::new(span))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes what comes until nobody sends any more.
fn write(transactions: &Transactions, mut items: mpsc::Receiver<Item>) {
    let (mut batch, mut spans, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
    let mut due = Instant::now();
    while items.blocking_recv_many(&mut batch, BATCH) > 0 {
        let pause = due.saturating_duration_since(Instant::now());
        let is_waited_for = batch.iter().any(|item| matches!(item, Item::Flush(_)));
        if !pause.is_zero() && !is_waited_for && batch.len() < BATCH {
            thread::sleep(pause);
            while batch.len() < BATCH
                && let Ok(item) = items.try_recv()
            {
                batch.push(item);
            }
        }
        for item in batch.drain(..) {
            match item {
                Item::Span(span) => spans.push(span),
                Item::Flush(done) => flushes.push(done),
            }
        }
        for some in spans.chunks(AT_ONCE) {
            let put =
                || transactions.make(|tx| some.iter().try_for_each(|span| put_span(tx, span)));
            let written = (1..TRIES).fold(put(), |written, _| written.or_else(|_| put()));
            if let Err(error) = written {
                tracing::error!(%error, of = some.len(), "spans could not be stored");
            }
        }
        spans.clear();
        due = Instant::now() + PAUSE;
        for done in flushes.drain(..) {
            let _ = done.send(());
        }
    }
}
