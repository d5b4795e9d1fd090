//! The rows of limits within one transaction: read once, decided on in memory, written at the end. So one
//! transaction serves many calls, and a call that is refused leaves nothing to undo. Left out: arithmetic (`rate`).

use std::collections::HashMap;
use std::time::Duration;

use praxis_core::ledger::{Figures, MAX_AMOUNT, Per, What, Window};
use praxis_core::{Claim, Limit, Refusal, Remaining, Spent, Subject};
use rusqlite::{Connection, OptionalExtension, params};

use super::lease::{self, Lease};
use super::rate::{Bucket, Budget, Left, Rate, Wait, settled};
use crate::StoreError;

/// Who has a row of limits, and of what. Limits of different amounts share the sum of a window, and the buckets of
/// different rates are different.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    subject: Subject,
    what: What,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Rate { amount: u64, seconds: u64 },
    Window { per: Per, window: Window },
}

/// A row: the one or the other, as its slot has it; neither where there is none yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    bucket: Option<Bucket>,
    used: Option<u64>,
}

/// What a reservation took from one row.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) slot: Slot,
    pub(super) reserved: u64,
    /// The row as the reservation left it.
    pub(super) then: Row,
}

/// What a reservation took from all rows.
#[derive(Debug, Clone)]
pub(super) struct Holding(pub(super) Vec<Held>);

impl Row {
    /// That of a budget.
    pub(super) fn of_sum(used: u64) -> Self {
        Self {
            bucket: None,
            used: Some(used),
        }
    }
}

impl Slot {
    pub(super) fn of(subject: &Subject, limit: &Limit, now: i64) -> Self {
        let place = match limit.per.window(now) {
            Some(window) => Place::Window {
                per: limit.per,
                window,
            },
            None => Place::Rate {
                amount: limit.amount.min(MAX_AMOUNT),
                seconds: limit.per.seconds().unwrap_or(1),
            },
        };
        Self {
            subject: subject.clone(),
            what: limit.what,
            place,
        }
    }

    /// Takes from a row under a limit of this amount.
    fn take(&self, row: Row, amount: u64, now: i64, asked: u64) -> Result<Row, Wait> {
        match self.place {
            Place::Rate { amount, seconds } => {
                let bucket = Rate::new(amount, seconds).take(row.bucket, now, asked)?;
                Ok(Row {
                    bucket: Some(bucket),
                    used: None,
                })
            }
            Place::Window { window, .. } => {
                let ends_us = window.end_us;
                let budget = Budget { amount, ends_us };
                let used = row.used.unwrap_or(0);
                Ok(Row::of_sum(budget.take(used, now, asked)?))
            }
        }
    }

    /// What a limit of this amount leaves.
    fn left(&self, row: Row, amount: u64, now: i64) -> Left {
        match self.place {
            Place::Rate { amount, seconds } => Rate::new(amount, seconds).left(row.bucket, now),
            Place::Window { window, .. } => {
                let ends_us = window.end_us;
                Budget { amount, ends_us }.left(row.used.unwrap_or(0), now)
            }
        }
    }
}

impl Held {
    /// Puts what was spent in the place of what was reserved. A window that is over and forgotten stays so.
    fn settle(&self, row: Row, now: i64, spent: u64) -> Row {
        let (bucket, used) = match (self.slot.place, self.then.bucket) {
            (Place::Rate { amount, seconds }, Some(then)) => {
                let rate = Rate::new(amount, seconds);
                let bucket = rate.settle(row.bucket, &then, now, self.reserved, spent);
                (bucket, None)
            }
            _ => {
                let used = row.used.map(|used| settled(used, self.reserved, spent));
                (row.bucket, used)
            }
        };
        Row { bucket, used }
    }
}

/// Rows, some of them changed.
#[derive(Debug)]
pub(super) struct Book {
    now: i64,
    rows: HashMap<Slot, (Row, bool)>,
}

impl Book {
    /// An empty one, for decisions at this time in microseconds since the epoch.
    pub(super) fn new(now: i64) -> Self {
        Self {
            now,
            rows: HashMap::new(),
        }
    }

    /// Takes what a claim asks for from all of its limits, or from none and says which has no room.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) fn take(
        &mut self,
        tx: &Connection,
        claim: &Claim,
    ) -> Result<Result<(Holding, Remaining), Refusal>, StoreError> {
        let mut wanted = Vec::with_capacity(claim.limits.len());
        for (subject, limit) in &claim.limits {
            let slot = Slot::of(subject, limit, self.now);
            self.read(tx, &slot)?;
            wanted.push((slot, limit));
        }
        Ok(self.decide(claim, &wanted))
    }

    fn decide(
        &mut self,
        claim: &Claim,
        wanted: &[(Slot, &Limit)],
    ) -> Result<(Holding, Remaining), Refusal> {
        let mut taken: Vec<Held> = Vec::with_capacity(wanted.len());
        let mut longest: Option<(i64, &Slot, &Limit)> = None;
        for (slot, limit) in wanted {
            let reserved = claim.asks(limit.what);
            match slot.take(self.row(slot), limit.amount, self.now, reserved) {
                // Two limits of one row are one to take from.
                Ok(_) if taken.iter().any(|held| held.slot == *slot) => {}
                Ok(then) => taken.push(Held {
                    slot: slot.clone(),
                    reserved,
                    then,
                }),
                Err(wait) => {
                    let wait = match wait {
                        Wait::For(micros) => micros,
                        Wait::Never => i64::MAX,
                    };
                    if longest.is_none_or(|(before, ..)| wait > before) {
                        longest = Some((wait, slot, *limit));
                    }
                }
            }
        }
        if let Some((wait, slot, limit)) = longest {
            return Err(Refusal {
                limit: limit.clone(),
                subject: slot.subject.clone(),
                asked: claim.asks(limit.what),
                left: slot.left(self.row(slot), limit.amount, self.now).amount,
                retry_after: (wait != i64::MAX).then(|| micros(wait)),
                remaining: self.remaining(wanted),
            });
        }
        for held in &taken {
            self.rows.insert(held.slot.clone(), (held.then, true));
        }
        Ok((Holding(taken), self.remaining(wanted)))
    }

    fn row(&self, slot: &Slot) -> Row {
        self.rows.get(slot).map(|(row, _)| *row).unwrap_or_default()
    }

    fn remaining(&self, wanted: &[(Slot, &Limit)]) -> Remaining {
        remaining(wanted, self.now, |slot| self.row(slot))
    }

    /// Takes leases on all limits of a claim that was admitted, budgets all of them, where each has much left; else on
    /// none.
    pub(super) fn lease(&mut self, claim: &Claim) -> Vec<Lease> {
        let mut leases: Vec<Lease> = Vec::with_capacity(claim.limits.len());
        let limits = claim.limits.iter();
        for (subject, limit) in limits.filter(|(_, limit)| !lease::is_free(claim, limit)) {
            let slot = Slot::of(subject, limit, self.now);
            let (used, asked) = (self.row(&slot).used.unwrap_or(0), claim.asks(limit.what));
            let most = limit.amount.saturating_sub(used) / lease::PART;
            let size = most.min(asked.saturating_mul(lease::CALLS));
            let is_new = leases.iter().all(|other| other.slot != slot);
            let is_some = asked > 0 && size >= asked.saturating_mul(2);
            if !is_some || !is_new {
                return Vec::new();
            }
            leases.push(Lease {
                slot,
                amount: limit.amount,
                used: used + size,
                left: size,
                taken_us: self.now,
            });
        }
        for lease in &leases {
            let row = Row::of_sum(lease.used);
            self.rows.insert(lease.slot.clone(), (row, true));
        }
        leases
    }

    /// Puts what was spent in the place of what was reserved; all of it is given back where nothing was begun.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) fn settle(
        &mut self,
        tx: &Connection,
        holding: &Holding,
        spent: Option<&Spent>,
    ) -> Result<(), StoreError> {
        for held in &holding.0 {
            self.read(tx, &held.slot)?;
            let spent = match (spent, held.slot.what) {
                (None, _) => 0,
                (Some(_), What::Requests) => held.reserved,
                (Some(spent), What::Tokens) => spent.tokens(),
                (Some(spent), What::Money) => u64::try_from(spent.money.0).unwrap_or(0),
            };
            let row = self.row(&held.slot);
            let settled = held.settle(row, self.now, spent);
            if settled != row {
                self.rows.insert(held.slot.clone(), (settled, true));
            }
        }
        Ok(())
    }

    /// Reads a row, unless it is here.
    fn read(&mut self, tx: &Connection, slot: &Slot) -> Result<(), StoreError> {
        if self.rows.contains_key(slot) {
            return Ok(());
        }
        let (subject, what) = (slot.subject.as_str(), slot.what.as_str());
        let row = match slot.place {
            Place::Rate { amount, seconds } => {
                let mut query = tx.prepare_cached(
                    "SELECT tat_us, tat_part, given_us, born_us FROM ledger_rates \
                     WHERE subject = ? AND what = ? AND every_s = ? AND amount = ?",
                )?;
                let key = params![subject, what, whole(seconds), whole(amount)];
                let bucket = query.query_row(key, |row| {
                    Ok(Bucket {
                        tat_us: row.get(0)?,
                        tat_part: row.get(1)?,
                        given_us: row.get(2)?,
                        born_us: row.get(3)?,
                    })
                });
                Row {
                    bucket: bucket.optional()?,
                    used: None,
                }
            }
            Place::Window { per, window } => {
                let mut query = tx.prepare_cached(
                    "SELECT used FROM ledger_windows \
                     WHERE subject = ? AND what = ? AND per = ? AND start_us = ?",
                )?;
                let key = params![subject, what, per.to_string(), window.start_us];
                let used = query.query_row(key, |row| row.get::<_, i64>(0));
                let used = used.optional()?;
                Row {
                    bucket: None,
                    used: used.map(|used| u64::try_from(used).unwrap_or(0)),
                }
            }
        };
        self.rows.insert(slot.clone(), (row, false));
        Ok(())
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) fn write(&self, tx: &Connection) -> Result<(), StoreError> {
        for (slot, (row, is_changed)) in &self.rows {
            if !is_changed {
                continue;
            }
            let (subject, what) = (slot.subject.as_str(), slot.what.as_str());
            match (slot.place, row.bucket, row.used) {
                (Place::Rate { amount, seconds }, Some(bucket), _) => {
                    let mut put = tx.prepare_cached(
                        "INSERT INTO ledger_rates \
                         (subject, what, every_s, amount, tat_us, tat_part, given_us, born_us) \
                         VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
                         ON CONFLICT (subject, what, every_s, amount) DO UPDATE SET \
                         tat_us = excluded.tat_us, tat_part = excluded.tat_part, \
                         given_us = excluded.given_us, born_us = excluded.born_us",
                    )?;
                    put.execute(params![
                        subject,
                        what,
                        whole(seconds),
                        whole(amount),
                        bucket.tat_us,
                        bucket.tat_part,
                        bucket.given_us,
                        bucket.born_us,
                    ])?;
                }
                (Place::Window { per, window }, _, Some(used)) => {
                    let mut put = tx.prepare_cached(
                        "INSERT INTO ledger_windows (subject, what, per, start_us, ends_us, used) \
                         VALUES (?, ?, ?, ?, ?, ?) \
                         ON CONFLICT (subject, what, per, start_us) DO UPDATE SET used = excluded.used",
                    )?;
                    put.execute(params![
                        subject,
                        what,
                        per.to_string(),
                        window.start_us,
                        window.end_us,
                        whole(used),
                    ])?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the tightest limits leave.
pub(super) fn remaining(
    wanted: &[(Slot, &Limit)],
    now: i64,
    row: impl Fn(&Slot) -> Row,
) -> Remaining {
    let tightest = |what: What| {
        let of_it = wanted.iter().filter(|(_, limit)| limit.what == what);
        let figures = of_it.map(|(slot, limit)| {
            let left = slot.left(row(slot), limit.amount, now);
            Figures {
                limit: limit.amount,
                remaining: left.amount,
                reset: left.whole_in.map(micros),
            }
        });
        figures.min_by_key(|figures| figures.remaining)
    };
    Remaining {
        requests: tightest(What::Requests),
        tokens: tightest(What::Tokens),
    }
}

fn micros(count: i64) -> Duration {
    Duration::from_micros(u64::try_from(count).unwrap_or(0))
}

/// As SQLite keeps it.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
