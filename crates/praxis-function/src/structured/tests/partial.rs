//! What a reader sees while a value is written.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Want;
use super::super::partial::PartialJson;
use super::{any_json, any_jsonish, any_schema};

/// What is given, one character after the other.
fn partials(mut reader: PartialJson<'_>, text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for c in text.chars() {
        all.extend(reader.push(c.encode_utf8(&mut [0; 4])).cloned());
    }
    all.extend(reader.finish().cloned());
    all
}

#[test]
fn values_grow_and_appear_when_they_are_complete() {
    let text = r#"{"a": "x\u00e9", "n": 12, "l": [true, {}]}"#;
    assert_eq!(
        partials(PartialJson::new(Want::Any), text),
        [
            json!({}),
            json!({"a": ""}),
            json!({"a": "x"}),
            json!({"a": "xé"}),
            json!({"a": "xé", "n": 12}),
            json!({"a": "xé", "n": 12, "l": []}),
            json!({"a": "xé", "n": 12, "l": [true]}),
            json!({"a": "xé", "n": 12, "l": [true, {}]}),
        ]
    );
}

#[test]
fn the_value_is_found_behind_prose() {
    for (text, want, last) in [
        (
            "Here you are:\n```json\n{\"a\": 1}\n```",
            Want::Any,
            Some(json!({"a": 1})),
        ),
        (
            "As [1] says: {\"a\": 1} ...",
            Want::Any,
            Some(json!({"a": 1})),
        ),
        ("As {x} says: [1]", Want::Array, Some(json!([1]))),
        (
            "<think>{\"a\": 0}</think>{\"a\": 1}",
            Want::Object,
            Some(json!({"a": 1})),
        ),
        ("{ {\"a\": 1}", Want::Object, Some(json!({"a": 1}))),
        ("12", Want::Scalar, Some(json!(12))),
        ("no JSON", Want::Any, None),
        // Trailing commas are forgiven; what is no JSON ends it, and nothing is taken back.
        ("{\"a\": [1,],}", Want::Any, Some(json!({"a": [1]}))),
        ("{\"a\": 1, b: 2}", Want::Any, Some(json!({"a": 1}))),
        (
            "{\"a\": 1, \"a\": 2, \"b\": 3}",
            Want::Any,
            Some(json!({"a": 1})),
        ),
    ] {
        let all = partials(PartialJson::new(want), text);
        assert_eq!(all.last(), last.as_ref(), "{text}");
    }
}

#[test]
fn a_schema_holds_back_what_is_not_complete_and_stops_what_is_wrong() {
    let schema = json!({"type": "object", "properties": {
        "mood": {"enum": ["good", "bad"]},
        "on": {"$ref": "#/$defs/day"},
        "text": {"type": "string"},
        "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }, "$defs": {"day": {"type": "string", "format": "date"}}});
    for (text, all) in [
        (
            r#"{"mood":"good"}"#,
            vec![json!({}), json!({"mood": "good"})],
        ),
        (r#"{"mood":"goo","text":"x"}"#, vec![json!({})]),
        (
            r#"{"on":"2025","text":""}"#,
            vec![
                json!({}),
                json!({"on": "2025"}),
                json!({"on": "2025", "text": ""}),
            ],
        ),
        (r#"{"text":5,"mood":"bad"}"#, vec![json!({})]),
        (r#"{"size":null}"#, vec![json!({}), json!({"size": null})]),
        (r#"{"size":"big"}"#, vec![json!({})]),
        (r#"[1]"#, vec![]),
    ] {
        let reader = PartialJson::new(Want::Any).with_schema(&schema);
        assert_eq!(partials(reader, text), all, "{text}");
    }
}

/// Whether a value is a beginning of another.
fn begins(early: &Value, late: &Value) -> bool {
    match (early, late) {
        (Value::String(a), Value::String(b)) => b.starts_with(a.as_str()),
        (Value::Array(a), Value::Array(b)) => {
            grows(&a.iter().collect::<Vec<_>>(), &b.iter().collect::<Vec<_>>())
        }
        (Value::Object(a), Value::Object(b)) => {
            a.keys().zip(b.keys()).all(|(x, y)| x == y)
                && grows(
                    &a.values().collect::<Vec<_>>(),
                    &b.values().collect::<Vec<_>>(),
                )
        }
        _ => early == late,
    }
}

fn grows(early: &[&Value], late: &[&Value]) -> bool {
    let Some((last, finished)) = early.split_last() else {
        return true;
    };
    late.len() >= early.len()
        && finished.iter().zip(late).all(|(a, b)| a == b)
        && begins(last, late[finished.len()])
}

proptest! {
    #[test]
    fn any_split_ends_with_the_value_and_grows_towards_it(
        value in any_json(),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(1usize..5, 0..80),
    ) {
        let want = match &value {
            Value::Object(_) => Want::Object,
            Value::Array(_) => Want::Array,
            _ => Want::Scalar,
        };
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let exact: Value = serde_json::from_str(&text).unwrap();
        let mut reader = PartialJson::new(want);
        let chars: Vec<char> = text.chars().collect();
        let (mut all, mut at) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([chars.len()]) {
            let end = (at + cut).min(chars.len());
            let piece: String = chars[at..end].iter().collect();
            all.extend(reader.push(&piece).cloned());
            at = end;
        }
        all.extend(reader.finish().cloned());
        prop_assert_eq!(all.last(), Some(&exact));
        for pair in all.windows(2) {
            prop_assert!(begins(&pair[0], &pair[1]), "{} then {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn no_text_and_no_schema_panics(text in any_jsonish(), schema in any_schema()) {
        for want in [Want::Any, Want::Array, Want::Scalar] {
            let all = partials(PartialJson::new(want).with_schema(&schema), &text);
            for pair in all.windows(2) {
                prop_assert!(begins(&pair[0], &pair[1]), "{} then {}", pair[0], pair[1]);
            }
        }
    }
}
