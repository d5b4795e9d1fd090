//! Schemas of OpenAPI 3.0 and 3.1 as JSON Schemas of 2020-12 that say the same or less.
//!
//! What is kept are the keywords that the local engine can hold a model to. `oneOf` becomes `anyOf`, as those who write
//! it mostly mean; `not`, `if`, `patternProperties`, `uniqueItems` and the like are left to the service to check, so
//! what fits here may still be refused there, and what is refused here never fits there. Each `$ref` becomes one into
//! `$defs`. Left out: circles and repetitions among these (`settle`).

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use super::{Document, is, text};
use crate::text::{Names, identifier, plain};

/// Parts of all schemas of one operation, and how deep one is followed.
const MOST_PARTS: usize = 20_000;
const MOST_DEPTH: usize = 24;

/// Characters of a description, of a pattern and of a default or an example.
const LONGEST_DESCRIPTION: usize = 240;
const LONGEST_PATTERN: usize = 300;
const LONGEST_VALUE: usize = 100;

/// Values of an `enum`, and characters of all of them.
const MOST_OPTIONS: usize = 300;
const LONGEST_OPTIONS: usize = 12_000;

/// Memory of a compiled pattern, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// Formats that JSON Schema defines (2020-12 Validation, 7.3), as far as somebody checks them.
const FORMATS: [&str; 10] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uuid",
];

/// How a form is told which of its fields are files.
pub(super) const BINARY: &str = "binary";

/// Keywords of a schema beside `$ref` that say nothing of values.
const ANNOTATIONS: [&str; 12] = [
    "$ref",
    "$comment",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "nullable",
    "externalDocs",
];

/// Which way a value goes: some properties are only sent, some only received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
}

/// Converts the schemas of one operation.
pub(super) struct Converter<'d> {
    document: &'d Document,
    direction: Direction,
    /// Names of definitions by their places in the document.
    known: HashMap<String, String>,
    names: Names,
    pending: VecDeque<(String, &'d Value)>,
    defs: Map<String, Value>,
    parts: usize,
}

impl<'d> Converter<'d> {
    pub fn new(document: &'d Document, direction: Direction) -> Self {
        Self {
            document,
            direction,
            known: HashMap::new(),
            names: Names::default(),
            pending: VecDeque::new(),
            defs: Map::new(),
            parts: 0,
        }
    }

    /// A schema; what it refers to is in the definitions afterwards.
    ///
    /// # Errors
    /// A schema that is too large, and references that lead nowhere.
    pub fn convert(&mut self, schema: &'d Value) -> Result<Value, String> {
        let converted = self.schema(schema, 0)?;
        while let Some((name, schema)) = self.pending.pop_front() {
            let definition = self.schema(schema, 0)?;
            self.defs.insert(name, definition);
        }
        Ok(converted)
    }

    /// The definitions, in the order in which they were first referred to.
    pub fn definitions(self) -> Map<String, Value> {
        self.defs
    }

    fn schema(&mut self, schema: &'d Value, depth: usize) -> Result<Value, String> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(format!("its schemas have more than {MOST_PARTS} parts"));
        }
        match schema {
            Value::Bool(any) => Ok(json!(any)),
            Value::Object(map) if depth <= MOST_DEPTH => match text(schema, "$ref") {
                Some(target) => self.reference(map, target, depth),
                None => Ok(Value::Object(self.keywords(map, depth)?)),
            },
            _ => Ok(json!({})),
        }
    }

    fn reference(
        &mut self,
        map: &'d Map<String, Value>,
        target: &str,
        depth: usize,
    ) -> Result<Value, String> {
        let name = match self.known.get(target) {
            Some(name) => name.clone(),
            None => {
                let document: &'d Document = self.document;
                let schema = document.at(target)?;
                let last = target.rsplit('/').next().unwrap_or_default();
                let last = identifier(last, 40);
                let last = if last.is_empty() {
                    "Part"
                } else {
                    last.as_str()
                };
                let name = self.names.give(last, 48);
                self.known.insert(target.to_owned(), name.clone());
                self.pending.push_back((name.clone(), schema));
                name
            }
        };
        let mut out = Map::new();
        out.insert("$ref".to_owned(), json!(format!("#/$defs/{name}")));
        // In 3.0 what stands beside a reference is ignored, but for what people write there all the same.
        let says_more = !self.document.old && map.keys().any(|k| !is_annotation(k));
        if says_more {
            let beside = self.keywords(map, depth + 1)?;
            let mut both = annotations(map);
            both.insert("allOf".to_owned(), json!([out, beside]));
            return Ok(Value::Object(both));
        }
        out.extend(annotations(map));
        if map.get("nullable") == Some(&json!(true)) {
            out = or_null(out);
        }
        Ok(Value::Object(out))
    }

    /// All keywords but `$ref`.
    fn keywords(
        &mut self,
        map: &'d Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, String> {
        let mut out = annotations(map);
        let types = types(map);
        match types.as_slice() {
            [] => {}
            [one] => drop(out.insert("type".to_owned(), json!(one))),
            _ => drop(out.insert("type".to_owned(), json!(types))),
        }
        values(map, &mut out);
        numbers(map, &mut out);
        lengths(map, &mut out);
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
            && is_harmless(pattern)
        {
            out.insert("pattern".to_owned(), json!(pattern));
        }
        if let Some(format) = format(map) {
            out.insert("format".to_owned(), json!(format));
        }
        self.lists(map, &mut out, depth)?;
        self.properties(map, &mut out, depth)?;
        self.choices(map, &mut out, depth)?;
        if map.get("nullable") == Some(&json!(true)) {
            out = or_null(out);
        }
        Ok(out)
    }

    fn lists(
        &mut self,
        map: &'d Map<String, Value>,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        if let Some(items) = map.get("items").filter(|i| i.is_object() || i.is_boolean()) {
            out.insert("items".to_owned(), self.schema(items, depth + 1)?);
        }
        if let Some(first) = map.get("prefixItems").and_then(Value::as_array)
            && !first.is_empty()
        {
            let first = self.all(first, depth)?;
            out.insert("prefixItems".to_owned(), first);
        }
        Ok(())
    }

    fn properties(
        &mut self,
        map: &'d Map<String, Value>,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        let required: HashSet<&str> = map
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut gone = HashSet::new();
        if let Some(properties) = map.get("properties").and_then(Value::as_object) {
            let mut kept = Map::new();
            for (name, property) in properties {
                let needed = required.contains(name.as_str());
                if self.is_left_out(property, needed) {
                    gone.insert(name.as_str());
                    continue;
                }
                kept.insert(name.clone(), self.schema(property, depth + 1)?);
            }
            out.insert("properties".to_owned(), Value::Object(kept));
        }
        let mut names: Vec<&str> = required.into_iter().filter(|n| !gone.contains(n)).collect();
        names.sort_unstable();
        if !names.is_empty() {
            out.insert("required".to_owned(), json!(names));
        }
        // Names by pattern are not followed: where there are some, any name may be there.
        if let Some(others) = map.get("additionalProperties")
            && !map.contains_key("patternProperties")
            && (others.is_object() || others.is_boolean())
        {
            let others = self.schema(others, depth + 1)?;
            out.insert("additionalProperties".to_owned(), others);
        }
        Ok(())
    }

    fn choices(
        &mut self,
        map: &'d Map<String, Value>,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        let branches = |key: &str| {
            let branches = map.get(key).and_then(Value::as_array);
            branches.filter(|all| !all.is_empty())
        };
        let mut together = Vec::new();
        if let Some(all) = branches("allOf") {
            for one in all {
                together.push(self.schema(one, depth + 1)?);
            }
        }
        match (branches("anyOf"), branches("oneOf")) {
            (Some(any), Some(one)) => {
                for branches in [any, one] {
                    together.push(json!({ "anyOf": self.all(branches, depth)? }));
                }
            }
            (Some(one), None) | (None, Some(one)) => {
                out.insert("anyOf".to_owned(), self.all(one, depth)?);
            }
            (None, None) => {}
        }
        if !together.is_empty() {
            out.insert("allOf".to_owned(), Value::Array(together));
        }
        Ok(())
    }

    fn all(&mut self, schemas: &'d [Value], depth: usize) -> Result<Value, String> {
        let mut all = Vec::with_capacity(schemas.len());
        for schema in schemas {
            all.push(self.schema(schema, depth + 1)?);
        }
        Ok(Value::Array(all))
    }

    /// Whether a property is none of this direction, or of the past.
    fn is_left_out(&self, property: &Value, needed: bool) -> bool {
        let flag = match self.direction {
            Direction::Input => "readOnly",
            Direction::Output => "writeOnly",
        };
        let target = self.document.resolved(property).unwrap_or(property);
        let has = |flag: &str| is(property, flag) || is(target, flag);
        has(flag) || !needed && has("deprecated")
    }
}

fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// What tells a model about values: description, default and example.
fn annotations(map: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    let described = map.get("description").and_then(Value::as_str);
    let described = plain(described.unwrap_or_default(), LONGEST_DESCRIPTION);
    if !described.is_empty() {
        out.insert("description".to_owned(), json!(described));
    }
    if let Some(value) = map.get("default").and_then(small) {
        out.insert("default".to_owned(), value);
    }
    let first = map.get("examples").and_then(|all| all.get(0));
    if let Some(example) = map.get("example").or(first).and_then(small) {
        out.insert("examples".to_owned(), json!([example]));
    }
    out
}

/// A value that is worth its tokens: a short one. Texts are cleaned.
pub(super) fn small(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => {
            let shown = plain(text, LONGEST_VALUE);
            (!shown.is_empty() && !shown.ends_with('…')).then(|| json!(shown))
        }
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        _ => None,
    }
}

fn types(map: &Map<String, Value>) -> Vec<&str> {
    const TYPES: [&str; 7] = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    let mut all: Vec<&str> = match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    all.retain(|one| TYPES.contains(one));
    let mut seen = HashSet::new();
    all.retain(|one| seen.insert(*one));
    all
}

fn values(map: &Map<String, Value>, out: &mut Map<String, Value>) {
    if let Some(options) = map.get("enum").and_then(Value::as_array) {
        let mut all: Vec<&Value> = Vec::new();
        let few = options.len() <= MOST_OPTIONS;
        for option in options.iter().filter(|_| few) {
            if !all.contains(&option) {
                all.push(option);
            }
        }
        if !all.is_empty() && json!(all).to_string().len() <= LONGEST_OPTIONS {
            out.insert("enum".to_owned(), json!(all));
        }
    }
    if let Some(value) = map.get("const")
        && value.to_string().len() <= LONGEST_OPTIONS
    {
        out.insert("const".to_owned(), value.clone());
    }
}

fn numbers(map: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (bound, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        let limit = map.get(bound).filter(|v| v.is_number());
        match (limit, map.get(exclusive)) {
            // 3.0 says with a flag what 3.1 says with a number.
            (Some(limit), Some(Value::Bool(true))) => {
                out.insert(exclusive.to_owned(), limit.clone());
            }
            (limit, other) => {
                if let Some(limit) = limit {
                    out.insert(bound.to_owned(), limit.clone());
                }
                if let Some(other) = other.filter(|v| v.is_number()) {
                    out.insert(exclusive.to_owned(), other.clone());
                }
            }
        }
    }
    if let Some(step) = map.get("multipleOf")
        && step.as_f64().is_some_and(|s| s > 0.0 && s.is_finite())
    {
        out.insert("multipleOf".to_owned(), step.clone());
    }
}

fn lengths(map: &Map<String, Value>, out: &mut Map<String, Value>) {
    for keyword in ["minLength", "maxLength", "minItems", "maxItems"] {
        if let Some(limit) = map.get(keyword).and_then(Value::as_u64) {
            out.insert(keyword.to_owned(), json!(limit));
        }
    }
}

fn format(map: &Map<String, Value>) -> Option<&str> {
    let written = map.get("format").and_then(Value::as_str);
    // What 3.0 calls binary is a media type without an encoding in 3.1.
    let is_file = map.contains_key("contentMediaType") && !map.contains_key("contentEncoding");
    match written {
        Some(BINARY) => Some(BINARY),
        None if is_file => Some(BINARY),
        Some(format) if FORMATS.contains(&format) => Some(format),
        _ => None,
    }
}

/// Whether a pattern is checked in time that grows with the text alone, whoever wrote it.
fn is_harmless(pattern: &str) -> bool {
    pattern.len() <= LONGEST_PATTERN
        && regex::RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES)
            .build()
            .is_ok()
}

/// A schema that takes null as well.
fn or_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    let in_place = ["$ref", "allOf", "anyOf", "const"];
    if in_place.iter().any(|key| schema.contains_key(*key)) {
        let mut out = Map::new();
        if let Some(described) = schema.shift_remove("description") {
            out.insert("description".to_owned(), described);
        }
        out.insert("anyOf".to_owned(), json!([schema, { "type": "null" }]));
        return out;
    }
    let null = json!("null");
    let types = match schema.get("type") {
        Some(Value::Array(types)) if !types.contains(&null) => types.clone(),
        Some(one @ Value::String(_)) if *one != null => vec![one.clone()],
        _ => Vec::new(),
    };
    if !types.is_empty() {
        let types: Vec<Value> = types.into_iter().chain([null]).collect();
        schema.insert("type".to_owned(), Value::Array(types));
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum")
        && !options.iter().any(Value::is_null)
    {
        options.push(Value::Null);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(version: &str, direction: Direction, schema: Value) -> Result<Value, String> {
        let document = Document::new(json!({
            "openapi": version,
            "components": { "schemas": {
                "S": schema,
                "Pet": { "type": "object", "properties": { "name": { "type": "string" } } },
                "Secret": { "type": "string", "writeOnly": true },
            } },
        }))?;
        let mut converter = Converter::new(&document, direction);
        let schema = document.at("#/components/schemas/S")?;
        let mut converted = converter.convert(schema)?;
        let defs = converter.definitions();
        if !defs.is_empty() {
            converted["$defs"] = Value::Object(defs);
        }
        assert!(jsonschema::validator_for(&converted).is_ok(), "{converted}");
        Ok(converted)
    }

    fn of_3_0(schema: Value) -> Value {
        converted("3.0.3", Direction::Input, schema).unwrap()
    }

    fn of_3_1(schema: Value) -> Value {
        converted("3.1.0", Direction::Input, schema).unwrap()
    }

    #[test]
    fn null_is_said_as_json_schema_says_it() {
        let pet = "#/components/schemas/Pet";
        for (schema, expected) in [
            (
                json!({ "type": "string", "nullable": true }),
                json!({ "type": ["string", "null"] }),
            ),
            (
                json!({ "type": "string", "nullable": true, "enum": ["a"] }),
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
            ),
            (
                json!({ "nullable": true, "description": "d", "allOf": [{ "type": "string" }] }),
                json!({ "description": "d", "anyOf": [{ "allOf": [{ "type": "string" }] }, { "type": "null" }] }),
            ),
            (
                json!({ "type": "string", "nullable": false }),
                json!({ "type": "string" }),
            ),
        ] {
            assert_eq!(of_3_0(schema.clone()), expected, "{schema}");
        }
        let reference = of_3_0(json!({ "$ref": pet, "nullable": true }));
        assert_eq!(
            reference["anyOf"],
            json!([{ "$ref": "#/$defs/Pet" }, { "type": "null" }])
        );
    }

    #[test]
    fn bounds_of_3_0_are_flags_and_those_of_3_1_numbers() {
        let flag = json!({
            "type": "integer",
            "minimum": 0,
            "exclusiveMinimum": true,
            "maximum": 9,
            "exclusiveMaximum": false,
        });
        assert_eq!(
            of_3_0(flag),
            json!({ "type": "integer", "exclusiveMinimum": 0, "maximum": 9 })
        );
        let number = json!({ "type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5 });
        assert_eq!(of_3_1(number.clone()), number);
    }

    #[test]
    fn properties_go_one_way() {
        let schema = json!({
            "type": "object",
            "properties": {
                "id": { "type": "integer", "readOnly": true },
                "name": { "type": "string" },
                "password": { "$ref": "#/components/schemas/Secret" },
                "old": { "type": "string", "deprecated": true },
                "needed": { "type": "string", "deprecated": true },
            },
            "required": ["id", "name", "needed"],
            "additionalProperties": false,
        });
        let names = |schema: &Value| -> Vec<String> {
            let properties = schema["properties"].as_object().unwrap();
            properties.keys().cloned().collect()
        };
        let input = of_3_0(schema.clone());
        assert_eq!(names(&input), ["name", "password", "needed"]);
        assert_eq!(input["required"], json!(["name", "needed"]));
        let output = converted("3.0.3", Direction::Output, schema).unwrap();
        assert_eq!(names(&output), ["id", "name", "needed"]);
        assert_eq!(output["required"], json!(["id", "name", "needed"]));
    }

    #[test]
    fn what_nobody_can_follow_says_less() {
        for (schema, expected) in [
            (json!({ "type": "money" }), json!({})),
            (
                json!({ "type": ["string", "string", 7] }),
                json!({ "type": "string" }),
            ),
            (
                json!({ "type": "string", "pattern": "(" }),
                json!({ "type": "string" }),
            ),
            (
                json!({ "type": "string", "pattern": "(?=a)b" }),
                json!({ "type": "string" }),
            ),
            (
                json!({ "type": "string", "format": "int99" }),
                json!({ "type": "string" }),
            ),
            (
                json!({ "minimum": "3", "minLength": -1, "enum": [] }),
                json!({}),
            ),
            (json!({ "enum": [1, 1, 2] }), json!({ "enum": [1, 2] })),
            (json!({ "not": { "type": "string" } }), json!({})),
            (
                json!({ "oneOf": [{ "type": "string" }], "discriminator": { "propertyName": "x" } }),
                json!({ "anyOf": [{ "type": "string" }] }),
            ),
            (
                json!({ "patternProperties": { "^x": {} }, "additionalProperties": false }),
                json!({}),
            ),
            (json!({ "items": [{ "type": "string" }] }), json!({})),
            (json!("a text"), json!({})),
            (json!(true), json!(true)),
        ] {
            assert_eq!(of_3_1(schema.clone()), expected, "{schema}");
        }
    }

    #[test]
    fn texts_are_cleaned_and_cut() {
        let long = "word ".repeat(200);
        let schema = of_3_1(json!({
            "description": long,
            "default": "a\u{202e}b",
            "examples": [{ "a": 1 }],
            "type": "string",
        }));
        let described = schema["description"].as_str().unwrap();
        assert_eq!(described.chars().count(), LONGEST_DESCRIPTION);
        assert!(described.ends_with('…'), "{described}");
        assert_eq!(schema["default"], "ab");
        assert_eq!(schema.get("examples"), None);
    }

    #[test]
    fn references_become_definitions_and_say_more_in_3_1() {
        let schema = json!({ "$ref": "#/components/schemas/Pet", "description": "A pet.", "required": ["name"] });
        let old = of_3_0(schema.clone());
        assert_eq!(old["$ref"], "#/$defs/Pet");
        assert_eq!(old["description"], "A pet.");
        let new = of_3_1(schema);
        assert_eq!(new["allOf"][0], json!({ "$ref": "#/$defs/Pet" }));
        assert_eq!(new["allOf"][1]["required"], json!(["name"]));
        for (target, part) in [
            ("other.yaml#/Pet", "outside of the document"),
            ("#/components/schemas/Cat", "not there"),
        ] {
            let error =
                converted("3.1.0", Direction::Input, json!({ "$ref": target })).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let mut deep = json!({ "type": "string" });
        for _ in 0..60 {
            deep = json!({ "type": "array", "items": deep });
        }
        let text = of_3_1(deep).to_string();
        assert_eq!(text.matches("array").count(), MOST_DEPTH + 1);
        let wide: Map<String, Value> = (0..MOST_PARTS)
            .map(|i| (i.to_string(), json!({})))
            .collect();
        let error =
            converted("3.1.0", Direction::Input, json!({ "properties": wide })).unwrap_err();
        assert!(error.contains("parts"), "{error}");
    }
}
