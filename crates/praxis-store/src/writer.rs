//! The trace sink: spans go through a bounded queue to a task that writes them in batches, so that
//! no call waits for the disk. It writes at once where it last wrote some time ago, and else with all that comes until
//! then: so a busy server makes one transaction of many calls, and what an idle one did can be read in the next moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use praxis_core::{Span, TraceSink};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::Store;

/// Spans that may wait to be written; more are dropped and counted.
const QUEUE: usize = 4096;

/// Spans of one transaction.
const BATCH: usize = 256;

/// The shortest time from the end of a transaction that nobody waits for to the next.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

enum Item {
    Span(Box<Span>),
    Flush(oneshot::Sender<()>),
}

/// A [`TraceSink`] that writes to the store.
#[derive(Debug)]
pub struct TraceWriter {
    queue: mpsc::Sender<Item>,
    dropped: AtomicU64,
}

impl TraceWriter {
    /// Starts the writing task; must be called within a tokio runtime.
    pub fn start(store: Store) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, items));
        Self {
            queue,
            dropped: AtomicU64::new(0),
        }
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

async fn write(store: Store, mut items: mpsc::Receiver<Item>) {
    let (mut batch, mut spans, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
    let mut due = Instant::now();
    loop {
        let received = items.recv_many(&mut batch, BATCH - spans.len());
        let is_due = match spans.is_empty() {
            true => {
                if received.await == 0 {
                    return;
                }
                due <= Instant::now()
            }
            // Or nothing comes any more.
            false => !matches!(timeout_at(due, received).await, Ok(1..)),
        };
        for item in batch.drain(..) {
            match item {
                Item::Span(span) => spans.push(*span),
                Item::Flush(done) => flushes.push(done),
            }
        }
        if !is_due && spans.len() < BATCH && flushes.is_empty() {
            continue;
        }
        if !spans.is_empty()
            && let Err(error) = store.put_spans(&spans).await
        {
            tracing::error!(%error, of = spans.len(), "spans could not be stored");
        }
        spans.clear();
        due = Instant::now() + PAUSE;
        for done in flushes.drain(..) {
            let _ = done.send(());
        }
    }
}
