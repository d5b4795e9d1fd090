//! Inputs of batches that are good, and what is said of others.

use std::io::Cursor;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const CHAT: &str = "/v1/chat/completions";

const SMALL: Bounds = Bounds {
    bytes: 10_000,
    lines: 3,
    line: 200,
};

fn line(id: &str, body: Value) -> String {
    json!({ "custom_id": id, "method": "POST", "url": CHAT, "body": body }).to_string()
}

fn checked(input: &str) -> Result<Checked, Vec<BatchError>> {
    let bytes = u64::try_from(input.len()).unwrap();
    check(Cursor::new(input), bytes, CHAT, SMALL).unwrap()
}

#[test]
fn an_input_is_counted_and_its_model_is_known_where_it_is_one() {
    let (a, b) = (json!({ "model": "a" }), json!({ "model": "b" }));
    for (input, total, model) in [
        (line("1", a.clone()), 1, Some("a")),
        (
            format!(
                "{}\r\n\n  \n{}\n",
                line("1", a.clone()),
                line("2", a.clone())
            ),
            2,
            Some("a"),
        ),
        (
            format!("{}\n{}", line("1", a.clone()), line("2", b)),
            2,
            None,
        ),
        (
            format!("{}\n{}", line("1", a.clone()), line("2", json!({}))),
            2,
            None,
        ),
        (
            format!("\u{feff}{}", line("1", json!({ "stream": false }))),
            1,
            None,
        ),
    ] {
        let model = model.map(str::to_owned);
        assert_eq!(checked(&input), Ok(Checked { total, model }), "{input}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_code_and_field() {
    let good = line("1", json!({}));
    let with = |field: &str, value: Value| {
        let mut line: Value = serde_json::from_str(&line("2", json!({}))).unwrap();
        line[field] = value;
        line.to_string()
    };
    let without = |field: &str| {
        let mut line: Value = serde_json::from_str(&line("2", json!({}))).unwrap();
        line.as_object_mut().unwrap().remove(field);
        line.to_string()
    };
    for (second, code, param) in [
        ("{".to_owned(), "invalid_json_line", None),
        ("[1]".to_owned(), "invalid_json_line", None),
        (format!("{good} x"), "invalid_json_line", None),
        (
            without("custom_id"),
            "missing_required_parameter",
            Some("custom_id"),
        ),
        (
            without("method"),
            "missing_required_parameter",
            Some("method"),
        ),
        (without("url"), "missing_required_parameter", Some("url")),
        (without("body"), "missing_required_parameter", Some("body")),
        (
            with("custom_id", json!(2)),
            "invalid_value",
            Some("custom_id"),
        ),
        (
            with("custom_id", json!("")),
            "invalid_value",
            Some("custom_id"),
        ),
        (
            with("custom_id", json!("1")),
            "duplicate_custom_id",
            Some("custom_id"),
        ),
        (
            with("method", json!("GET")),
            "invalid_method",
            Some("method"),
        ),
        (
            with("url", json!("/v1/embeddings")),
            "invalid_url",
            Some("url"),
        ),
        (with("body", json!("x")), "invalid_value", Some("body")),
        (
            with("body", json!({ "stream": true })),
            "invalid_value",
            Some("body.stream"),
        ),
        (
            with("body", json!({ "x": "y".repeat(200) })),
            "line_too_long",
            None,
        ),
    ] {
        let errors = checked(&format!("{good}\n\n{second}\n")).unwrap_err();
        let told: Vec<_> = errors
            .iter()
            .map(|e| (e.line, e.code.as_str(), e.param.as_deref()))
            .collect();
        assert_eq!(told, [(Some(3), code, param)], "{second}");
    }
}

#[test]
fn an_input_has_bounds() {
    let good = |n: usize| line(&n.to_string(), json!({}));
    let four: String = (0..4).map(|n| good(n) + "\n").collect();
    for (input, code, line) in [
        (String::new(), "empty_file", None),
        (" \n\n".to_owned(), "empty_file", None),
        (four, "too_many_requests", Some(4)),
        ("x".repeat(10_001), "file_too_large", None),
    ] {
        let errors = checked(&input).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!((errors[0].code.as_str(), errors[0].line), (code, line));
    }
    // Not more than anybody reads.
    let bounds = Bounds {
        lines: 1000,
        ..SMALL
    };
    let wrong = "{\n".repeat(500);
    let errors = check(Cursor::new(&wrong), 1000, CHAT, bounds).unwrap();
    assert_eq!(errors.unwrap_err().len(), MAX_ERRORS);
}

#[test]
fn lines_are_found_again_by_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.jsonl");
    let text = ["a", "b", "c", "d"]
        .map(|id| line(id, json!({})))
        .join("\n\n");
    std::fs::write(&path, text).unwrap();
    let (mut at, mut places) = (START, Vec::new());
    let skipped = HashSet::from([3]);
    while let Some((raw, next)) = next_from(&path, at, &skipped).unwrap() {
        places.push(raw.place);
        at = next;
    }
    let lines: Vec<u64> = places.iter().map(|place| place.line).collect();
    assert_eq!(lines, [1, 5, 7]);
    for (place, id) in places.into_iter().zip(["a", "c", "d"]) {
        let (raw, _) = next_from(&path, place, &skipped).unwrap().unwrap();
        assert_eq!(parse(&raw.bytes, CHAT).unwrap().custom_id, id);
    }
    let (first, behind) = names_from(&path, START, &skipped, CHAT, 2).unwrap();
    assert_eq!(first, [(1, "a".to_owned()), (5, "c".to_owned())]);
    let (rest, behind) = names_from(&path, behind, &skipped, CHAT, 2).unwrap();
    assert_eq!(rest, [(7, "d".to_owned())]);
    let (none, _) = names_from(&path, behind, &skipped, CHAT, 2).unwrap();
    assert!(none.is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_an_input_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let length = u64::try_from(bytes.len()).unwrap();
        let checked = check(Cursor::new(&bytes), length, CHAT, SMALL).unwrap();
        if let Err(errors) = checked {
            prop_assert!(!errors.is_empty() && errors.len() <= MAX_ERRORS);
        }
    }
}
