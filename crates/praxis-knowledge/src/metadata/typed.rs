//! Values as files write them to values of one type: as they look, or as the base declares. Left out: where
//! they come from.

use praxis_core::metadata::{Attribute, MAX_KEY, MAX_TEXT, Metadata, RESERVED, interval, is_key};
use serde_json::{Map, Value};

use super::DeclaredType;

/// Texts of a list, at most.
const MAX_LIST: usize = 256;

/// A value, of the type that it looks like or that is declared; nothing for an empty one.
///
/// # Errors
/// Why it is none, and the fix, to follow its key.
pub(crate) fn typed(
    value: &Value,
    declared: Option<DeclaredType>,
) -> Result<Option<Attribute>, String> {
    match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::Array(all) if all.is_empty() => return Ok(None),
        Value::Object(_) => {
            return Err(
                "is a table; write a text, a number, true or false, a date or a list of texts"
                    .to_owned(),
            );
        }
        _ => {}
    }
    let Some(declared) = declared else {
        return match value {
            Value::Array(all) => list(all).map(Some),
            Value::Number(number) => number_of(number.as_f64()).map(Some),
            Value::Bool(value) => Ok(Some(Attribute::Bool(*value))),
            other => {
                let text = text(other)?;
                Ok(Some(if interval(&text).is_some() {
                    Attribute::Date(text)
                } else {
                    Attribute::Text(text)
                }))
            }
        };
    };
    let wrong = |wanted: &str| {
        let shown: String = value.to_string().chars().take(60).collect();
        format!("is `{shown}`, and {wanted}")
    };
    let attribute = match (declared, value) {
        (DeclaredType::List, Value::Array(all)) => list(all)?,
        (DeclaredType::List, one) => list(std::slice::from_ref(one))?,
        (_, Value::Array(_)) => return Err(wrong("the base declares one value, not a list")),
        (DeclaredType::Text, one) => Attribute::Text(text(one)?),
        (DeclaredType::Number, Value::Number(number)) => number_of(number.as_f64())?,
        (DeclaredType::Number, one) => {
            let number = text(one)?.trim().parse().ok();
            number_of(number)
                .map_err(|_| wrong("the base declares a number: write one, such as 2026"))?
        }
        (DeclaredType::Bool, Value::Bool(value)) => Attribute::Bool(*value),
        (DeclaredType::Bool, one) => match text(one)?.trim() {
            "true" | "yes" => Attribute::Bool(true),
            "false" | "no" => Attribute::Bool(false),
            _ => return Err(wrong("the base declares true or false: write one of them")),
        },
        (DeclaredType::Date, one) => {
            let text = text(one)?;
            if interval(&text).is_none() {
                return Err(wrong(
                    "the base declares a date: write 2026-01-31 or 2026-01-31T09:30:00Z",
                ));
            }
            Attribute::Date(text)
        }
    };
    Ok(Some(attribute))
}

fn number_of(number: Option<f64>) -> Result<Attribute, String> {
    let finite = number.filter(|number| number.is_finite());
    finite
        .map(Attribute::Number)
        .ok_or_else(|| "is no number that can be compared; write a smaller one".to_owned())
}

fn list(all: &[Value]) -> Result<Attribute, String> {
    if all.len() > MAX_LIST {
        return Err(format!("is a list of more than {MAX_LIST}; shorten it"));
    }
    let mut texts = Vec::new();
    for value in all {
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err("is a list of lists or tables; write a list of texts".to_owned());
        }
        let text = text(value)?;
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    Ok(Attribute::Texts(texts))
}

fn text(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if text.chars().count() > MAX_TEXT {
        return Err(format!("is longer than {MAX_TEXT} characters; shorten it"));
    }
    Ok(text)
}

/// What a file says of itself, by its own words for it. Notes what is not taken; `place` is where it stands,
/// such as `front matter`.
pub(crate) fn from_file(
    values: &Map<String, Value>,
    place: &str,
    notes: &mut Vec<String>,
) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in values {
        if RESERVED.contains(&key.as_str()) {
            notes.push(format!(
                "`{key}` of its {place} is a key that every document has; rename it"
            ));
            continue;
        }
        if key == "labels" {
            notes.push(format!(
                "`labels` of its {place} protect nothing, since what a document says does not decide who \
                 reads it: set them by a rule `[[metadata]]` of the base, or in a file beside it"
            ));
        }
        if !is_key(key) {
            notes.push(format!(
                "a key of its {place} is left out: keys have up to {MAX_KEY} characters, none of `=!<>`"
            ));
            continue;
        }
        match typed(value, None) {
            Ok(Some(value)) => {
                metadata.insert(key.clone(), value);
            }
            Ok(None) => {}
            Err(problem) => notes.push(format!("`{key}` of its {place} {problem}")),
        }
    }
    metadata
}
