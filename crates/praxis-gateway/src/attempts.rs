//! When a failed request is sent again, and when the next model is asked: a decision without I/O.

use std::time::Duration;

use praxis_core::ModelError;

/// The first pause; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause of our own choice.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The longest pause that a provider may ask for; beyond it the model counts as unavailable.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The attempts at one model.
#[derive(Debug, Clone)]
pub(crate) struct Attempts {
    max_retries: u32,
    failed: u32,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send it again after this pause.
    Retry(Duration),
    /// Ask the next model, if there is one.
    Fallback,
    /// Tell the caller.
    GiveUp,
}

impl Next {
    /// The pause, where it is to be sent again.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::Retry(pause) => Some(pause),
            Self::Fallback | Self::GiveUp => None,
        }
    }
}

impl Attempts {
    pub(crate) fn new(max_retries: u32) -> Self {
        Self {
            max_retries,
            failed: 0,
        }
    }

    /// Decides after a failure before the first token. `random` in 0..1 shortens the pause by up to
    /// a quarter, so that clients that failed together do not return together.
    pub(crate) fn next(&mut self, error: &ModelError, random: f64) -> Next {
        if matches!(error, ModelError::Unauthorized(_)) {
            // It would be refused again, but the next model has a key of its own.
            return Next::Fallback;
        }
        if !error.is_retryable() {
            return Next::GiveUp;
        }
        let asked = match error {
            ModelError::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        };
        if self.failed >= self.max_retries || asked.is_some_and(|a| a > LONGEST_RETRY_AFTER) {
            return Next::Fallback;
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.failed.min(16))
            .min(LONGEST_PAUSE);
        let pause = pause.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0));
        self.failed += 1;
        Next::Retry(asked.map_or(pause, |a| a.max(pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(seconds: Option<u64>) -> ModelError {
        let retry_after = seconds.map(Duration::from_secs);
        ModelError::RateLimited {
            message: "slow down".into(),
            retry_after,
        }
    }

    #[test]
    fn only_passing_errors_are_retried_and_pauses_grow() {
        let ms = Duration::from_millis;
        for (errors, max_retries, expected) in [
            (
                vec![
                    ModelError::Unavailable("503".into()),
                    ModelError::Timeout(ms(1)),
                    limited(None),
                ],
                2,
                vec![Next::Retry(ms(500)), Next::Retry(ms(1000)), Next::Fallback],
            ),
            (vec![limited(Some(3))], 2, vec![Next::Retry(ms(3000))]),
            (vec![limited(Some(600))], 2, vec![Next::Fallback]),
            (vec![limited(None)], 0, vec![Next::Fallback]),
            (
                vec![ModelError::Unauthorized("401".into())],
                2,
                vec![Next::Fallback],
            ),
            (
                vec![ModelError::InvalidRequest("400".into())],
                2,
                vec![Next::GiveUp],
            ),
            (
                vec![ModelError::Broken("cut".into())],
                2,
                vec![Next::GiveUp],
            ),
            (vec![ModelError::Cancelled], 2, vec![Next::GiveUp]),
        ] {
            let mut attempts = Attempts::new(max_retries);
            let decided: Vec<Next> = errors.iter().map(|e| attempts.next(e, 0.0)).collect();
            assert_eq!(decided, expected, "{errors:?}");
        }
        let mut many = Attempts::new(20);
        let last = (0..20).map(|_| many.next(&limited(None), 1.0)).last();
        assert_eq!(
            last,
            Some(Next::Retry(ms(6000))),
            "the longest pause less a quarter"
        );
    }
}
