//! Small slips in the arguments of tools, mended before they are checked; what was mended is said in the trace, by its
//! place and kind: what was there may be secret.
//!
//! Left out: what is mended and how, which is the same for outputs (`praxis_core::json_schema::coercion`).

use praxis_core::json_schema::coercion::{Slip, SlipKind, coerce, takes_null};
use praxis_core::json_schema::{types, without_null};
use serde_json::{Map, Value};

/// The input as its schema wants it, as far as that takes no guessing, and what was mended: the place as a JSON
/// pointer, and what was there for what.
pub(crate) fn mended(schema: &Value, input: Value) -> (Value, Vec<String>) {
    // Models say null where they have nothing to say; of an output it would be no object that the model gave.
    let takes_object = types(without_null(schema, schema)).contains(&"object");
    if input.is_null() && takes_object && !takes_null(schema, schema) {
        let slip = "`/`: null for no arguments".to_owned();
        return (Value::Object(Map::new()), vec![slip]);
    }
    let (value, slips) = coerce(schema, input);
    (value, slips.iter().map(told).collect())
}

fn told(slip: &Slip) -> String {
    let place = match slip.at.as_str() {
        "" => "/",
        at => at,
    };
    let what = match &slip.kind {
        SlipKind::Null => "null for what may be left out",
        SlipKind::Lone => "one value for a list",
        SlipKind::Instead { found, taken } => match (found, taken) {
            (Value::String(_), Value::String(_)) => "another spelling of an option",
            (Value::String(_), Value::Number(_)) => "a text for a number",
            (Value::String(_), Value::Bool(_)) => "a text for true or false",
            (Value::String(_), Value::Null) => "a text for null",
            (Value::String(_), Value::Array(_)) => "a text for the list in it",
            (Value::String(_), Value::Object(_)) => "a text for the object in it",
            (Value::Bool(_), _) => "true or false for a text",
            (_, _) => "a number for a text",
        },
    };
    format!("`{place}`: {what}")
}

#[cfg(test)]
mod tests {
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
                "place": { "$ref": "#/$defs/place" },
                "unit": { "enum": ["celsius", "Fahrenheit"] },
                "maybe": { "type": ["integer", "null"] },
                "any": {},
                "either": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            },
            "required": ["count"],
            "$defs": { "place": { "type": "object", "properties": { "lat": { "type": "number" } } } },
        })
    }

    #[test]
    fn slips_are_told_by_place_and_kind_without_what_was_there() {
        for (given, told) in [
            (json!({"count": 3}), ""),
            (json!({"count": 3.0}), ""),
            (json!({"count": "3"}), "`/count`: a text for a number"),
            (json!({"price": "2.50"}), "`/price`: a text for a number"),
            (json!({"name": 42}), "`/name`: a number for a text"),
            (json!({"name": true}), "`/name`: true or false for a text"),
            (json!({"sure": "True"}), "`/sure`: a text for true or false"),
            (json!({"maybe": "null"}), "`/maybe`: a text for null"),
            (json!({"tags": "red"}), "`/tags`: one value for a list"),
            (
                json!({"tags": "[\"a\"]"}),
                "`/tags`: a text for the list in it",
            ),
            (json!({"ids": [6, "5"]}), "`/ids/1`: a text for a number"),
            (
                json!({"place": "{\"lat\": 1.5}"}),
                "`/place`: a text for the object in it",
            ),
            (
                json!({"place": {"lat": "1.5"}}),
                "`/place/lat`: a text for a number",
            ),
            (
                json!({"unit": " CELSIUS"}),
                "`/unit`: another spelling of an option",
            ),
            (
                json!({"name": null}),
                "`/name`: null for what may be left out",
            ),
            (json!("{\"count\": 1}"), "`/`: a text for the object in it"),
            (json!(null), "`/`: null for no arguments"),
        ] {
            assert_eq!(mended(&schema(), given.clone()).1.concat(), told, "{given}");
        }
    }

    #[test]
    fn null_is_no_arguments_where_it_is_nothing_else() {
        assert_eq!(mended(&schema(), json!(null)).0, json!({}));
        for schema in [
            json!({ "type": ["object", "null"] }),
            json!({ "anyOf": [{ "type": "object" }, { "type": "null" }] }),
            json!({ "type": "string" }),
        ] {
            assert_eq!(
                mended(&schema, json!(null)),
                (json!(null), Vec::new()),
                "{schema}"
            );
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1_000_000..1_000_000i32).prop_map(|n| Value::from(f64::from(n) / 4.0)),
            "[ -~]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("lat|[a-z]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Inputs of which many fit the schema.
    fn input() -> impl Strategy<Value = Value> {
        let names = "count|price|name|sure|tags|ids|place|unit|maybe|any|either|[a-z]{1,3}";
        let others = prop::collection::btree_map(names, value(), 0..4);
        (prop::option::of(any::<i64>()), others).prop_map(|(count, others)| {
            let mut all: Map<String, Value> = others.into_iter().collect();
            if let Some(count) = count {
                all.insert("count".to_owned(), count.into());
            }
            Value::Object(all)
        })
    }

    proptest! {
        /// Mending never breaks what was right, and is done once.
        #[test]
        fn what_fits_still_fits_and_twice_is_once(given in input()) {
            let validator = jsonschema::validator_for(&schema()).unwrap();
            let (once, _) = mended(&schema(), given.clone());
            if validator.is_valid(&given) {
                prop_assert!(validator.is_valid(&once), "{given} became {once}");
            }
            let (twice, slips) = mended(&schema(), once.clone());
            prop_assert_eq!(&twice, &once);
            prop_assert!(slips.is_empty(), "{:?}", slips);
        }
    }
}
