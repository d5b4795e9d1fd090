//! Refusals that hold for a moment: who sends more requests than may be is refused again without a transaction, so that
//! a flood of one key is none for the ledger, which all others wait for. Only refusals of requests are kept: no more of
//! these is free before the time that was told, unless a call never began. Then all of this process are forgotten; what
//! another process gives back is seen [`HELD_US`] later. Left out: deciding (`book`).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_core::ledger::{Figures, What};
use praxis_core::{Claim, Limit, Refusal, Subject};

/// How long one holds at most, in microseconds.
const HELD_US: i64 = 100_000;

/// How many are kept; who is refused beyond is decided on anew each time.
const KEPT: usize = 1024;

#[derive(Default)]
pub(super) struct Refused(Mutex<State>);

#[derive(Default)]
struct State {
    told: HashMap<(Subject, Limit), Told>,
    /// How often calls that never began gave back what they had.
    given_back: u64,
}

struct Told {
    refusal: Refusal,
    at_us: i64,
    until_us: i64,
}

/// When a claim was looked for here: what is decided on it later is not kept where something was given back meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    now_us: i64,
    given_back: u64,
}

impl Refused {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a claim asks for is not there yet: the refusal, as it is now.
    ///
    /// # Errors
    /// Where that is to be decided.
    pub(super) fn again(&self, claim: &Claim, now_us: i64) -> Result<Refusal, Seen> {
        let state = self.lock();
        let seen = Seen {
            now_us,
            given_back: state.given_back,
        };
        if state.told.is_empty() {
            return Err(seen);
        }
        let mut told = claim.limits.iter().filter_map(|pair| state.told.get(pair));
        let holds = |told: &&Told| {
            (told.at_us..told.until_us).contains(&now_us) && claim.requests >= told.refusal.asked
        };
        let told = told.find(holds).ok_or(seen)?;
        Ok(told.as_of(claim, now_us))
    }

    /// Keeps a refusal of a claim.
    pub(super) fn keep(&self, refusal: &Refusal, seen: Seen) {
        let mut state = self.lock();
        if refusal.limit.what != What::Requests || seen.given_back != state.given_back {
            return;
        }
        let wait = refusal.retry_after.map_or(HELD_US, |wait| {
            i64::try_from(wait.as_micros()).unwrap_or(HELD_US)
        });
        let told = Told {
            refusal: refusal.clone(),
            at_us: seen.now_us,
            until_us: seen.now_us.saturating_add(wait.min(HELD_US)),
        };
        if state.told.len() >= KEPT {
            state.told.retain(|_, told| told.until_us > seen.now_us);
            if state.told.len() >= KEPT {
                return;
            }
        }
        let who = (refusal.subject.clone(), refusal.limit.clone());
        state.told.insert(who, told);
    }

    /// A call that never began gives back what it had.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.given_back += 1;
        state.told.clear();
    }
}

impl Told {
    fn as_of(&self, claim: &Claim, now_us: i64) -> Refusal {
        let passed = Duration::from_micros(now_us.abs_diff(self.at_us));
        let later = |figures: Option<Figures>| {
            figures.map(|figures| Figures {
                reset: figures.reset.map(|reset| reset.saturating_sub(passed)),
                ..figures
            })
        };
        let mut refusal = Refusal {
            asked: claim.requests,
            ..self.refusal.clone()
        };
        refusal.retry_after = refusal.retry_after.map(|wait| wait.saturating_sub(passed));
        refusal.remaining.requests = later(refusal.remaining.requests);
        refusal.remaining.tokens = later(refusal.remaining.tokens);
        refusal
    }
}
