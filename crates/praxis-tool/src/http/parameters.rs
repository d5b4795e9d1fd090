//! What a call takes, as a file writes it: a line for each value, such as `city = "string, the city's name"`, or a JSON
//! Schema. Left out: where the values go.

use std::collections::BTreeSet;

use praxis_core::json_schema;
use serde_json::{Map, Value, json};

use super::template::{Values, is_name};

/// Types that a line may name.
const TYPES: [&str; 5] = ["string", "number", "integer", "boolean", "any"];

/// The most values of a call.
const MOST: usize = 64;

/// What a call takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    /// JSON Schema of an object.
    pub schema: Value,
    required: BTreeSet<String>,
}

impl Parameters {
    /// Reads the table `input`; without it, a call takes nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(input: Option<&Value>) -> Result<Self, String> {
        let schema = match input {
            None => json!({ "type": "object", "properties": {}, "additionalProperties": false }),
            Some(Value::Object(table)) if is_schema(table) => with_type(table),
            Some(Value::Object(table)) => schema(table)?,
            Some(_) => return Err("`input` is no table".to_owned()),
        };
        json_schema::ends(&schema)?;
        jsonschema::validator_for(&schema)
            .map_err(|error| format!("`input` is no JSON Schema: {error}"))?;
        let properties = json_schema::properties(&schema).ok_or("`input` has no `properties`")?;
        if properties.len() > MOST {
            return Err(format!("`input` has more than {MOST} values"));
        }
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            required: required.map(str::to_owned).collect(),
            schema,
        })
    }

    /// The names of the values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let properties = json_schema::properties(&self.schema);
        properties
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
    }

    /// Whether each call has a value of this name: it must, or has a default.
    pub fn is_always_there(&self, name: &str) -> bool {
        self.required.contains(name) || self.default(name).is_some()
    }

    fn default(&self, name: &str) -> Option<&Value> {
        let properties = json_schema::properties(&self.schema)?;
        properties
            .get(name)?
            .get("default")
            .filter(|v| !v.is_null())
    }

    /// The values of a call, with defaults for those that it left out.
    pub fn values(&self, input: &Value) -> Values {
        let mut values = input.as_object().cloned().unwrap_or_default();
        for name in self.names() {
            if values.get(name).is_none_or(Value::is_null)
                && let Some(default) = self.default(name)
            {
                values.insert(name.to_owned(), default.clone());
            }
        }
        values
    }
}

/// Whether a table is a JSON Schema and no table of values.
fn is_schema(table: &Map<String, Value>) -> bool {
    table.get("properties").is_some_and(Value::is_object)
        || table.get("type").is_some_and(|t| t == "object")
}

fn with_type(table: &Map<String, Value>) -> Value {
    let mut schema = table.clone();
    schema.entry("type").or_insert_with(|| json!("object"));
    Value::Object(schema)
}

/// The JSON Schema of a table of lines.
fn schema(table: &Map<String, Value>) -> Result<Value, String> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (key, value) in table {
        let (name, optional) = match key.strip_suffix('?') {
            Some(name) => (name, true),
            None => (key.as_str(), false),
        };
        if !is_name(name) {
            return Err(format!("`{key}` cannot be the name of a value"));
        }
        let property = match value {
            Value::String(line) => of_line(name, line)?,
            Value::Object(_) => value.clone(),
            _ => return Err(format!("`{key}` is neither a line nor a JSON Schema")),
        };
        if !optional && property.get("default").is_none() {
            required.push(json!(name));
        }
        if properties.insert(name.to_owned(), property).is_some() {
            return Err(format!("`{name}` is there twice"));
        }
    }
    Ok(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

/// `TYPE, DESCRIPTION` or `TYPE[], DESCRIPTION`.
fn of_line(name: &str, line: &str) -> Result<Value, String> {
    let (kind, about) = match line.split_once(',') {
        Some((kind, about)) => (kind.trim(), about.trim()),
        None => (line.trim(), ""),
    };
    let (inner, list) = match kind.strip_suffix("[]") {
        Some(inner) => (inner, true),
        None => (kind, false),
    };
    if !TYPES.contains(&inner) {
        return Err(format!(
            "`{name}` is of no type `{kind}`; there are {}, and each with `[]` for a list",
            TYPES.join(", ")
        ));
    }
    let mut schema = match inner {
        "any" => json!({}),
        kind => json!({ "type": kind }),
    };
    if list {
        schema = json!({ "type": "array", "items": schema });
    }
    if !about.is_empty() {
        schema["description"] = json!(about);
    }
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_a_schema() {
        let input = json!({
            "city": "string, the city, in English",
            "days?": "integer",
            "tags?": "string[], words",
            "units": { "enum": ["metric", "imperial"], "default": "metric" },
        });
        let parameters = Parameters::parse(Some(&input)).unwrap();
        assert_eq!(
            parameters.schema,
            json!({
                "type": "object",
                "properties": {
                    "city": { "type": "string", "description": "the city, in English" },
                    "days": { "type": "integer" },
                    "tags": { "type": "array", "items": { "type": "string" }, "description": "words" },
                    "units": { "enum": ["metric", "imperial"], "default": "metric" },
                },
                "required": ["city"],
                "additionalProperties": false,
            })
        );
        let always = |name| parameters.is_always_there(name);
        assert!(always("city") && always("units") && !always("days"));
        let values = parameters.values(&json!({ "city": "Paris", "units": null }));
        assert_eq!(
            Value::Object(values),
            json!({ "city": "Paris", "units": "metric" })
        );
    }

    #[test]
    fn a_json_schema_stays_as_it_is() {
        let schema = json!({ "properties": { "a": { "type": "string" } }, "required": ["a"] });
        let parameters = Parameters::parse(Some(&schema)).unwrap();
        assert_eq!(parameters.schema["type"], "object");
        assert!(parameters.is_always_there("a"));
        assert_eq!(Parameters::parse(None).unwrap().names().count(), 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (input, part) in [
            (json!("x"), "no table"),
            (json!({ "city": "text" }), "no type `text`"),
            (json!({ "city": 3 }), "neither"),
            (json!({ "a b": "string" }), "cannot be the name"),
            (json!({ "a": "string", "a?": "string" }), "twice"),
            (json!({ "a": { "type": "thing" } }), "no JSON Schema"),
            (json!({ "type": "object" }), "no `properties`"),
        ] {
            let error = Parameters::parse(Some(&input)).unwrap_err();
            assert!(error.contains(part), "{input}: {error}");
        }
    }
}
