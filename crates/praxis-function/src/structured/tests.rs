//! Tables and properties of structured output.

mod checks;
mod lenient;
mod partial;
mod repair;
mod schema;

use proptest::prelude::*;
use serde_json::{Map, Value};

/// Any JSON value, with the texts that give parsers trouble.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        any_text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((any_text(), inner), 0..5)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,4}",
        "\\PC{0,6}",
        prop::collection::vec(
            prop::sample::select(vec![
                "\"", "\\", "'", "{", "}", "[", "]", ",", ":", "\n", "\t", "\u{1}", "😀", "//",
                "#", "```", "“", "”", "题", "null", " ",
            ]),
            0..6
        )
        .prop_map(|parts| parts.concat()),
    ]
}

/// Texts that look like JSON and often are not.
fn any_jsonish() -> impl Strategy<Value = String> {
    let parts = vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "'",
        "\\",
        "\\u",
        "d83d",
        "12",
        "-",
        "1e9",
        "tru",
        "true",
        "None",
        "NaN",
        "a",
        "key",
        "\"a\"",
        "\"b\":",
        "//",
        "/*",
        "*/",
        "#",
        "\n",
        " ",
        "```json\n",
        "```",
        "“",
        "”",
        "题",
        "<think>",
        "</think>",
        "\u{0}",
        "，",
        "：",
        "😀",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..60).prop_map(|parts| parts.concat())
}

/// Declarations that are nearly schemas.
pub(crate) fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            serde_json::json!({}),
            serde_json::json!(true),
            serde_json::json!(false),
            serde_json::json!({"type": "string", "maxLength": 2}),
            serde_json::json!({"type": "integer", "minimum": 3}),
            serde_json::json!({"type": ["number", "null"]}),
            serde_json::json!({"type": "boolean"}),
            serde_json::json!({"enum": ["a", "b b", 1, null]}),
            serde_json::json!({"const": "a"}),
            serde_json::json!({"type": "string", "pattern": "^a+$"}),
            serde_json::json!({"type": "string", "format": "date"}),
            serde_json::json!({"$ref": "#"}),
            serde_json::json!({"$ref": "#/properties/a"}),
            serde_json::json!({"$ref": "nowhere"}),
            serde_json::json!({"type": 7}),
        ]),
        any_json(),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        let key = "[abc]";
        prop_oneof![
            (
                prop::collection::vec((key, inner.clone()), 0..4),
                any::<bool>()
            )
                .prop_map(|(fields, closed)| {
                    let names: Vec<String> = fields.iter().map(|(n, _)| n.clone()).collect();
                    let mut names = names;
                    names.sort();
                    names.dedup();
                    serde_json::json!({"type": "object", "required": names,
                        "properties": Map::from_iter(fields), "additionalProperties": !closed})
                }),
            inner
                .clone()
                .prop_map(|items| serde_json::json!({"type": "array", "items": items})),
            (
                prop::sample::select(vec!["anyOf", "oneOf", "allOf"]),
                prop::collection::vec(inner, 1..4)
            )
                .prop_map(|(key, parts)| serde_json::json!({ key: parts })),
        ]
    })
}
