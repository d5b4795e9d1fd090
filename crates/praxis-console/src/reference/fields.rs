//! Schemas as lists of fields: references followed, choices side by side, each field as deep as it lies. A schema may
//! hold itself, so depth and length have bounds. Left out: what bodies and parameters there are.

use serde_json::Value;

/// Fields below this are left out.
const DEEPEST: usize = 5;

/// Fields of a schema, at most.
pub(super) const MOST_FIELDS: usize = 400;

/// References and single choices that are followed one after the other.
const MOST_STEPS: usize = 8;

/// Words of an enumeration that are shown.
const MOST_WORDS: usize = 16;

/// A field, or a choice among schemas, which has no name.
pub(super) struct Field {
    /// How deep it lies.
    pub depth: usize,
    pub name: String,
    /// Its type and its limits.
    pub kind: String,
    pub required: bool,
    pub about: Vec<Piece>,
}

/// A piece of prose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    /// Whether it stood in backticks.
    pub code: bool,
}

/// A text with what stands in backticks apart.
pub(super) fn prose(text: &str) -> Vec<Piece> {
    let pieces = text.split('`').enumerate();
    let pieces = pieces.filter(|(_, piece)| !piece.is_empty());
    pieces
        .map(|(i, piece)| Piece {
            text: piece.to_owned(),
            code: i % 2 == 1,
        })
        .collect()
}

/// A text of an object; empty where it has none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What a reference stands for, or the value itself.
pub(super) fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = text(value, "$ref");
    let target = reference
        .strip_prefix('#')
        .and_then(|p| document.pointer(p));
    target.unwrap_or(value)
}

/// A schema by its name and without its wrappings.
struct Plain<'a> {
    schema: &'a Value,
    /// The last reference that led there.
    name: Option<&'a str>,
    /// What was said first.
    about: &'a str,
    or_null: bool,
}

fn plain<'a>(document: &'a Value, schema: &'a Value) -> Plain<'a> {
    let mut found = Plain {
        schema,
        name: None,
        about: "",
        or_null: false,
    };
    for _ in 0..MOST_STEPS {
        if found.about.is_empty() {
            found.about = text(found.schema, "description");
        }
        let reference = text(found.schema, "$ref");
        if !reference.is_empty() {
            let target = followed(document, found.schema);
            if std::ptr::eq(target, found.schema) {
                return found;
            }
            found.name = reference.rsplit('/').next();
            found.schema = target;
            continue;
        }
        let all = choices(found.schema);
        let mut some = all.iter().filter(|choice| text(choice, "type") != "null");
        match (some.next(), some.next()) {
            (Some(only), None) => {
                found.or_null |= all.len() > 1;
                found.schema = *only;
            }
            _ => return found,
        }
    }
    found
}

/// The schemas that a value may have one of.
fn choices(schema: &Value) -> Vec<&Value> {
    let of = |key: &str| schema.get(key).and_then(Value::as_array);
    let all = of("anyOf").or_else(|| of("oneOf")).or_else(|| of("allOf"));
    all.into_iter().flatten().collect()
}

/// The type of a schema in words, with its limits.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    named_kind(document, schema, 0)
}

fn named_kind(document: &Value, schema: &Value, depth: usize) -> String {
    let found = plain(document, schema);
    let mut all = vec![bare_kind(document, &found, depth)];
    if found.or_null {
        all.push("null".to_owned());
    }
    let mut words = all.join(" or ");
    for limit in limits(found.schema) {
        words.push_str(", ");
        words.push_str(&limit);
    }
    words
}

fn bare_kind(document: &Value, found: &Plain<'_>, depth: usize) -> String {
    let schema = found.schema;
    if depth == DEEPEST {
        return "…".to_owned();
    }
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let mut all: Vec<String> = words
            .iter()
            .take(MOST_WORDS)
            .map(Value::to_string)
            .collect();
        if words.len() > MOST_WORDS {
            all.push("…".to_owned());
        }
        return all.join(" | ");
    }
    let choices = choices(schema);
    if choices.len() > 1 {
        if let Some(name) = found.name {
            return name.to_owned();
        }
        let mut all: Vec<String> = Vec::new();
        for choice in choices {
            let choice = named_kind(document, choice, depth + 1);
            if !all.contains(&choice) {
                all.push(choice);
            }
        }
        return all.join(" or ");
    }
    let kinds = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return found.name.unwrap_or("anything").to_owned(),
    };
    let named = |kind: &str| match (kind, schema.get("items")) {
        ("array", Some(items)) => format!("list of {}", named_kind(document, items, depth + 1)),
        ("array", None) => "list".to_owned(),
        ("object", _) => found.name.unwrap_or("object").to_owned(),
        ("string", _) if text(schema, "format") == "binary" => "file".to_owned(),
        ("string", _) if schema.get("contentSchema").is_some() => "JSON".to_owned(),
        (kind, _) => kind.to_owned(),
    };
    let all: Vec<String> = kinds.into_iter().map(named).collect();
    all.join(" or ")
}

/// What bounds a value.
fn limits(schema: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    for (least, most, of) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ] {
        match (schema.get(least), schema.get(most)) {
            (Some(least), Some(most)) => limits.push(format!("{least} to {most}{of}")),
            (Some(least), None) if least != 0 => limits.push(format!("at least {least}{of}")),
            (None, Some(most)) => limits.push(format!("at most {most}{of}")),
            _ => {}
        }
    }
    if let Some(default) = schema.get("default") {
        limits.push(format!("default {default}"));
    }
    limits
}

/// A schema as one field.
pub(super) fn one(document: &Value, name: &str, schema: &Value) -> Field {
    Field {
        depth: 0,
        name: name.to_owned(),
        kind: kind(document, schema),
        required: false,
        about: prose(plain(document, schema).about),
    }
}

/// The fields of a schema, and theirs.
pub(super) fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let mut reader = Reader {
        document,
        fields: Vec::new(),
        within: Vec::new(),
    };
    reader.children(schema, 0);
    reader.fields
}

struct Reader<'a> {
    document: &'a Value,
    fields: Vec<Field>,
    /// The names of the schemas that are being read.
    within: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    /// What is in a schema, unless it is being read already.
    fn children(&mut self, schema: &'a Value, depth: usize) {
        let found = plain(self.document, schema);
        if depth == DEEPEST || found.name.is_some_and(|name| self.within.contains(&name)) {
            return;
        }
        self.within.extend(found.name);
        self.read(found.schema, depth);
        if found.name.is_some() {
            self.within.pop();
        }
    }

    fn read(&mut self, schema: &'a Value, depth: usize) {
        let choices = choices(schema);
        if choices.len() > 1 {
            for choice in choices {
                self.choice(choice, depth);
            }
        }
        for inner in ["items", "contentSchema"] {
            if let Some(inner) = schema.get(inner) {
                self.children(inner, depth);
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| {
            let mut names = required.into_iter().flatten();
            names.any(|required| required == name)
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, field) in properties.into_iter().flatten() {
            self.field(name, field, is_required(name), depth);
        }
        let others = schema.get("additionalProperties");
        if let Some(others) = others.filter(|others| others.is_object()) {
            self.field("any name", others, false, depth);
        }
    }

    /// One of several, if there is something in it.
    fn choice(&mut self, choice: &'a Value, depth: usize) {
        let found = plain(self.document, choice);
        let says = |key: &str| found.schema.get(key).is_some();
        if ["properties", "items", "anyOf", "oneOf"]
            .into_iter()
            .any(says)
        {
            let label = Field {
                name: String::new(),
                depth,
                ..one(self.document, "", choice)
            };
            if self.push(label) {
                self.children(choice, depth + 1);
            }
        }
    }

    fn field(&mut self, name: &str, schema: &'a Value, required: bool, depth: usize) {
        let field = Field {
            depth,
            required,
            ..one(self.document, name, schema)
        };
        if self.push(field) {
            self.children(schema, depth + 1);
        }
    }

    /// Whether there was room for it.
    fn push(&mut self, field: Field) -> bool {
        let has_room = self.fields.len() < MOST_FIELDS;
        if has_room {
            self.fields.push(field);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({ "components": { "schemas": {
            "Tree": {
                "type": "object",
                "description": "A tree.",
                "properties": {
                    "name": { "type": "string", "maxLength": 8, "description": "Its `name`." },
                    "branches": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } },
                },
                "required": ["name"],
            },
            "Maybe": { "anyOf": [{ "$ref": "#/components/schemas/Tree" }, { "type": "null" }] },
        } } })
    }

    fn told(schema: &Value) -> Vec<String> {
        let fields = fields(&document(), schema).into_iter();
        fields
            .map(|f| {
                format!(
                    "{} {}: {}{}",
                    f.depth,
                    f.name,
                    f.kind,
                    if f.required { "!" } else { "" }
                )
            })
            .collect()
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let tree = json!({ "$ref": "#/components/schemas/Maybe" });
        assert_eq!(
            told(&tree),
            [
                "0 name: string, at most 8 characters!",
                "0 branches: list of Tree"
            ]
        );
        // One whose reference leads to itself, and one that leads nowhere.
        let mut endless = document();
        endless["components"]["schemas"]["Loop"] = json!({ "$ref": "#/components/schemas/Loop" });
        let schema = json!({ "$ref": "#/components/schemas/Loop" });
        assert!(fields(&endless, &schema).is_empty());
        let nowhere = json!({ "$ref": "#/components/schemas/None" });
        assert_eq!(kind(&endless, &nowhere), "anything");
    }

    #[test]
    fn types_are_told_in_words() {
        for (schema, want) in [
            (json!({}), "anything"),
            (json!({ "const": "a" }), "\"a\""),
            (json!({ "enum": ["a", null] }), "\"a\" | null"),
            (
                json!({ "type": ["integer", "null"], "minimum": 0, "default": 3 }),
                "integer or null, default 3",
            ),
            (
                json!({ "type": "integer", "minimum": 1, "maximum": 9 }),
                "integer, 1 to 9",
            ),
            (
                json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
                "list of string, at least 1 items",
            ),
            (
                json!({ "$ref": "#/components/schemas/Maybe" }),
                "Tree or null",
            ),
            (
                json!({ "anyOf": [{ "type": "string" }, { "type": "array" }] }),
                "string or list",
            ),
            (json!({ "type": "string", "format": "binary" }), "file"),
        ] {
            assert_eq!(kind(&document(), &schema), want, "{schema}");
        }
    }

    #[test]
    fn choices_stand_side_by_side() {
        let schema = json!({ "oneOf": [
            { "type": "object", "properties": { "a": { "type": "string" } } },
            { "$ref": "#/components/schemas/Tree" },
            { "type": "string" },
        ] });
        assert_eq!(
            told(&schema),
            [
                "0 : object",
                "1 a: string",
                "0 : Tree",
                "1 name: string, at most 8 characters!",
                "1 branches: list of Tree",
            ]
        );
    }

    #[test]
    fn what_stands_in_backticks_is_code() {
        let piece = |text: &str, code| Piece {
            text: text.to_owned(),
            code,
        };
        assert_eq!(
            prose("Its `name`."),
            [piece("Its ", false), piece("name", true), piece(".", false)]
        );
        assert!(prose("").is_empty());
    }
}
