//! References and alternatives within one JSON Schema, as far as it takes to follow a value along it, and
//! what is mended in values that models wrote (`coercion`).
//! Left out: validation, which is the `jsonschema` crate's.

pub mod coercion;

use serde_json::{Map, Value};

/// References of references that are followed.
const HOPS: usize = 16;

/// The schema itself, or the one that its `$ref`s lead to, within `root`.
pub fn resolved<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..HOPS {
        match reference(schema).and_then(|pointer| root.pointer(&pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The JSON pointer of a schema's `$ref` into its own document.
pub fn reference(schema: &Value) -> Option<String> {
    let target = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    Some(target.replace("%25", "%").replace("%20", " "))
}

/// The only alternative besides null, where a schema is such a choice; else the schema.
pub fn without_null<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let schema = resolved(root, schema);
    let branches = ["anyOf", "oneOf"]
        .iter()
        .find_map(|k| schema.get(*k)?.as_array());
    let Some(branches) = branches else {
        return schema;
    };
    let mut others = branches
        .iter()
        .map(|b| resolved(root, b))
        .filter(|b| b.get("type").and_then(Value::as_str) != Some("null"));
    match (others.next(), others.next()) {
        (Some(one), None) => one,
        _ => schema,
    }
}

/// The schema of an object's field.
pub fn field<'s>(root: &'s Value, schema: &'s Value, name: &str) -> Option<&'s Value> {
    own_field(without_null(root, schema), name)
}

/// The schema that this very schema has for a field. Beside patterns of names, `additionalProperties` is for those
/// that no pattern takes, and which these are is the validator's to tell.
fn own_field<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    if let Some(named) = schema.get("properties").and_then(|p| p.get(name)) {
        return Some(named);
    }
    match schema.get("patternProperties") {
        Some(_) => None,
        None => schema.get("additionalProperties").filter(|s| s.is_object()),
    }
}

/// The schema of an array's item.
pub fn item<'s>(root: &'s Value, schema: &'s Value, at: usize) -> Option<&'s Value> {
    own_item(without_null(root, schema), at)
}

/// The schema that this very schema has for an item.
fn own_item(schema: &Value, at: usize) -> Option<&Value> {
    let tuple = schema.get("prefixItems").and_then(Value::as_array);
    if let Some(one) = tuple.and_then(|t| t.get(at)) {
        return Some(one);
    }
    match schema.get("items")? {
        Value::Array(tuple) => tuple.get(at),
        one => Some(one),
    }
}

/// The types that a schema names; none: it names none.
pub fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a value is of a type of JSON Schema.
pub fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
        }
        _ => false,
    }
}

/// The names of an object schema's properties.
pub fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Keywords whose schemas apply to the same value as the one that holds them.
const IN_PLACE: &[&str] = &[
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
];

/// Those of them that hold schemas by names of properties.
const DEPENDENT: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Whether following a schema ends: one that refers to itself for the same value, such as
/// `{"$ref": "#"}`, asks its own question again for ever, and the validator with it.
///
/// # Errors
/// The reference that does not end.
pub fn ends(root: &Value) -> Result<(), String> {
    let mut pending = vec![(root, 0)];
    let mut done = std::collections::HashSet::new();
    while let Some((schema, depth)) = pending.pop() {
        if depth > 200 {
            return Err("the schema is nested too deeply".to_owned());
        }
        circle(root, schema, &mut Vec::new(), &mut done)?;
        match schema {
            Value::Object(map) => pending.extend(map.values().map(|v| (v, depth + 1))),
            Value::Array(items) => pending.extend(items.iter().map(|v| (v, depth + 1))),
            _ => {}
        }
    }
    Ok(())
}

fn circle<'s>(
    root: &'s Value,
    schema: &'s Value,
    open: &mut Vec<*const Value>,
    done: &mut std::collections::HashSet<*const Value>,
) -> Result<(), String> {
    let this = std::ptr::from_ref(schema);
    if done.contains(&this) || !schema.is_object() {
        return Ok(());
    }
    if open.contains(&this) {
        return Err("a `$ref` of the schema leads back to itself without going deeper".to_owned());
    }
    if open.len() > 500 {
        return Err("the schema's references go too deep".to_owned());
    }
    open.push(this);
    for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
        let Some(target) = schema.get(key).and_then(Value::as_str) else {
            continue;
        };
        let pointer = target.strip_prefix('#');
        let next = pointer.and_then(|p| root.pointer(p));
        match next.or_else(|| anchored(root, target)) {
            Some(next) => circle(root, next, open, done)?,
            None => continue,
        }
    }
    for key in IN_PLACE {
        match schema.get(*key) {
            Some(Value::Array(parts)) => {
                for part in parts {
                    circle(root, part, open, done)?;
                }
            }
            Some(Value::Object(parts)) if DEPENDENT.contains(key) => {
                for part in parts.values() {
                    circle(root, part, open, done)?;
                }
            }
            Some(part) => circle(root, part, open, done)?,
            None => {}
        }
    }
    open.pop();
    done.insert(this);
    Ok(())
}

/// The schema with this `$id` or `$anchor`.
fn anchored<'s>(root: &'s Value, target: &str) -> Option<&'s Value> {
    let name = target.trim_start_matches('#');
    let mut pending = vec![root];
    while let Some(value) = pending.pop() {
        let named = ["$id", "id", "$anchor", "$dynamicAnchor"]
            .iter()
            .filter_map(|k| value.get(*k)?.as_str())
            .any(|n| n.trim_start_matches('#') == name || n == target);
        if named {
            return Some(value);
        }
        match value {
            Value::Object(map) => pending.extend(map.values()),
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
    None
}
