//! What the grammar's compiler has no rule for, said by keywords that it has: `not`, `oneOf` of schemas
//! that overlap, `dependencies` and `if` become `anyOf` and `allOf` of schemas and of their opposites.
//! An opposite is never larger than what it stands for, so nothing invalid becomes possible; what has
//! none is left as it is, for the compiler to refuse.

use serde_json::{Map, Value, json};

use super::schema::FORMATS;

type Schema = Map<String, Value>;

/// References that are followed one into the other.
const DEPTH: usize = 8;

/// Alternatives of which each is told from all others.
const MOST: usize = 8;

/// All types; a number that is an integer counts as one of `number`.
const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];

/// Keywords that restrict and whose opposite cannot be said.
const NO_OPPOSITE: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "items",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "multipleOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "$dynamicRef",
    "$recursiveRef",
];

/// Rewrites the schemas of one document.
pub(super) struct Rewriter<'a> {
    /// The document, for references.
    pub(super) root: &'a Value,
}

impl Rewriter<'_> {
    /// Rewrites one schema; those within are not looked at.
    pub(super) fn rewrite(&self, schema: &mut Schema) {
        let mut added = Vec::new();
        if let Some(opposite) = schema.get("not").and_then(|s| self.opposite(s, 0)) {
            schema.shift_remove("not");
            added.push(opposite);
        }
        let one_of = schema.get("oneOf").and_then(Value::as_array);
        if let Some(one) = one_of.and_then(|options| self.exactly_one(options)) {
            schema.shift_remove("oneOf");
            added.push(one);
        }
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            if !schema.get(keyword).is_some_and(Value::is_object) {
                continue;
            }
            if let Some(Value::Object(dependencies)) = schema.shift_remove(keyword) {
                added.extend(dependencies.into_iter().map(|(name, needed)| {
                    let needed = match needed {
                        Value::Array(names) => json!({ "required": names }),
                        schema => schema,
                    };
                    json!({ "anyOf": [{ "properties": { name: false } }, needed] })
                }));
            }
        }
        if let Some(condition) = schema.get("if").filter(|_| self.has_conditions())
            && let Some(opposite) = self.opposite(condition, 0)
        {
            let branch = |key: &str| schema.get(key).cloned().unwrap_or(json!(true));
            added.push(json!({ "anyOf": [
                { "allOf": [condition, branch("then")] },
                { "allOf": [opposite, branch("else")] },
            ] }));
            for key in ["if", "then", "else"] {
                schema.shift_remove(key);
            }
        }
        if added.is_empty() {
            return;
        }
        match schema.get_mut("allOf") {
            Some(Value::Array(all)) => all.extend(added),
            _ => drop(schema.insert("allOf".into(), Value::Array(added))),
        }
    }

    /// Drafts before the seventh have no `if`, and ignore it.
    fn has_conditions(&self) -> bool {
        let draft = self.root.get("$schema").and_then(Value::as_str);
        !draft.is_some_and(|d| d.contains("draft-04") || d.contains("draft-06"))
    }

    fn exactly_one(&self, options: &[Value]) -> Option<Value> {
        let apart = |i: usize, j: usize| i == j || self.disjoint(&options[i], &options[j], 0);
        let all = 0..options.len();
        if all.clone().all(|i| all.clone().all(|j| apart(i, j))) {
            return Some(json!({ "anyOf": options }));
        }
        if options.len() > MOST {
            return None;
        }
        let alternatives: Option<Vec<Value>> = all
            .clone()
            .map(|i| {
                let others = all.clone().filter(|j| !apart(i, *j));
                let others: Option<Vec<Value>> =
                    others.map(|j| self.opposite(&options[j], 0)).collect();
                let mut all_of = vec![options[i].clone()];
                all_of.extend(others?);
                Some(json!({ "allOf": all_of }))
            })
            .collect();
        Some(json!({ "anyOf": alternatives? }))
    }

    /// A schema of values that are not valid under `schema`: of all, or of most where integers,
    /// arrays and objects are compared.
    fn opposite(&self, schema: &Value, depth: usize) -> Option<Value> {
        let schema = match schema {
            Value::Bool(valid) => return Some(json!(!valid)),
            Value::Object(schema) if depth < DEPTH => schema,
            _ => return None,
        };
        let mut any: Vec<Value> = Vec::new();
        for (keyword, value) in schema {
            let number = |key: &str| {
                let bound = value
                    .is_number()
                    .then(|| json!({ "type": "number", key: value }));
                // Draft 4 has booleans here, which turn another keyword's meaning.
                bound.filter(|_| {
                    !["exclusiveMinimum", "exclusiveMaximum"]
                        .iter()
                        .any(|k| schema.get(*k).is_some_and(Value::is_boolean))
                })
            };
            let more = |kind: &str, key: &str| {
                Some(json!({ "type": kind, key: value.as_u64()?.checked_add(1)? }))
            };
            let fewer = |kind: &str, key: &str| match value.as_u64()? {
                0 => Some(json!(false)),
                n => Some(json!({ "type": kind, key: n - 1 })),
            };
            match keyword.as_str() {
                "type" => any.push(other_types(value)?),
                "const" => any.push(other_values(value)),
                "enum" => {
                    let others = value.as_array()?.iter().map(other_values);
                    any.push(json!({ "allOf": others.collect::<Vec<_>>() }));
                }
                "minimum" => any.push(number("exclusiveMaximum")?),
                "maximum" => any.push(number("exclusiveMinimum")?),
                "exclusiveMinimum" => any.push(number("maximum")?),
                "exclusiveMaximum" => any.push(number("minimum")?),
                "minLength" => any.push(fewer("string", "maxLength")?),
                "maxLength" => any.push(more("string", "minLength")?),
                "minItems" => any.push(fewer("array", "maxItems")?),
                "maxItems" => any.push(more("array", "minItems")?),
                "required" => any.extend(
                    value
                        .as_array()?
                        .iter()
                        .filter_map(Value::as_str)
                        .map(without),
                ),
                "properties" => {
                    for (name, schema) in value.as_object()? {
                        let other = self.opposite(schema, depth + 1)?;
                        any.push(with(name, &other));
                    }
                }
                "anyOf" => {
                    let all = value.as_array()?.iter();
                    let all: Option<Vec<_>> = all.map(|s| self.opposite(s, depth + 1)).collect();
                    any.push(json!({ "allOf": all? }));
                }
                "allOf" => {
                    for schema in value.as_array()? {
                        any.push(self.opposite(schema, depth + 1)?);
                    }
                }
                "oneOf" => match value.as_array()?.as_slice() {
                    [only] => any.push(self.opposite(only, depth + 1)?),
                    _ => return None,
                },
                "not" => any.push(value.clone()),
                "$ref" => any.push(self.opposite(self.target(value.as_str()?)?, depth + 1)?),
                "format" if value.as_str().is_some_and(|f| FORMATS.contains(&f)) => return None,
                other if NO_OPPOSITE.contains(&other) => return None,
                // An annotation.
                _ => {}
            }
        }
        any.retain(|schema| schema != &json!(false));
        Some(match any.len() {
            0 => json!(false),
            1 => any.remove(0),
            _ => json!({ "anyOf": any }),
        })
    }

    /// Whether surely no value is valid under both schemas.
    fn disjoint(&self, a: &Value, b: &Value, depth: usize) -> bool {
        let (Some(a), Some(b)) = (self.resolve(a), self.resolve(b)) else {
            return a == &json!(false) || b == &json!(false);
        };
        if depth == DEPTH {
            return false;
        }
        let (of_a, of_b) = (self.types(a, 0), self.types(b, 0));
        if of_a.iter().all(|t| !of_b.contains(t)) {
            return true;
        }
        if let (Some(a), Some(b)) = (values(a), values(b)) {
            return !a.iter().any(|a| b.iter().any(|b| equal(a, b)));
        }
        // The rest is about objects.
        if of_a != ["object"] && of_b != ["object"] {
            return false;
        }
        let property =
            |schema: &Schema, name: &str| Some(schema.get("properties")?.get(name)?.clone());
        let required = |schema: &Schema| {
            let names = schema.get("required").and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        let closed = |schema: &Schema| {
            schema.get("additionalProperties") == Some(&json!(false))
                && !schema.contains_key("patternProperties")
        };
        let lacks =
            |schema: &Schema, name: &str| closed(schema) && property(schema, name).is_none();
        let told_apart = |name: &String| {
            lacks(a, name)
                || lacks(b, name)
                || property(a, name)
                    .zip(property(b, name))
                    .is_some_and(|(a, b)| self.disjoint(&a, &b, depth + 1))
        };
        required(a).iter().chain(&required(b)).any(told_apart)
    }

    /// Types that values under a schema may have.
    fn types(&self, schema: &Schema, depth: usize) -> Vec<&'static str> {
        let mut types = TYPES.to_vec();
        let stated = match schema.get("type") {
            Some(Value::String(name)) => Some(vec![name.as_str()]),
            Some(Value::Array(names)) => Some(names.iter().filter_map(Value::as_str).collect()),
            _ => None,
        };
        if let Some(stated) = stated {
            types.retain(|t| stated.contains(t) || *t == "number" && stated.contains(&"integer"));
        }
        if let Some(values) = values(schema) {
            types.retain(|t| values.iter().any(|v| type_of(v) == *t));
        }
        if depth == DEPTH {
            return types;
        }
        let of = |schema: &Value| match (self.resolve(schema), schema) {
            (Some(schema), _) => self.types(schema, depth + 1),
            (None, Value::Bool(false)) => Vec::new(),
            (None, _) => TYPES.to_vec(),
        };
        for keyword in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(keyword).and_then(Value::as_array) {
                let options: Vec<_> = options.iter().map(of).collect();
                types.retain(|t| options.iter().any(|option| option.contains(t)));
            }
        }
        for schema in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let part = of(schema);
            types.retain(|t| part.contains(t));
        }
        types
    }

    /// What a schema that is nothing but a reference refers to, else the schema.
    fn resolve<'s>(&'s self, mut schema: &'s Value) -> Option<&'s Schema> {
        for _ in 0..DEPTH {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return schema.as_object();
            };
            schema = self.target(reference)?;
        }
        None
    }

    fn target(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values that a schema lists.
fn values(schema: &Schema) -> Option<Vec<&Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

/// JSON Schema's equality, by which 1 is 1.0; what it makes equal deeper within counts as equal, too.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => true,
        _ => a == b,
    }
}

fn other_types(value: &Value) -> Option<Value> {
    let names: Vec<&str> = match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let excluded = |t: &&str| names.contains(t) || *t == "number" && names.contains(&"integer");
    let others: Vec<&str> = TYPES.into_iter().filter(|t| !excluded(t)).collect();
    Some(match others.is_empty() {
        true => json!(false),
        false => json!({ "type": others }),
    })
}

/// Values other than one.
fn other_values(value: &Value) -> Value {
    let others: Vec<&str> = TYPES.into_iter().filter(|t| *t != type_of(value)).collect();
    let mut any = vec![json!({ "type": others })];
    match value {
        Value::Null => {}
        Value::Bool(value) => any.push(json!({ "const": !value })),
        Value::Number(_) => any.extend([
            json!({ "type": "number", "exclusiveMaximum": value }),
            json!({ "type": "number", "exclusiveMinimum": value }),
        ]),
        Value::String(text) => any.push(json!({ "type": "string", "pattern": other_texts(text) })),
        Value::Array(items) => {
            any.push(json!({ "type": "array", "minItems": items.len() + 1 }));
            if let Some(fewer) = items.len().checked_sub(1) {
                any.push(json!({ "type": "array", "maxItems": fewer }));
            }
        }
        Value::Object(fields) => {
            if fields.is_empty() {
                any.push(json!({ "type": "object", "minProperties": 1 }));
            }
            for (name, value) in fields {
                any.push(without(name));
                any.push(with(name, &other_values(value)));
            }
        }
    }
    json!({ "anyOf": any })
}

fn without(name: &str) -> Value {
    json!({ "type": "object", "properties": { name: false } })
}

fn with(name: &str, schema: &Value) -> Value {
    match schema {
        Value::Bool(false) => json!(false),
        schema => json!({ "type": "object", "required": [name], "properties": { name: schema } }),
    }
}

/// A regular expression of all texts but one: those that are shorter, differ in a character, or are
/// longer.
fn other_texts(text: &str) -> String {
    let escape = |c: char| match c {
        c if c.is_alphanumeric() || c == ' ' || !c.is_ascii() => c.to_string(),
        c => format!("\\x{:02x}", c as u32),
    };
    let (mut same, mut others) = (String::new(), String::from("^(?s:"));
    for c in text.chars() {
        others.push_str(&format!("{same}|{same}[^{}].*|", escape(c)));
        same.push_str(&escape(c));
    }
    others + &same + ".+)$"
}

#[cfg(test)]
mod tests;
