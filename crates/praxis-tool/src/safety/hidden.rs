//! What of a call's arguments a person is not shown: values at places that the tool's own schema declares to be secret.
//! A name that a model chose hides nothing, since who decides has to see what is sent. Left out: what a policy names
//! (`policy`), and how a hidden value is told of (`praxis_core::trace::redact`).

use praxis_core::json_schema::{properties, types, without_null};
use praxis_core::trace::redact::{Steps, is_secret};
use serde_json::Value;

/// How deep a schema is followed, and how much of it is looked at.
const DEEPEST: usize = 8;
const MOST_PARTS: usize = 10_000;

/// The most places of one schema.
const MOST: usize = 256;

/// Keywords whose schemas are for the same value.
const IN_PLACE: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// What stands for every item in steps. A field of this name would stand for all fields beside it.
const EACH: &str = "*";

/// The steps to the secrets that a schema declares: texts that are write-only, passwords by their format, or called like
/// a secret. The schema has to be one that ends.
pub(super) fn declared(schema: &Value) -> Vec<Steps> {
    let mut search = Search {
        root: schema,
        way: Vec::new(),
        found: Vec::new(),
        parts: 0,
    };
    search.below(schema);
    search.found
}

struct Search<'s> {
    root: &'s Value,
    way: Steps,
    found: Vec<Steps>,
    parts: usize,
}

impl<'s> Search<'s> {
    fn below(&mut self, schema: &'s Value) {
        self.parts += 1;
        if self.way.len() > DEEPEST || self.parts > MOST_PARTS {
            return;
        }
        let schema = without_null(self.root, schema);
        for (name, part) in properties(schema).into_iter().flatten() {
            if name != EACH {
                self.step(name, part);
            }
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            self.step(EACH, items);
        }
        let branches = IN_PLACE
            .iter()
            .filter_map(|key| schema.get(*key)?.as_array());
        for branch in branches.flatten() {
            self.below(branch);
        }
    }

    fn step(&mut self, name: &str, part: &'s Value) {
        self.way.push(name.to_owned());
        if declares(name, without_null(self.root, part)) && self.found.len() < MOST {
            self.found.push(self.way.clone());
        } else {
            self.below(part);
        }
        self.way.pop();
    }
}

/// Whether a part of a schema declares a secret. Only a text can be one: in an object or a list, a model would choose
/// what it hides.
fn declares(name: &str, part: &Value) -> bool {
    let kinds = types(part);
    let is_text =
        kinds.contains(&"string") && kinds.iter().all(|k| matches!(*k, "string" | "null"));
    let says = |key: &str, value: Value| part.get(key) == Some(&value);
    is_text
        && (says("writeOnly", Value::Bool(true))
            || says("format", Value::from("password"))
            || is_secret(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_what_the_schema_declares_and_nothing_else() {
        let schema = json!({
            "type": "object",
            "properties": {
                "api_key": { "type": "string" },
                "max_tokens": { "type": "integer" },
                "pin": { "type": ["string", "null"], "writeOnly": true },
                "word": { "anyOf": [{ "type": "string", "format": "password" }, { "type": "null" }] },
                "secret": { "type": "object" },
                "tokens": { "type": "array", "items": { "type": "string" } },
                "token": {},
                "people": { "type": "array", "items": { "$ref": "#/$defs/person" } },
                "*": { "type": "string", "writeOnly": true },
            },
            "allOf": [{ "properties": { "cookie": { "type": "string" } } }],
            "$defs": { "person": { "type": "object", "properties": {
                "password": { "type": "string" },
                "friend": { "$ref": "#/$defs/person" },
            } } },
        });
        let found: Vec<String> = declared(&schema).iter().map(|way| way.join("/")).collect();
        assert_eq!(
            found[..5],
            [
                "api_key",
                "pin",
                "word",
                "people/*/password",
                "people/*/friend/password"
            ]
        );
        assert_eq!(found.last().map(String::as_str), Some("cookie"));
        // It ends, as deep as it goes.
        assert!(found.len() < 16, "{found:?}");
    }
}
