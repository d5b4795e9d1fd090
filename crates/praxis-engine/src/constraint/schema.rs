//! JSON Schemas on their way into a grammar: what says nothing is taken out, what the grammar would
//! follow only in part is refused, and refusals say where in the schema the trouble is (JSON Schema
//! 2020-12; drafts 4 to 7 where `$schema` names them; places as JSON Pointers, RFC 6901).

use serde_json::{Map, Value, json};

use super::pattern::narrowed;
use super::rewrite::Rewriter;

/// Formats that JSON Schema defines (2020-12 Validation, 7.3). All others are annotations.
pub(super) const FORMATS: &[&str] = &[
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uuid",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// Dates of the calendar: the grammar's own `date` and `date-time` allow each year a 29th of
/// February (RFC 3339, 5.7).
const CALENDAR: &str = "^(?:[0-9]{4}-(?:(?:0[13-9]|1[0-2])-[0-9]{2}|02-(?:[01][0-9]|2[0-8]))\
    |(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)(?:[tT].*)?$";

/// The schema as the grammar's compiler takes it.
///
/// # Errors
/// Says what cannot be followed, and where.
pub(crate) fn prepare(schema: &Value) -> Result<Value, String> {
    let rewriter = Rewriter { root: schema };
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        other => other.clone(),
    };
    visit(&mut schema, "", &mut |schema, place| {
        normalize(schema);
        check(schema, place)?;
        rewriter.rewrite(schema);
        Ok(())
    })?;
    let Some(root) = schema.as_object_mut() else {
        return Err("it is not a schema: an object is expected".into());
    };
    // The compiler's own options. The reason for this form is given in the module above.
    let options = json!({
        "whitespace_flexible": false,
        "item_separator": ", ",
        "key_separator": ": ",
    });
    root.insert("x-guidance".into(), options);
    Ok(schema)
}

fn normalize(schema: &mut Map<String, Value>) {
    schema.shift_remove("x-guidance");
    if schema.get("uniqueItems") == Some(&Value::Bool(false)) {
        schema.shift_remove("uniqueItems");
    }
    if let Some(Value::String(pattern)) = schema.get_mut("pattern") {
        *pattern = narrowed(pattern);
    }
    if let Some(Value::Object(patterns)) = schema.get_mut("patternProperties") {
        let all = std::mem::take(patterns);
        patterns.extend(all.into_iter().map(|(key, of)| (narrowed(&key), of)));
    }
    let format = schema.get("format").and_then(Value::as_str);
    match format.map(str::to_owned).as_deref() {
        Some("date" | "date-time") => {
            let calendar = json!({ "type": "string", "pattern": CALENDAR });
            let other = json!({ "type": ["null", "boolean", "number", "array", "object"] });
            let both = if schema.get("type") == Some(&json!("string")) {
                calendar
            } else {
                json!({ "anyOf": [calendar, other] })
            };
            match schema.get_mut("allOf") {
                Some(Value::Array(all)) => all.push(both),
                _ => drop(schema.insert("allOf".into(), json!([both]))),
            }
        }
        Some(name) if !FORMATS.contains(&name) => drop(schema.shift_remove("format")),
        _ => {}
    }
}

fn check(schema: &Map<String, Value>, place: &str) -> Result<(), String> {
    let number = |key: &str| schema.get(key).and_then(Value::as_u64).unwrap_or(0);
    let required = schema.get("required").and_then(Value::as_array);
    // Two free properties of one name would count as two.
    if number("minProperties") > 1 + required.map_or(0, Vec::len) as u64 {
        return Err(at(
            "`minProperties` of more than one property beyond those that are required",
            place,
        ));
    }
    let id = |key: &str| schema.get(key).and_then(Value::as_str);
    let rebased = id("$id")
        .or(id("id"))
        .is_some_and(|id| !id.starts_with('#'));
    if rebased && !place.is_empty() && json!(schema).to_string().contains("\"$ref\":\"#") {
        return Err(at(
            "`$ref` relative to an `$id` that is not the root's",
            place,
        ));
    }
    Ok(())
}

/// The compiler's complaint about a schema, with the place that it is about where that can be told.
pub(super) fn explain(schema: &Value, complaint: &str) -> String {
    let prepared = prepare(schema).unwrap_or_else(|_| schema.clone());
    let find = |wanted: &dyn Fn(&Map<String, Value>) -> bool| {
        let mut found = None;
        let _ = visit(&mut prepared.clone(), "", &mut |schema, place| {
            if wanted(schema) {
                found = Some(place.to_owned());
                return Err(String::new());
            }
            Ok(())
        });
        found.unwrap_or_default()
    };
    if let Some(keys) = complaint.strip_prefix("Unimplemented keys: ") {
        let keys: Vec<String> = serde_json::from_str(keys).unwrap_or_default();
        let place = find(&|schema| keys.iter().any(|key| schema.contains_key(key)));
        return at(&format!("`{}`", keys.join("`, `")), &place);
    }
    if let Some(format) = complaint.strip_prefix("Unknown format: ") {
        let place = find(&|schema| schema.get("format") == Some(&json!(format)));
        return at(&format!("`format` \"{format}\""), &place);
    }
    if complaint.starts_with("oneOf constraints") {
        let place = find(&|schema| schema.contains_key("oneOf"));
        let what = "`oneOf` of schemas that are not told apart by their types or by a constant";
        return format!("{}; use `anyOf`", at(what, &place));
    }
    complaint.to_owned()
}

fn at(what: &str, place: &str) -> String {
    let place = if place.is_empty() { "the root" } else { place };
    format!("{what} is not supported (at {place})")
}

/// What is done with every object of a schema and the path to it.
type Visit<'a> = dyn FnMut(&mut Map<String, Value>, &str) -> Result<(), String> + 'a;

/// Calls `each` for a schema and all those within, with their places.
fn visit(schema: &mut Value, place: &str, each: &mut Visit<'_>) -> Result<(), String> {
    let Some(object) = schema.as_object_mut() else {
        return Ok(());
    };
    each(object, place)?;
    for (keyword, value) in object {
        let place = format!("{place}/{keyword}");
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
                | "dependencies",
                Value::Object(map),
            ) => {
                for (name, schema) in map {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    visit(schema, &format!("{place}/{name}"), each)?;
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(list)) => {
                for (i, schema) in list.iter_mut().enumerate() {
                    visit(schema, &format!("{place}/{i}"), each)?;
                }
            }
            (
                "items"
                | "additionalItems"
                | "additionalProperties"
                | "not"
                | "contains"
                | "if"
                | "then"
                | "else"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties",
                schema,
            ) => visit(schema, &place, each)?,
            _ => {}
        }
    }
    Ok(())
}
