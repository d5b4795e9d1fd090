//! The ledger: limits and budgets that hold for all processes on one database. One thread takes what waits, reservations
//! and settlements alike, into one `BEGIN IMMEDIATE` transaction, and decides on the rows that it reads there: so it
//! is exact, and one transaction serves many calls. Parts of large budgets are counted before they are asked for, and
//! calls are admitted from them in memory (`lease`). Left out: what limits are (`praxis_core::ledger`).
//!
//! A committed reservation survives `kill -9` of the process (`direct`). Only a crash of the machine can lose what was
//! counted in its last moments: budgets may then be overrun by as much, and by no more.

mod book;
mod checkpoint;
mod desk;
mod lease;
mod queue;
mod rate;
mod refused;
mod usage;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use praxis_core::{Claim, Ledger, LedgerError, Reserved, Spent, Subject, Ticket};
use tokio::sync::oneshot;

use self::checkpoint::Keeper;
use self::desk::{Desk, Reservation};
use self::lease::{LASTS, Leases};
use self::queue::{Queue, Serving};
use self::refused::Refused;
use crate::writer::PAUSE;
use crate::{Store, StoreError};

pub use self::usage::{UsageGroup, UsageSum};

/// What tells the time, in microseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Reservations that may wait; more are refused.
const QUEUE: usize = 4096;

/// Those of one transaction, and from how many settlements on they wait no longer.
const BATCH: usize = 256;

/// After how long a failed transaction is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// A [`Ledger`] on the store. Dropped or closed, it settles what it was given and ends its thread.
pub struct StoreLedger {
    queue: Arc<Queue>,
    leases: Arc<Leases>,
    refused: Refused,
    clock: Clock,
}

impl std::fmt::Debug for StoreLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreLedger").finish_non_exhaustive()
    }
}

impl Store {
    /// Begins to keep count, on a thread of its own. Any number of ledgers, in any number of processes, may do so on one
    /// database.
    ///
    /// # Errors
    /// Where the database cannot be opened once more.
    pub async fn ledger(&self, clock: Clock) -> Result<StoreLedger, StoreError> {
        self.begin(clock, Arc::default()).await
    }

    /// The same without leases, for who cannot wait until it is closed.
    ///
    /// # Errors
    /// As [`Store::ledger`].
    pub async fn ledger_without_leases(&self, clock: Clock) -> Result<StoreLedger, StoreError> {
        let none = Leases::default();
        none.close();
        self.begin(clock, Arc::new(none)).await
    }

    async fn begin(&self, clock: Clock, leases: Arc<Leases>) -> Result<StoreLedger, StoreError> {
        let (database, queue) = (self.direct(), Arc::<Queue>::default());
        let (opened, wait) = oneshot::channel();
        let (served, time) = (Arc::clone(&queue), Arc::clone(&clock));
        let lent = Arc::clone(&leases);
        let keeper = Keeper::start(database.clone())?;
        let work = move || match Desk::open(database, time, Arc::clone(&lent)) {
            Ok(desk) => {
                let _ = opened.send(Ok(()));
                serve(desk, &keeper, &served, &lent);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("praxis-ledger".to_owned());
        thread.spawn(work).map_err(StoreError::Thread)?;
        match wait.await {
            Ok(opened) => opened.map(|()| StoreLedger {
                queue,
                leases,
                refused: Refused::default(),
                clock,
            }),
            Err(_) => Err(StoreError::Damaged("the ledger did not begin".to_owned())),
        }
    }
}

impl StoreLedger {
    /// Waits until what was handed in so far is counted, or the database has failed to.
    pub async fn flush(&self) {
        self.queue.flushed().await;
    }

    /// Takes nothing more, and waits until what was handed in is counted.
    pub async fn close(&self) {
        self.leases.close();
        self.queue.closed().await;
    }

    fn hand_in(&self, ticket: Ticket, spent: Option<Spent>) {
        let held = ticket.held::<Reservation>();
        if held.is_none_or(Reservation::may_settle) {
            self.queue.settle(Settlement { ticket, spent });
        }
    }

    /// A call never began.
    fn take_back(&self, ticket: Ticket) {
        self.hand_in(ticket, None);
        self.refused.forget();
    }
}

impl Drop for StoreLedger {
    fn drop(&mut self) {
        self.leases.close();
        self.queue.close();
    }
}

#[async_trait::async_trait]
impl Ledger for StoreLedger {
    async fn reserve(&self, claim: Claim) -> Result<Reserved, LedgerError> {
        let now = (self.clock)().max(0);
        let seen = match self.refused.again(&claim, now) {
            Ok(refusal) => return Err(LedgerError::Refused(refusal)),
            Err(seen) => seen,
        };
        if let Some((holding, remaining)) = self.leases.take(&claim, now) {
            let ticket = Ticket::new(Reservation::leased(&claim, holding, now));
            return Ok(Reserved { ticket, remaining });
        }
        let (reply, answer) = oneshot::channel();
        let claim = Box::new(claim);
        let asked = self.queue.ask(Asked { claim, reply });
        asked.map_err(LedgerError::Failed)?;
        let mut waiting = Waiting {
            answer,
            ledger: self,
        };
        let answer = (&mut waiting.answer).await;
        let answer = answer.unwrap_or_else(|_| Err(LedgerError::Failed(queue::closed())));
        if let Err(LedgerError::Refused(refusal)) = &answer {
            self.refused.keep(refusal, seen);
        }
        answer
    }

    async fn settle(&self, ticket: Ticket, spent: Spent) {
        self.hand_in(ticket, Some(spent));
    }

    async fn give_back(&self, ticket: Ticket) {
        self.take_back(ticket);
    }

    async fn note(&self, subjects: Vec<Subject>, spent: Spent) {
        self.queue.note(Noted { subjects, spent });
    }
}

/// A reservation that is waited for. Where nobody waits any more, what it brings is given back.
struct Waiting<'a> {
    answer: oneshot::Receiver<Answer>,
    ledger: &'a StoreLedger,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Ok(Reserved { ticket, .. })) = self.answer.try_recv() {
            self.ledger.take_back(ticket);
        }
    }
}

type Answer = Result<Reserved, LedgerError>;

struct Asked {
    claim: Box<Claim>,
    reply: oneshot::Sender<Answer>,
}

/// What a reservation came to; none where its call never began, or another one of its reservations counts it.
struct Settlement {
    ticket: Ticket,
    spent: Option<Spent>,
}

/// What a call took for which nothing was reserved.
struct Noted {
    subjects: Vec<Subject>,
    spent: Spent,
}

/// Serves until it is closed.
fn serve(mut desk: Desk, keeper: &Keeper, queue: &Queue, leases: &Leases) {
    let serving = Serving { queue, leases };
    // When what nobody waits for is written.
    let mut due = Instant::now();
    loop {
        let later = match desk.owes_nothing() {
            true => leases.are_there().then(|| Instant::now() + LASTS),
            false => Some(due),
        };
        let batch = serving.queue.next(due, later);
        desk.owed.extend(batch.taken.settlements);
        desk.noted.extend(batch.taken.notes);
        desk.work(batch.asked, !batch.watching.is_empty());
        keeper.look();
        due = Instant::now() + if desk.owes_nothing() { PAUSE } else { AGAIN };
        if batch.is_last {
            desk.close();
            return;
        }
        for done in batch.watching {
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests;
