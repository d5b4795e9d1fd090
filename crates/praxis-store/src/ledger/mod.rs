//! The ledger: limits and budgets that hold for all processes on one database. One task takes what waits, reservations
//! and settlements alike, into one `BEGIN IMMEDIATE` transaction, and decides on the rows that it reads there: so it
//! is exact, and one transaction serves many calls. Left out: what limits are (`praxis_core::ledger`).
//!
//! The task has a connection of its own with `synchronous = NORMAL`: a committed reservation is in the operating
//! system's hands and survives `kill -9` of the process, without a wait for the disk in each call. Only a crash of the
//! machine can lose what was counted in its last moments: budgets may then be overrun by as much, and by no more.

mod book;
mod desk;
mod rate;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use praxis_core::{
    CallError, Claim, ErrorCode, Ledger, LedgerError, Reserved, Spent, Subject, Ticket,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::desk::Desk;
use crate::{Store, StoreError};

pub use self::usage::{UsageGroup, UsageSum};

/// What tells the time, in microseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Reservations and settlements that may wait; more reservations are refused, more settlements wait for room.
const QUEUE: usize = 4096;

/// Those of one transaction.
const BATCH: usize = 256;

/// After how long a failed transaction is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// A [`Ledger`] on the store. Dropped or closed, it settles what it was given and ends.
#[derive(Debug)]
pub struct StoreLedger {
    queue: mpsc::Sender<Item>,
}

impl Store {
    /// Begins to keep count; must be called within a tokio runtime. Any number of ledgers, in any number of
    /// processes, may do so on one database.
    ///
    /// # Errors
    /// Where the database cannot be opened once more.
    pub async fn ledger(&self, clock: Clock) -> Result<StoreLedger, StoreError> {
        let options = self.pool.connect_options();
        let desk = Desk::open(&options, self.turn.clone(), clock).await?;
        let (queue, items) = mpsc::channel(QUEUE);
        tokio::spawn(serve(desk, items));
        Ok(StoreLedger { queue })
    }
}

impl StoreLedger {
    /// Waits until what was handed in so far is counted, or the database has failed to.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Takes nothing more, and waits until what was handed in is counted.
    pub async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Close(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

#[async_trait::async_trait]
impl Ledger for StoreLedger {
    async fn reserve(&self, claim: Claim) -> Result<Reserved, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let claim = Box::new(claim);
        self.queue
            .try_send(Item::Reserve(Asked { claim, reply }))
            .map_err(|error| LedgerError::Failed(no_room(&error)))?;
        let mut waiting = Waiting {
            answer,
            queue: &self.queue,
        };
        let answer = (&mut waiting.answer).await;
        answer.unwrap_or_else(|_| Err(LedgerError::Failed(closed())))
    }

    async fn settle(&self, ticket: Ticket, spent: Spent) {
        let spent = Some(spent);
        if let Some(sending) = hand_over(&self.queue, Settlement { ticket, spent }.into()) {
            let _ = sending.await;
        }
    }

    async fn give_back(&self, ticket: Ticket) {
        let spent = None;
        if let Some(sending) = hand_over(&self.queue, Settlement { ticket, spent }.into()) {
            let _ = sending.await;
        }
    }

    async fn note(&self, subjects: Vec<Subject>, spent: Spent) {
        if let Some(sending) = hand_over(&self.queue, Item::Note(Noted { subjects, spent })) {
            let _ = sending.await;
        }
    }
}

fn no_room(error: &TrySendError<Item>) -> CallError {
    match error {
        TrySendError::Full(_) => CallError {
            retry_after: Some(Duration::from_secs(1)),
            ..CallError::new(
                ErrorCode::RateLimited,
                format!("{QUEUE} calls wait to be counted, and no more may"),
            )
        },
        TrySendError::Closed(_) => closed(),
    }
}

fn closed() -> CallError {
    let message = "the ledger is closed: no call is begun that cannot be counted";
    CallError::new(ErrorCode::Internal, message)
}

/// Puts what a call took into the queue. Where that has no room, a task of its own waits for it, so that it is not lost
/// with whoever hands it over.
fn hand_over(queue: &mpsc::Sender<Item>, item: Item) -> Option<JoinHandle<()>> {
    let lost = || tracing::error!("the ledger is closed: what a call took is not counted any more");
    match queue.try_send(item) {
        Ok(()) => None,
        Err(TrySendError::Full(item)) => {
            let queue = queue.clone();
            let Ok(runtime) = Handle::try_current() else {
                lost();
                return None;
            };
            Some(runtime.spawn(async move {
                if queue.send(item).await.is_err() {
                    lost();
                }
            }))
        }
        Err(TrySendError::Closed(_)) => {
            lost();
            None
        }
    }
}

/// A reservation that is waited for. Where nobody waits any more, what it brings is given back.
struct Waiting<'a> {
    answer: oneshot::Receiver<Answer>,
    queue: &'a mpsc::Sender<Item>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Ok(Reserved { ticket, .. })) = self.answer.try_recv() {
            let spent = None;
            let _ = hand_over(self.queue, Settlement { ticket, spent }.into());
        }
    }
}

type Answer = Result<Reserved, LedgerError>;

/// What waits for the task.
enum Item {
    Reserve(Asked),
    Settle(Settlement),
    Note(Noted),
    Flush(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

struct Asked {
    claim: Box<Claim>,
    reply: oneshot::Sender<Answer>,
}

/// What a reservation came to; none where its call never began, or another one of its reservations counts it.
struct Settlement {
    ticket: Ticket,
    spent: Option<Spent>,
}

impl From<Settlement> for Item {
    fn from(settlement: Settlement) -> Self {
        Self::Settle(settlement)
    }
}

/// What a call took for which nothing was reserved.
struct Noted {
    subjects: Vec<Subject>,
    spent: Spent,
}

async fn serve(mut desk: Desk, mut items: mpsc::Receiver<Item>) {
    let mut batch = Vec::new();
    let mut closing = Vec::new();
    loop {
        let received = items.recv_many(&mut batch, BATCH);
        let is_open = match desk.owed.is_empty() && desk.noted.is_empty() {
            true => received.await > 0,
            false => match tokio::time::timeout(AGAIN, received).await {
                Ok(count) => count > 0,
                Err(_) => true,
            },
        };
        if !is_open {
            break;
        }
        let (mut asked, mut flushes) = (Vec::new(), Vec::new());
        for item in batch.drain(..) {
            match item {
                Item::Reserve(one) => asked.push(one),
                Item::Settle(settlement) => desk.owed.push(settlement),
                Item::Note(noted) => desk.noted.push(noted),
                Item::Flush(done) => flushes.push(done),
                Item::Close(done) => {
                    items.close();
                    closing.push(done);
                }
            }
        }
        desk.work(asked).await;
        for done in flushes {
            let _ = done.send(());
        }
    }
    desk.close().await;
    for done in closing {
        let _ = done.send(());
    }
}

#[cfg(test)]
mod tests;
