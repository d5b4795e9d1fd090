//! What each attempt of a call owes to its provider, whichever way it ends: the wire notes that a question left and what
//! the provider told of its use, and the account reads it when the call is closed. Left out: what tokens cost (`price`),
//! and how they are counted where nobody told (`account`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::Usage;

use crate::asking::ChatTarget;

/// The most tokens that a model is taken to think in a second: about what the fastest hosts reach. By it the thoughts of
/// a model that does not show them are bounded where nobody told how many there were.
const FASTEST: u64 = 1000;

/// One question to a provider.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// When it left.
    sent: Option<Instant>,
    /// Whether the provider said no, or was not reached: nothing is owed.
    refused: bool,
    told: Option<Usage>,
    ended: Option<Instant>,
}

/// What is owed for a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// What the provider told so far.
    pub told: Option<Usage>,
    /// For how long the provider worked at it.
    pub worked: Duration,
}

impl Tally {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The question leaves.
    pub(crate) fn sent(&self) {
        self.state().sent.get_or_insert_with(Instant::now);
    }

    /// The provider was not reached, or answered with an error: it bills nothing.
    pub(crate) fn refused(&self) {
        self.state().refused = true;
    }

    /// The provider told what was used until now.
    pub(crate) fn told(&self, usage: Usage) {
        self.state().told = Some(usage);
    }

    /// Nobody waits for it any more.
    pub(crate) fn ended(&self) {
        self.state().ended.get_or_insert_with(Instant::now);
    }

    /// What is owed for it; `None`: nothing.
    pub(crate) fn due(&self) -> Option<Due> {
        let state = *self.state();
        let sent = state.sent.filter(|_| !state.refused)?;
        let ended = state.ended.unwrap_or_else(Instant::now);
        Some(Due {
            told: state.told,
            worked: ended.saturating_duration_since(sent),
        })
    }

    /// Whether something is owed for it, or will be once it leaves.
    fn may_be_due(&self) -> bool {
        let state = *self.state();
        !state.refused && (state.sent.is_some() || state.ended.is_none())
    }

    /// Whether the two are of one question.
    fn is(&self, other: &Tally) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Due {
    /// The most tokens that a model can have thought unseen, of an answer that may have `longest`.
    pub(crate) fn hidden(&self, longest: u64) -> u64 {
        let seconds = self.worked.as_secs().saturating_add(1);
        longest.min(seconds.saturating_mul(FASTEST))
    }

    /// What was used: what the provider told, and at least `prompt` and `written`, as they were counted here.
    pub(crate) fn usage(&self, prompt: impl FnOnce() -> u64, written: u64) -> Usage {
        let mut usage = self.told.unwrap_or_default();
        if usage.input_tokens == 0 {
            usage.input_tokens = prompt();
        }
        usage.output_tokens = usage.output_tokens.max(written);
        usage
    }
}

/// An attempt, and at which model.
pub(crate) type Try = (Arc<ChatTarget>, Tally);

/// The attempts of a call, at all models that were asked.
#[derive(Clone, Default)]
pub(crate) struct Tries(Arc<Mutex<Vec<Try>>>);

impl Tries {
    fn all(&self) -> MutexGuard<'_, Vec<Try>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another attempt.
    pub(crate) fn begin(&self, target: &Arc<ChatTarget>) -> Tally {
        let tally = Tally::default();
        self.all().push((Arc::clone(target), tally.clone()));
        tally
    }

    /// How many have to be paid so far, with those that are about to leave.
    pub(crate) fn due(&self) -> usize {
        let all = self.all();
        all.iter().filter(|(_, tally)| tally.may_be_due()).count()
    }

    /// This attempt answers: all others are over.
    pub(crate) fn answered(&self, by: &Tally) {
        for (_, tally) in self.all().iter().filter(|(_, tally)| !tally.is(by)) {
            tally.ended();
        }
    }

    /// All attempts but the one that answered; nothing is left.
    pub(crate) fn lost(&self, answered: Option<&Tally>) -> Vec<Try> {
        let mut all = std::mem::take(&mut *self.all());
        all.retain(|(_, tally)| answered.is_none_or(|by| !tally.is(by)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_is_owed_unless_the_provider_said_no() {
        let tally = Tally::default();
        assert!(tally.due().is_none() && tally.may_be_due());
        tally.sent();
        assert!(tally.due().is_some_and(|due| due.told.is_none()));
        let told = Usage {
            input_tokens: 7,
            ..Usage::default()
        };
        tally.told(told);
        assert_eq!(tally.due().and_then(|due| due.told), Some(told));
        tally.refused();
        assert!(tally.due().is_none() && !tally.may_be_due());
        // One that never left.
        let kept = Tally::default();
        kept.ended();
        assert!(kept.due().is_none() && !kept.may_be_due());
    }

    #[test]
    fn what_the_provider_told_goes_before_what_is_counted_here() {
        let due = |told| Due {
            told,
            worked: Duration::from_millis(2_500),
        };
        let counted = due(None).usage(|| 20, 3);
        assert_eq!((counted.input_tokens, counted.output_tokens), (20, 3));
        let told = Usage {
            input_tokens: 25,
            output_tokens: 1,
            ..Usage::default()
        };
        let usage = due(Some(told)).usage(|| 20, 3);
        assert_eq!((usage.input_tokens, usage.output_tokens), (25, 3));
        assert_eq!((due(None).hidden(4096), due(None).hidden(9)), (3000, 9));
    }
}
