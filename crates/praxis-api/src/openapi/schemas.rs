//! The schemas of the document. What a handler reads, or writes as a type of its own, has the schema of that type; the
//! document adds words and limits to its fields. All else is written by hand, and the tests of the SDK hold the
//! answers to it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::shape::{described, named, with};

/// What the document says of a field of a type, beside what the type does.
pub(super) struct Word {
    field: &'static str,
    about: &'static str,
    limits: Value,
}

/// Says what a field is.
pub(super) fn says(field: &'static str, about: &'static str) -> Word {
    Word {
        field,
        about,
        limits: Value::Null,
    }
}

impl Word {
    /// And within which limits, as JSON Schema has them.
    pub fn within(mut self, limits: Value) -> Self {
        self.limits = limits;
        self
    }
}

/// Changes a schema where its type does not say all.
type Amend = fn(Value) -> Value;

/// All schemas of the document, as they are found.
pub(super) struct Schemas {
    /// Of what is read.
    taken: SchemaGenerator,
    /// Of what is written.
    given: SchemaGenerator,
    by_hand: BTreeMap<String, Value>,
    words: Vec<(String, Vec<Word>)>,
    amended: Vec<(&'static str, Amend)>,
    flaws: Vec<String>,
}

impl Schemas {
    /// None yet.
    pub fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = super::SCHEMAS_PATH.into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
            by_hand: BTreeMap::new(),
            words: Vec::new(),
            amended: Vec::new(),
            flaws: Vec::new(),
        }
    }

    /// The schema of a type that is read.
    pub fn taken<T: JsonSchema>(&mut self, words: impl IntoIterator<Item = Word>) -> Value {
        let schema = self.taken.subschema_for::<T>().to_value();
        self.say(&schema, words);
        schema
    }

    /// The schema of a type that is written.
    pub fn given<T: JsonSchema>(&mut self) -> Value {
        self.given.subschema_for::<T>().to_value()
    }

    /// The fields of a type that is read from an address, each with its schema and whether it has to be there.
    pub fn fields<T: JsonSchema>(
        &mut self,
        words: impl IntoIterator<Item = Word>,
    ) -> Vec<(String, Value, bool)> {
        let mut schema = T::json_schema(&mut self.taken).to_value();
        let words: Vec<Word> = words.into_iter().collect();
        add_words(&T::schema_name(), &mut schema, &words, &mut self.flaws);
        plain(&mut schema);
        let required = schema.get("required").cloned().unwrap_or_default();
        let is_required = |name: &str| {
            let names = required.as_array();
            names.is_some_and(|names| names.iter().any(|n| n == name))
        };
        let properties = schema.get_mut("properties").map(Value::take);
        let Some(Value::Object(properties)) = properties else {
            return Vec::new();
        };
        let field = |(name, schema): (String, Value)| {
            let needed = is_required(&name);
            (name, not_null(schema), needed)
        };
        properties.into_iter().map(field).collect()
    }

    /// Names a schema that is written by hand.
    pub fn name(&mut self, name: &'static str, schema: Value) -> Value {
        if self.by_hand.insert(name.to_owned(), schema).is_some() {
            self.flaws.push(format!("two schemas are called `{name}`"));
        }
        named(name)
    }

    /// Says what the fields of a type are that others are made of.
    pub fn explain(&mut self, name: &str, words: impl IntoIterator<Item = Word>) {
        self.say(&named(name), words);
    }

    /// Changes the schema of a type.
    pub fn amend(&mut self, name: &'static str, amend: Amend) {
        self.amended.push((name, amend));
    }

    fn say(&mut self, schema: &Value, words: impl IntoIterator<Item = Word>) {
        let words: Vec<Word> = words.into_iter().collect();
        let reference = schema.get("$ref").and_then(Value::as_str);
        let name = reference.and_then(|r| r.strip_prefix(super::SCHEMAS));
        match name {
            Some(name) => self.words.push((name.to_owned(), words)),
            None if words.is_empty() => {}
            None => self.flaws.push(format!("words for {schema}")),
        }
    }

    /// All schemas by name, and what is wrong with them.
    pub fn finish(mut self) -> (Map<String, Value>, Vec<String>) {
        let mut all = std::mem::take(&mut self.by_hand);
        let taken = self.taken.take_definitions(false);
        for (name, schema) in taken.into_iter().chain(self.given.take_definitions(false)) {
            let known = all.get(&name);
            if known.is_some_and(|known| *known != schema) {
                let flaw = format!("`{name}` is read and written differently, or is two types");
                self.flaws.push(flaw);
            }
            all.insert(name, schema);
        }
        for (name, words) in &self.words {
            match all.get_mut(name) {
                Some(schema) => add_words(name, schema, words, &mut self.flaws),
                None => self.flaws.push(format!("no schema `{name}`")),
            }
        }
        for (name, amend) in &self.amended {
            match all.get_mut(*name) {
                Some(schema) => *schema = amend(schema.take()),
                None => self.flaws.push(format!("no schema `{name}`")),
            }
        }
        all.values_mut().for_each(plain);
        (all.into_iter().collect(), self.flaws)
    }
}

/// Adds words to the fields of an object.
fn add_words(name: &str, schema: &mut Value, words: &[Word], flaws: &mut Vec<String>) {
    for word in words {
        let place = format!("/properties/{}", word.field);
        let Some(field) = schema.pointer_mut(&place) else {
            flaws.push(format!("`{name}` has no field `{}`", word.field));
            continue;
        };
        if *field == Value::Bool(true) {
            *field = json!({});
        }
        *field = with(described(field.take(), word.about), word.limits.clone());
    }
}

/// Leaves out what only Rust has words for: its types of numbers, links between its items, lines of its comments.
fn plain(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(plain),
        Value::Object(map) => {
            let most = match map.get("format").and_then(Value::as_str) {
                Some("uint32") => Some(Value::from(u32::MAX)),
                Some("uint" | "uint8" | "uint16" | "uint64" | "int" | "float" | "double") => {
                    Some(Value::Null)
                }
                _ => None,
            };
            if let Some(most) = most {
                map.shift_remove("format");
                if !most.is_null() && !map.contains_key("maximum") {
                    map.insert("maximum".to_owned(), most);
                }
            }
            if map.get("default").is_some_and(Value::is_null) {
                map.shift_remove("default");
            }
            if let Some(Value::String(about)) = map.get_mut("description") {
                *about = prose(about);
            }
            map.values_mut().for_each(plain);
        }
        _ => {}
    }
}

/// A comment as one paragraph each, without links to items.
fn prose(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        lines.join(" ").replace("[`", "`").replace("`]", "`")
    });
    let paragraphs: Vec<String> = paragraphs.collect();
    paragraphs.join("\n\n")
}

/// The schema of a value that, in an address, is there or is not.
fn not_null(mut schema: Value) -> Value {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            let one = one.clone();
            return with(schema, json!({ "type": one }));
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::shape::text;
    use super::*;

    /// A thing
    /// of [`Schemas`].
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        #[serde(rename = "size")]
        _size: Option<u32>,
        /// Its name.
        #[serde(rename = "name")]
        _name: String,
    }

    #[test]
    fn a_type_says_what_it_takes_and_the_document_what_it_means() {
        let mut schemas = Schemas::new();
        let words = [says("size", "How large.").within(json!({ "minimum": 1 }))];
        let reference = schemas.taken::<Thing>(words);
        assert_eq!(reference, named("Thing"));
        let (all, flaws) = schemas.finish();
        assert_eq!(flaws, [""; 0]);
        let want = json!({
            "description": "A thing of `Schemas`.",
            "type": "object",
            "properties": {
                "size": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "maximum": u32::MAX,
                    "description": "How large.",
                },
                "name": { "type": "string", "description": "Its name." },
            },
            "additionalProperties": false,
            "required": ["name"],
        });
        assert_eq!(all["Thing"], want);
    }

    #[test]
    fn fields_of_an_address_are_there_or_not() {
        let mut schemas = Schemas::new();
        let fields = schemas.fields::<Thing>([]);
        let told = |(name, schema, needed): &(String, Value, bool)| {
            (name.clone(), schema["type"].clone(), *needed)
        };
        let told: Vec<_> = fields.iter().map(told).collect();
        assert_eq!(
            told,
            [
                ("size".to_owned(), json!("integer"), false),
                ("name".to_owned(), json!("string"), true),
            ]
        );
    }

    #[test]
    fn words_for_what_is_not_there_are_a_flaw() {
        let mut schemas = Schemas::new();
        schemas.taken::<Thing>([says("colour", "Red.")]);
        schemas.explain("Nothing", [says("a", "b")]);
        schemas.name("Thing", text());
        let (_, flaws) = schemas.finish();
        assert_eq!(flaws.len(), 3, "{flaws:?}");
    }
}
