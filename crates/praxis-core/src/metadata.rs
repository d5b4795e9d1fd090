//! What is known of a document beside its text: typed values by key, and times as ISO 8601 writes them.
//! Left out: where they come from (knowledge) and how they are asked for ([`crate::filter`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Keys that every document has, which nothing else may set.
pub const RESERVED: &[&str] = &["uri", "format", "modified", "size"];

/// The most characters of a key.
pub const MAX_KEY: usize = 64;

/// The most characters of a text.
pub const MAX_TEXT: usize = 1024;

/// The longest way to write a time.
const MAX_TIME: usize = 40;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Values by key.
pub type Metadata = BTreeMap<String, Attribute>;

/// A value of one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A finite number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A day or a moment, as ISO 8601 writes it; [`interval`] reads it.
    Date(String),
    /// Several texts, such as tags.
    Texts(Vec<String>),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A text, or several.
    Text,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A day or a moment.
    Date,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Number, Self::Bool, Self::Date];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Date => "date",
        }
    }

    /// As a message names values of it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Number => "numbers",
            Self::Bool => "true or false",
            Self::Date => "dates",
        }
    }
}

impl Attribute {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) | Self::Texts(_) => Kind::Text,
            Self::Number(_) => Kind::Number,
            Self::Bool(_) => Kind::Bool,
            Self::Date(_) => Kind::Date,
        }
    }

    /// As people and programs write it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Date(text) => Value::from(text.as_str()),
            // Whole numbers without a point, as they were written.
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Value::from(*number as i64)
            }
            Self::Number(number) => Value::from(*number),
            Self::Bool(value) => Value::from(*value),
            Self::Texts(texts) => Value::from(texts.clone()),
        }
    }
}

/// Whether a text can be a key: up to [`MAX_KEY`] characters, without controls and without what begins a
/// comparison (`=`, `!`, `<`, `>`).
pub fn is_key(text: &str) -> bool {
    let fits = |c: char| !c.is_control() && !"=!<>".contains(c);
    text.trim() == text
        && !text.is_empty()
        && text.chars().count() <= MAX_KEY
        && text.chars().all(fits)
}

/// The time that a text names, in seconds since the epoch: from the first moment to that after the last
/// of a day such as `2026-01-31`, twice the same of a moment such as `2026-01-31T09:30:00Z`. Without an
/// offset, times are UTC. `None` for anything else.
pub fn interval(text: &str) -> Option<(f64, f64)> {
    let bytes = text.as_bytes();
    let shape = |(i, byte): (usize, &u8)| match i {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if !(10..=MAX_TIME).contains(&bytes.len()) || !bytes[..10].iter().enumerate().all(shape) {
        return None;
    }
    let seconds = |time: Timestamp| time.as_millisecond() as f64 / 1000.0;
    if bytes.len() == 10 {
        let day: Date = text.parse().ok()?;
        let start = seconds(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
        return Some((start, start + DAY));
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let local: DateTime = text.parse().ok()?;
            local.to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
    };
    Some((seconds(moment), seconds(moment)))
}

/// A moment in nanoseconds since the epoch, as ISO 8601 writes it, to the second.
pub fn written(nanoseconds: i64) -> String {
    Timestamp::from_second(nanoseconds.div_euclid(1_000_000_000))
        .map(|time| time.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_intervals_and_moments_are_points() {
        for (text, want) in [
            ("1970-01-02", Some((86_400.0, 172_800.0))),
            ("1970-01-01T00:01:00Z", Some((60.0, 60.0))),
            ("1970-01-01 00:01:00", Some((60.0, 60.0))),
            ("1970-01-01T01:00:30+01:00", Some((30.0, 30.0))),
            ("1970-01-01T00:00:00.5Z", Some((0.5, 0.5))),
            ("2026-02-30", None),
            ("2026-1-3", None),
            ("20260103", None),
            ("2026-01-03x", None),
            ("01.02.2026", None),
            ("", None),
        ] {
            assert_eq!(interval(text), want, "{text}");
        }
        assert_eq!(written(61_500_000_000), "1970-01-01T00:01:01Z");
    }

    #[test]
    fn keys_can_be_written_before_a_comparison() {
        assert!(is_key("department") && is_key("date created") && is_key("部门"));
        for key in ["", " a", "a=b", "a>", "a\nb", &"x".repeat(65)] {
            assert!(!is_key(key), "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in "\\PC{0,48}", day in "[0-9]{4}-[0-9]{2}-[0-9]{2}.{0,20}") {
            for text in [text, day] {
                if let Some((start, end)) = interval(&text) {
                    prop_assert!(start <= end && start.is_finite());
                }
            }
        }

        #[test]
        fn what_is_written_is_read(seconds in -2_000_000_000i64..4_000_000_000) {
            let text = written(seconds * 1_000_000_000);
            prop_assert_eq!(interval(&text), Some((seconds as f64, seconds as f64)));
        }
    }
}
