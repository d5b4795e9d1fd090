//! An operation of a document as a function: what it is told to be, what it takes, what it gives, and how its request
//! is made.
//!
//! Arguments are flat: a parameter is an argument of its name, and so is each property of a body that is a plain
//! object. Where two of them share a name, each has its place before it: `path_id`, `query_id`, `body_id`. Any other
//! body is the argument `body`. Left out: what is sent and when (`function`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::{Map, Value, json};

use super::super::request::{Body, Kind, Operation, Parameter, Place, Shape};
use super::super::style::Writing;
use super::parameter::{Declared, field_writing, parameters};
use super::schema::{BINARY, Converter, Direction};
use super::server::{Given, server};
use super::settle::{shorten, target, untangle};
use super::{Document, Listed, is, text};
use crate::text::{Names, identifier, plain};

/// Characters of an argument's name, as providers take them, and of a description.
const LONGEST_NAME: usize = 64;
const LONGEST_DESCRIPTION: usize = 600;

/// Bytes of a schema: of arguments, which models read with each prompt, and of answers.
const LARGEST_INPUT: usize = 64 << 10;
const LARGEST_OUTPUT: usize = 64 << 10;

/// References and parts of an object that are put together to one.
const MOST_LAYERS: usize = 12;

/// What an operation is read with.
pub(in crate::openapi) struct Setting<'a> {
    /// The file's `server` and `[variables]`.
    pub server: Option<&'a str>,
    pub variables: &'a BTreeMap<String, String>,
    /// Where the document is, if it is at a URL.
    pub base: Option<&'a Url>,
    /// The parameter that credentials fill.
    pub filled: Option<&'a (Place, String)>,
}

/// An operation as a function.
#[derive(Debug)]
pub(in crate::openapi) struct Described {
    pub operation: Operation,
    pub description: String,
    pub input_schema: Value,
    /// The schema of the answer's body, with its `$defs`.
    pub output: Value,
    /// Whether the document says that it needs credentials.
    pub locked: bool,
}

/// Reads an operation.
///
/// # Errors
/// What about it cannot be read, or cannot be sent.
pub(in crate::openapi) fn read(
    document: &Document,
    listed: &Listed,
    setting: &Setting<'_>,
) -> Result<Described, String> {
    let found = document.operation(listed);
    let (item, operation) = found.ok_or("it is not in the document")?;
    let given = Given {
        server: setting.server,
        variables: setting.variables,
        base: setting.base,
    };
    let server = server(&given, [operation, item, &document.root])?;
    let mut converter = Converter::new(document, Direction::Input);
    let (path, declared) = parameters(
        document,
        &listed.path,
        [item, operation],
        setting.filled,
        &mut converter,
    )?;
    let sent = body(document, operation, &mut converter)?;
    let mut defs = converter.definitions();
    untangle(&mut defs)?;
    let mut arguments = Arguments::default();
    for one in &declared {
        arguments.add(one.place.word(), &one.name, one.required, &one.schema);
    }
    let fields = sent.as_ref().and_then(|sent| sent.fields(&defs));
    match (&sent, &fields) {
        (Some(sent), None) => {
            arguments.add("body", "body", sent.body.required, &sent.schema);
        }
        (_, Some(fields)) => {
            for (name, property) in &fields.properties {
                let needed = fields.required.contains(name);
                arguments.add("body", name, needed, property);
            }
        }
        (None, None) => {}
    }
    let names = arguments.names();
    let (of_parameters, of_body) = names.split_at(declared.len());
    let body = sent.map(|sent| sent.finish(fields.as_ref(), of_body, &defs));
    let parameters = declared.into_iter().zip(of_parameters).map(named).collect();
    let sends = Operation {
        method: listed.method.clone(),
        server,
        path,
        template: listed.path.clone(),
        listed: Arc::clone(&document.listed),
        parameters,
        body,
        secured: is_secured(document, operation),
    };
    let input_schema = arguments.schema(&names, defs)?;
    Ok(Described {
        operation: sends,
        description: description(document, listed, operation),
        input_schema,
        output: output(document, operation),
        locked: is_locked(document, operation),
    })
}

fn named((declared, argument): (Declared, &String)) -> Parameter {
    Parameter {
        argument: argument.clone(),
        name: declared.name,
        place: declared.place,
        writing: declared.writing,
        json: declared.json,
    }
}

/// What goes into an operation, before it has names.
#[derive(Default)]
struct Arguments {
    all: Vec<Argument>,
}

struct Argument {
    place: &'static str,
    /// As the document has it.
    name: String,
    needed: bool,
    schema: Value,
}

impl Arguments {
    fn add(&mut self, place: &'static str, name: &str, needed: bool, schema: &Value) {
        self.all.push(Argument {
            place,
            name: name.to_owned(),
            needed,
            schema: schema.clone(),
        });
    }

    /// A name for each, by which models may call it.
    fn names(&self) -> Vec<String> {
        let of = |argument: &Argument| match identifier(&argument.name, LONGEST_NAME) {
            name if name.is_empty() => "value".to_owned(),
            name => name,
        };
        let plain: Vec<String> = self.all.iter().map(of).collect();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for name in &plain {
            *uses.entry(name).or_default() += 1;
        }
        let mut given = Names::default();
        let mut names = Vec::with_capacity(plain.len());
        for (argument, name) in self.all.iter().zip(&plain) {
            let is_shared = uses.get(name.as_str()).is_some_and(|uses| *uses > 1);
            let name = match is_shared {
                true => identifier(&format!("{}_{name}", argument.place), LONGEST_NAME),
                false => name.clone(),
            };
            names.push(given.give(&name, LONGEST_NAME));
        }
        names
    }

    /// The schema of the input: these arguments and no others.
    fn schema(self, names: &[String], defs: Map<String, Value>) -> Result<Value, String> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (argument, name) in self.all.into_iter().zip(names) {
            if argument.needed {
                required.push(name.clone());
            }
            properties.insert(name.clone(), argument.schema);
        }
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        let defs = shorten(&mut schema, defs);
        if let Value::Object(map) = &mut schema {
            if !required.is_empty() {
                map.insert("required".to_owned(), json!(required));
            }
            if !defs.is_empty() {
                map.insert("$defs".to_owned(), Value::Object(defs));
            }
        }
        let bytes = schema.to_string().len();
        if bytes > LARGEST_INPUT {
            return Err(format!(
                "what it takes needs {bytes} bytes to be told of, more than {LARGEST_INPUT}"
            ));
        }
        Ok(schema)
    }
}

/// A body as the document has it.
struct Sent {
    body: Body,
    schema: Value,
}

/// An object in one layer.
struct Fields {
    properties: Map<String, Value>,
    required: BTreeSet<String>,
}

fn body<'d>(
    document: &'d Document,
    operation: &'d Value,
    converter: &mut Converter<'d>,
) -> Result<Option<Sent>, String> {
    let Some(written) = operation.get("requestBody") else {
        return Ok(None);
    };
    let written = document.resolved(written)?;
    let required = is(written, "required");
    let content = written.get("content").and_then(Value::as_object);
    let best = content
        .into_iter()
        .flatten()
        .filter_map(|(media, content)| Some((kind(media)?, media, content)))
        .min_by_key(|(kind, ..)| *kind as u8);
    let Some((kind, media, content)) = best else {
        if !required {
            return Ok(None);
        }
        let all = content
            .into_iter()
            .flatten()
            .map(|(media, _)| media.as_str());
        let all = plain(&all.collect::<Vec<_>>().join(", "), 120);
        return Err(format!(
            "its body ({all}) is of no type that is written here"
        ));
    };
    let media = match media.contains('*') {
        true => "application/json".to_owned(),
        false => media.trim().to_owned(),
    };
    if HeaderValue::from_str(&media).is_err() || media.len() > 200 {
        return Err("its body has a type that no header takes".to_owned());
    }
    let schema = match content.get("schema") {
        Some(schema) => converter
            .convert(schema)
            .map_err(|why| format!("its body: {why}"))?,
        None => json!({}),
    };
    let encoding = content.get("encoding").and_then(Value::as_object);
    let written = encoding
        .into_iter()
        .flatten()
        .filter_map(|(field, encoding)| Some((field.clone(), field_writing(encoding)?)));
    let written: BTreeMap<String, Writing> = written.collect();
    let body = Body {
        kind,
        media,
        required,
        shape: Shape::Whole(String::new()),
        written,
        files: BTreeSet::new(),
    };
    Ok(Some(Sent { body, schema }))
}

/// What a body of a media type is written as. The order of kinds is that of preference.
fn kind(media: &str) -> Option<Kind> {
    let plain = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Some(match plain.as_str() {
        "application/json" | "text/json" | "*/*" | "application/*" => Kind::Json,
        "application/x-www-form-urlencoded" => Kind::Form,
        "multipart/form-data" => Kind::Multipart,
        "text/plain" | "text/*" => Kind::Text,
        other if other.ends_with("+json") => Kind::Json,
        _ => return None,
    })
}

impl Sent {
    /// Its properties, where they can be arguments of their own: it is an object of named properties and no dictionary.
    fn fields(&self, defs: &Map<String, Value>) -> Option<Fields> {
        if self.body.kind == Kind::Text {
            return None;
        }
        let fields = one_layer(&self.schema, defs)?;
        // A body that may be missing, but not be without a property, is whole or not there.
        let fits = self.body.required || fields.required.is_empty();
        (fits && !fields.properties.is_empty()).then_some(fields)
    }

    fn finish(
        mut self,
        fields: Option<&Fields>,
        names: &[String],
        defs: &Map<String, Value>,
    ) -> Body {
        let layer = one_layer(&self.schema, defs);
        let properties = fields.or(layer.as_ref()).map(|fields| &fields.properties);
        for (field, property) in properties.into_iter().flatten() {
            if self.body.kind == Kind::Multipart && is_file(property, defs) {
                self.body.files.insert(field.clone());
            }
        }
        self.body.shape = match fields {
            Some(fields) => {
                let names = names.iter().cloned();
                Shape::Fields(names.zip(fields.properties.keys().cloned()).collect())
            }
            None => Shape::Whole(names.first().cloned().unwrap_or_default()),
        };
        self.body
    }
}

/// Whether a field of a form is a file, or several.
fn is_file(property: &Value, defs: &Map<String, Value>) -> bool {
    let property = definition(property, defs);
    let one = property
        .get("items")
        .map_or(property, |items| definition(items, defs));
    text(one, "format") == Some(BINARY)
}

fn definition<'s>(schema: &'s Value, defs: &'s Map<String, Value>) -> &'s Value {
    target(schema)
        .and_then(|name| defs.get(name))
        .unwrap_or(schema)
}

/// An object's properties in one layer, those of `allOf` with them; none where it is more than its properties.
fn one_layer(schema: &Value, defs: &Map<String, Value>) -> Option<Fields> {
    let mut fields = layer(schema, defs, 0)?;
    // Only now: what one part of `allOf` requires is mostly a property of another.
    for name in &fields.required {
        if !fields.properties.contains_key(name) {
            fields.properties.insert(name.clone(), json!({}));
        }
    }
    Some(fields)
}

/// The properties that a schema names, and those that it requires.
fn layer(schema: &Value, defs: &Map<String, Value>, depth: usize) -> Option<Fields> {
    if depth > MOST_LAYERS {
        return None;
    }
    if let Some(name) = target(schema) {
        return layer(defs.get(name)?, defs, depth + 1);
    }
    let map = schema.as_object()?;
    let mut fields = Fields {
        properties: Map::new(),
        required: BTreeSet::new(),
    };
    for (key, value) in map {
        match key.as_str() {
            "description" | "default" | "examples" => {}
            "type" if value == "object" => {}
            // Whether other properties may be there as well is the service's business: none can be an argument.
            "additionalProperties" if value.is_boolean() => {}
            "properties" => {
                for (name, property) in value.as_object()? {
                    fields.put(name, property);
                }
            }
            "required" => {
                let names = value.as_array()?.iter().filter_map(Value::as_str);
                fields.required.extend(names.map(str::to_owned));
            }
            "allOf" => {
                for part in value.as_array()? {
                    // A circle that was cut leaves a part that says nothing.
                    if part.as_object().is_some_and(Map::is_empty) {
                        continue;
                    }
                    let part = layer(part, defs, depth + 1)?;
                    for (name, property) in &part.properties {
                        fields.put(name, property);
                    }
                    fields.required.extend(part.required);
                }
            }
            _ => return None,
        }
    }
    Some(fields)
}

impl Fields {
    /// Adds a property; one that is there already has to be both.
    fn put(&mut self, name: &str, property: &Value) {
        let both = match self.properties.get(name) {
            Some(other) if other != property => json!({ "allOf": [other, property] }),
            _ => property.clone(),
        };
        self.properties.insert(name.to_owned(), both);
    }
}

/// The schema of a good answer's body, or of anything where the document does not tell.
fn output(document: &Document, operation: &Value) -> Value {
    let read = || {
        let schema = answer(document, operation)?;
        let mut converter = Converter::new(document, Direction::Output);
        let mut schema = converter.convert(schema).ok()?;
        let mut defs = converter.definitions();
        untangle(&mut defs).ok()?;
        let defs = shorten(&mut schema, defs);
        if let Value::Object(map) = &mut schema
            && !defs.is_empty()
        {
            map.insert("$defs".to_owned(), Value::Object(defs));
        }
        (schema.to_string().len() <= LARGEST_OUTPUT).then_some(schema)
    };
    read().unwrap_or_else(|| json!({}))
}

fn answer<'d>(document: &'d Document, operation: &'d Value) -> Option<&'d Value> {
    let all = operation.get("responses")?.as_object()?;
    let good = |code: &str| code.len() == 3 && code.starts_with('2');
    let best = ["200", "201"].iter().find_map(|code| all.get(*code));
    let best = best.or_else(|| all.iter().find(|(code, _)| good(code)).map(|(_, r)| r));
    let response = document
        .resolved(best.or_else(|| all.get("default"))?)
        .ok()?;
    let content = response.get("content")?.as_object()?;
    let json = content
        .iter()
        .find(|(media, _)| kind(media) == Some(Kind::Json));
    json?.1.get("schema")
}

/// What a model is told that the operation does.
fn description(document: &Document, listed: &Listed, operation: &Value) -> String {
    let said = |field: &str| {
        plain(
            text(operation, field).unwrap_or_default(),
            LONGEST_DESCRIPTION,
        )
    };
    let (summary, more) = (said("summary"), said("description"));
    let whole = match (summary.is_empty(), more.is_empty()) {
        (true, true) => format!("{} of {}", listed.label(), document.title),
        (false, true) => summary,
        (true, false) => more,
        (false, false) if more.starts_with(summary.trim_end_matches('.')) => more,
        (false, false) => format!("{}. {more}", summary.trim_end_matches(['.', ' '])),
    };
    plain(&whole, LONGEST_DESCRIPTION)
}

/// What the document asks of who calls; none where it says nothing.
fn security<'d>(document: &'d Document, operation: &'d Value) -> Option<&'d Vec<Value>> {
    let own = operation
        .get("security")
        .or_else(|| document.root.get("security"));
    own.and_then(Value::as_array)
}

/// Whether credentials are sent: always, unless the operation says that it takes none.
fn is_secured(document: &Document, operation: &Value) -> bool {
    security(document, operation).is_none_or(|all| !all.is_empty())
}

/// Whether there is no way to call it without credentials.
fn is_locked(document: &Document, operation: &Value) -> bool {
    let is_open = |way: &Value| way.as_object().is_none_or(Map::is_empty);
    security(document, operation).is_some_and(|all| !all.is_empty() && !all.iter().any(is_open))
}

#[cfg(test)]
mod tests;
