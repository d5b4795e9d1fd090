//! A record: an object with fields that a text may say or not. Its schema for a model lets each field be null, and what
//! a model wrote is compared with the text. Left out: asking the model.

use praxis_core::json_schema;
use serde_json::{Map, Value, json};

/// The most fields of a record on one level, bytes of its schema, and levels of it.
const MOST_FIELDS: usize = 64;
const LARGEST: usize = 32 << 10;
const DEEPEST: usize = 16;

/// The most values that are told to be unfounded.
const MOST_TOLD: usize = 50;

/// What records are to be.
#[derive(Debug)]
pub(super) struct Record {
    /// The schema that a model is held to: all fields are there, and each may be null.
    pub schema: Value,
    validator: jsonschema::Validator,
}

impl Record {
    /// Reads the JSON Schema of a record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        if schema.to_string().len() > LARGEST {
            return Err(format!("the schema has more than {LARGEST} bytes"));
        }
        json_schema::ends(schema)?;
        jsonschema::validator_for(schema)
            .map_err(|error| format!("the schema is no JSON Schema: {error}"))?;
        let fields = json_schema::properties(schema).map_or(0, Map::len);
        if fields == 0 || fields > MOST_FIELDS {
            return Err(format!(
                "the schema is one of an object with 1 to {MOST_FIELDS} `properties`"
            ));
        }
        let schema = optional(schema, 0);
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| format!("the schema cannot have null in its fields: {error}"))?;
        Ok(Self { schema, validator })
    }

    /// Whether its schema has references to parts of itself.
    pub fn has_references(&self) -> bool {
        self.schema.to_string().contains("\"$ref\"")
    }

    /// The record that a model wrote; a text without anything in it is null.
    ///
    /// # Errors
    /// What is wrong with it, for the model.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        // A model that is not held to JSON writes words around it.
        let (start, end) = (text.find('{'), text.rfind('}'));
        let (Some(start), Some(end)) = (start, end.map(|end| end + 1)) else {
            return Err("there is no JSON object".to_owned());
        };
        let json = text.get(start..end).unwrap_or_default();
        let record: Value =
            serde_json::from_str(json).map_err(|error| format!("it is no JSON: {error}"))?;
        let record = without_blanks(record);
        if let Some(error) = self.validator.iter_errors(&record).next() {
            return Err(format!("at `{}`: {error}", error.instance_path()));
        }
        Ok(record)
    }

    /// The fields in words, a line each: name, type and description.
    pub fn lines(&self) -> String {
        let mut lines = Vec::new();
        describe(&self.schema, &self.schema, "", 0, &mut lines);
        lines.join("\n")
    }
}

/// A schema whose objects have all of their fields, and null for those that nobody knows.
fn optional(schema: &Value, depth: usize) -> Value {
    let Some(map) = schema.as_object().filter(|_| depth < DEEPEST) else {
        return schema.clone();
    };
    let mut out = map.clone();
    if let Some(Value::Object(properties)) = map.get("properties") {
        let mut all = Map::new();
        for (name, property) in properties {
            all.insert(name.clone(), or_null(&optional(property, depth + 1)));
        }
        let names: Vec<Value> = all.keys().map(|name| json!(name)).collect();
        out.insert("type".to_owned(), json!("object"));
        out.insert("properties".to_owned(), Value::Object(all));
        out.insert("required".to_owned(), Value::Array(names));
        out.insert("additionalProperties".to_owned(), json!(false));
    }
    if let Some(items) = map.get("items") {
        out.insert("items".to_owned(), optional(items, depth + 1));
    }
    for key in ["$defs", "definitions"] {
        if let Some(Value::Object(schemas)) = map.get(key) {
            let schemas = schemas
                .iter()
                .map(|(name, one)| (name.clone(), optional(one, depth + 1)));
            out.insert(key.to_owned(), Value::Object(schemas.collect()));
        }
    }
    Value::Object(out)
}

/// A schema or null. What says itself what may be null stays as it is.
fn or_null(schema: &Value) -> Value {
    let takes_null = json_schema::types(schema).contains(&"null")
        || jsonschema::validator_for(schema).is_ok_and(|v| v.is_valid(&Value::Null));
    if takes_null {
        return schema.clone();
    }
    let mut schema = schema.clone();
    // What a field is belongs to the field.
    let about = schema
        .as_object_mut()
        .and_then(|map| map.shift_remove("description"));
    let mut out = json!({ "anyOf": [schema, { "type": "null" }] });
    if let Some(about) = about {
        out["description"] = about;
    }
    out
}

fn without_blanks(value: Value) -> Value {
    match value {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::Object(map) => {
            let fields = map.into_iter().map(|(name, v)| (name, without_blanks(v)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => {
            let items = items.into_iter().map(without_blanks);
            Value::Array(items.filter(|item| !item.is_null()).collect())
        }
        other => other,
    }
}

fn describe(root: &Value, schema: &Value, path: &str, depth: usize, lines: &mut Vec<String>) {
    let inner = json_schema::without_null(root, schema);
    let Some(properties) = json_schema::properties(inner).filter(|_| depth < DEEPEST) else {
        return;
    };
    for (name, property) in properties {
        let inner = json_schema::without_null(root, property);
        let mut line = format!("- {path}{name}");
        let kinds: Vec<&str> = json_schema::types(inner)
            .into_iter()
            .filter(|kind| *kind != "null")
            .collect();
        if !kinds.is_empty() {
            line.push_str(&format!(" ({})", kinds.join(" or ")));
        }
        let about = property
            .get("description")
            .or_else(|| inner.get("description"));
        if let Some(about) = about.and_then(Value::as_str) {
            line.push_str(&format!(": {about}"));
        }
        if let Some(options) = inner.get("enum").and_then(Value::as_array) {
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            line.push_str(&format!(", one of {}", options.join(", ")));
        }
        lines.push(line);
        describe(root, inner, &format!("{path}{name}."), depth + 1, lines);
        if let Some(items) = inner.get("items") {
            describe(root, items, &format!("{path}{name}[]."), depth + 1, lines);
        }
    }
}

/// Places of values in a record that the text does not say in these words or numbers.
pub(super) fn unfounded(record: &Value, text: &str) -> Vec<String> {
    let letters = letters(text);
    let numbers = numbers(text);
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), record)];
    while let Some((path, value)) = pending.pop() {
        let is_there = match value {
            Value::String(words) => letters.contains(&self::letters(words)),
            Value::Number(number) => number
                .as_f64()
                .is_none_or(|number| numbers.iter().any(|n| (n - number).abs() < 1e-9)),
            Value::Object(map) => {
                let inner = map.iter().rev();
                pending.extend(inner.map(|(name, v)| (format!("{path}/{name}"), v)));
                true
            }
            Value::Array(items) => {
                let inner = items.iter().enumerate().rev();
                pending.extend(inner.map(|(i, v)| (format!("{path}/{i}"), v)));
                true
            }
            Value::Bool(_) | Value::Null => true,
        };
        if !is_there && found.len() < MOST_TOLD {
            found.push(path);
        }
    }
    found
}

/// Letters and digits of a text, in lower case.
fn letters(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The numbers of a text, with commas as marks of thousands and as decimal marks.
fn numbers(text: &str) -> Vec<f64> {
    let mut all = Vec::new();
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    for word in text.split(|c| !(digits(c) || matches!(c, '-' | '−'))) {
        let negative = word.starts_with(['-', '−']);
        let word = word.trim_matches(|c: char| !c.is_ascii_digit());
        for part in word.split(['-', '−']) {
            let part = part.trim_matches(|c: char| !c.is_ascii_digit());
            for reading in [part.replace(',', ""), part.replace(',', ".")] {
                if let Ok(number) = reading.parse::<f64>() {
                    all.push(number);
                    if negative {
                        all.push(-number);
                    }
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weather() -> Record {
        Record::compile(&json!({
            "type": "object",
            "properties": {
                "city": { "type": "string", "description": "the city" },
                "sky": { "enum": ["sunny", "rain"] },
                "celsius": { "type": "number" },
                "wind": { "type": "object", "properties": { "from": { "type": "string" } } },
                "days": {
                    "type": "array",
                    "items": { "type": "object", "properties": { "day": { "type": "string" } } },
                },
                "note": { "type": ["string", "null"] },
            },
            "required": ["city"],
        }))
        .unwrap()
    }

    #[test]
    fn each_field_may_be_null_and_none_is_missing() {
        let record = weather();
        let city = &record.schema["properties"]["city"];
        assert_eq!(
            *city,
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "description": "the city" })
        );
        assert_eq!(record.schema["required"].as_array().unwrap().len(), 6);
        let nothing = json!({
            "city": null, "sky": null, "celsius": null, "wind": null, "days": null, "note": null,
        });
        assert_eq!(record.read(&nothing.to_string()), Ok(nothing));
        let some = json!({
            "city": " ", "sky": "rain", "celsius": 9, "wind": { "from": "" },
            "days": [{ "day": "Monday" }, ""], "note": "x",
        });
        let read = record
            .read(&format!("Here it is:\n```json\n{some}\n```"))
            .unwrap();
        assert_eq!(read["city"], Value::Null);
        assert_eq!(read["wind"], json!({ "from": null }));
        assert_eq!(read["days"], json!([{ "day": "Monday" }]));
        for (text, part) in [
            ("no idea", "no JSON object"),
            ("{", "no JSON object"),
            ("{]}", "no JSON"),
            ("{}", "required"),
        ] {
            let error = record.read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let mut wrong = json!({
            "city": 3, "sky": null, "celsius": null, "wind": null, "days": null, "note": null,
        });
        assert!(
            record
                .read(&wrong.to_string())
                .unwrap_err()
                .contains("/city")
        );
        wrong["city"] = json!(null);
        wrong["more"] = json!(1);
        assert!(record.read(&wrong.to_string()).is_err());
    }

    #[test]
    fn fields_are_told_in_words() {
        assert_eq!(
            weather().lines(),
            "- city (string): the city\n- sky, one of \"sunny\", \"rain\"\n- celsius (number)\n- wind (object)\n\
             - wind.from (string)\n- days (array)\n- days[].day (string)\n- note (string)"
        );
    }

    #[test]
    fn schemas_that_are_no_records_are_refused() {
        for (schema, part) in [
            (json!({ "type": "string" }), "of an object"),
            (json!({ "type": "object" }), "of an object"),
            (json!({ "type": "thing" }), "no JSON Schema"),
            (json!({ "$ref": "#" }), "leads back"),
            (json!({ "description": "x".repeat(40_000) }), "bytes"),
        ] {
            let error = Record::compile(&schema).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_the_text_does_not_say_is_found() {
        let text = "# Weather in **Paris**\n\nSunny, -3 to 21.5 °C; 1,200 visitors. 2024-05-01";
        for (record, expected) in [
            (
                json!({ "city": "paris", "sky": "sunny", "high": 21.5, "low": -3 }),
                vec![],
            ),
            (json!({ "visitors": 1200, "year": 2024 }), vec![]),
            (
                json!({ "city": "Rome", "high": 22, "none": null, "on": true }),
                vec!["/city", "/high"],
            ),
            (
                json!({ "days": [{ "sky": "rain" }, { "sky": "Sunny" }] }),
                vec!["/days/0/sky"],
            ),
        ] {
            assert_eq!(unfounded(&record, text), expected, "{record}");
        }
    }
}
