//! Days and months as budgets and reports count them: those of UTC. Left out: clocks.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limit::Per;

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// The first day of the year 9999: later times count as this one.
const LAST_DAY: i64 = 2_932_532;

/// A time for which a budget is counted; times are microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its first microsecond.
    pub start_us: i64,
    /// The first microsecond after it; none where it does not end.
    pub end_us: Option<i64>,
}

impl Per {
    /// The window that a moment is in; none for what is counted without windows.
    pub fn window(self, now_us: i64) -> Option<Window> {
        let today = Day::of(now_us);
        let of_days = |first: i64, days: i64| Window {
            start_us: first * DAY_US,
            end_us: Some((first + days) * DAY_US),
        };
        match self {
            Self::Every(_) => None,
            Self::Day => Some(of_days(today.0, 1)),
            Self::Month => {
                let date = today.date();
                let first = today.0 - i64::from(date.day() - 1);
                Some(of_days(first, i64::from(date.days_in_month())))
            }
            Self::Ever => Some(Window {
                start_us: 0,
                end_us: None,
            }),
        }
    }
}

/// A day of UTC, written `2026-03-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day of a moment in microseconds since the epoch.
    pub fn of(now_us: i64) -> Self {
        Self::from_number(now_us.div_euclid(DAY_US))
    }

    /// The day that is so many days after the epoch; never one before it, nor after the year 9999 has begun.
    pub fn from_number(days: i64) -> Self {
        Self(days.clamp(0, LAST_DAY))
    }

    /// Days since the epoch.
    pub fn number(self) -> i64 {
        self.0
    }

    fn date(self) -> Date {
        let midnight = Timestamp::from_microsecond(self.0 * DAY_US).unwrap_or_default();
        TimeZone::UTC.to_datetime(midnight).date()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        // The length first: a date has no more than this.
        let wrong = || DayError(text.chars().take(20).collect());
        if text.len() != "2026-03-31".len() {
            return Err(wrong());
        }
        let date: Date = text.parse().map_err(|_| wrong())?;
        let midnight = TimeZone::UTC
            .to_timestamp(date.at(0, 0, 0, 0))
            .map_err(|_| wrong())?;
        let day = Self::of(midnight.as_microsecond());
        // Days before the epoch, and other ways to write one.
        (day.to_string() == text).then_some(day).ok_or_else(wrong)
    }
}

/// What is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day; write it like `2026-03-31`")]
pub struct DayError(String);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
