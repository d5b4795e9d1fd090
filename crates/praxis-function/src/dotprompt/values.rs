//! JSON values as JavaScript shows and compares them.

use handlebars::PathAndJson;
use serde_json::{Number, Value};

/// Begins a mark in rendered text. It is a noncharacter, which no text needs, and where data holds
/// one it is followed by [`LITERAL`], which no mark is: so no data can be or become a mark.
pub(super) const MARK: char = '\u{fdd0}';

/// After [`MARK`]: the character itself, from data or the template's text.
pub(super) const LITERAL: char = '=';

/// Text that cannot be taken for a mark.
pub(super) fn guarded(text: String) -> String {
    if text.contains(MARK) {
        text.replace(MARK, "\u{fdd0}=")
    } else {
        text
    }
}

/// The text of a value: `null` is empty, a list its elements with commas, as `String(value)` has it.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

/// A number as JavaScript writes it: 1.0 is `1`, very large and small ones have an exponent.
fn number_text(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let Some(float) = number.as_f64() else {
        return number.to_string();
    };
    match float.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e21 => format!("{float:e}").replace('e', "e+"),
        size if size < 1e-6 => format!("{float:e}"),
        _ => float.to_string(),
    }
}

/// The value with numbers as JavaScript has them, for JSON: 1.0 is 1.
pub(super) fn plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => number_text(number)
            .parse::<i64>()
            .map_or_else(|_| value.clone(), Value::from),
        Value::Array(all) => all.iter().map(plain_numbers).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.clone(), plain_numbers(v)))
            .collect(),
        other => other.clone(),
    }
}

/// Whether a value is true in `{{#if}}`: an empty list is not, an empty object is.
pub(super) fn truthy(value: &Value, include_zero: bool) -> bool {
    match value {
        Value::Number(number) => include_zero || number.as_f64() != Some(0.0),
        other => !is_empty(other),
    }
}

/// Handlebars' `isEmpty`: absent, false, an empty text or list; 0 is not.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Number(_) | Value::Object(_) => false,
    }
}

/// `===`: types count, 1 and 1.0 are the same number, lists and objects are equal only to themselves,
/// and what is absent is not null.
pub(super) fn strictly_equal(left: Option<&PathAndJson>, right: Option<&PathAndJson>) -> bool {
    let missing = |side: Option<&PathAndJson>| side.is_none_or(PathAndJson::is_value_missing);
    match (left, right) {
        _ if missing(left) || missing(right) => missing(left) && missing(right),
        (Some(left), Some(right)) => match (left.value(), right.value()) {
            (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
            (a @ (Value::Array(_) | Value::Object(_)), b) => std::ptr::eq(a, b),
            (a, b) => a == b,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_javascript_writes_them() {
        for (value, text) in [
            (json!(null), ""),
            (json!(true), "true"),
            (json!(1.0), "1"),
            (json!(-0.5), "-0.5"),
            (json!(1e21), "1e+21"),
            (json!(1.5e-7), "1.5e-7"),
            (json!(123456789.0), "123456789"),
            (json!([1, null, ["a"]]), "1,,a"),
            (json!({}), "[object Object]"),
        ] {
            assert_eq!(text_of(&value), text);
        }
        assert_eq!(
            plain_numbers(&json!([1.0, {"a": 2.5}])),
            json!([1, {"a": 2.5}])
        );
    }
}
