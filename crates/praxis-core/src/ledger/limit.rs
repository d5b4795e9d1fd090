//! Limits and their text form: `60 requests/minute`, `100000 tokens/hour`, `20.50 usd/month`, `100 usd`, each with
//! `for user:*` behind it where it is not for keys. Left out: counting.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Subject, SubjectKind};
use crate::suggest::nearest;

/// The largest amount of a limit: a thousand million dollars, in millionths of one.
pub const MAX_AMOUNT: u64 = 1_000_000_000_000_000;

/// The longest time of [`Per::Every`], in seconds: 366 days.
const MAX_SECONDS: u64 = 31_622_400;

/// The most characters of a pattern.
const MAX_PATTERN: usize = 600;

/// Micro-dollars of a dollar, and the digits of one.
const MICROS: u64 = 1_000_000;
const DECIMALS: usize = 6;

/// How much of something those who match a pattern may use in a time, each for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Who has it.
    pub subject: Pattern,
    /// What is counted.
    pub what: What,
    /// How much of it; money in millionths of a dollar.
    pub amount: u64,
    /// In which time.
    pub per: Per,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Requests.
    Requests,
    /// Tokens, read and written.
    Tokens,
    /// Money.
    Money,
}

/// The time in which a limit's amount may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// A rate: the amount at once, and as much again in each such time, bit by bit. In whole seconds: see
    /// [`Per::seconds`].
    Every(Duration),
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
    /// All time: it does not renew itself.
    Ever,
}

/// Who has a limit: a [`Subject`] in which `*` stands for any text, `key:*` where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

/// A text that is not what it should be; it says how to write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct LimitError {
    text: String,
    problem: String,
}

impl LimitError {
    /// A text, as much of it as a message has room for, and what follows it in the message.
    pub(super) fn new(text: &str, problem: impl Into<String>) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            problem: problem.into(),
        }
    }
}

impl What {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Money];

    /// As a limit names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "usd",
        }
    }

    /// So much of it, as a limit writes it.
    pub fn counted(self, amount: u64) -> String {
        match (self, amount) {
            (Self::Requests, 1) => "1 request".to_owned(),
            (Self::Tokens, 1) => "1 token".to_owned(),
            (Self::Requests | Self::Tokens, _) => format!("{amount} {}", self.as_str()),
            (Self::Money, _) => {
                let decimals = format!("{:06}", amount % MICROS);
                // Two of them, or as many as it takes, or none.
                let decimals = match decimals.trim_end_matches('0') {
                    "" => String::new(),
                    some => format!(".{some:0<2}"),
                };
                format!("{}{decimals} usd", amount / MICROS)
            }
        }
    }

    fn parse(unit: &str) -> Result<Self, String> {
        match unit {
            "request" | "requests" => Ok(Self::Requests),
            "token" | "tokens" => Ok(Self::Tokens),
            "usd" => Ok(Self::Money),
            _ => Err(unknown(unit, &["requests", "tokens", "usd"])),
        }
    }

    fn amount(self, text: &str) -> Result<u64, String> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let digits = text.replace('_', "");
        let (whole, decimals) = match digits.split_once('.') {
            Some(parts) => parts,
            None => (digits.as_str(), ""),
        };
        let has_point = digits.contains('.');
        if !plain(whole) || (has_point && !plain(decimals)) {
            return Err(format!("`{text}` is not a number"));
        }
        let amount: Option<u64> = match self {
            Self::Requests | Self::Tokens if has_point => {
                return Err(format!("{} are whole ones", self.as_str()));
            }
            Self::Requests | Self::Tokens => whole.parse().ok(),
            Self::Money if decimals.len() > DECIMALS => {
                return Err(format!("usd have {DECIMALS} decimals at most"));
            }
            Self::Money => format!("{whole}{decimals:0<DECIMALS$}").parse().ok(),
        };
        amount
            .filter(|amount| *amount <= MAX_AMOUNT)
            .ok_or_else(|| format!("{} is the most", self.counted(MAX_AMOUNT)))
    }
}

impl Per {
    /// The whole seconds of a rate, from one to those of 366 days; none for what is counted in windows.
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::Every(time) => Some(time.as_secs().clamp(1, MAX_SECONDS)),
            Self::Day | Self::Month | Self::Ever => None,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (number, unit) = match text.split_once(char::is_whitespace) {
            Some((number, unit)) => (number, unit.trim()),
            None => ("1", text),
        };
        let count: u64 = Some(number)
            .filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| format!("`{number}` is not a number"))?;
        let seconds = match unit {
            "second" | "seconds" => 1,
            "minute" | "minutes" => 60,
            "hour" | "hours" => 3_600,
            "day" if count == 1 => return Ok(Self::Day),
            "month" if count == 1 => return Ok(Self::Month),
            "day" | "days" | "month" | "months" => {
                return Err(
                    "days and months are single ones of the calendar, other times are \
                            seconds, minutes or hours"
                        .to_owned(),
                );
            }
            _ => {
                let units = ["second", "minute", "hour", "day", "month"];
                return Err(unknown(unit, &units));
            }
        };
        match count.checked_mul(seconds) {
            Some(0) => Err("its time is none".to_owned()),
            Some(seconds) if seconds <= MAX_SECONDS => {
                Ok(Self::Every(Duration::from_secs(seconds)))
            }
            _ => Err(format!(
                "{} hours are the longest time",
                MAX_SECONDS / 3_600
            )),
        }
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = match self {
            Self::Every(_) => self.seconds().unwrap_or(1),
            Self::Day => return f.write_str("day"),
            Self::Month => return f.write_str("month"),
            Self::Ever => return f.write_str("ever"),
        };
        let (count, unit) = match seconds {
            s if s % 3_600 == 0 => (s / 3_600, "hour"),
            s if s % 60 == 0 => (s / 60, "minute"),
            s => (s, "second"),
        };
        match count {
            1 => f.write_str(unit),
            _ => write!(f, "{count} {unit}s"),
        }
    }
}

fn unknown(unit: &str, known: &[&'static str]) -> String {
    let mut problem = format!("there is no unit `{unit}`");
    if let Some(near) = nearest(unit, known.iter().copied()) {
        problem.push_str(&format!(", is it `{near}`?"));
    }
    problem
}

impl Default for Pattern {
    fn default() -> Self {
        Self("key:*".to_owned())
    }
}

impl Pattern {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a subject has the limit.
    pub fn matches(&self, subject: &Subject) -> bool {
        let (mut rest, mut pieces) = (subject.as_str(), self.0.split('*'));
        // A text begins with the first piece and ends with the last; those between follow each other in it.
        let Some(stripped) = pieces.next().and_then(|first| rest.strip_prefix(first)) else {
            return false;
        };
        rest = stripped;
        let Some(last) = pieces.next_back() else {
            return rest.is_empty();
        };
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pattern of one subject. Where its name has a `*`, others match it too.
impl From<&Subject> for Pattern {
    fn from(subject: &Subject) -> Self {
        Self(subject.as_str().to_owned())
    }
}

impl FromStr for Pattern {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let text = text.trim();
        let is_long = text.chars().count() > MAX_PATTERN;
        if SubjectKind::begins(text).is_none() || is_long || text.contains(char::is_control) {
            return Err(LimitError::new(
                text,
                "is nobody who could have a limit; write `key:NAME`, `user:KEY/USER` or `tag:NAME`, \
                 with `*` for any text",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Limit {
    /// The limit without who has it.
    pub fn figure(&self) -> String {
        let amount = self.what.counted(self.amount);
        match self.per {
            Per::Ever => amount,
            per => format!("{amount}/{per}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.figure())?;
        if self.subject != Pattern::default() {
            write!(f, " for {}", self.subject)?;
        }
        Ok(())
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let wrong = |problem: String| {
            LimitError::new(
                text,
                format!(
                    "is not a limit: {problem}; write it like `60 requests/minute`, \
                     `100000 tokens/hour`, `20.50 usd/month` or `100 usd`"
                ),
            )
        };
        let (figure, subject) = match text.split_once(" for ") {
            Some((figure, subject)) => (figure, subject.parse::<Pattern>()?),
            None => (text, Pattern::default()),
        };
        let (counted, per) = match figure.split_once('/') {
            Some((counted, per)) => (counted, Per::parse(per).map_err(&wrong)?),
            None => (figure, Per::Ever),
        };
        let (amount, unit) = counted
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("it needs a number and what is counted".to_owned()))?;
        let what = What::parse(unit.trim()).map_err(&wrong)?;
        Ok(Self {
            subject,
            what,
            amount: what.amount(amount).map_err(&wrong)?,
            per,
        })
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
