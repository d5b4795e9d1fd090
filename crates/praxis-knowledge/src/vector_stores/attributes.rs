//! Attributes of files as OpenAI's API has them, and what a document is known by for them: what its file says,
//! what every document has, and the client's own attributes, which outrank both.

use praxis_core::metadata::{Attribute, MAX_KEY, Metadata, is_key, written};
use praxis_core::{CallError, ErrorCode};
use praxis_store::StoredFile;
use serde_json::{Map, Value};

use crate::metadata::typed;

/// Attributes of a file, at most.
const MOST: usize = 16;

/// Characters of a text, at most.
const LONGEST: usize = 512;

/// Values that a file says of itself, at most.
const MOST_OWN: usize = 64;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Checks that attributes are such that files can be searched by them.
///
/// # Errors
/// The first that is not.
pub(super) fn check(attributes: &Map<String, Value>) -> Result<(), CallError> {
    let wrong = |message: String| Err(CallError::new(ErrorCode::InvalidRequest, message));
    if attributes.len() > MOST {
        return wrong(format!("`attributes` has more than {MOST} keys"));
    }
    for (key, value) in attributes {
        if !is_key(key) {
            return wrong(format!(
                "`attributes` has the key `{key}`: keys have up to {MAX_KEY} characters, none of `=!<>`, and no \
                 space at their ends"
            ));
        }
        match value {
            Value::String(text) if text.chars().count() > LONGEST => {
                return wrong(format!(
                    "`attributes.{key}` is longer than {LONGEST} characters"
                ));
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
            _ => {
                return wrong(format!(
                    "`attributes.{key}` must be a text, a number, or true or false"
                ));
            }
        }
    }
    Ok(())
}

/// What a document is known by.
pub(super) fn metadata(
    own: &Metadata,
    file: &StoredFile,
    attributes: &Map<String, Value>,
) -> Metadata {
    let own = own.iter().take(MOST_OWN);
    let mut metadata: Metadata = own.map(|(k, v)| (k.clone(), v.clone())).collect();
    let common = [
        ("uri", Attribute::Text(uri(file))),
        ("filename", Attribute::Text(file.filename.clone())),
        (
            "modified",
            Attribute::Date(written(file.created.saturating_mul(SECOND))),
        ),
        ("size", Attribute::Number(file.bytes as f64)),
    ];
    for (key, value) in common {
        metadata.insert(key.to_owned(), value);
    }
    for (key, value) in attributes {
        match typed(value, None) {
            Ok(Some(value)) => metadata.insert(key.clone(), value),
            // An empty text is no value, and hides what the document would have.
            _ => metadata.remove(key),
        };
    }
    metadata
}

/// The path of a file's document: by its id, since names may be equal.
pub(super) fn uri(file: &StoredFile) -> String {
    format!("{}/{}", file.id, file.filename)
}

/// The file of a document at a path of [`uri`].
pub(super) fn file_of(uri: &str) -> &str {
    uri.split_once('/').map_or(uri, |(file, _)| file)
}
