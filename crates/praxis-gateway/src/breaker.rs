//! Whether a model is asked at all: after enough failures in a row it is left alone for a while, and then tried with
//! one request before it gets all (Nygard, "Release It!", circuit breaker). Time comes from the caller.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::ModelError;

use crate::config::BreakerConfig;

/// The breaker of one model.
#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is asked; so many requests in a row failed.
    Closed(u32),
    /// It is left alone until then.
    Open(Instant),
    /// One request tries it; should that never come back, another may after then.
    Trying(Instant),
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: Mutex::new(State::Closed(0)),
        }
    }

    /// Whether a request may go, or how long the model is left alone. Each request that may go has to tell how it
    /// ended.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Closed(_) => Ok(()),
            State::Open(until) | State::Trying(until) if now < until => Err(until - now),
            State::Open(_) | State::Trying(_) => {
                *state = State::Trying(now + self.config.pause.0);
                Ok(())
            }
        }
    }

    /// Whether requests may go, without sending one.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Open(until) | State::Trying(until) if now < until)
    }

    /// An answer began: a model that was tried is there, and gets all requests. What failed before counts until an answer is whole: a
    /// model that always breaks off after its first token has to be left alone, too.
    pub(crate) fn began(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Trying(_)) {
            *state = State::Closed(self.config.failures.saturating_sub(1));
        }
    }

    /// An answer came whole.
    pub(crate) fn succeeded(&self) {
        self.set(State::Closed(0));
    }

    /// A request failed. Only what says something about the model counts: not what is wrong with a request, and not
    /// that it has to wait its turn.
    pub(crate) fn failed(&self, error: &ModelError, now: Instant) {
        if !matches!(
            error,
            ModelError::Timeout(_) | ModelError::Unavailable(_) | ModelError::Broken(_)
        ) {
            if !matches!(error, ModelError::Cancelled) {
                self.succeeded();
            }
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = State::Open(now + self.config.pause.0);
        *state = match *state {
            State::Closed(before) if before + 1 < self.config.failures => State::Closed(before + 1),
            State::Closed(_) if self.config.failures == 0 => State::Closed(0),
            State::Closed(_) | State::Trying(_) => open,
            // Sent before it was opened, and failed after.
            State::Open(until) => State::Open(until),
        };
    }

    fn set(&self, to: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::Period;

    use super::*;

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(BreakerConfig {
            failures,
            pause: Period(Duration::from_secs(30)),
        })
    }

    fn down() -> ModelError {
        ModelError::Unavailable("503".into())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_is_tried_with_one_request() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let breaker = breaker(3);
        breaker.failed(&down(), at(0));
        breaker.failed(&ModelError::Timeout(Duration::ZERO), at(0));
        breaker.succeeded();
        for second in 0..3 {
            assert_eq!(breaker.admit(at(second)), Ok(()));
            breaker.failed(&down(), at(second));
        }
        assert_eq!(breaker.admit(at(2)), Err(Duration::from_secs(30)));
        assert!(breaker.is_open(at(31)) && !breaker.is_open(at(32)));
        // One tries it, the others go elsewhere.
        assert_eq!(breaker.admit(at(32)), Ok(()));
        assert!(breaker.admit(at(33)).is_err());
        breaker.failed(&down(), at(34));
        assert!(breaker.admit(at(63)).is_err());
        assert_eq!(breaker.admit(at(64)), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.admit(at(64)), Ok(()));
        assert_eq!(breaker.admit(at(64)), Ok(()));
    }

    #[test]
    fn a_try_that_never_ends_does_not_close_it_for_good() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let breaker = breaker(1);
        breaker.failed(&down(), at(0));
        assert_eq!(breaker.admit(at(30)), Ok(()));
        assert!(breaker.admit(at(59)).is_err());
        assert_eq!(breaker.admit(at(60)), Ok(()));
    }

    #[test]
    fn what_says_nothing_about_the_model_does_not_count() {
        let start = Instant::now();
        let breaker = breaker(2);
        for error in [
            ModelError::InvalidRequest("temperature".into()),
            ModelError::RateLimited {
                message: "slow down".into(),
                retry_after: None,
            },
            ModelError::Unauthorized("key".into()),
        ] {
            breaker.failed(&down(), start);
            // It answered: so it is there.
            breaker.failed(&error, start);
            assert_eq!(breaker.admit(start), Ok(()), "{error}");
        }
        // Who went away does not say that it is there.
        breaker.failed(&down(), start);
        breaker.failed(&ModelError::Cancelled, start);
        breaker.failed(&down(), start);
        assert!(breaker.admit(start).is_err());
    }

    #[test]
    fn answers_that_break_off_count_as_failures_until_one_is_whole() {
        let start = Instant::now();
        let broken = ModelError::Broken("cut".into());
        let breaker = breaker(3);
        for _ in 0..2 {
            breaker.began();
            breaker.failed(&broken, start);
        }
        breaker.began();
        breaker.succeeded();
        for _ in 0..3 {
            assert_eq!(breaker.admit(start), Ok(()));
            breaker.began();
            breaker.failed(&broken, start);
        }
        let later = start + Duration::from_secs(30);
        assert!(breaker.admit(start).is_err());
        // The one that tries it lets the others in, and opens it again where it breaks off.
        assert_eq!(breaker.admit(later), Ok(()));
        breaker.began();
        assert_eq!(breaker.admit(later), Ok(()));
        breaker.failed(&broken, later);
        assert!(breaker.admit(later).is_err());
    }

    #[test]
    fn none_is_opened_where_nobody_wants_it() {
        let breaker = breaker(0);
        for _ in 0..100 {
            breaker.failed(&down(), Instant::now());
        }
        assert_eq!(breaker.admit(Instant::now()), Ok(()));
    }
}
