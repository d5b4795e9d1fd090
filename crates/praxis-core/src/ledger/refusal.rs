//! What is left of limits, and how a call is told that there is no room for it.

use std::fmt;
use std::time::Duration;

use super::{Limit, Subject};
use crate::error::ErrorCode;
use crate::function::CallError;

/// What is left of the limits that are nearest to being used up, as `x-ratelimit-*` headers tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Requests, where they are limited.
    pub requests: Option<Figures>,
    /// Tokens, where they are limited.
    pub tokens: Option<Figures>,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The limit's amount.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// When all of it is there again; none where it never is.
    pub reset: Option<Duration>,
}

/// Why a call may not begin. Where several limits have no room, the one that takes longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The limit.
    pub limit: Limit,
    /// Who has it.
    pub subject: Subject,
    /// How much was asked for.
    pub asked: u64,
    /// How much is left.
    pub left: u64,
    /// When there is room for as much; none where there never is.
    pub retry_after: Option<Duration>,
    /// What is left of all limits.
    pub remaining: Remaining,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.limit.what;
        let (left, asked) = (what.counted(self.left), what.counted(self.asked));
        write!(f, "`{}` may use {}", self.subject, self.limit.figure())?;
        if self.asked > self.limit.amount {
            return write!(
                f,
                ", and this call may need {asked} at once: ask for less, or have the limit raised"
            );
        }
        write!(f, "; {left} left, and this call may need {asked}: ")?;
        match self.retry_after {
            Some(wait) => write!(f, "there is room in {}", Wait(wait)),
            None => f.write_str("this limit does not renew itself, have it raised"),
        }
    }
}

impl std::error::Error for Refusal {}

/// A time as people say it, never shorter than it is.
struct Wait(Duration);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_nanos().div_ceil(1_000_000_000);
        match seconds {
            0..2 => write!(f, "{} ms", self.0.as_nanos().div_ceil(1_000_000)),
            2..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} minutes", seconds.div_ceil(60)),
            7_200..172_800 => write!(f, "{} hours", seconds.div_ceil(3_600)),
            _ => write!(f, "{} days", seconds.div_ceil(86_400)),
        }
    }
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LedgerError {
    /// A limit has no room.
    #[error("{0}")]
    Refused(Refusal),
    /// Whether there is room cannot be told; no call may begin.
    #[error("{0}")]
    Failed(CallError),
}

/// How long a client may be told to wait for a rate; whatever takes longer is a budget to it.
const SOON: Duration = Duration::from_secs(3600);

/// What is soon there again is `rate_limited`, all else `quota_exceeded`.
impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.retry_after {
            Some(wait) if wait <= SOON => ErrorCode::RateLimited,
            _ => ErrorCode::QuotaExceeded,
        };
        Self {
            retry_after: refusal.retry_after,
            ..Self::new(code, refusal.to_string()).with_hint(code.remedy())
        }
    }
}

impl From<LedgerError> for CallError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(refusal) => refusal.into(),
            LedgerError::Failed(error) => error,
        }
    }
}
