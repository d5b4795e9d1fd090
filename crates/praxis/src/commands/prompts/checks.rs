//! Whether an answer is what was expected: pure comparisons of text and values.

use regex::Regex;
use serde_json::Value;

use crate::cli::Check;

/// The part of an output that is the answer: `answer` of an object that has one, else all of it.
pub fn answer(output: &Value) -> &Value {
    match output {
        Value::Object(map) => map.get("answer").unwrap_or(output),
        other => other,
    }
}

/// A value as text: a string as it is, all else as JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether the answer passes.
///
/// # Errors
/// An expectation that the check cannot work with.
pub fn passes(check: Check, answer: &Value, expect: &Value) -> Result<bool, String> {
    let said = text(answer);
    match check {
        Check::Exact => Ok(match expect {
            Value::String(wanted) => said.trim() == wanted.trim(),
            wanted => parsed(answer).is_some_and(|value| equal(&value, wanted)),
        }),
        Check::Contains => match expect {
            Value::Array(all) => Ok(all.iter().all(|part| said.contains(&text(part)))),
            part => Ok(said.contains(&text(part))),
        },
        Check::Number => {
            let wanted = text(expect);
            let wanted = wanted.rsplit_once("####").map_or(&*wanted, |(_, n)| n);
            let Some(wanted) = last_number(wanted) else {
                return Err(format!("`{wanted}` holds no number"));
            };
            Ok(last_number(&said)
                .is_some_and(|n| (n - wanted).abs() <= 1e-6 * wanted.abs().max(1.0)))
        }
        Check::Regex => match expect {
            Value::String(pattern) => Regex::new(pattern)
                .map(|regex| regex.is_match(&said))
                .map_err(|e| format!("`{pattern}` is no regular expression: {e}")),
            other => Err(format!("{other} is no regular expression")),
        },
        Check::Json => {
            // A case may hold its JSON as a value or as text.
            let wanted = match expect {
                Value::String(text) => {
                    serde_json::from_str(text).unwrap_or_else(|_| expect.clone())
                }
                value => value.clone(),
            };
            Ok(parsed(answer).is_some_and(|value| equal(&value, &wanted)))
        }
    }
}

/// The JSON that an answer is, or holds between the fences of a code block.
fn parsed(answer: &Value) -> Option<Value> {
    let Value::String(text) = answer else {
        return Some(answer.clone());
    };
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let (_, inside) = text.split_once("```")?;
    let (inside, _) = inside.split_once("```")?;
    serde_json::from_str(inside.strip_prefix("json").unwrap_or(inside).trim()).ok()
}

/// Equal values; 1 and 1.0 are.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same =
                |(key, value): (&String, &Value)| b.get(key).is_some_and(|v| equal(value, v));
            a.len() == b.len() && a.iter().all(same)
        }
        (a, b) => a == b,
    }
}

/// The last number of a text, with its sign and without separators of thousands.
fn last_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let mut start = end;
    while start > 0 && matches!(bytes[start - 1], b'0'..=b'9' | b'.' | b',') {
        start -= 1;
    }
    let digits = text[start..end].trim_start_matches(',');
    // Only what separates thousands belongs to the number: in `3,4` the last number is 4.
    let mut number = digits;
    while let Some(at) = number.find(',') {
        let groups = number[at + 1..].split('.').next().unwrap_or_default();
        let thousands = groups.split(',').all(|g| g.len() == 3) && (1..=3).contains(&at);
        if thousands {
            break;
        }
        number = &number[at + 1..];
    }
    // A point ends a sentence where another follows.
    if number.matches('.').count() > 1 {
        number = number.rsplit('.').next().unwrap_or(number);
    }
    let before = text[..end - number.len()].trim_end_matches(['$', '€', '£', '¥']);
    let negative = before.strip_suffix(['-', '−']).is_some_and(|rest| {
        !rest
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == ')')
    });
    let value: f64 = number.replace(',', "").parse().ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_compared_as_the_check_says() {
        for (check, answer, expect, passed) in [
            (Check::Exact, json!(" Paris\n"), json!("Paris"), true),
            (Check::Exact, json!("paris"), json!("Paris"), false),
            (Check::Exact, json!({"a": 1}), json!({"a": 1.0}), true),
            (Check::Exact, json!("4"), json!(4), true),
            (Check::Contains, json!("It is Paris."), json!("Paris"), true),
            (Check::Contains, json!("a b"), json!(["a", "b"]), true),
            (Check::Contains, json!("a b"), json!(["a", "c"]), false),
            (Check::Regex, json!("in 1926."), json!(r"\b19\d\d\b"), true),
            (
                Check::Json,
                json!("```json\n{\"a\": [1]}\n```"),
                json!({"a": [1]}),
                true,
            ),
            (
                Check::Json,
                json!("{\"a\": 1}"),
                json!("{\"a\": 1.0}"),
                true,
            ),
            (Check::Json, json!("no"), json!({"a": 1}), false),
            (
                Check::Number,
                json!("So it is 1,200."),
                json!("x #### 1200"),
                true,
            ),
            (
                Check::Number,
                json!("$18.00 in all"),
                json!("#### 18"),
                true,
            ),
            (Check::Number, json!("no idea"), json!(18), false),
            (Check::Number, json!("it is 18, not 19"), json!(18), false),
        ] {
            assert_eq!(
                passes(check, &answer, &expect),
                Ok(passed),
                "{check:?} {answer} {expect}"
            );
        }
        assert!(passes(Check::Number, &json!("1"), &json!("none")).is_err());
        assert!(passes(Check::Regex, &json!("1"), &json!("(")).is_err());
    }

    #[test]
    fn the_last_number_is_read_as_people_write_it() {
        for (text, number) in [
            ("12", Some(12.0)),
            ("-3.5 degrees", Some(-3.5)),
            ("so .5", Some(0.5)),
            ("so...5", Some(5.0)),
            ("10-3", Some(3.0)),
            ("= -$4", Some(-4.0)),
            ("1,234,567.", Some(1_234_567.0)),
            ("1, 2,3", Some(3.0)),
            ("12,34", Some(34.0)),
            ("step 1. then 2.50", Some(2.5)),
            ("答案是18。", Some(18.0)),
            ("version 1.2.3", Some(3.0)),
            ("none", None),
        ] {
            assert_eq!(last_number(text), number, "{text}");
        }
    }

    #[test]
    fn an_object_answers_with_its_answer() {
        assert_eq!(answer(&json!({"answer": "a", "reasoning": "r"})), "a");
        assert_eq!(answer(&json!({"x": 1})), &json!({"x": 1}));
    }
}
