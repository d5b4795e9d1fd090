//! Transactions of the ledger: what is owed is settled, what is asked for is decided on, and all of it is written or
//! none. Left out: who waits for it.

use std::time::Duration;

use praxis_core::ledger::Day;
use praxis_core::{CallError, LedgerError, Reserved, Spent, Subject, Ticket, ids};
use rusqlite::{Connection, params};

use super::book::{Book, Holding};
use super::usage::Uses;
use super::{AGAIN, Answer, Asked, Clock, Noted, QUEUE, Settlement};
use crate::StoreError;
use crate::direct::{Direct, Transactions};

/// Settlements that are kept while the database fails; what is beyond stays counted as it was reserved.
const OWED: usize = 4 * QUEUE;

/// How long a transaction waits for those of others.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often what is owed is tried to be settled where the ledger is closed.
const LAST_TRIES: usize = 4;

/// When rows are forgotten, and how long after they were of use.
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
const KEPT: [(&str, i64); 3] = [
    // A bucket that is full again is as good as none.
    ("DELETE FROM ledger_rates WHERE tat_us < ?", DAY_US),
    // A call may be settled when its window has ended.
    ("DELETE FROM ledger_windows WHERE ends_us < ?", 7 * DAY_US),
    // What was taken stays counted; it cannot be settled any more.
    ("DELETE FROM ledger_open WHERE taken_us < ?", 30 * DAY_US),
];

/// What a ticket holds.
struct Reservation {
    id: String,
    subjects: Vec<Subject>,
    holding: Holding,
    taken_us: i64,
    tokens: u64,
    micros: i64,
}

/// Where transactions are made.
pub(super) struct Desk {
    transactions: Transactions,
    clock: Clock,
    /// Settlements that are not in the database yet.
    pub(super) owed: Vec<Settlement>,
    /// What was noted and is not in the database yet.
    pub(super) noted: Vec<Noted>,
    swept_us: i64,
}

impl Desk {
    /// Opens a connection of its own to the database.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn open(database: Direct, clock: Clock) -> Result<Self, StoreError> {
        let transactions = Transactions::of(database, PATIENCE);
        transactions.open()?;
        Ok(Self {
            transactions,
            clock,
            owed: Vec::new(),
            noted: Vec::new(),
            swept_us: i64::MIN,
        })
    }

    /// Whether all that was handed in is in the database.
    pub(super) fn owes_nothing(&self) -> bool {
        self.owed.is_empty() && self.noted.is_empty()
    }

    /// Decides on reservations and settles what is owed.
    pub(super) fn work(&mut self, mut asked: Vec<Asked>) {
        asked.retain(|one| !one.reply.is_closed());
        if asked.is_empty() && self.owes_nothing() {
            return;
        }
        match self.attempt(&asked) {
            Ok(answers) => {
                self.owed.clear();
                self.noted.clear();
                for (one, answer) in asked.into_iter().zip(answers) {
                    if let Err(Ok(Reserved { ticket, .. })) = one.reply.send(answer) {
                        let spent = None;
                        self.owed.push(Settlement { ticket, spent });
                    }
                }
            }
            Err(error) => {
                let owed = self.owed.len();
                tracing::error!(%error, refused = asked.len(), owed, "the ledger cannot count");
                let message = format!("no call is begun that cannot be counted: {error}");
                let failure = CallError::failure(message);
                for one in asked {
                    let _ = one.reply.send(Err(LedgerError::Failed(failure.clone())));
                }
                if owed > OWED {
                    let lost = owed - OWED;
                    tracing::error!(lost, "reservations stay counted in full");
                    self.owed.truncate(OWED);
                }
                self.noted.truncate(OWED);
            }
        }
    }

    fn attempt(&mut self, asked: &[Asked]) -> Result<Vec<Answer>, StoreError> {
        let made = self.transactions.make(|tx| self.decide(tx, asked));
        let (answers, swept_us) = made?;
        self.swept_us = swept_us;
        Ok(answers)
    }

    /// What is decided and written in one transaction: the answers, and when rows were forgotten last.
    fn decide(&self, tx: &Connection, asked: &[Asked]) -> Result<(Vec<Answer>, i64), StoreError> {
        let now = (self.clock)().max(0);
        let (mut book, mut uses) = (Book::new(now), Uses::default());
        // Settlements first: what they give back is there for who asks now.
        for settlement in &self.owed {
            let Some(reservation) = settlement.ticket.held::<Reservation>() else {
                tracing::error!("a ticket of another ledger cannot be settled here");
                continue;
            };
            let mut close = tx.prepare_cached("DELETE FROM ledger_open WHERE id = ?")?;
            if close.execute([&reservation.id])? == 0 {
                continue;
            }
            let spent = settlement.spent.as_ref();
            book.settle(tx, &reservation.holding, spent)?;
            if let Some(spent) = spent {
                let day = Day::of(reservation.taken_us);
                uses.add(day, &reservation.subjects, spent);
                report_excess(reservation, spent);
            }
        }
        for Noted { subjects, spent } in &self.noted {
            uses.add(Day::of(now), subjects, spent);
        }
        let mut answers = Vec::with_capacity(asked.len());
        for Asked { claim, .. } in asked {
            let answer = match book.take(tx, claim)? {
                Ok((holding, remaining)) => {
                    let reservation = Reservation {
                        id: ids::generate("claim-"),
                        subjects: claim.subjects.clone(),
                        holding,
                        taken_us: now,
                        tokens: claim.tokens,
                        micros: claim.money.0,
                    };
                    let mut open =
                        tx.prepare_cached("INSERT INTO ledger_open (id, taken_us) VALUES (?, ?)")?;
                    open.execute(params![reservation.id, now])?;
                    Ok(Reserved {
                        ticket: Ticket::new(reservation),
                        remaining,
                    })
                }
                Err(refusal) => Err(LedgerError::Refused(refusal)),
            };
            answers.push(answer);
        }
        book.write(tx)?;
        uses.write(tx)?;
        if now < self.swept_us.saturating_add(HOUR_US) {
            return Ok((answers, self.swept_us));
        }
        for (sql, kept_us) in KEPT {
            tx.execute(sql, [now.saturating_sub(kept_us)])?;
        }
        Ok((answers, now))
    }

    /// Settles what is owed still, as far as the database lets it.
    pub(super) fn close(mut self) {
        for attempt in 0..LAST_TRIES {
            if self.owes_nothing() {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(AGAIN);
            }
            self.work(Vec::new());
        }
        if !self.owed.is_empty() {
            let lost = self.owed.len();
            tracing::error!(lost, "reservations stay counted in full");
        }
        if let Err(error) = self.transactions.close() {
            tracing::warn!(%error, "the ledger's connection did not close");
        }
    }
}

fn report_excess(reservation: &Reservation, spent: &Spent) {
    if spent.tokens() > reservation.tokens || spent.money.0 > reservation.micros {
        tracing::warn!(
            model = %spent.model,
            reserved_tokens = reservation.tokens,
            tokens = spent.tokens(),
            reserved_micros = reservation.micros,
            micros = spent.money.0,
            "a call took more than was reserved for it; all of it is counted"
        );
    }
}
