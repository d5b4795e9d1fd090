//! Cases to try a prompt on: a file with one JSON object a line.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value};

use crate::ui::Failure;

/// Keys of a line that is written out: the input apart from what is expected.
const KEYS: &[&str] = &["input", "expect", "expected", "answer", "id", "metadata"];

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its id; the number of its line where it has none.
    pub id: String,
    /// What the function is called with.
    pub input: Map<String, Value>,
    /// What should come out.
    pub expect: Option<Value>,
}

/// Reads the first `limit` cases of a file for a function with this input schema.
///
/// # Errors
/// The first line that is no case, or an id that comes twice.
pub fn read(path: &Path, schema: &Value, limit: Option<usize>) -> Result<Vec<Case>, Failure> {
    let text = crate::commands::text_of(path)?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let (mut cases, mut ids) = (Vec::new(), HashSet::new());
    for (i, line) in lines.take(limit.unwrap_or(usize::MAX)) {
        let case = parse(line, i + 1, schema)
            .map_err(|e| Failure::message(format!("{}:{}: {e}", path.display(), i + 1)))?;
        if !ids.insert(case.id.clone()) {
            return Err(Failure::message(format!(
                "{}:{}: the id `{}` comes twice",
                path.display(),
                i + 1,
                case.id
            )));
        }
        cases.push(case);
    }
    if cases.is_empty() {
        return Err(
            Failure::message(format!("`{}` has no cases", path.display()))
                .with_help("write one a line: {\"input\": {...}, \"expect\": ...}"),
        );
    }
    Ok(cases)
}

fn parse(line: &str, number: usize, schema: &Value) -> Result<Case, String> {
    let mut object = match serde_json::from_str(line) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err("a case is a JSON object".to_owned()),
        Err(e) => return Err(format!("this line is not JSON: {e}")),
    };
    let written_out = object.get("input").is_some_and(Value::is_object)
        && object.keys().all(|k| KEYS.contains(&k.as_str()));
    let is_input = |key: &str| !written_out && schema["properties"].get(key).is_some();
    let mut take = |key: &str| {
        if is_input(key) {
            None
        } else {
            object.shift_remove(key)
        }
    };
    let id = match take("id") {
        Some(Value::String(id)) => id,
        Some(other) => other.to_string(),
        None => number.to_string(),
    };
    let (expect, expected, answer) = (take("expect"), take("expected"), take("answer"));
    let input = match (written_out, object.get("input")) {
        (true, Some(Value::Object(input))) => input.clone(),
        _ => object,
    };
    Ok(Case {
        id,
        input,
        expect: expect.or(expected).or(answer),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_ways_of_writing_a_case_are_read() {
        let schema = json!({"properties": {"question": {}}});
        for (line, id, input, expect) in [
            (
                json!({"input": {"question": "q"}, "expect": 4, "id": "a"}),
                "a",
                json!({"question": "q"}),
                Some(json!(4)),
            ),
            (
                json!({"question": "q", "answer": "#### 4"}),
                "7",
                json!({"question": "q"}),
                Some(json!("#### 4")),
            ),
            (
                json!({"question": "q"}),
                "7",
                json!({"question": "q"}),
                None,
            ),
            (
                json!({"input": "x", "question": "q", "id": 3}),
                "3",
                json!({"input": "x", "question": "q"}),
                None,
            ),
        ] {
            let case = parse(&line.to_string(), 7, &schema).unwrap();
            assert_eq!((case.id.as_str(), case.expect), (id, expect), "{line}");
            assert_eq!(Value::Object(case.input), input, "{line}");
        }
        // An input may be called like what is expected.
        let schema = json!({"properties": {"answer": {}}});
        let case = parse(r#"{"answer": "a", "expected": "b"}"#, 1, &schema).unwrap();
        assert_eq!(case.input["answer"], "a");
        assert_eq!(case.expect, Some(json!("b")));
        assert!(parse("[1]", 1, &schema).is_err());
    }
}
