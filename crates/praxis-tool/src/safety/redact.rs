//! Arguments as people and logs see them: without values that look like secrets, and cut where they are long. Left out:
//! arguments as they are, which a call that waits is made with.

use serde_json::{Map, Value, json};

/// What stands for a secret.
const MASK: &str = "***";

/// What the names of secrets have in them, in small letters and without anything between.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
];

/// The longest text in the log, in characters, and the longest arguments, in bytes.
const LONGEST_TEXT: usize = 500;
const LONGEST: usize = 4096;

/// Arguments without values whose names look like those of secrets, and without what `hidden` leads to.
pub(super) fn redacted(arguments: &Value, hidden: &[Vec<String>]) -> Value {
    let ways: Vec<&[String]> = hidden.iter().map(Vec::as_slice).collect();
    masked(arguments, &ways)
}

/// `ways` are the steps from here to what is hidden.
fn masked(value: &Value, ways: &[&[String]]) -> Value {
    if ways.iter().any(|way| way.is_empty()) {
        return json!(MASK);
    }
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(i, one)| masked(one, &further(ways, &i.to_string())))
                .collect()
        }
        Value::Object(fields) => {
            let field = |(name, one): (&String, &Value)| {
                let is_plain = one.is_null() || one.is_boolean() || one.is_number();
                let shown = match is_secret(name) && !is_plain {
                    true => json!(MASK),
                    false => masked(one, &further(ways, name)),
                };
                (name.clone(), shown)
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Those of the ways that lead through a step, behind it.
fn further<'w>(ways: &[&'w [String]], step: &str) -> Vec<&'w [String]> {
    let fits = ways.iter().filter_map(|way| way.split_first());
    let fits = fits.filter(|(first, _)| *first == "*" || *first == step);
    fits.map(|(_, rest)| rest).collect()
}

fn is_secret(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let plain: String = letters.flat_map(char::to_lowercase).collect();
    SECRET.iter().any(|word| plain.contains(word))
}

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
    fn secrets_are_known_by_their_names_and_places() {
        let hidden = [
            vec!["card".to_owned(), "number".to_owned()],
            vec!["people".to_owned(), "*".to_owned(), "born".to_owned()],
        ];
        let arguments = json!({
            "Password": "x", "api-key": ["x"], "accessToken": { "a": "x" }, "max_tokens": 5, "note": "token",
            "card": { "number": "4111", "name": "li" },
            "people": [{ "born": 1990, "name": "mo" }],
        });
        let wanted = json!({
            "Password": "***", "api-key": "***", "accessToken": "***", "max_tokens": 5, "note": "token",
            "card": { "number": "***", "name": "li" },
            "people": [{ "born": "***", "name": "mo" }],
        });
        assert_eq!(redacted(&arguments, &hidden), wanted);
    }

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
