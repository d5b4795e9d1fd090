//! The file beside a document that describes it: `report.pdf.meta.toml` for `report.pdf`. TOML, because
//! it has dates, is what the rest of an application is written in, and is not taken for a document.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use praxis_core::access::is_label;
use praxis_core::metadata::{MAX_KEY, RESERVED, is_key};
use praxis_core::plain;
use serde_json::Value;

/// What is added to a document's name.
pub(super) const SUFFIX: &str = ".meta.toml";

/// Whether a file of this name says what is known of the document beside it.
pub fn is_sidecar(name: &str) -> bool {
    name.strip_suffix(SUFFIX)
        .is_some_and(|document| !document.is_empty())
}

/// The most bytes of such a file.
const MAX_BYTES: u64 = 64 << 10;

/// What stands in the file beside a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Sidecar {
    /// There is none.
    #[default]
    None,
    /// Values by key, and the document's labels, where it sets them.
    Read {
        values: BTreeMap<String, Value>,
        labels: Option<Vec<String>>,
    },
    /// It cannot be read, for this reason, so the document's labels are not known.
    Broken(String),
}

impl Sidecar {
    /// That of a document. Blocks.
    pub fn beside(document: &Path) -> Self {
        let mut name = document.as_os_str().to_owned();
        name.push(SUFFIX);
        let path = PathBuf::from(name);
        match std::fs::metadata(&path) {
            Err(error) => return Self::unread(&path, &error),
            Ok(found) if found.len() > MAX_BYTES => {
                return Self::Broken(format!("is larger than {MAX_BYTES} bytes"));
            }
            Ok(_) => {}
        }
        match std::fs::read(&path).map(plain::utf8) {
            Err(error) => Self::unread(&path, &error),
            Ok(Err(why)) => Self::Broken(format!("cannot be read: {why}")),
            Ok(Ok(text)) => Self::parse(&text),
        }
    }

    /// One that is not there, or cannot be read: a link to nothing may have protected something.
    fn unread(path: &Path, error: &std::io::Error) -> Self {
        let is_missing = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
        if !is_missing(error) {
            return Self::Broken(format!("cannot be read: {error}"));
        }
        match std::fs::symlink_metadata(path) {
            Err(error) if is_missing(&error) => Self::None,
            Err(error) => Self::Broken(format!("cannot be read: {error}")),
            Ok(_) => Self::Broken("is a link to something that is not there".to_owned()),
        }
    }

    /// What such a file says.
    pub fn parse(text: &str) -> Self {
        let table: toml::Table = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => {
                let reason = error
                    .message()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let before = error.span().map_or(0, |span| span.start);
                let before = text.get(..before).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                return Self::Broken(format!("is not TOML: line {line}: {reason}"));
            }
        };
        let mut values = BTreeMap::new();
        let mut labels = None;
        for (key, value) in table {
            if key == "labels" {
                match labels_of(&value) {
                    Some(found) => labels = Some(found),
                    None => {
                        return Self::Broken(
                            "has `labels` that are none: write a list of names, such as [\"hr\"]"
                                .to_owned(),
                        );
                    }
                }
            } else if RESERVED.contains(&key.as_str()) {
                return Self::Broken(format!("sets `{key}`, which every document has; rename it"));
            } else if is_key(&key) {
                values.insert(key, to_json(value));
            } else {
                return Self::Broken(format!(
                    "has a key that is none: keys have up to {MAX_KEY} characters, none of `=!<>`"
                ));
            }
        }
        Self::Read { values, labels }
    }
}

fn labels_of(value: &toml::Value) -> Option<Vec<String>> {
    let labels = value.as_array()?.iter();
    labels
        .map(|label| label.as_str().filter(|l| is_label(l)).map(str::to_owned))
        .collect()
}

/// A value of TOML as one of JSON; dates become texts.
pub(super) fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(value) => Value::from(value),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(all) => all.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, to_json(value)))
                .collect(),
        ),
    }
}
