//! What models write in place of JSON.

use proptest::prelude::*;
use serde_json::json;

use super::super::Want;
use super::super::lenient::parse;
use super::{any_json, any_jsonish};

#[test]
fn what_models_get_wrong_is_mended_and_said() {
    for (text, value, mended) in [
        (r#"{"a": 1}"#, json!({"a": 1}), ""),
        (
            "{'a': 'it''s'}",
            json!({"a": "it''s"}),
            "wrote double quotes, escaped quotes within strings",
        ),
        (
            "{'a': 'it's'}",
            json!({"a": "it's"}),
            "wrote double quotes, escaped quotes within strings",
        ),
        (
            r#"{"a": [1, 2,],}"#,
            json!({"a": [1, 2]}),
            "removed trailing commas",
        ),
        (
            r#"{"a": [1,, 2]}"#,
            json!({"a": [1, 2]}),
            "removed needless commas",
        ),
        (
            "{\"a\": 1 // one\n, /* two */ \"b\": 2 # three\n}",
            json!({"a": 1, "b": 2}),
            "removed comments",
        ),
        (
            "{a: 1, b-c: \"x\"}",
            json!({"a": 1, "b-c": "x"}),
            "quoted keys",
        ),
        (
            r#"{"a": True, "b": False, "c": None}"#,
            json!({"a": true, "b": false, "c": null}),
            "wrote JSON's true, false and null",
        ),
        (
            r#"{"a": NaN}"#,
            json!({"a": null}),
            "wrote null for what is no number",
        ),
        (
            r#"{"a": [{"b": "c"#,
            json!({"a": [{"b": "c"}]}),
            "closed what was open at the end",
        ),
        (
            r#"{"a": 1, "b": tr"#,
            json!({"a": 1}),
            "closed what was open at the end",
        ),
        (
            r#"{"a": 1, "b"#,
            json!({"a": 1}),
            "closed what was open at the end",
        ),
        (
            r#"{"a": 1, "b": 2"#,
            json!({"a": 1, "b": 2}),
            "closed what was open at the end",
        ),
        (r#"{"a": [1, 2}"#, json!({"a": [1, 2]}), "closed brackets"),
        (
            "{\"a\": \"x\ny\"}",
            json!({"a": "x\ny"}),
            "escaped line breaks within strings",
        ),
        (
            "{\"a\": 1\n \"b\": \"x\"\n \"c\": 2}",
            json!({"a": 1, "b": "x", "c": 2}),
            "added missing commas",
        ),
        (
            r#"{"a": "she said "no", then left", "b": 1}"#,
            json!({"a": "she said \"no\", then left", "b": 1}),
            "escaped quotes within strings",
        ),
        (
            r#"{"a": "\d+ \_"}"#,
            json!({"a": "\\d+ _"}),
            "mended escapes",
        ),
        (
            r#"{"a": "\ud83d\ude00 \ud83d", 'b': 1}"#,
            json!({"a": "😀 \u{fffd}", "b": 1}),
            "mended escapes, wrote double quotes",
        ),
        (
            "{“a”： “b”， “c”: 1}",
            json!({"a": "b", "c": 1}),
            "wrote double quotes",
        ),
        (
            "{\"a\": good, \"b\": .5, \"c\": +3}",
            json!({"a": "good", "b": 0.5, "c": 3}),
            "quoted bare texts, mended numbers",
        ),
        ("{\"a\": 007}", json!({"a": "007"}), "quoted bare texts"),
        (
            "{\"a\": , \"b\": 1}",
            json!({"b": 1}),
            "dropped keys without a value",
        ),
    ] {
        let read = parse(text, Want::Any).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read.value, value, "{text}");
        assert_eq!(read.mended.join(", "), mended, "{text}");
    }
}

#[test]
fn the_answer_is_found_in_the_text_around_it() {
    let fence = "took off the Markdown fence";
    let around = "left out the text around it";
    for (text, want, value, mended) in [
        (
            "```json\n{\"a\": 1}\n```\nIt has `{\"b\": 2}`.",
            Want::Any,
            json!({"a": 1}),
            fence,
        ),
        ("```\n[1]\n```", Want::Array, json!([1]), fence),
        (
            "Sure! {\"a\": 1} as in [1].",
            Want::Any,
            json!({"a": 1}),
            around,
        ),
        (
            "As [1] says: {\"a\": 1}",
            Want::Object,
            json!({"a": 1}),
            around,
        ),
        (
            "{\"a\": 1} Wait, no: {\"a\": 2}",
            Want::Object,
            json!({"a": 2}),
            around,
        ),
        (
            "Use {name}: {\"a\": 1}",
            Want::Object,
            json!({"a": 1}),
            around,
        ),
        (
            "<think>maybe {\"a\": 1}</think>{\"a\": 2}",
            Want::Object,
            json!({"a": 2}),
            "",
        ),
        (
            "{\"a\": \"</think>\"}",
            Want::Object,
            json!({"a": "</think>"}),
            "",
        ),
        (
            "{\"a\": 1}\n{\"a\": 2}",
            Want::Array,
            json!([{"a": 1}, {"a": 2}]),
            "put the values into a list",
        ),
        (
            "[{\"a\": 1}, {\"a\": 2",
            Want::Object,
            json!({"a": 1}),
            around,
        ),
        ("42", Want::Scalar, json!(42), ""),
        (
            "```\nyes\n```",
            Want::Scalar,
            json!("yes"),
            "took off the Markdown fence, took the text as a string",
        ),
    ] {
        let read = parse(text, want).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read.value, value, "{text}");
        assert_eq!(read.mended.join(", "), mended, "{text}");
    }
    for (text, found) in [
        ("", "nothing"),
        ("I cannot.", "text without JSON: I cannot."),
        (
            "<think>hm {\"a\": 1}",
            "only thoughts, and no answer after them",
        ),
        ("{a b}", "text without JSON: {a b}"),
    ] {
        assert_eq!(parse(text, Want::Any).unwrap_err(), found, "{text}");
    }
}

#[test]
fn hostile_texts_cost_little() {
    for text in [
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "[\"".repeat(50_000),
        "[1 ".repeat(50_000),
        format!("[{}§", "[1],".repeat(50_000)),
        "{'a': '".repeat(30_000),
        "\"' ".repeat(50_000),
    ] {
        let _ = parse(&text, Want::Object);
    }
}

proptest! {
    #[test]
    fn valid_json_is_read_as_it_is(value in any_json(), prose in "[a-z .]{0,12}") {
        prop_assume!(value.is_object() || value.is_array());
        let want = if value.is_object() { Want::Object } else { Want::Array };
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let exact: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&parse(&text, want).unwrap().value, &exact);
            let fenced = format!("{prose}\n```json\n{text}\n```");
            let read = parse(&fenced, want).unwrap();
            prop_assert_eq!(&read.value, &exact, "{}", fenced);
            prop_assert!(!read.cut);
        }
    }

    #[test]
    fn no_text_panics(text in any_jsonish(), noise in "\\PC{0,30}") {
        for want in [Want::Object, Want::Array, Want::Any, Want::Scalar] {
            let _ = parse(&text, want);
            let _ = parse(&noise, want);
        }
    }
}
