//! Picoschema to JSON Schema (Dotprompt reference, "Picoschema"): `name?: string, what it is`.

use serde_json::{Map, Value, json};

const SCALARS: &[&str] = &["string", "number", "integer", "boolean", "null", "any"];

/// The JSON Schema of a Picoschema; a value that is JSON Schema already is kept.
///
/// # Errors
/// What is not understood, with the path to it.
pub(crate) fn to_json_schema(source: &Value) -> Result<Value, String> {
    match source {
        Value::String(_) => convert(source, ""),
        Value::Object(map) if is_json_schema(map) => Ok(source.clone()),
        Value::Object(map) if map.get("properties").is_some_and(Value::is_object) => {
            let mut schema = map.clone();
            schema.insert("type".to_owned(), json!("object"));
            Ok(Value::Object(schema))
        }
        Value::Object(_) => convert(source, ""),
        other => Err(format!(
            "a schema is a mapping or a type's name, not {other}"
        )),
    }
}

fn is_json_schema(map: &Map<String, Value>) -> bool {
    match map.get("type") {
        Some(Value::String(t)) => SCALARS.contains(&t.as_str()) || t == "object" || t == "array",
        Some(Value::Array(_)) => true,
        _ => map.contains_key("$schema") || map.contains_key("$ref") || map.contains_key("anyOf"),
    }
}

fn convert(source: &Value, path: &str) -> Result<Value, String> {
    match source {
        Value::String(text) => {
            let (kind, description) = described(text);
            let schema = scalar(kind).ok_or_else(|| {
                format!(
                    "`{kind}`{path} is not a type; there are {}",
                    SCALARS.join(", ")
                )
            })?;
            Ok(with_description(schema, description))
        }
        Value::Object(map) => object(map, path),
        other => Err(format!("{other}{path} is not a type")),
    }
}

fn object(map: &Map<String, Value>, path: &str) -> Result<Value, String> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let mut additional = json!(false);
    for (key, value) in map {
        let (name, marker) = match key.split_once('(') {
            Some((name, rest)) => {
                let rest = rest
                    .strip_suffix(')')
                    .ok_or_else(|| format!("`{key}` lacks its `)`"))?;
                (name, Some(described(rest)))
            }
            None => (key.as_str(), None),
        };
        let here = format!(" at `{name}`");
        let (name, optional) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if marker.is_none() && key == "(*)" || name.is_empty() && marker == Some(("*", None)) {
            additional = convert(value, &here)?;
            continue;
        }
        let mut schema = match marker {
            None => convert(value, &here)?,
            Some(("array", about)) => with_description(
                json!({"type": "array", "items": convert(value, &here)?}),
                about,
            ),
            Some(("object", about)) => with_description(convert(value, &here)?, about),
            Some(("enum", about)) if value.is_array() => {
                with_description(json!({"enum": value}), about)
            }
            Some((other, _)) => {
                return Err(format!(
                    "`({other})`{path} is none of array, object, enum, *"
                ));
            }
        };
        if optional {
            nullable(&mut schema);
        } else {
            required.push(json!(name));
        }
        properties.insert(name.to_owned(), schema);
    }
    let mut schema =
        json!({"type": "object", "properties": properties, "additionalProperties": additional});
    if !required.is_empty() {
        schema["required"] = Value::Array(required);
    }
    Ok(schema)
}

/// A type's name and what follows its comma.
fn described(text: &str) -> (&str, Option<&str>) {
    match text.split_once(',') {
        Some((kind, about)) => (kind.trim(), Some(about.trim())),
        None => (text.trim(), None),
    }
}

fn scalar(kind: &str) -> Option<Value> {
    match kind {
        "any" => Some(json!({})),
        kind if SCALARS.contains(&kind) => Some(json!({"type": kind})),
        _ => None,
    }
}

fn with_description(mut schema: Value, description: Option<&str>) -> Value {
    if let Some(about) = description {
        schema["description"] = json!(about);
    }
    schema
}

/// An optional property may be null as well as absent.
fn nullable(schema: &mut Value) {
    if let Some(Value::String(kind)) = schema.get("type") {
        schema["type"] = json!([kind, "null"]);
    } else if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}
