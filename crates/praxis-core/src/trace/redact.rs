//! Values as people, logs and traces see them: without those whose names look like a secret's, and without those that
//! somebody named. Left out: values as they are, which calls are made with; texts that repeat a secret (`secrets`).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::approval::canonical;

/// What stands for a value that nobody is shown.
pub const MASK: &str = "***";

/// Characters of a value whose digest is told. A shorter one could be found out from it.
const LEAST_DIGESTED: usize = 12;

/// Characters of a digest that are told.
const OF_DIGEST: usize = 16;

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

/// The steps to a value within another one: names of fields, numbers of items, or `*` for all of them.
pub type Steps = Vec<String>;

/// A value without those whose names look like those of secrets, and without what `hidden` leads to.
pub fn redacted(value: &Value, hidden: &[Steps]) -> Value {
    redacted_with(value, hidden, &mut |_| {})
}

/// The same; `found` gets each value that is masked.
pub(super) fn redacted_with(
    value: &Value,
    hidden: &[Steps],
    found: &mut dyn FnMut(&Value),
) -> Value {
    let ways: Vec<&[String]> = hidden.iter().map(Vec::as_slice).collect();
    masked(value, &ways, found)
}

/// `ways` are the steps from here to what is hidden.
fn masked(value: &Value, ways: &[&[String]], found: &mut dyn FnMut(&Value)) -> Value {
    if ways.iter().any(|way| way.is_empty()) {
        found(value);
        return Value::from(MASK);
    }
    match value {
        Value::Array(items) => {
            let mut shown = Vec::with_capacity(items.len());
            for (i, one) in items.iter().enumerate() {
                shown.push(masked(one, &further(ways, &i.to_string()), found));
            }
            Value::Array(shown)
        }
        Value::Object(fields) => {
            let mut shown = Map::new();
            for (name, one) in fields {
                let is_plain = one.is_null() || one.is_boolean() || one.is_number();
                let part = if is_secret(name) && !is_plain {
                    found(one);
                    Value::from(MASK)
                } else {
                    masked(one, &further(ways, name), found)
                };
                shown.insert(name.clone(), part);
            }
            Value::Object(shown)
        }
        other => other.clone(),
    }
}

/// A value for who decides on it: all of it as it is, whatever its names are, but what `hidden` leads to. Of that, its
/// size and its digest are told, so that nothing can be large, or another thing than before, and not be seen.
pub fn sealed(value: &Value, hidden: &[Steps]) -> Value {
    let ways: Vec<&[String]> = hidden.iter().map(Vec::as_slice).collect();
    sealed_at(value, &ways)
}

fn sealed_at(value: &Value, ways: &[&[String]]) -> Value {
    if ways.iter().any(|way| way.is_empty()) {
        return Value::String(seal(value));
    }
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(i, one)| sealed_at(one, &further(ways, &i.to_string())));
            Value::Array(items.collect())
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(name, one)| (name.clone(), sealed_at(one, &further(ways, name))));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// What is told of a value that nobody is shown.
fn seal(value: &Value) -> String {
    let (text, what) = match value {
        Value::String(text) => (text.clone(), "characters"),
        other => (canonical(other), "characters of JSON"),
    };
    let count = text.chars().count();
    if count < LEAST_DIGESTED {
        return format!("{MASK} ({count} {what})");
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let digest = digest.get(..OF_DIGEST).unwrap_or_default();
    format!("{MASK} ({count} {what}, sha256 {digest}…)")
}

/// Those of the ways that lead through a step, behind it.
fn further<'w>(ways: &[&'w [String]], step: &str) -> Vec<&'w [String]> {
    let fits = ways.iter().filter_map(|way| way.split_first());
    let fits = fits.filter(|(first, _)| *first == "*" || *first == step);
    fits.map(|(_, rest)| rest).collect()
}

/// Whether a name looks like that of a secret.
pub fn is_secret(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let plain: String = letters.flat_map(char::to_lowercase).collect();
    SECRET.iter().any(|word| plain.contains(word))
}

/// Where the value of the first secret begins in the text of JSON that is not whole; none where it has no secret.
pub(super) fn first_secret(text: &str, hidden: &[Steps]) -> Option<usize> {
    let is_hidden = |name: &str| {
        let mut ends = hidden.iter().filter_map(|way| way.last());
        is_secret(name) || ends.any(|step| step == "*" || step == name)
    };
    let mut from = 0;
    while let Some(begin) = text.get(from..)?.find('"').map(|at| from + at + 1) {
        let end = begin + end_of_text(text.get(begin..)?)?;
        from = end + 1;
        let behind = text.get(from..)?;
        let blanks = behind.len() - behind.trim_start().len();
        let is_name = behind.trim_start().starts_with(':');
        if is_name && is_hidden(text.get(begin..end)?) {
            return Some(from + blanks + 1);
        }
    }
    None
}

/// Where a text of JSON ends that begins here: at the first quote that no backslash stands before.
fn end_of_text(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let mut found = Vec::new();
        redacted_with(&arguments, &hidden, &mut |value| found.push(value.clone()));
        assert_eq!(
            found,
            [
                json!("x"),
                json!(["x"]),
                json!({ "a": "x" }),
                json!("4111"),
                json!(1990)
            ]
        );
    }

    #[test]
    fn who_decides_sees_all_but_what_was_named_and_how_much_that_is() {
        let way = |steps: &[&str]| steps.iter().map(|&step| step.to_owned()).collect::<Steps>();
        let hidden = [way(&["pin"]), way(&["users", "*", "key"]), way(&["card"])];
        let arguments = json!({
            "secret": "the table", "tokens": ["a", "b"], "pin": "1234",
            "users": [{ "key": "correct horse", "name": "li" }, { "key": null }],
            "card": { "number": "4111", "name": "li" },
        });
        let shown = sealed(&arguments, &hidden);
        assert_eq!(shown["secret"], "the table");
        assert_eq!(shown["tokens"], json!(["a", "b"]));
        assert_eq!(shown["pin"], "*** (4 characters)");
        assert_eq!(shown["users"][0]["name"], "li");
        assert_eq!(shown["users"][1]["key"], "*** (4 characters of JSON)");
        let digest = hex::encode(Sha256::digest(b"correct horse"));
        let key = format!("*** (13 characters, sha256 {}…)", &digest[..OF_DIGEST]);
        assert_eq!(shown["users"][0]["key"], key);
        let card = shown["card"].as_str().unwrap();
        assert!(
            card.starts_with("*** (29 characters of JSON, sha256 "),
            "{card}"
        );
    }

    #[test]
    fn the_first_secret_of_a_text_that_was_cut_is_found() {
        let hidden = [vec!["card".to_owned(), "number".to_owned()]];
        for (text, before) in [
            (
                r#"{"a": "password", "token" : "x"#,
                Some(r#"{"a": "password", "token" :"#),
            ),
            (
                r#"{"a\"": "b\\", "number": 41"#,
                Some(r#"{"a\"": "b\\", "number":"#),
            ),
            (r#"{"藤": "\"token\":", "b": "#, None),
            (r#"{"a": "not ended"#, None),
            (r#"{"toke"#, None),
            ("", None),
        ] {
            let found = first_secret(text, &hidden);
            assert_eq!(found.and_then(|at| text.get(..at)), before, "{text}");
        }
    }
}
