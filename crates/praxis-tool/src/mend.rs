//! Small slips of models in arguments, mended where nobody can take them otherwise: a number in quotes, one value
//! where a list of them is wanted, `null` for what may be left out.
//!
//! A value is touched only where its schema refuses its type, so what is right stays as it is; what was mended is said
//! in the trace. Left out: values that are missing or out of range, and names that are misspelt, which the caller is
//! told of instead.

use praxis_core::json_schema::{field, is_type, item, properties, resolved, types, without_null};
use serde_json::{Map, Number, Value};

/// How deep values are followed.
const MOST_DEPTH: usize = 32;

/// The most slips of one input that are told of.
const MOST_SLIPS: usize = 20;

/// The longest text that is read as JSON.
const LONGEST: usize = 1 << 20;

/// The input as its schema wants it, as far as that takes no guessing, and what was mended: the place as a JSON
/// pointer, and what was there for what.
pub(crate) fn mended(schema: &Value, input: Value) -> (Value, Vec<String>) {
    let mut mending = Mending {
        root: schema,
        slips: Vec::new(),
    };
    let value = mending.value(schema, input, "", 0);
    (value, mending.slips)
}

struct Mending<'s> {
    root: &'s Value,
    slips: Vec<String>,
}

impl Mending<'_> {
    fn note(&mut self, at: &str, what: &str) {
        if self.slips.len() < MOST_SLIPS {
            let place = if at.is_empty() { "/" } else { at };
            self.slips.push(format!("`{place}`: {what}"));
        }
    }

    fn value(&mut self, schema: &Value, value: Value, at: &str, depth: usize) -> Value {
        if depth > MOST_DEPTH {
            return value;
        }
        let schema = without_null(self.root, schema);
        let wanted = types(schema);
        let value = match self.of_type(schema, &wanted, &value, at) {
            Some(mended) => mended,
            None => value,
        };
        match value {
            Value::Object(map) => Value::Object(self.object(schema, map, at, depth)),
            Value::Array(items) => {
                let mut all = Vec::with_capacity(items.len());
                for (i, one) in items.into_iter().enumerate() {
                    all.push(match item(self.root, schema, i) {
                        Some(part) => self.value(part, one, &format!("{at}/{i}"), depth + 1),
                        None => one,
                    });
                }
                Value::Array(all)
            }
            Value::String(text) => Value::String(self.option(schema, text, at)),
            other => other,
        }
    }

    /// The value in one of the types that are wanted, where it has none of them and can only mean that.
    fn of_type(
        &mut self,
        schema: &Value,
        wanted: &[&str],
        value: &Value,
        at: &str,
    ) -> Option<Value> {
        let wants = |kind: &str| wanted.contains(&kind);
        // 3.0 is an integer to JSON Schema, and none to those who read it.
        if let Value::Number(number) = value
            && wants("integer")
            && !wants("number")
            && let Some(whole) = whole(number)
        {
            return Some(whole);
        }
        if wanted.is_empty() || wanted.iter().any(|kind| is_type(value, kind)) {
            return None;
        }
        let (mended, what) = match value {
            Value::String(text) => match of_text(&wants, text) {
                Some(found) => found,
                None => return self.listed(schema, wanted, value, at),
            },
            Value::Number(number) if wants("string") => {
                (Value::String(number.to_string()), "a number for a text")
            }
            Value::Bool(is) if wants("string") => {
                (Value::String(is.to_string()), "true or false for a text")
            }
            Value::Null if at.is_empty() && wants("object") => {
                (Value::Object(Map::new()), "null for no arguments")
            }
            _ => return self.listed(schema, wanted, value, at),
        };
        self.note(at, what);
        Some(mended)
    }

    /// One value where a list is wanted.
    fn listed(
        &mut self,
        schema: &Value,
        wanted: &[&str],
        value: &Value,
        at: &str,
    ) -> Option<Value> {
        if wanted != ["array"] || value.is_null() || value.is_array() {
            return None;
        }
        // A list of lists is no such slip.
        let part = item(self.root, schema, 0).map(|part| types(without_null(self.root, part)));
        if part.is_some_and(|kinds| kinds == ["array"]) {
            return None;
        }
        self.note(at, "one value for a list");
        Some(Value::Array(vec![value.clone()]))
    }

    fn object(
        &mut self,
        schema: &Value,
        map: Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Map<String, Value> {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| {
            required.is_some_and(|names| names.iter().any(|n| n.as_str() == Some(name)))
        };
        let mut all = Map::new();
        for (name, value) in map {
            let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let declared = properties(schema).and_then(|p| p.get(&name));
            // Models say null for what they could leave out.
            if value.is_null()
                && !is_required(&name)
                && declared.is_some_and(|part| !self.takes_null(part))
            {
                self.note(&place, "null for what may be left out");
                continue;
            }
            let value = match field(self.root, schema, &name) {
                Some(part) => self.value(part, value, &place, depth + 1),
                None => value,
            };
            all.insert(name, value);
        }
        all
    }

    /// Whether a schema takes null, as far as its types tell; one that names none may.
    fn takes_null(&self, schema: &Value) -> bool {
        let here = resolved(self.root, schema);
        let kinds = types(here);
        kinds.is_empty() || kinds.contains(&"null")
    }

    /// The option of an `enum` that differs in nothing but case and space around it.
    fn option(&mut self, schema: &Value, text: String, at: &str) -> String {
        let Some(options) = schema.get("enum").and_then(Value::as_array) else {
            return text;
        };
        if options.iter().any(|o| o.as_str() == Some(text.as_str())) {
            return text;
        }
        let meant = text.trim().to_lowercase();
        let mut near = options
            .iter()
            .filter_map(Value::as_str)
            .filter(|o| o.to_lowercase() == meant);
        match (near.next(), near.next()) {
            (Some(one), None) => {
                self.note(at, "another spelling of an option");
                one.to_owned()
            }
            _ => text,
        }
    }
}

/// What a text says that should have been something else.
fn of_text(wants: &dyn Fn(&str) -> bool, text: &str) -> Option<(Value, &'static str)> {
    let trimmed = text.trim();
    if trimmed.len() > LONGEST {
        return None;
    }
    if wants("boolean") {
        for (word, is) in [("true", true), ("false", false)] {
            if trimmed.eq_ignore_ascii_case(word) {
                return Some((Value::Bool(is), "a text for true or false"));
            }
        }
    }
    match serde_json::from_str(trimmed).ok()? {
        Value::Number(number) if wants("number") => {
            Some((Value::Number(number), "a text for a number"))
        }
        Value::Number(number) if wants("integer") => Some((whole(&number)?, "a text for a number")),
        map @ Value::Object(_) if wants("object") => Some((map, "a text for the object in it")),
        list @ Value::Array(_) if wants("array") => Some((list, "a text for the list in it")),
        _ => None,
    }
}

/// A number without a fraction as an integer; none where it is one already, has a fraction, or is too large to be
/// exact.
fn whole(number: &Number) -> Option<Value> {
    if number.is_i64() || number.is_u64() {
        return Some(Value::Number(number.clone()));
    }
    let float = number.as_f64()?;
    // Up to here each integer is a float of its own.
    let exact = 9_007_199_254_740_992.0;
    if float.fract() != 0.0 || float.abs() > exact {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is within 53 bits"
    )]
    let whole = float as i64;
    Some(Value::from(whole))
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
                "grid": { "type": "array", "items": { "type": "array", "items": { "type": "integer" } } },
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
    fn slips_that_mean_one_thing_are_mended() {
        for (given, wanted, slip) in [
            (
                json!({"count": "3"}),
                json!({"count": 3}),
                "a text for a number",
            ),
            (json!({"count": 3.0}), json!({"count": 3}), ""),
            (
                json!({"count": " -7 "}),
                json!({"count": -7}),
                "a text for a number",
            ),
            (
                json!({"price": "2.50"}),
                json!({"price": 2.5}),
                "a text for a number",
            ),
            (
                json!({"name": 42}),
                json!({"name": "42"}),
                "a number for a text",
            ),
            (
                json!({"sure": "True"}),
                json!({"sure": true}),
                "true or false",
            ),
            (
                json!({"tags": "red"}),
                json!({"tags": ["red"]}),
                "one value for a list",
            ),
            (
                json!({"tags": "[\"a\", \"b\"]"}),
                json!({"tags": ["a", "b"]}),
                "the list in it",
            ),
            (
                json!({"ids": 5}),
                json!({"ids": [5]}),
                "one value for a list",
            ),
            (json!({"ids": ["5", 6]}), json!({"ids": [5, 6]}), "`/ids/0`"),
            (
                json!({"place": "{\"lat\": \"1.5\"}"}),
                json!({"place": {"lat": 1.5}}),
                "`/place/lat`",
            ),
            (
                json!({"unit": " CELSIUS"}),
                json!({"unit": "celsius"}),
                "another spelling",
            ),
            (
                json!({"name": null, "count": 1}),
                json!({"count": 1}),
                "may be left out",
            ),
            (
                json!("{\"count\": 1}"),
                json!({"count": 1}),
                "the object in it",
            ),
            (json!(null), json!({}), "no arguments"),
        ] {
            let (value, slips) = mended(&schema(), given.clone());
            assert_eq!(value, wanted, "{given}");
            assert!(slips.concat().contains(slip), "{given}: {slips:?}");
        }
    }

    #[test]
    fn what_would_take_guessing_stays() {
        for given in [
            json!({"count": "three"}),
            json!({"count": 3.5}),
            json!({"count": "3.5"}),
            json!({"count": null}),
            json!({"sure": "yes"}),
            json!({"sure": 1}),
            json!({"grid": 4}),
            json!({"grid": "4"}),
            json!({"unit": "kelvin"}),
            json!({"maybe": null}),
            json!({"either": null}),
            json!({"any": "3"}),
            json!({"unknown": null}),
            json!({"name": ["a"]}),
        ] {
            assert_eq!(mended(&schema(), given.clone()), (given, Vec::new()));
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
