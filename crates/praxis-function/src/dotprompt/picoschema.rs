//! Picoschema to JSON Schema: `name?: string, what it is`.
//!
//! Left out: whether a JSON Schema that is passed through is a good one.

use serde_json::{Map, Value, json};

const SCALARS: &[&str] = &["string", "number", "integer", "boolean", "null", "any"];

/// Levels that a Picoschema may have.
const DEEPEST: usize = 64;

/// Why a schema is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError(pub String);

impl std::fmt::Display for SchemaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SchemaError {}

/// Gives the JSON Schema of a name.
type Resolver<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// The JSON Schema of a Picoschema; a value that is JSON Schema already is kept. `resolve` knows the
/// schemas that may be called by name.
///
/// # Errors
/// What is not understood, with the path to it.
pub fn to_json_schema(source: &Value, resolve: Resolver<'_>) -> Result<Value, SchemaError> {
    match source {
        Value::Object(map) if is_json_schema(map) => Ok(source.clone()),
        Value::Object(map) if map.get("properties").is_some_and(Value::is_object) => {
            let mut schema = map.clone();
            schema.insert("type".to_owned(), json!("object"));
            Ok(Value::Object(schema))
        }
        Value::String(_) | Value::Object(_) => Converter { resolve }.convert(source, "", 0),
        other => Err(SchemaError(format!(
            "a schema is a mapping or a type's name, not {other}"
        ))),
    }
}

/// Whether it is JSON Schema: by its `type`, as in the reference, or by keywords that no Picoschema
/// would have with such values.
fn is_json_schema(map: &Map<String, Value>) -> bool {
    match map.get("type") {
        Some(Value::String(t)) => SCALARS.contains(&t.as_str()) || t == "object" || t == "array",
        Some(Value::Array(_)) => true,
        _ => {
            map.contains_key("$schema")
                || map.contains_key("$ref")
                || ["anyOf", "oneOf", "allOf"]
                    .iter()
                    .any(|key| map.get(*key).is_some_and(Value::is_array))
        }
    }
}

struct Converter<'a> {
    resolve: Resolver<'a>,
}

impl Converter<'_> {
    fn convert(&self, source: &Value, path: &str, depth: usize) -> Result<Value, SchemaError> {
        if depth > DEEPEST {
            return Err(SchemaError(format!(
                "the schema{path} is nested more than {DEEPEST} levels deep"
            )));
        }
        match source {
            Value::String(text) => {
                let (kind, about) = described(text);
                let schema = match kind {
                    "any" => json!({}),
                    kind if SCALARS.contains(&kind) => json!({"type": kind}),
                    name => (self.resolve)(name).ok_or_else(|| {
                        SchemaError(format!(
                            "`{name}`{path} is not a type; there are {}",
                            SCALARS.join(", ")
                        ))
                    })?,
                };
                Ok(with_description(schema, about))
            }
            Value::Object(map) => self.object(map, path, depth),
            other => Err(SchemaError(format!("{other}{path} is not a type"))),
        }
    }

    fn object(
        &self,
        map: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Result<Value, SchemaError> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let mut additional = json!(false);
        for (key, value) in map {
            if key == "(*)" {
                additional = self.convert(value, " at `(*)`", depth + 1)?;
                continue;
            }
            let (name, marker) = match key.split_once('(') {
                Some((name, rest)) => {
                    let rest = rest
                        .strip_suffix(')')
                        .ok_or_else(|| SchemaError(format!("`{key}` lacks its `)`")))?;
                    (name, Some(described(rest)))
                }
                None => (key.as_str(), None),
            };
            let (name, optional) = match name.strip_suffix('?') {
                Some(name) => (name, true),
                None => (name, false),
            };
            let here = format!(" at `{name}`");
            let mut schema = match marker {
                None => self.convert(value, &here, depth + 1)?,
                Some(("array", about)) => {
                    let items = self.convert(value, &here, depth + 1)?;
                    with_description(json!({"type": "array", "items": items}), about)
                }
                Some(("object", about)) => {
                    with_description(self.convert(value, &here, depth + 1)?, about)
                }
                Some(("enum", about)) if value.is_array() => {
                    with_description(json!({"enum": value}), about)
                }
                Some(("enum", _)) => {
                    return Err(SchemaError(format!(
                        "`{key}`{path} must have a list of values, as in `{key}: [A, B]`"
                    )));
                }
                Some((other, _)) => {
                    return Err(SchemaError(format!(
                        "`({other})`{path} is none of array, object, enum, *"
                    )));
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
}

/// A type's name and what follows its first comma.
fn described(text: &str) -> (&str, Option<&str>) {
    match text.split_once(',') {
        Some((kind, about)) => (kind.trim(), Some(about.trim()).filter(|a| !a.is_empty())),
        None => (text.trim(), None),
    }
}

fn with_description(mut schema: Value, description: Option<&str>) -> Value {
    if let (Some(about), Value::Object(map)) = (description, &mut schema) {
        map.insert("description".to_owned(), json!(about));
    }
    schema
}

/// An optional property may be null as well as absent.
fn nullable(schema: &mut Value) {
    if let Some(Value::String(kind)) = schema.get("type") {
        if kind != "null" {
            schema["type"] = json!([kind, "null"]);
        }
    } else if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}
