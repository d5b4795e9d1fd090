//! The words that tell a model what to write for a schema: a form with types in place of values and
//! descriptions as comments, as BAML renders it, a third of the tokens of the schema itself. Keys are
//! quoted, because small models copy what they see. Types that contain themselves are named and written
//! once; what goes deeper than a form can show is left to validation.

use serde_json::Value;

use super::locals;
use super::violation::alternatives;

/// Objects within objects that are written out.
const DEPTH: usize = 8;

/// Bytes after which nothing is written out any more.
const LONGEST: usize = 6000;

/// What a prompt says about its output.
pub(crate) fn instructions(schema: &Value) -> String {
    let form = shape(schema);
    match form.starts_with('{') || form.contains('\n') {
        true => format!("Answer with JSON of this form, and nothing else:\n{form}"),
        false => format!("Answer with JSON, and nothing else: {form}"),
    }
}

/// The form of a schema, over several lines.
pub(crate) fn shape(schema: &Value) -> String {
    shape_of(schema, schema)
}

/// The form of a part of a schema.
pub(crate) fn shape_of(root: &Value, part: &Value) -> String {
    let mut writer = Writer {
        root,
        open: Vec::new(),
        named: Vec::new(),
        written: 0,
    };
    let mut form = writer.form(part, 0);
    // Naming one type may name others; each is written once.
    let mut at = 0;
    while at < writer.named.len() && writer.written < LONGEST {
        let pointer = writer.named[at].clone();
        if let Some(schema) = root.pointer(&pointer) {
            writer.open = vec![pointer.clone()];
            let body = writer.form(schema, 0);
            form.push_str(&format!("\nwhere {} is {body}", name(&pointer)));
        }
        at += 1;
    }
    form
}

/// A schema in a few words, on one line: what is wanted at a place.
pub(crate) fn brief(root: &Value, schema: &Value) -> String {
    let schema = locals::resolved(root, schema);
    let base = if let Some(choices) = choices(schema) {
        format!("one of {}", alternatives(&choices))
    } else {
        let names: Vec<String> = locals::types(schema)
            .into_iter()
            .map(|t| article(t).to_owned())
            .collect();
        match (names.is_empty(), locals::properties(schema)) {
            (false, _) => alternatives(&names),
            (true, Some(_)) => "an object".to_owned(),
            (true, None) => "a value".to_owned(),
        }
    };
    match schema.get("description").and_then(Value::as_str) {
        Some(about) => format!("{base} ({})", one_line(about)),
        None => base,
    }
}

/// A type's name in a sentence.
pub(crate) fn article(kind: &str) -> &str {
    match kind {
        "string" => "a string",
        "number" => "a number",
        "integer" => "an integer",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

/// The values of an enum or a const, as JSON.
pub(crate) fn choices(schema: &Value) -> Option<Vec<String>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values.iter().map(Value::to_string).collect()),
        (_, Some(only)) => Some(vec![only.to_string()]),
        _ => None,
    }
}

struct Writer<'s> {
    root: &'s Value,
    /// References that are being written.
    open: Vec<String>,
    /// References to types that contain themselves.
    named: Vec<String>,
    written: usize,
}

impl Writer<'_> {
    fn form(&mut self, schema: &Value, depth: usize) -> String {
        let text = self.form_unbounded(schema, depth);
        // What is nested is counted again by what holds it: the bound is a bound on work, too.
        self.written += text.len() + 1;
        text
    }

    fn form_unbounded(&mut self, schema: &Value, depth: usize) -> String {
        if self.written > LONGEST {
            return "any".to_owned();
        }
        if let Some(pointer) = locals::reference(schema) {
            let target = self.root.pointer(&pointer);
            let Some(target) = target else {
                return "any".to_owned();
            };
            if self.open.contains(&pointer) {
                if !self.named.contains(&pointer) {
                    self.named.push(pointer.clone());
                }
                return name(&pointer);
            }
            self.open.push(pointer);
            let text = self.form(target, depth);
            self.open.pop();
            return text;
        }
        if let Some(choices) = choices(schema) {
            return choices.join(" or ");
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                let mut forms: Vec<String> = Vec::new();
                for branch in branches {
                    let form = self.form(branch, depth + 1);
                    if !forms.contains(&form) {
                        forms.push(form);
                    }
                }
                return forms.join(" or ");
            }
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array)
            && locals::properties(schema).is_none()
            && let [only] = all.as_slice()
        {
            return self.form(only, depth + 1);
        }
        let mut types = locals::types(schema);
        if types.is_empty() && locals::properties(schema).is_some() {
            types.push("object");
        } else if types.is_empty() && schema.get("items").is_some() {
            types.push("array");
        }
        let forms: Vec<String> = types
            .iter()
            .map(|t| match *t {
                "object" => self.object(schema, depth),
                "array" => self.array(schema, depth),
                other => other.to_owned(),
            })
            .collect();
        match forms.is_empty() {
            true => "any".to_owned(),
            false => forms.join(" or "),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> String {
        let others = schema.get("additionalProperties").filter(|s| s.is_object());
        let properties = locals::properties(schema).filter(|p| !p.is_empty());
        if depth >= DEPTH || self.written > LONGEST || (properties.is_none() && others.is_none()) {
            return "object".to_owned();
        }
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let indent = "  ".repeat(depth + 1);
        let mut out = "{\n".to_owned();
        for (name, property) in properties.into_iter().flatten() {
            let optional = !required.contains(&name.as_str());
            let form = self.form(property, depth + 1);
            let comment = self.comment(property, optional);
            out.push_str(&format!("{indent}{}: {form},", Value::from(name.as_str())));
            if !comment.is_empty() {
                out.push_str(&format!(" // {comment}"));
            }
            out.push('\n');
        }
        if let Some(others) = others {
            let form = self.form(others, depth + 1);
            out.push_str(&format!("{indent}any other key: {form},\n"));
        }
        out.push_str(&"  ".repeat(depth));
        out.push('}');
        out
    }

    fn array(&mut self, schema: &Value, depth: usize) -> String {
        if depth >= DEPTH || self.written > LONGEST {
            return "array".to_owned();
        }
        match schema.get("items") {
            Some(items) if items.is_object() => {
                format!("[{}, ...]", self.form(items, depth))
            }
            _ => "array".to_owned(),
        }
    }

    /// What a property's schema says beside its type.
    fn comment(&self, schema: &Value, optional: bool) -> String {
        let mut parts: Vec<String> = Vec::new();
        if optional {
            parts.push("optional".to_owned());
        }
        let resolved = locals::without_null(self.root, schema);
        parts.extend(limits(resolved));
        let about = schema
            .get("description")
            .or_else(|| resolved.get("description"));
        parts.extend(about.and_then(Value::as_str).map(one_line));
        parts.join("; ")
    }
}

/// The limits of a schema, in words.
pub(crate) fn limits(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (key, words) in [
        ("minimum", "at least {}"),
        ("exclusiveMinimum", "more than {}"),
        ("maximum", "at most {}"),
        ("exclusiveMaximum", "less than {}"),
        ("multipleOf", "a multiple of {}"),
        ("minLength", "at least {} characters"),
        ("maxLength", "at most {} characters"),
        ("minItems", "at least {} items"),
        ("maxItems", "at most {} items"),
    ] {
        if let Some(limit) = schema.get(key).filter(|v| v.is_number()) {
            all.push(words.replace("{}", &limit.to_string()));
        }
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        all.push(format!("matches {}", one_line(pattern)));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        all.push(format_hint(format));
    }
    all
}

/// A format of JSON Schema, with an example where its name is not one everybody writes alike.
pub(crate) fn format_hint(format: &str) -> String {
    match format {
        "date" => "a date such as 2025-01-31".to_owned(),
        "time" => "a time such as 13:45:00Z".to_owned(),
        "date-time" => "a time such as 2025-01-31T13:45:00Z".to_owned(),
        "email" => "an e-mail address".to_owned(),
        "uri" => "a URI".to_owned(),
        other => format!("in the format {}", one_line(other)),
    }
}

fn name(pointer: &str) -> String {
    match pointer.rsplit('/').next() {
        Some("") | None => "Whole".to_owned(),
        Some(last) => super::path::unescaped(last),
    }
}

fn one_line(text: &str) -> String {
    super::violation::cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), 200)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_a_form_with_comments() {
        let schema = json!({
            "type": "object",
            "required": ["name", "tags", "mood"],
            "properties": {
                "name": {"type": "string", "description": "who\nwrote it", "maxLength": 40},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
                "mood": {"$ref": "#/$defs/mood"},
                "year": {"type": ["integer", "null"]},
                "parts": {"type": "array", "items": {
                    "type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}},
            },
            "$defs": {"mood": {"anyOf": [{"const": "good"}, {"type": "null"}]}},
        });
        assert_eq!(
            instructions(&schema),
            "Answer with JSON of this form, and nothing else:
{
  \"name\": string, // at most 40 characters; who wrote it
  \"tags\": [\"a\" or \"b\", ...],
  \"mood\": \"good\" or null,
  \"year\": integer or null, // optional
  \"parts\": [{
    \"n\": number,
  }, ...], // optional
}"
        );
        assert_eq!(
            instructions(&json!({"enum": ["yes", "no"]})),
            "Answer with JSON, and nothing else: \"yes\" or \"no\""
        );
    }

    #[test]
    fn a_type_that_contains_itself_is_named_once() {
        let schema = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {"type": "object", "required": ["kids"], "properties": {
                "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
        });
        assert_eq!(
            shape(&schema),
            "{\n  \"kids\": [node, ...],\n}\nwhere node is {\n  \"kids\": [node, ...],\n}"
        );
        for endless in [json!({"$ref": "#"}), json!({"anyOf": [{"$ref": "#"}]})] {
            assert!(shape(&endless).len() < 100);
        }
    }

    #[test]
    fn a_form_stays_short_whatever_the_schema() {
        let mut deep = json!({"type": "string"});
        for _ in 0..60 {
            deep = json!({"type": "object", "properties": {"a": deep, "b": deep}});
            if deep.to_string().len() > 100_000 {
                break;
            }
        }
        assert!(shape(&deep).len() < 3 * LONGEST);
    }
}
