//! The texts that a command works on: a line each of a file, or a JSON object each with a `text`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::ui::Failure;

/// The most texts of one file: all of them are held in memory with their vectors.
const MOST: usize = 200_000;

/// A text with its id and, where it has one, its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its `id`; the number of its line where it has none.
    pub id: String,
    /// The text.
    pub text: String,
    /// Its `label`.
    pub label: Option<String>,
}

/// Reads a file, or standard input for `-`; `field` is the key that holds the text of a JSON object.
///
/// # Errors
/// What cannot be read, with the line.
pub fn read(path: &Path, field: &str) -> Result<Vec<Item>, Failure> {
    let name = path.display();
    let content = crate::commands::text_of(path)?;
    parse(&content, field).map_err(|(line, problem)| match line {
        0 => Failure::message(format!("`{name}` {problem}")),
        line => Failure::message(format!("{name}:{line}: {problem}")),
    })
}

/// The items of a file's content.
///
/// # Errors
/// The number of a line, or 0 for the whole, and what is wrong with it.
fn parse(content: &str, field: &str) -> Result<Vec<Item>, (usize, String)> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let lines = content.lines().enumerate();
    let lines: Vec<(usize, &str)> = lines.filter(|(_, l)| !l.trim().is_empty()).collect();
    if lines.len() > MOST {
        return Err((0, format!("has more than {MOST} texts; split it")));
    }
    // One object makes it a file of objects: then a line that is none is a mistake.
    let is_json = lines
        .first()
        .is_some_and(|(_, line)| line.trim().starts_with('{'));
    let items: Vec<Item> = lines
        .into_iter()
        .map(|(i, line)| match is_json {
            true => object(line, i + 1, field).map_err(|problem| (i + 1, problem)),
            false => Ok(Item {
                id: (i + 1).to_string(),
                text: line.trim().to_owned(),
                label: None,
            }),
        })
        .collect::<Result<_, _>>()?;
    match items.is_empty() {
        true => Err((
            0,
            "holds no text; write one a line, or {\"text\": ...}".to_owned(),
        )),
        false => Ok(items),
    }
}

fn object(line: &str, number: usize, field: &str) -> Result<Item, String> {
    let map: Map<String, Value> =
        serde_json::from_str(line).map_err(|e| format!("this line is no JSON object: {e}"))?;
    let plain = |key: &str| match map.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let Some(text) = plain(field) else {
        let keys: Vec<&str> = map.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no `{field}`; the keys are {}: name the one with the text by --field",
            keys.join(", ")
        ));
    };
    Ok(Item {
        id: plain("id").unwrap_or_else(|| number.to_string()),
        text,
        label: plain("label"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_and_objects_are_read() {
        let item = |id: &str, text: &str, label: Option<&str>| Item {
            id: id.into(),
            text: text.into(),
            label: label.map(str::to_owned),
        };
        assert_eq!(
            parse("\u{feff}one\n\n two \n", "text").unwrap(),
            [item("1", "one", None), item("3", "two", None)]
        );
        let objects = "{\"text\": \"a\", \"id\": 7}\n{\"text\": \"b\", \"label\": \"x\"}";
        assert_eq!(
            parse(objects, "text").unwrap(),
            [item("7", "a", None), item("2", "b", Some("x"))]
        );
        let (line, problem) = parse("{\"text\": \"a\"}\nb", "text").unwrap_err();
        assert_eq!(line, 2, "{problem}");
        let (_, problem) = parse("{\"body\": \"a\"}", "text").unwrap_err();
        assert!(problem.contains("the keys are body"), "{problem}");
        assert!(parse("\n \n", "text").is_err());
    }

    proptest! {
        #[test]
        fn any_content_is_items_or_a_problem(content in ".{0,80}", braces in "[{}\":a,\n]{0,40}") {
            let _ = parse(&content, "text");
            let _ = parse(&braces, "a");
        }
    }
}
