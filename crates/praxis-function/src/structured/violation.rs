//! What is wrong with an output, in words that a small model understands. Who finds it is elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters of a found value that are shown.
const SHOWN: usize = 80;

/// One thing that is wrong with an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Violation {
    /// Where: `items[0].price`; empty for the whole output.
    pub path: String,
    /// What is there.
    pub found: String,
    /// What must be there instead.
    pub wanted: String,
}

impl Violation {
    /// A violation at a place.
    pub fn new(
        path: impl Into<String>,
        found: impl Into<String>,
        wanted: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "The whole output")?,
            path => write!(f, "`{path}`")?,
        }
        write!(f, ": found {}; wanted {}", self.found, self.wanted)
    }
}

/// A value as it is shown in messages: JSON, cut.
pub(crate) fn shown(value: &Value) -> String {
    cut(&value.to_string(), SHOWN)
}

/// The beginning of a text, and a mark where something is missing.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// `a`, `a or b`, `a, b or c`; of many the first twelve.
pub(crate) fn alternatives(names: &[String]) -> String {
    const MOST: usize = 12;
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., _] if names.len() > MOST => {
            format!(
                "{} (and {} more)",
                first[..MOST].join(", "),
                names.len() - MOST
            )
        }
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
