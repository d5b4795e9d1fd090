//! Which schemas OpenAI holds an answer to (OpenAI documentation, "Structured model outputs", "Supported schemas"):
//! others are refused where `strict` is said. Left out: its limits of sizes, which it tells itself.

use serde_json::{Map, Value};

/// What a schema may say. All else is refused, or held to by some models only.
const WORDS: &[&str] = &[
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

/// How deep schemas may be within schemas here; deeper ones are taken for unfit.
const DEEPEST: usize = 32;

/// Whether an answer can be held to the schema: it is of an object, each object in it names all of its properties as
/// required and has no others.
pub(crate) fn fits(schema: &Value) -> bool {
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    is_object && schema.get("anyOf").is_none() && fits_within(schema, 0)
}

fn fits_within(schema: &Value, depth: usize) -> bool {
    let Some(words) = schema.as_object().filter(|_| depth < DEEPEST) else {
        return false;
    };
    words.keys().all(|word| WORDS.contains(&word.as_str()))
        && is_closed(words)
        && inner(words).all(|schema| fits_within(schema, depth + 1))
}

/// Whether an object has just the properties that it says; what is no object is.
fn is_closed(words: &Map<String, Value>) -> bool {
    let names_object = match words.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    let properties = words.get("properties").and_then(Value::as_object);
    if !names_object && properties.is_none() {
        return true;
    }
    let closed = words.get("additionalProperties") == Some(&Value::Bool(false));
    let required = words.get("required").and_then(Value::as_array);
    let is_required = |name: &String| {
        let mut names = required.into_iter().flatten();
        names.any(|required| required == name.as_str())
    };
    closed && properties.is_some_and(|properties| properties.keys().all(is_required))
}

/// The schemas that a schema holds.
fn inner(words: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let named = ["properties", "$defs", "definitions"];
    let named = named
        .into_iter()
        .filter_map(|word| words.get(word)?.as_object());
    let choices = words.get("anyOf").and_then(Value::as_array);
    named
        .flat_map(Map::values)
        .chain(choices.into_iter().flatten())
        .chain(words.get("items"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(properties: Value, required: Value) -> Value {
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    #[test]
    fn a_schema_is_strict_where_all_of_its_objects_are_closed() {
        let name = || json!({ "type": "string", "description": "A name.", "pattern": "^[A-Z]" });
        let inner = object(json!({ "name": name() }), json!(["name"]));
        let open = object(json!({ "name": name(), "age": name() }), json!(["name"]));
        let list = |of: &Value| {
            let all = json!({ "type": "array", "items": of });
            object(json!({ "all": all }), json!(["all"]))
        };
        let either = |one: &Value| {
            let any = json!({ "anyOf": [one, { "type": "null" }] });
            object(json!({ "it": any }), json!(["it"]))
        };
        let mut defined = object(json!({ "it": { "$ref": "#/$defs/it" } }), json!(["it"]));
        defined["$defs"] = json!({ "it": open });
        for (schema, fit) in [
            (json!({ "type": "object" }), false),
            (json!({ "type": "array", "items": inner }), false),
            (json!(true), false),
            (object(json!({}), json!([])), true),
            (inner.clone(), true),
            (open.clone(), false),
            (list(&inner), true),
            (list(&open), false),
            (either(&inner), true),
            (either(&open), false),
            (defined, false),
            (
                object(json!({ "a": { "minLength": 1 } }), json!(["a"])),
                false,
            ),
            (
                object(json!({ "a": { "allOf": [inner] } }), json!(["a"])),
                false,
            ),
        ] {
            assert_eq!(fits(&schema), fit, "{schema}");
        }
    }
}
