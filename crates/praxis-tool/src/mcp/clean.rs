//! What a server says of its tools, as models may read it: names that stay names of one part, and texts and schemas
//! without characters that nobody sees, all of it bounded. Who wrote it is a stranger. Left out: what tools give
//! (`result`).

use serde_json::Value;

use crate::text::{hides, paragraphs, plain};

/// The most characters of a tool's name.
const LONGEST_NAME: usize = 128;

/// The most bytes of a schema, and the most characters of a text in it.
const LARGEST_SCHEMA: usize = 64 << 10;
const LONGEST_TEXT: usize = 1000;

/// Keywords of schemas whose texts are for readers, and those that hold values.
const TEXTS: [&str; 3] = ["description", "title", "$comment"];
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// What a tool is called behind the server's name; none for what is no name. Slashes become points: a rule for `NAME/*`
/// is for all of a server's tools, whatever it calls them.
pub(super) fn name(theirs: &str) -> Option<String> {
    let is_name = !theirs.is_empty()
        && theirs.chars().count() <= LONGEST_NAME
        && !theirs.chars().any(char::is_whitespace)
        && !hides(theirs);
    is_name.then(|| theirs.replace(['/', '\\'], "."))
}

/// A description, with its lines.
pub(super) fn description(text: &str, most: usize) -> String {
    paragraphs(text, most)
}

/// A schema whose texts are short and show all that they say.
///
/// # Errors
/// What keeps it from being shown to a model.
pub(super) fn schema(mut schema: Value) -> Result<Value, String> {
    let bytes = schema.to_string().len();
    if bytes > LARGEST_SCHEMA {
        return Err(format!(
            "it has {bytes} bytes, and {LARGEST_SCHEMA} are taken at most"
        ));
    }
    mend(&mut schema)?;
    Ok(schema)
}

fn mend(schema: &mut Value) -> Result<(), String> {
    let hidden = |what: &str| {
        Err(format!(
            "it has a {what} with characters that nobody sees, which may be meant for a model alone"
        ))
    };
    match schema {
        Value::Array(items) => items.iter_mut().try_for_each(mend),
        Value::Object(fields) => {
            for (key, part) in fields.iter_mut() {
                if hides(key) {
                    return hidden("name");
                }
                match part {
                    Value::String(text) if TEXTS.contains(&key.as_str()) => {
                        *text = plain(text, LONGEST_TEXT);
                    }
                    // As they are, since a value has to be one of them.
                    part if VALUES.contains(&key.as_str()) => {
                        if hides(&part.to_string()) {
                            return hidden("value");
                        }
                    }
                    part => mend(part)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_has_one_part_and_shows_all_of_itself() {
        let long = "x".repeat(LONGEST_NAME + 1);
        for (theirs, ours) in [
            ("read_file", Some("read_file")),
            ("issue/delete", Some("issue.delete")),
            ("a\\b", Some("a.b")),
            ("ns:tool", Some("ns:tool")),
            ("名前", Some("名前")),
            ("", None),
            ("a b", None),
            ("a\u{202e}b", None),
            ("a\u{e0041}", None),
            ("a\nb", None),
            (long.as_str(), None),
        ] {
            assert_eq!(name(theirs).as_deref(), ours, "{theirs:?}");
        }
    }

    #[test]
    fn a_schema_is_small_and_hides_nothing() {
        let theirs = json!({
            "type": "object",
            "description": format!("Do\u{e0041} this\n\nnow. {}", "x".repeat(5000)),
            "properties": {
                "description": { "type": "string", "title": "What\tit is" },
                "kind": { "enum": ["a\nb", "c"], "default": "c" },
            },
        });
        let ours = schema(theirs.clone()).unwrap();
        let told = ours["description"].as_str().unwrap();
        assert!(told.starts_with("Do this now. xxx"), "{told}");
        assert_eq!(told.chars().count(), LONGEST_TEXT + 1);
        assert_eq!(ours["properties"]["description"]["title"], "What it is");
        assert_eq!(ours["properties"]["kind"], theirs["properties"]["kind"]);
        for theirs in [
            json!({ "properties": { "a\u{200b}": {} } }),
            json!({ "properties": { "a": { "enum": ["x\u{e0041}"] } } }),
            json!({ "properties": { "a": { "pattern": "x".repeat(LARGEST_SCHEMA) } } }),
        ] {
            assert!(schema(theirs.clone()).is_err(), "{theirs}");
        }
    }
}
