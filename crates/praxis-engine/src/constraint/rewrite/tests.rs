//! Rewritten schemas beside their originals, under a validator.

use super::*;
use crate::constraint::schema::prepare;

/// Values of all kinds, for schemas to tell apart.
fn pool() -> Vec<Value> {
    let mut pool = vec![json!(null), json!(true), json!(false), json!([]), json!({})];
    pool.extend([-1.0, 0.5, 2.5, 3.5].map(|n| json!(n)));
    pool.extend([0, 1, 2, 3, 300, 301].map(|n| json!(n)));
    pool.extend(["", "a", "ab", "b", "abc", "a.c", "ä"].map(|t| json!(t)));
    pool.extend([json!([1]), json!([1, 2]), json!(["a", null, 3])]);
    let fields = [json!(1), json!("a"), json!(null)];
    for a in &fields {
        pool.push(json!({ "a": a }));
        pool.push(json!({ "b": a }));
        pool.extend(fields.iter().map(|b| json!({ "a": a, "b": b })));
        pool.push(json!({ "a": a, "b": 1, "c": a }));
    }
    pool
}

#[test]
fn a_rewritten_schema_says_what_the_original_says() {
    let required = |name: &str| json!({ "required": [name] });
    for schema in [
        json!({ "not": { "type": "string" } }),
        json!({ "not": { "not": { "multipleOf": 2 } } }),
        json!({ "not": { "type": ["null", "number"] } }),
        json!({ "not": { "const": "ab" } }),
        json!({ "not": { "enum": ["a", "a.c", null, 300, true] } }),
        json!({ "not": { "const": {} } }),
        json!({ "not": { "minimum": 2, "maximum": 300 } }),
        json!({ "not": { "exclusiveMinimum": 2 } }),
        json!({ "not": { "minLength": 1, "maxLength": 2 } }),
        json!({ "not": { "minItems": 1 } }),
        json!({ "type": "object", "not": { "required": ["a", "b"] } }),
        json!({ "not": { "properties": { "a": { "type": "string" } }, "required": ["a"] } }),
        json!({ "not": { "anyOf": [{ "type": "object" }, { "const": 1 }] } }),
        json!({ "not": { "allOf": [{ "type": "number" }, { "minimum": 2 }] } }),
        json!({ "$defs": { "s": { "type": "string" } }, "not": { "$ref": "#/$defs/s" } }),
        json!({ "oneOf": [required("a"), required("b")] }),
        json!({ "type": "object", "oneOf": [required("a"), required("b"), required("c")] }),
        json!({ "oneOf": [{ "minimum": 2 }, { "maximum": 300 }] }),
        json!({ "oneOf": [{ "const": 1 }, { "const": 2 }, { "enum": ["a"] }] }),
        json!({ "$defs": { "s": { "type": "string" } },
                "oneOf": [{ "$ref": "#/$defs/s" }, { "type": "null" }] }),
        json!({ "oneOf": [
                { "type": "object", "properties": { "a": {} }, "required": ["a"], "additionalProperties": false },
                { "type": "object", "properties": { "b": {} }, "required": ["b"] },
                { "type": "array" },
            ] }),
        json!({ "dependentRequired": { "a": ["b", "c"] } }),
        json!({ "dependentSchemas": { "b": { "properties": { "a": { "type": "null" } } } } }),
        json!({ "if": { "type": "number" }, "then": { "minimum": 2 }, "else": { "type": "string" } }),
        json!({ "if": { "properties": { "a": { "const": 1 } }, "required": ["a"] }, "then": required("b") }),
    ] {
        let rewritten = prepare(&schema).unwrap();
        let text = rewritten.to_string();
        for gone in ["\"not\"", "\"oneOf\"", "\"dependent", "\"if\""] {
            assert!(!text.contains(gone), "{schema} became {rewritten}");
        }
        let original = jsonschema::validator_for(&schema).unwrap();
        let rewritten_validator = jsonschema::validator_for(&rewritten).unwrap();
        for value in pool() {
            assert_eq!(
                rewritten_validator.is_valid(&value),
                original.is_valid(&value),
                "{value} under {schema}, which became {rewritten}"
            );
        }
    }
}

#[test]
fn what_has_no_opposite_is_left_for_the_compiler_to_refuse() {
    for schema in [
        json!({ "not": { "pattern": "^a" } }),
        json!({ "not": { "items": { "type": "null" } } }),
        json!({ "oneOf": [{ "pattern": "a" }, { "pattern": "b" }] }),
        json!({ "if": { "contains": { "const": 1 } }, "then": false }),
        json!({ "$schema": "http://json-schema.org/draft-04/schema#", "if": true, "then": false }),
    ] {
        let rewritten = prepare(&schema).unwrap();
        for (keyword, value) in schema.as_object().unwrap() {
            assert_eq!(&rewritten[keyword], value);
        }
    }
}
