//! What is said about values that break their schema, and what is made right without a word.

use praxis_core::json_schema::coercion;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Want;
use super::super::instructions::{instructions, shape};
use super::super::schema::OutputSchema;
use super::{any_json, any_schema};

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["name", "items"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "description": "the customer"},
            "mood": {"enum": ["good", "bad"]},
            "size": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]},
            "code": {"type": "string", "pattern": "^[A-Z]+$"},
            "day": {"type": "string", "format": "date"},
            "paid": {"type": "boolean"},
            "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
            "pay": {"oneOf": [
                {"type": "object", "required": ["card"], "properties": {"card": {"type": "string"}}},
                {"type": "string"}]},
        },
        "$defs": {"item": {"type": "object", "required": ["price"], "properties": {
            "price": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}}}},
    })
}

#[test]
fn violations_name_place_finding_and_wish() {
    let compiled = OutputSchema::compile(&schema()).unwrap();
    let with = |key: &str, value: Value| {
        let mut base = json!({"name": "a", "items": [{"price": 1}]});
        base[key] = value;
        base
    };
    for (value, words) in [
        (with("mood", json!("good")), &[][..]),
        (
            json!({"items": [{"price": 1}]}),
            &["`name`: found nothing; wanted a string (the customer); it must be there"],
        ),
        (
            json!({"nmae": "a", "items": [{"price": 1}]}),
            &[
                "`name`: found nothing, but there is `nmae`, which has no meaning; wanted a string (the customer); it must be there",
                "`nmae`: found a key that is not allowed; wanted the key `name` instead",
            ],
        ),
        (
            with("items", json!([{"price": 1}, {"price": "cheap"}])),
            &["`items[1].price`: found the string \"cheap\"; wanted a number"],
        ),
        (
            with("items", json!([])),
            &["`items`: found a list of 0 items; wanted at least 1 items"],
        ),
        (
            with("mood", json!("godo")),
            &["`mood`: found \"godo\"; wanted one of \"good\" or \"bad\", perhaps \"good\""],
        ),
        (
            with("size", json!(12)),
            &["`size`: found 12; wanted a number of at most 9"],
        ),
        (
            with("size", json!("big")),
            &["`size`: found the string \"big\"; wanted an integer or null"],
        ),
        (
            with("code", json!("ab")),
            &["`code`: found \"ab\"; wanted a string that matches ^[A-Z]+$"],
        ),
        (
            with("day", json!("tomorrow")),
            &["`day`: found \"tomorrow\"; wanted a date such as 2025-01-31"],
        ),
        (
            with("pay", json!({})),
            &["`pay.card`: found nothing; wanted a string; it must be there"],
        ),
        (
            with("other", json!(1)),
            &[
                "`other`: found a key that is not allowed; wanted no such key; the keys are `name`, `mood`, `size`, `code`, `day`, `paid`, `items` or `pay`",
            ],
        ),
        (
            json!([1]),
            &["The whole output: found a list of 1 items: [1]; wanted an object"],
        ),
    ] {
        let said: Vec<String> = compiled
            .violations(&value)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(said, words, "{value}");
    }
    let many: Vec<Value> = (0..40).map(|_| json!({"price": "x".repeat(300)})).collect();
    let said = compiled.violations(&json!({"name": 1, "items": many}));
    assert_eq!(said.len(), 8);
    assert!(said.iter().all(|v| v.found.chars().count() < 120));
}

#[test]
fn what_loses_nothing_is_coerced_and_noted() {
    let compiled = OutputSchema::compile(&schema()).unwrap();
    let value = json!({"name": 7, "mood": " Good", "size": "3", "paid": "True",
        "items": {"price": "1.50", "tags": "a"}});
    let (value, notes) = compiled.coerce(value);
    assert_eq!(
        value,
        json!({"name": "7", "mood": "good", "size": 3, "paid": true,
        "items": [{"price": 1.5, "tags": ["a"]}]})
    );
    assert_eq!(
        notes,
        [
            "`name`: took 7 as \"7\"",
            "`mood`: took \" Good\" as \"good\"",
            "`size`: took \"3\" as 3",
            "`paid`: took \"True\" as true",
            "`items`: took a lone value as a list",
            "`items[0].price`: took \"1.50\" as 1.5",
            "`items[0].tags`: took a lone value as a list",
        ]
    );
    for (schema, value) in [
        (json!({"type": "integer"}), json!("007")),
        (json!({"type": "integer"}), json!("3.5")),
        (json!({"type": "integer"}), json!("12345678901234567890123")),
        (json!({"type": "number"}), json!("three")),
        (json!({"enum": ["a", "A"]}), json!(" a")),
        (json!({"type": "string"}), json!(null)),
        (json!({"type": "object"}), json!("x")),
        (json!({"type": "array", "items": {"$ref": "#"}}), json!("x")),
    ] {
        let kept = OutputSchema::compile(&schema)
            .unwrap()
            .coerce(value.clone());
        assert_eq!(kept, (value, vec![]), "{schema}");
    }
}

#[test]
fn null_is_left_out_and_json_in_a_text_is_read() {
    let compiled = OutputSchema::compile(&schema()).unwrap();
    let value = json!({"name": "a", "code": null, "size": null,
        "items": "[{\"price\": \"2\", \"tags\": null}]"});
    let (value, notes) = compiled.coerce(value);
    assert_eq!(
        value,
        json!({"name": "a", "size": null, "items": [{"price": 2}]})
    );
    assert_eq!(
        notes,
        [
            "`code`: left out null",
            "`items`: took \"[{\\\"price\\\": \\\"2\\\", \\\"tags\\\": null}]\" as [{\"price\":\"2\",\"tags\":null}]",
            "`items[0].price`: took \"2\" as 2",
            "`items[0].tags`: left out null",
        ]
    );
    // What is missing is not invented, and no digit is lost.
    for (schema, value) in [
        (json!({"type": "object"}), json!(null)),
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            json!({"a": null}),
        ),
        (json!({"type": "string"}), json!(3.1)),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!("[12345678901234567890123]"),
        ),
    ] {
        let compiled = OutputSchema::compile(&schema).unwrap();
        assert_eq!(compiled.coerce(value.clone()), (value, vec![]), "{schema}");
    }
}

#[test]
fn schemas_that_cannot_be_kept_are_refused() {
    for schema in [
        json!({"type": 7}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}),
        json!({"$id": "https://x.test/s", "properties": {"a": {"not": {"$ref": "#me", "$anchor": "me"}}}}),
        json!("text"),
    ] {
        assert!(OutputSchema::compile(&schema).is_err(), "{schema}");
    }
    let list = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
    assert!(OutputSchema::compile(&list).is_ok());
}

#[test]
fn the_kind_that_is_wanted_is_known() {
    for (schema, want) in [
        (schema(), Want::Object),
        (json!({"properties": {}}), Want::Object),
        (json!({"type": "array"}), Want::Array),
        (json!({"type": ["string", "null"]}), Want::Scalar),
        (json!({"enum": ["a", 1]}), Want::Scalar),
        (
            json!({"anyOf": [{"type": "array"}, {"type": "null"}]}),
            Want::Array,
        ),
        (json!({"type": ["array", "object"]}), Want::Any),
        (json!({}), Want::Any),
    ] {
        assert_eq!(
            OutputSchema::compile(&schema).unwrap().want(),
            want,
            "{schema}"
        );
    }
}

proptest! {
    #[test]
    fn no_schema_and_no_value_panics(schema in any_schema(), value in any_json()) {
        let _ = instructions(&schema);
        prop_assert!(shape(&schema).len() < 200_000);
        if let Ok(compiled) = OutputSchema::compile(&schema) {
            compiled.want();
            let (value, notes) = compiled.coerce(value);
            let violations = compiled.violations(&value);
            prop_assert!(violations.len() <= 8);
            prop_assert_eq!(violations.clone(), compiled.violations(&value));
            let _ = (compiled.fragment(&violations), notes);
        }
    }

    /// The mending alone, as the arguments of tools have it: without asking first whether all is well.
    #[test]
    fn what_is_valid_stays_valid(schema in any_schema(), value in any_json()) {
        if let Ok(compiled) = OutputSchema::compile(&schema) {
            let (mended, _) = coercion::coerce(&schema, value.clone());
            if compiled.violations(&value).is_empty() {
                let violations = compiled.violations(&mended);
                prop_assert!(violations.is_empty(), "{} became {}", value, mended);
            }
            let (once, _) = compiled.coerce(value);
            prop_assert_eq!(compiled.coerce(once.clone()), (once, vec![]));
        }
    }

    #[test]
    fn a_valid_value_is_not_touched(value in any_json()) {
        let compiled = OutputSchema::compile(&json!({})).unwrap();
        prop_assert_eq!(compiled.coerce(value.clone()), (value, vec![]));
    }
}
