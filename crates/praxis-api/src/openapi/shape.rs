//! Schemas in few words, for answers that handlers put together by hand: what JSON Schema 2020-12, the dialect of
//! OpenAPI 3.1, has for them. Left out: schemas of types, which come from the types (`schemas`).

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

/// A field of an object.
pub(super) struct Field {
    name: &'static str,
    about: &'static str,
    schema: Value,
    always: bool,
}

/// A field that is always there.
pub(super) fn has(name: &'static str, about: &'static str, schema: Value) -> Field {
    Field {
        name,
        about,
        schema,
        always: true,
    }
}

/// A field that may be left out.
pub(super) fn may(name: &'static str, about: &'static str, schema: Value) -> Field {
    Field {
        always: false,
        ..has(name, about, schema)
    }
}

/// A list as OpenAI's API pages them.
pub(super) fn page(about: &str, of: Value) -> Value {
    object(
        about,
        [
            kind("list"),
            has(
                "first_id",
                "The first item's id; empty where there is none.",
                text(),
            ),
            has(
                "last_id",
                "The last item's id, for `after`; empty where there is none.",
                text(),
            ),
            has("has_more", "Whether there are items after these.", flag()),
            has("data", "The items.", list(of)),
        ],
    )
}

/// How many items a list may be asked for, and gives where nothing is said.
pub(super) fn limit((range, usual): (RangeInclusive<usize>, usize)) -> Value {
    json!({
        "type": "integer", "minimum": range.start(), "maximum": range.end(), "default": usual,
    })
}

/// What kind of thing it is, as every thing of OpenAI's says.
pub(super) fn kind(name: &str) -> Field {
    has("object", "What kind of thing it is.", only(name))
}

/// An object with these fields.
pub(super) fn object(about: &str, fields: impl IntoIterator<Item = Field>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in fields {
        if field.always {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), described(field.schema, field.about));
    }
    let mut schema = described(json!({ "type": "object" }), about);
    if let Value::Object(map) = &mut schema {
        map.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            map.insert("required".to_owned(), json!(required));
        }
    }
    schema
}

/// The same with fields that are not told here.
pub(super) fn open_object(about: &str, fields: impl IntoIterator<Item = Field>) -> Value {
    with(
        object(about, fields),
        json!({ "additionalProperties": true }),
    )
}

/// A schema with a description; an empty one says nothing.
pub(super) fn described(mut schema: Value, about: &str) -> Value {
    if let (Value::Object(map), false) = (&mut schema, about.is_empty()) {
        map.insert("description".to_owned(), Value::from(about));
    }
    schema
}

/// A schema with more keywords.
pub(super) fn with(mut schema: Value, more: Value) -> Value {
    if let (Value::Object(map), Value::Object(more)) = (&mut schema, more) {
        map.extend(more);
    }
    schema
}

/// A text.
pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// A whole number that is not negative.
pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A number.
pub(super) fn number() -> Value {
    json!({ "type": "number" })
}

/// True or false.
pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// Anything.
pub(super) fn anything() -> Value {
    json!({})
}

/// Seconds since 1970.
pub(super) fn time() -> Value {
    json!({ "type": "integer", "format": "int64" })
}

/// The bytes of a file, in a form.
pub(super) fn file() -> Value {
    json!({ "type": "string", "format": "binary" })
}

/// A list.
pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// One word.
pub(super) fn only(word: &str) -> Value {
    json!({ "type": "string", "const": word })
}

/// One of these words.
pub(super) fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// One of these schemas or several.
pub(super) fn any_of(schemas: &[Value]) -> Value {
    json!({ "anyOf": schemas })
}

/// Texts by key.
pub(super) fn texts() -> Value {
    json!({ "type": "object", "additionalProperties": { "type": "string" } })
}

/// Null, or what a schema says.
pub(super) fn nullable(mut schema: Value) -> Value {
    let Some(kind) = schema.get("type").and_then(Value::as_str) else {
        return any_of(&[schema, json!({ "type": "null" })]);
    };
    let kinds = json!([kind, "null"]);
    if let Value::Object(map) = &mut schema {
        map.insert("type".to_owned(), kinds);
        if let Some(only) = map.remove("const") {
            map.insert("enum".to_owned(), json!([only, null]));
        } else if let Some(Value::Array(words)) = map.get_mut("enum") {
            words.push(Value::Null);
        }
    }
    schema
}

/// A reference to a schema of the document.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("{}{name}", super::SCHEMAS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_let_in_and_nothing_else() {
        for (schema, want) in [
            (text(), json!({ "type": ["string", "null"] })),
            (
                only("a"),
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
            ),
            (
                word(&["a", "b"]),
                json!({ "type": ["string", "null"], "enum": ["a", "b", null] }),
            ),
            (
                named("X"),
                json!({ "anyOf": [{ "$ref": "#/components/schemas/X" }, { "type": "null" }] }),
            ),
        ] {
            assert_eq!(nullable(schema), want);
        }
    }

    #[test]
    fn fields_that_are_always_there_are_required() {
        let schema = object(
            "A thing.",
            [
                has("id", "Its id.", text()),
                may("note", "", nullable(text())),
            ],
        );
        let want = json!({
            "type": "object",
            "description": "A thing.",
            "properties": {
                "id": { "type": "string", "description": "Its id." },
                "note": { "type": ["string", "null"] },
            },
            "required": ["id"],
        });
        assert_eq!(schema, want);
    }
}
