//! Masking: each value gets a placeholder such as `<EMAIL_1>`, the same everywhere in a conversation, and what a model
//! writes gets the values back, also piece by piece. Left out: placeholders whose name or number the model changed.
//!
//! Unmasking what was masked gives the text back, whatever is in it: a text's own `<EMAIL_1>` is never given away, and
//! where it is already, it is masked as a value itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::Arc;

use super::{Finding, Kind};

/// The name of placeholders for what looks like one.
const TEXT: &str = "TEXT";

/// The most bytes between the brackets of a placeholder, as a model may write it.
const INSIDE: usize = 40;

/// The text with a placeholder for each finding, and what brings the values back.
pub fn mask(text: &str, findings: &[Finding]) -> (String, Masked) {
    let mut masked = Masked::default();
    let text = masked.mask(text, findings);
    (text, masked)
}

/// The values of a conversation's placeholders.
#[derive(Clone, Default)]
pub struct Masked {
    /// What placeholders stand for, by their keys.
    values: BTreeMap<String, String>,
    /// The placeholders of values.
    placeholders: HashMap<String, String>,
    /// The last number of each name.
    numbers: BTreeMap<String, u64>,
    /// Keys of placeholders that texts have by themselves.
    taken: BTreeSet<String>,
}

impl Masked {
    /// Masks another text of the conversation. Kinds that are only flagged stay, and so does what is no range of the
    /// text; of findings that overlap the first one counts.
    pub fn mask(&mut self, text: &str, findings: &[Finding]) -> String {
        let own = self.reserve(text);
        let mut edits: Vec<(Range<usize>, String)> = findings
            .iter()
            .filter(|f| {
                !f.kind.is_only_flagged()
                    && text.get(f.range.clone()).is_some_and(|v| !v.is_empty())
            })
            .map(|f| (f.range.clone(), label(f.kind)))
            .collect();
        edits.sort_by_key(|(range, _)| (range.start, Reverse(range.end)));
        let mut end = 0;
        edits.retain(|(range, _)| {
            let apart = range.start >= end;
            end = if apart { range.end } else { end };
            apart
        });
        let whole: Vec<_> = own
            .into_iter()
            .filter(|range| {
                let next = edits.partition_point(|(edit, _)| edit.end <= range.start);
                edits
                    .get(next)
                    .is_none_or(|(edit, _)| edit.start >= range.end)
            })
            .map(|range| (range, TEXT.to_owned()))
            .collect();
        edits.extend(whole);
        edits.sort_by_key(|(range, _)| range.start);
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        for (range, label) in edits {
            masked.push_str(text.get(at..range.start).unwrap_or_default());
            let value = text.get(range.clone()).unwrap_or_default();
            masked.push_str(&self.placeholder(&label, value));
            at = range.end;
        }
        masked.push_str(text.get(at..).unwrap_or_default());
        masked
    }

    /// The values back in their places.
    pub fn unmask(&self, text: &str) -> String {
        let mut unmasked = String::with_capacity(text.len());
        let rest = self.restore(text, &mut unmasked);
        unmasked.push_str(rest);
        unmasked
    }

    /// The same values as they are written inside of a JSON text.
    #[must_use]
    pub fn in_json(&self) -> Self {
        let escaped = |(key, value): (&String, &String)| {
            let text = serde_json::Value::from(value.as_str()).to_string();
            let bare = text.get(1..text.len().saturating_sub(1));
            (key.clone(), bare.unwrap_or_default().to_owned())
        };
        Self {
            values: self.values.iter().map(escaped).collect(),
            ..self.clone()
        }
    }

    /// Whether nothing was masked.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Keeps the placeholders that a text has by itself from being given away: for texts that come later than the
    /// first one that is masked. Gives the places of those that are given away already.
    pub fn reserve(&mut self, text: &str) -> Vec<Range<usize>> {
        let mut given = Vec::new();
        for (at, _) in text.match_indices('<') {
            let Some(Read::Placeholder { length, key }) = text.get(at..).map(read) else {
                continue;
            };
            if self.values.contains_key(&key) {
                given.push(at..at + length);
            } else if is_ours(&key) {
                self.taken.insert(key);
            }
        }
        given
    }

    fn placeholder(&mut self, label: &str, value: &str) -> String {
        if let Some(placeholder) = self.placeholders.get(value) {
            return placeholder.clone();
        }
        let number = self.numbers.entry(label.to_owned()).or_insert(0);
        let key = loop {
            *number += 1;
            let key = format!("{}{number}", letters(label));
            if !self.taken.contains(&key) {
                break key;
            }
        };
        let placeholder = format!("<{label}_{number}>");
        self.values.insert(key, value.to_owned());
        self.placeholders
            .insert(value.to_owned(), placeholder.clone());
        placeholder
    }

    /// Writes what is certain, and gives the rest, which may be the beginning of a placeholder.
    fn restore<'t>(&self, text: &'t str, unmasked: &mut String) -> &'t str {
        let mut rest = text;
        while let Some((before, from)) = rest.find('<').and_then(|at| rest.split_at_checked(at)) {
            unmasked.push_str(before);
            let length = match read(from) {
                Read::Placeholder { length, key } => self.values.get(&key).map(|value| {
                    unmasked.push_str(value);
                    length
                }),
                Read::Open { key } if self.begins(&key) => return from,
                Read::Open { .. } | Read::Nothing => None,
            };
            if length.is_none() {
                unmasked.push('<');
            }
            rest = from.get(length.unwrap_or(1)..).unwrap_or_default();
        }
        unmasked.push_str(rest);
        ""
    }

    /// Whether a key begins so.
    fn begins(&self, beginning: &str) -> bool {
        let bounds = (Bound::Included(beginning), Bound::Unbounded);
        let next = self.values.range::<str, _>(bounds).next();
        next.is_some_and(|(key, _)| key.starts_with(beginning))
    }
}

/// Values stay out of logs.
impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masked")
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

/// Unmasks a text that comes in pieces. Only what may be the beginning of a placeholder waits for the next piece.
#[derive(Debug)]
pub struct Unmasker {
    masked: Arc<Masked>,
    held: String,
}

impl Unmasker {
    /// For one answer.
    pub fn new(masked: impl Into<Arc<Masked>>) -> Self {
        Self {
            masked: masked.into(),
            held: String::new(),
        }
    }

    /// What the next piece lets be said.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut unmasked = String::with_capacity(self.held.len());
        let rest = self.masked.restore(&self.held, &mut unmasked).to_owned();
        self.held = rest;
        unmasked
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// What begins with `<`.
enum Read {
    /// A placeholder of so many bytes.
    Placeholder {
        length: usize,
        key: String,
    },
    /// What may become one; the key as far as it is there.
    Open {
        key: String,
    },
    Nothing,
}

/// Reads a placeholder whose case and spaces may be different: its key has the letters and the number alone.
fn read(text: &str) -> Read {
    let mut key = String::new();
    let mut closed = false;
    for (i, c) in text.char_indices().skip(1) {
        let numbered = key.ends_with(|c: char| c.is_ascii_digit());
        match c {
            '>' if numbered => return Read::Placeholder { length: i + 1, key },
            'A'..='Z' | 'a'..='z' if !numbered => key.push(c.to_ascii_uppercase()),
            '0'..='9' if !key.is_empty() && !closed => key.push(c),
            // Markdown escapes the line.
            ' ' | '\t' | '_' | '-' | '\\' => closed = numbered,
            _ => return Read::Nothing,
        }
        if i > INSIDE {
            return Read::Nothing;
        }
    }
    Read::Open { key }
}

fn label(kind: Kind) -> String {
    kind.name().to_ascii_uppercase()
}

fn letters(label: &str) -> String {
    label.chars().filter(char::is_ascii_alphabetic).collect()
}

/// Whether a key has one of our names.
fn is_ours(key: &str) -> bool {
    let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
    name == TEXT || Kind::ALL.iter().any(|kind| letters(&label(*kind)) == name)
}

#[cfg(test)]
mod tests;
