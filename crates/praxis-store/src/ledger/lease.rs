//! Leases: parts of budgets that were counted as used for calls to come, so that a busy key that is far from the end of
//! its budgets is admitted without a transaction for each call. They are worth [`CALLS`] calls at most, and at most a
//! [`PART`]th of what is left: near its end a budget has none, and each call is decided on by the database. What is left
//! of one is given back before a call that does not fit is decided on, after [`LASTS`], and when the ledger is flushed or
//! closed. A process that is killed leaves it counted, as it does with reservations. Left out: rates, of which what is
//! taken early may not be used late; and writing (`desk`).
//!
//! What is told to be left is as a lease was taken: what other calls gave back or spent beyond since then is in the next.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_core::ledger::What;
use praxis_core::{Claim, Limit, Remaining};

use super::book::{Held, Holding, Row, Slot, remaining};

/// So many calls like the one before it are in a lease.
pub(super) const CALLS: u64 = 64;

/// The part of what is left of a budget that a lease is at most.
pub(super) const PART: u64 = 64;

/// How long one lasts, and in which time a budget is taken from [`BUSY`] times by those who get one.
const LASTS_US: i64 = 1_000_000;
pub(super) const LASTS: Duration = Duration::from_micros(LASTS_US.cast_unsigned());
const BUSY: u32 = 4;

/// A part of a budget.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) slot: Slot,
    /// The limit's amount: for a call under another, this is no lease.
    pub(super) amount: u64,
    /// The row's sum, this lease within it.
    pub(super) used: u64,
    pub(super) left: u64,
    pub(super) taken_us: i64,
}

impl Lease {
    /// The row as if it was none.
    fn row(&self) -> Row {
        Row::of_sum(self.used.saturating_sub(self.left))
    }

    /// Whether it holds.
    fn lasts(&self, now: i64) -> bool {
        is_within(self.taken_us, now)
    }

    /// What is left of it, to be given back.
    fn rest(self) -> Holding {
        Holding(vec![Held {
            slot: self.slot,
            reserved: self.left,
            then: Row::default(),
        }])
    }
}

/// Whether a time is less than [`LASTS`] after another, and not before it, as where the clock was set back.
fn is_within(since_us: i64, now: i64) -> bool {
    (since_us..since_us.saturating_add(LASTS_US)).contains(&now)
}

/// Whether a limit is counted in windows.
fn is_budget(limit: &Limit) -> bool {
    limit.per.seconds().is_none()
}

/// Whether a claim asks for no money of a budget: nothing need be leased for that, and nobody is told what is left.
pub(super) fn is_free(claim: &Claim, limit: &Limit) -> bool {
    limit.what == What::Money && is_budget(limit) && claim.asks(What::Money) == 0
}

/// Those of a ledger.
#[derive(Default)]
pub(super) struct Leases(Mutex<State>);

#[derive(Default)]
struct State {
    of_slots: HashMap<Slot, Lease>,
    /// No call is admitted any more.
    is_closed: bool,
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.lock().of_slots.is_empty()
    }

    /// Whether no call is admitted any more.
    pub(super) fn are_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Admits no call any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Takes what a claim asks for; none where one of its limits has no lease with room for it.
    pub(super) fn take(&self, claim: &Claim, now: i64) -> Option<(Holding, Remaining)> {
        let mut state = self.lock();
        if state.is_closed || state.of_slots.is_empty() || claim.limits.is_empty() {
            return None;
        }
        let leases = &mut state.of_slots;
        let limits = claim.limits.iter();
        let wanted: Vec<(Slot, &Limit)> = limits
            .map(|(subject, limit)| (Slot::of(subject, limit, now), limit))
            .collect();
        let fits = |(slot, limit): &(Slot, &Limit)| {
            let asked = claim.asks(limit.what);
            let has_room = |lease: &Lease| {
                lease.amount == limit.amount && lease.lasts(now) && asked <= lease.left
            };
            is_free(claim, limit) || leases.get(slot).is_some_and(has_room)
        };
        let takes_nothing = wanted.iter().all(|(_, limit)| is_free(claim, limit));
        if takes_nothing || !wanted.iter().all(fits) {
            return None;
        }
        let mut held: Vec<Held> = Vec::with_capacity(wanted.len());
        for (slot, limit) in &wanted {
            // Two limits of one row are one to take from.
            if held.iter().any(|held| held.slot == *slot) {
                continue;
            }
            let reserved = claim.asks(limit.what);
            let then = match leases.get_mut(slot).filter(|_| reserved > 0) {
                Some(lease) => {
                    lease.left -= reserved;
                    lease.row()
                }
                None => Row::default(),
            };
            held.push(Held {
                slot: slot.clone(),
                reserved,
                then,
            });
        }
        let row = |slot: &Slot| leases.get(slot).map(Lease::row).unwrap_or_default();
        let remaining = remaining(&wanted, now, row);
        Some((Holding(held), remaining))
    }

    /// Ends all: what is left of them is to be given back.
    pub(super) fn end_all(&self) -> Vec<Holding> {
        let all = std::mem::take(&mut self.lock().of_slots);
        all.into_values().map(Lease::rest).collect()
    }

    /// Ends those that are over and those of some slots: what is left of them is to be given back.
    pub(super) fn end(&self, now: i64, wanted: &HashSet<Slot>) -> Vec<Holding> {
        let leases = &mut self.lock().of_slots;
        let ended = leases.extract_if(|slot, lease| !lease.lasts(now) || wanted.contains(slot));
        ended.map(|(_, lease)| lease.rest()).collect()
    }

    /// Puts new ones; what is left of any that were in their place, or of all where no call is admitted any more, is to
    /// be given back.
    pub(super) fn put(&self, new: Vec<Lease>) -> Vec<Holding> {
        let mut state = self.lock();
        if state.is_closed {
            return new.into_iter().map(Lease::rest).collect();
        }
        let put = |lease: Lease| state.of_slots.insert(lease.slot.clone(), lease);
        let before = new.into_iter().filter_map(put);
        before.map(Lease::rest).collect()
    }
}

/// How often budgets were taken from lately.
#[derive(Default)]
pub(super) struct Pace {
    since_us: i64,
    times: HashMap<Slot, u32>,
}

impl Pace {
    /// Counts a claim, and says whether all of its limits are busy budgets.
    pub(super) fn is_busy(&mut self, claim: &Claim, now: i64) -> bool {
        let mut limits = claim.limits.iter();
        if claim.limits.is_empty() || !limits.all(|(_, limit)| is_budget(limit)) {
            return false;
        }
        if !is_within(self.since_us, now) {
            self.times.clear();
            self.since_us = now;
        }
        let mut is_busy = true;
        for (subject, limit) in &claim.limits {
            let times = self.times.entry(Slot::of(subject, limit, now)).or_default();
            *times = times.saturating_add(1);
            is_busy &= *times >= BUSY;
        }
        is_busy
    }
}
