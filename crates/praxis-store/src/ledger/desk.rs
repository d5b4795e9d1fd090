//! Transactions of the ledger: what is owed is settled, what is asked for is decided on, and all of it is written or
//! none. Left out: who waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use praxis_core::ledger::Day;
use praxis_core::{CallError, Claim, LedgerError, Reserved, Spent, Subject, Ticket, ids};
use rusqlite::{Connection, params};

use super::book::{Book, Holding, Slot};
use super::lease::{Lease, Leases, Pace};
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
pub(super) struct Reservation {
    /// Its row in `ledger_open`; none where leases were taken from.
    id: Option<String>,
    /// Whether one without a row was settled.
    is_settled: AtomicBool,
    subjects: Vec<Subject>,
    holding: Holding,
    taken_us: i64,
    tokens: u64,
    micros: i64,
}

impl Reservation {
    /// That of a claim which leases have room for.
    pub(super) fn leased(claim: &Claim, holding: Holding, now: i64) -> Self {
        Self::of(None, claim, holding, now)
    }

    fn of(id: Option<String>, claim: &Claim, holding: Holding, now: i64) -> Self {
        Self {
            id,
            is_settled: AtomicBool::new(false),
            subjects: claim.subjects.clone(),
            holding,
            taken_us: now,
            tokens: claim.tokens,
            micros: claim.money.0,
        }
    }

    /// Whether it may be settled now: once where it has no row, which sees to that otherwise.
    pub(super) fn may_settle(&self) -> bool {
        self.id.is_some() || !self.is_settled.swap(true, Ordering::Relaxed)
    }
}

/// Where transactions are made.
pub(super) struct Desk {
    transactions: Transactions,
    clock: Clock,
    /// Settlements that are not in the database yet.
    pub(super) owed: Vec<Settlement>,
    /// What was noted and is not in the database yet.
    pub(super) noted: Vec<Noted>,
    leases: Arc<Leases>,
    /// What is left of leases that have ended, and is not in the database yet.
    ended: Vec<Holding>,
    pace: Pace,
    swept_us: i64,
}

/// What a transaction came to.
struct Made {
    answers: Vec<Answer>,
    leases: Vec<Lease>,
    /// When rows were forgotten last.
    swept_us: i64,
}

impl Desk {
    /// Opens a connection of its own to the database.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn open(
        database: Direct,
        clock: Clock,
        leases: Arc<Leases>,
    ) -> Result<Self, StoreError> {
        let transactions = Transactions::of(database, PATIENCE);
        transactions.open()?;
        Ok(Self {
            transactions,
            clock,
            owed: Vec::new(),
            noted: Vec::new(),
            leases,
            ended: Vec::new(),
            pace: Pace::default(),
            swept_us: i64::MIN,
        })
    }

    /// Whether all that was handed in is in the database.
    pub(super) fn owes_nothing(&self) -> bool {
        self.owed.is_empty() && self.noted.is_empty() && self.ended.is_empty()
    }

    /// Decides on reservations and settles what is owed; where it `ends` them, no lease is left.
    pub(super) fn work(&mut self, mut asked: Vec<Asked>, ends: bool) {
        asked.retain(|one| !one.reply.is_closed());
        let now = self.now();
        if ends {
            self.ended.extend(self.leases.end_all());
        } else if self.leases.are_there() {
            let limits = asked.iter().flat_map(|one| &one.claim.limits);
            let wanted: HashSet<Slot> = limits
                .map(|(subject, limit)| Slot::of(subject, limit, now))
                .collect();
            self.ended.extend(self.leases.end(now, &wanted));
        }
        if asked.is_empty() && self.owes_nothing() {
            return;
        }
        match self.attempt(&asked, now) {
            Ok(answers) => {
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
                // Nor does a call begin from what was counted before.
                self.ended.extend(self.leases.end_all());
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

    fn now(&self) -> i64 {
        (self.clock)().max(0)
    }

    fn attempt(&mut self, asked: &[Asked], now: i64) -> Result<Vec<Answer>, StoreError> {
        let busy: Vec<bool> = asked
            .iter()
            .map(|one| self.pace.is_busy(&one.claim, now))
            .collect();
        let made = self.transactions.make(|tx| self.decide(tx, asked, &busy))?;
        self.owed.clear();
        self.noted.clear();
        self.ended = self.leases.put(made.leases);
        self.swept_us = made.swept_us;
        Ok(made.answers)
    }

    /// What is decided and written in one transaction.
    fn decide(&self, tx: &Connection, asked: &[Asked], busy: &[bool]) -> Result<Made, StoreError> {
        // It may have waited for others to end theirs.
        let now = self.now();
        let (mut book, mut uses) = (Book::new(now), Uses::default());
        for holding in &self.ended {
            book.settle(tx, holding, None)?;
        }
        // Settlements first: what they give back is there for who asks now.
        for settlement in &self.owed {
            let Some(reservation) = settlement.ticket.held::<Reservation>() else {
                tracing::error!("a ticket of another ledger cannot be settled here");
                continue;
            };
            if let Some(id) = &reservation.id {
                let mut close = tx.prepare_cached("DELETE FROM ledger_open WHERE id = ?")?;
                if close.execute([id])? == 0 {
                    continue;
                }
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
        let mut busiest = None;
        for (Asked { claim, .. }, is_busy) in asked.iter().zip(busy) {
            let answer = match book.take(tx, claim)? {
                Ok((holding, remaining)) => {
                    let id = ids::generate("claim-");
                    let mut open =
                        tx.prepare_cached("INSERT INTO ledger_open (id, taken_us) VALUES (?, ?)")?;
                    open.execute(params![id, now])?;
                    if *is_busy {
                        busiest = Some(claim);
                    }
                    Ok(Reserved {
                        ticket: Ticket::new(Reservation::of(Some(id), claim, holding, now)),
                        remaining,
                    })
                }
                Err(refusal) => Err(LedgerError::Refused(refusal)),
            };
            answers.push(answer);
        }
        // One claim's: those of others come with their next transactions.
        let busiest = busiest.filter(|_| !self.leases.are_closed());
        let leases = busiest.map(|claim| book.lease(claim)).unwrap_or_default();
        book.write(tx)?;
        uses.write(tx)?;
        let is_due = now >= self.swept_us.saturating_add(HOUR_US);
        for (sql, kept_us) in KEPT.iter().filter(|_| is_due) {
            tx.execute(sql, [now.saturating_sub(*kept_us)])?;
        }
        Ok(Made {
            answers,
            leases,
            swept_us: if is_due { now } else { self.swept_us },
        })
    }

    /// Settles what is owed still, as far as the database lets it.
    pub(super) fn close(mut self) {
        for attempt in 0..LAST_TRIES {
            if self.owes_nothing() && !self.leases.are_there() {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(AGAIN);
            }
            self.work(Vec::new(), true);
        }
        if !self.owes_nothing() {
            let lost = self.owed.len() + self.ended.len();
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
