//! Arguments and messages as the log has room for. Left out: what nobody is shown of them, which
//! `praxis_core::trace::redact` says.

use serde_json::{Map, Value, json};

/// The longest text in the log, in characters, and the longest arguments, in bytes.
const LONGEST_TEXT: usize = 500;
const LONGEST: usize = 4096;

/// Arguments as the log has room for.
pub(super) fn excerpt(arguments: &Value) -> Value {
    let short = shortened(arguments);
    let text = short.to_string();
    if text.len() <= LONGEST {
        return short;
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    json!({ "cut": &text[..end] })
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(cut(text)),
        Value::Array(items) => items.iter().map(shortened).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, one)| (name.clone(), shortened(one)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// A text as the log has room for.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_room_for_so_much() {
        let text = "藤".repeat(LONGEST_TEXT + 1);
        let short = excerpt(&json!({ "text": text, "n": 1 }));
        let cut = short["text"].as_str().unwrap();
        assert!(cut.ends_with("… (501 characters)"), "{cut}");
        assert_eq!(short["n"], 1);
        let many: Value = (0..100).map(|_| json!("藤".repeat(400))).collect();
        let short = excerpt(&many);
        assert!(short["cut"].as_str().unwrap().len() <= LONGEST);
        assert!(short["cut"].as_str().unwrap().starts_with("[\"藤"));
    }
}
