//! What is mended and what stays, and that neither digits nor what is right are lost.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "count": { "type": "integer" },
            "price": { "type": "number" },
            "name": { "type": "string" },
            "sure": { "type": "boolean" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "ids": { "type": "array", "items": { "type": "integer" } },
            "grid": { "type": "array", "items": { "type": "array", "items": { "type": "integer" } } },
            "place": { "$ref": "#/$defs/place" },
            "unit": { "enum": ["celsius", "Fahrenheit", "degrees of  Kelvin"] },
            "maybe": { "type": ["integer", "null"] },
            "any": {},
            "either": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            "words": { "type": ["array", "null"], "items": { "type": "string" } },
            "wide": { "type": ["array", "object"] },
            "both": { "allOf": [{ "type": "number" }, { "type": ["integer", "string"] }, { "$ref": "#/$defs/small" }] },
            "never": { "allOf": [{ "type": "string" }, { "type": "integer" }] },
            "lists": { "type": "array", "items": { "allOf": [{ "type": "array" }] } },
            "choice": { "anyOf": [{ "type": "integer" }, { "type": "boolean" }] },
            "twice": { "allOf": [{ "enum": ["A", "b"] }, { "enum": ["a", "b"] }] },
        },
        "required": ["count"],
        "$defs": {
            "place": { "type": "object", "properties": { "lat": { "type": "number" } } },
            "small": { "maximum": 9 },
        },
    })
}

/// The places of slips with their kinds in a word.
fn slips(value: Value) -> (Value, Vec<String>) {
    let (value, slips) = coerce(&schema(), value);
    let told = slips.into_iter().map(|slip| match slip.kind {
        SlipKind::Instead { found, taken } => format!("{} {found} -> {taken}", slip.at),
        SlipKind::Lone => format!("{} lone", slip.at),
        SlipKind::Null => format!("{} null", slip.at),
    });
    (value, told.collect())
}

#[test]
fn slips_that_mean_one_thing_are_mended() {
    for (given, wanted, slip) in [
        (
            json!({"count": "3"}),
            json!({"count": 3}),
            "/count \"3\" -> 3",
        ),
        (json!({"count": 3.0}), json!({"count": 3}), ""),
        (
            json!({"count": " -7 "}),
            json!({"count": -7}),
            "/count \" -7 \" -> -7",
        ),
        (
            json!({"count": "3.0"}),
            json!({"count": 3}),
            "/count \"3.0\" -> 3",
        ),
        (
            json!({"price": "2.50"}),
            json!({"price": 2.5}),
            "/price \"2.50\" -> 2.5",
        ),
        (
            json!({"name": 42}),
            json!({"name": "42"}),
            "/name 42 -> \"42\"",
        ),
        (
            json!({"name": true}),
            json!({"name": "true"}),
            "/name true -> \"true\"",
        ),
        (
            json!({"sure": "True"}),
            json!({"sure": true}),
            "/sure \"True\" -> true",
        ),
        (
            json!({"tags": "red"}),
            json!({"tags": ["red"]}),
            "/tags lone",
        ),
        (
            json!({"tags": "[\"a\", \"b\"]"}),
            json!({"tags": ["a", "b"]}),
            "/tags \"[\\\"a\\\", \\\"b\\\"]\" -> [\"a\",\"b\"]",
        ),
        (json!({"ids": 5}), json!({"ids": [5]}), "/ids lone"),
        (
            json!({"ids": ["5", 6]}),
            json!({"ids": [5, 6]}),
            "/ids/0 \"5\" -> 5",
        ),
        (json!({"words": 5}), json!({"words": ["5"]}), "/words lone"),
        (
            json!({"place": "{\"lat\": \"1.5\"}"}),
            json!({"place": {"lat": 1.5}}),
            "/place/lat \"1.5\" -> 1.5",
        ),
        (
            json!({"unit": " CELSIUS"}),
            json!({"unit": "celsius"}),
            "/unit \" CELSIUS\" -> \"celsius\"",
        ),
        (
            json!({"unit": "Degrees of Kelvin"}),
            json!({"unit": "degrees of  Kelvin"}),
            "/unit",
        ),
        (
            json!({"maybe": "Null"}),
            json!({"maybe": null}),
            "/maybe \"Null\" -> null",
        ),
        (
            json!({"either": "null"}),
            json!({"either": null}),
            "/either \"null\" -> null",
        ),
        (
            json!({"name": null, "count": 1}),
            json!({"count": 1}),
            "/name null",
        ),
        (json!({"unit": null}), json!({}), "/unit null"),
        (json!({"choice": null}), json!({}), "/choice null"),
        (
            json!({"place": {"lat": null}}),
            json!({"place": {}}),
            "/place/lat null",
        ),
        (json!({"both": "4"}), json!({"both": 4}), "/both \"4\" -> 4"),
        (
            json!("{\"count\": 1}"),
            json!({"count": 1}),
            " \"{\\\"count\\\": 1}\" -> {\"count\":1}",
        ),
    ] {
        let (value, told) = slips(given.clone());
        assert_eq!(value, wanted, "{given}");
        assert!(told.concat().contains(slip), "{given}: {told:?}");
        assert_eq!(told.is_empty(), slip.is_empty(), "{given}: {told:?}");
    }
}

#[test]
fn what_would_take_guessing_stays() {
    for given in [
        json!(null),
        json!({"count": "three"}),
        json!({"count": 3.5}),
        json!({"count": "3.5"}),
        json!({"count": null}),
        json!({"sure": "yes"}),
        json!({"sure": 1}),
        json!({"grid": 4}),
        json!({"grid": "4"}),
        json!({"lists": 4}),
        json!({"wide": "a"}),
        json!({"tags": ""}),
        json!({"tags": "['a', 'b']"}),
        json!({"unit": "kelvin"}),
        json!({"twice": "A"}),
        json!({"never": "5"}),
        json!({"never": 5}),
        json!({"maybe": null}),
        json!({"either": null}),
        json!({"choice": "5"}),
        json!({"any": "3"}),
        json!({"any": null}),
        json!({"unknown": null}),
        json!({"name": ["a"]}),
    ] {
        assert_eq!(slips(given.clone()), (given, Vec::new()));
    }
}

#[test]
fn what_would_lose_digits_stays() {
    for given in [
        json!({"count": "007"}),
        json!({"count": "12345678901234567890123"}),
        json!({"count": "9007199254740993.0"}),
        json!({"count": "1e22"}),
        json!({"price": "12345678901234567890123"}),
        json!({"price": "0.12345678901234567890123"}),
        json!({"price": "1e-400"}),
        json!({"price": "1e400"}),
        json!({"ids": "[12345678901234567890123]"}),
        json!({"tags": "[12345678901234567890123]"}),
        json!({"place": "{\"lat\": 0.12345678901234567890123}"}),
        // It may have been 1.10, and this one any number nearby.
        json!({"name": 1.1}),
        json!({"name": 1.234_567_890_123_456_8e22}),
        json!({"count": 9_007_199_254_740_992.0}),
    ] {
        assert_eq!(slips(given.clone()), (given, Vec::new()));
    }
    for (given, wanted) in [
        (
            json!({"count": "9007199254740993"}),
            json!({"count": 9_007_199_254_740_993_i64}),
        ),
        (
            json!({"price": "18446744073709551615"}),
            json!({"price": u64::MAX}),
        ),
        (
            json!({"name": 9_007_199_254_740_993_i64}),
            json!({"name": "9007199254740993"}),
        ),
        (json!({"price": "1.5E3"}), json!({"price": 1500.0})),
        (json!({"count": "-0"}), json!({"count": 0})),
        (
            json!({"tags": "[\"12345678901234567890123, \\\"1e999\"]"}),
            json!({"tags": ["12345678901234567890123, \"1e999"]}),
        ),
    ] {
        assert_eq!(slips(given.clone()).0, wanted, "{given}");
    }
}

#[test]
fn patterns_of_names_have_schemas_of_their_own() {
    let schema = json!({
        "patternProperties": { "^n": { "type": "string" } },
        "additionalProperties": { "type": "integer" },
    });
    let given = json!({"n1": "5", "other": "5"});
    assert_eq!(coerce(&schema, given.clone()), (given, Vec::new()));
    let schema = json!({ "additionalProperties": { "type": "integer" } });
    let (value, _) = coerce(&schema, json!({"n1": "5"}));
    assert_eq!(value, json!({"n1": 5}));
}

#[test]
fn places_are_pointers_and_few_slips_are_told() {
    let schema = json!({ "properties": { "a/b~c": { "items": { "type": "integer" } } } });
    let (value, slips) = coerce(&schema, json!({"a/b~c": vec!["5"; 100]}));
    assert_eq!(value, json!({"a/b~c": vec![5; 100]}));
    assert_eq!(slips.len(), MOST_SLIPS);
    for slip in slips {
        assert_eq!(value.pointer(&slip.at), Some(&json!(5)));
    }
}

#[test]
fn schemas_that_lead_back_to_themselves_end() {
    let many: Vec<Value> = (0..200).map(|_| json!({ "$ref": "#" })).collect();
    let list = json!({ "type": "array", "items": { "$ref": "#" } });
    let mut deep = json!("1");
    let mut text = json!("1");
    for _ in 0..500 {
        deep = json!([deep]);
    }
    for _ in 0..8 {
        text = Value::String(json!([text]).to_string());
    }
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "anyOf": [{ "$ref": "#" }] }),
        json!({ "allOf": many, "items": { "$ref": "#" } }),
        json!({ "anyOf": many, "properties": { "a": { "$ref": "#" } } }),
        json!({ "type": "array", "items": { "anyOf": [{ "$ref": "#" }, { "type": "null" }] } }),
        json!({ "type": "array", "allOf": [{ "items": { "$ref": "#" } }] }),
        list.clone(),
    ] {
        for value in [
            json!(null),
            json!("1"),
            json!([1]),
            json!({"a": null}),
            deep.clone(),
        ] {
            assert_eq!(coerce(&schema, value.clone()).0, value, "{schema}");
        }
    }
    let (value, slips) = coerce(&list, text);
    assert_eq!(value, json!([[[[[[[["1"]]]]]]]]));
    assert_eq!(slips.len(), 8);
}

fn any_text() -> impl Strategy<Value = String> {
    let words = vec![
        "",
        "true",
        "NULL",
        "3",
        "3.0",
        "-0",
        "1e2",
        "0.1",
        "1e400",
        "[1, \"2\"]",
        "[[\"1\"]]",
        "[",
        "{\"a\": \"1\"}",
        "{\"b\": null}",
        "\"a\"",
        "A",
        " b  B ",
        "b b",
    ];
    prop_oneof![
        prop::sample::select(words).prop_map(str::to_owned),
        "[ab ]{0,3}",
        "\\PC{0,6}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-20..20i32).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What may stand where a schema is wanted, with references that lead back.
fn any_schema() -> impl Strategy<Value = Value> {
    let kinds = [
        "null", "boolean", "string", "number", "integer", "array", "object",
    ];
    let leaf = prop_oneof![
        prop::sample::subsequence(kinds.to_vec(), 1..3).prop_map(|kinds| json!({ "type": kinds })),
        prop::sample::select(kinds.to_vec()).prop_map(|kind| json!({ "type": kind })),
        prop::sample::select(vec![
            json!({}),
            json!(true),
            json!(false),
            json!(null),
            json!({ "type": 7, "allOf": 7, "properties": [], "required": "a" }),
            json!({ "enum": ["a", "B b", 1, null] }),
            json!({ "type": ["string", "boolean"], "enum": ["A", "b b", "TRUE", "[1, \"2\"]"] }),
            json!({ "const": null }),
            json!({ "$ref": "#" }),
            json!({ "$ref": "#/properties/a" }),
            json!({ "$ref": "#/items" }),
            json!({ "$ref": "#/allOf/0" }),
            json!({ "$ref": "nowhere" }),
        ]),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        let fields = prop::collection::btree_map("[abc]", inner.clone(), 0..4);
        let required = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
        let choices = prop::sample::select(vec!["anyOf", "oneOf", "allOf"]);
        prop_oneof![
            (fields, required, inner.clone()).prop_map(|(fields, required, others)| {
                json!({ "type": "object", "properties": fields, "required": required,
                    "additionalProperties": others })
            }),
            inner
                .clone()
                .prop_map(|items| json!({ "type": "array", "items": items })),
            inner
                .clone()
                .prop_map(|one| json!({ "anyOf": [one, { "type": "null" }] })),
            (choices, prop::collection::vec(inner, 1..4))
                .prop_map(|(key, parts)| json!({ key: parts })),
        ]
    })
}

/// A number with all of its digits.
fn written(number: &Number) -> String {
    match number.is_f64() {
        true => format!("{}", number.as_f64().unwrap()),
        false => number.to_string(),
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_twice_is_once(schema in any_schema(), given in any_value()) {
        let (once, slips) = coerce(&schema, given);
        prop_assert!(slips.len() <= MOST_SLIPS);
        let (twice, slips) = coerce(&schema, once.clone());
        prop_assert_eq!(&twice, &once);
        prop_assert!(slips.is_empty(), "{:?}", slips);
        takes_null(&schema, &schema);
    }

    #[test]
    fn integers_keep_all_digits(
        number in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from)],
        kind in prop::sample::select(vec!["integer", "number"]),
    ) {
        let text = number.to_string();
        match coerce(&json!({ "type": kind }), json!(text)).0 {
            Value::Number(taken) => prop_assert_eq!(written(&taken), text),
            kept => {
                prop_assert!(i64::try_from(number).is_err());
                prop_assert_eq!(kept, json!(text));
            }
        }
    }

    #[test]
    fn decimals_keep_all_digits(
        digits in prop_oneof![any::<u64>(), 0..1_000_000_000_000_000u64],
        places in 1..22usize,
    ) {
        let all = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = all.split_at(all.len() - places);
        let text = format!("{whole}.{fraction}");
        let wanted = text.trim_end_matches('0').trim_end_matches('.');
        match coerce(&json!({ "type": "number" }), json!(text)).0 {
            Value::Number(taken) => prop_assert_eq!(written(&taken), wanted),
            kept => {
                prop_assert!(digits >= 1_000_000_000_000_000);
                prop_assert_eq!(kept, json!(text));
            }
        }
        let lists = json!({ "type": "array", "items": { "type": "number" } });
        let list = format!("[{text}]");
        match coerce(&lists, json!(list)).0 {
            Value::Array(items) => prop_assert_eq!(written(items[0].as_number().unwrap()), wanted),
            kept => prop_assert_eq!(kept, json!(list)),
        }
    }
}
