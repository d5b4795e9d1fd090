//! A value against its JSON Schema: all that is wrong, the most useful first; and before that, what can
//! be made right without losing anything.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use praxis_core::suggest::nearest;
use serde_json::{Number, Value};

use super::instructions::{article, brief, format_hint, shape, shape_of};
use super::violation::{Violation, alternatives, cut, shown};
use super::{Want, locals, path};

/// Violations that are told at once: a small model does not mend more.
const MOST: usize = 8;

/// Bytes of a form that is shown whole with each repair.
const SMALL: usize = 800;

/// Steps of a coercion: schemas can refer to themselves.
const FUEL: usize = 100_000;

/// References and choices in the same place that are followed.
const HOPS: usize = 8;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct OutputSchema {
    source: Value,
    validator: jsonschema::Validator,
}

impl OutputSchema {
    /// Compiles a schema; formats are checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        super::locals::ends(schema)?;
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(schema)
            .map_err(|error| cut(&error.to_string(), 300))?;
        Ok(Self {
            source: schema.clone(),
            validator,
        })
    }

    /// The schema as it was written.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// What kind of value it wants.
    pub fn want(&self) -> Want {
        let schema = locals::without_null(&self.source, &self.source);
        let types = locals::types(schema);
        let scalar = |t: &&str| !matches!(*t, "object" | "array" | "null");
        if types.contains(&"object") && !types.contains(&"array") {
            Want::Object
        } else if types.contains(&"array") && !types.contains(&"object") {
            Want::Array
        } else if types.iter().any(scalar) && types.iter().all(|t| scalar(t) || *t == "null") {
            Want::Scalar
        } else if types.is_empty() && locals::properties(schema).is_some() {
            Want::Object
        } else if let Some(Value::Array(choices)) = schema.get("enum")
            && !choices.iter().any(|c| c.is_array() || c.is_object())
        {
            Want::Scalar
        } else {
            Want::Any
        }
    }

    /// All that is wrong with a value, at most eight things, the most useful first.
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        let mut ranked: Vec<(u8, Violation)> = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.explain(&error, value, 0, &mut ranked);
        }
        ranked.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
        let mut all: Vec<Violation> = Vec::new();
        for (_, violation) in ranked {
            if !all.contains(&violation) {
                all.push(violation);
            }
        }
        all.truncate(MOST);
        all
    }

    /// The value with what could be made right without loss, and what that was.
    pub fn coerce(&self, mut value: Value) -> (Value, Vec<String>) {
        if self.validator.is_valid(&value) {
            return (value, Vec::new());
        }
        let mut coercion = Coercion {
            root: &self.source,
            notes: Vec::new(),
            fuel: FUEL,
        };
        coercion.apply(&self.source, &mut value, "", 0);
        (value, coercion.notes)
    }

    /// The part of the form that matters for these violations.
    pub fn fragment(&self, violations: &[Violation]) -> String {
        let whole = shape(&self.source);
        if whole.len() <= SMALL {
            return whole;
        }
        let schema = locals::without_null(&self.source, &self.source);
        let mut names: Vec<&str> = violations
            .iter()
            .map(|v| v.path.split(['.', '[']).next().unwrap_or_default())
            .collect();
        names.dedup();
        let parts: Vec<String> = locals::properties(schema)
            .into_iter()
            .flatten()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(name, part)| format!("\"{name}\": {}", shape_of(&self.source, part)))
            .collect();
        match parts.is_empty() {
            true => whole,
            false => parts.join("\n"),
        }
    }

    /// The schema of the value that an error is about.
    fn around(&self, error: &ValidationError<'_>) -> &Value {
        let keyword = error.schema_path().to_string();
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.source.pointer(parent).unwrap_or(&Value::Null)
    }

    fn explain(
        &self,
        error: &ValidationError<'_>,
        value: &Value,
        depth: usize,
        into: &mut Vec<(u8, Violation)>,
    ) {
        let at = path::dotted(&error.instance_path().to_string(), value);
        let found = || shown(error.instance());
        let mut say = |rank: u8, found: String, wanted: String| {
            into.push((rank, Violation::new(at.clone(), found, wanted)));
        };
        let size = |what: &str| match error.instance().as_ref() {
            Value::Array(items) => format!("a list of {} items", items.len()),
            Value::String(text) => format!("{} characters", text.chars().count()),
            _ => what.to_owned(),
        };
        match error.kind() {
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let wanted = locals::properties(self.around(error))
                    .and_then(|p| p.get(name))
                    .map_or("a value".to_owned(), |s| brief(&self.source, s));
                let found = match misspelled(error.instance(), self.around(error), name) {
                    Some(near) => format!("nothing, but there is `{near}`, which has no meaning"),
                    None => "nothing".to_owned(),
                };
                let wanted = format!("{wanted}; it must be there");
                into.push((0, Violation::new(path::key(&at, name), found, wanted)));
            }
            Kind::Type { kind } => {
                let names: Vec<String> = match kind {
                    TypeKind::Single(one) => vec![article(one.as_str()).to_owned()],
                    TypeKind::Multiple(many) => many
                        .iter()
                        .map(|t| article(t.as_str()).to_owned())
                        .collect(),
                };
                say(1, typed(error.instance()), alternatives(&names));
            }
            Kind::Enum { options } => {
                let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
                say(2, found(), one_of(error.instance(), options));
            }
            Kind::Constant { expected_value } => say(2, found(), shown(expected_value)),
            Kind::Minimum { limit } => say(3, found(), format!("a number of at least {limit}")),
            Kind::ExclusiveMinimum { limit } => say(3, found(), format!("more than {limit}")),
            Kind::Maximum { limit } => say(3, found(), format!("a number of at most {limit}")),
            Kind::ExclusiveMaximum { limit } => say(3, found(), format!("less than {limit}")),
            Kind::MultipleOf { multiple_of } => {
                say(3, found(), format!("a multiple of {multiple_of}"));
            }
            Kind::MinLength { limit } => say(3, size(""), format!("at least {limit} characters")),
            Kind::MaxLength { limit } => say(3, size(""), format!("at most {limit} characters")),
            Kind::MinItems { limit } => say(3, size(""), format!("at least {limit} items")),
            Kind::MaxItems { limit } => say(3, size(""), format!("at most {limit} items")),
            Kind::UniqueItems => say(3, found(), "items that differ from each other".to_owned()),
            Kind::Pattern { pattern } => {
                let pattern = cut(pattern, 120);
                say(4, found(), format!("a string that matches {pattern}"));
            }
            Kind::Format { format } => say(4, found(), format_hint(format)),
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known: Vec<&str> = locals::properties(self.around(error))
                    .map(|p| p.keys().map(String::as_str).collect())
                    .unwrap_or_default();
                for name in unexpected {
                    let free = known
                        .iter()
                        .copied()
                        .filter(|k| error.instance().get(*k).is_none());
                    let wanted = match nearest(name, free) {
                        Some(near) => format!("the key `{near}` instead"),
                        None if known.is_empty() => "no such key".to_owned(),
                        None => {
                            let known: Vec<String> =
                                known.iter().map(|k| format!("`{k}`")).collect();
                            format!("no such key; the keys are {}", alternatives(&known))
                        }
                    };
                    let at = path::key(&at, &cut(name, 40));
                    let found = "a key that is not allowed".to_owned();
                    into.push((5, Violation::new(at, found, wanted)));
                }
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.explain_choice(error, context, value, depth, into);
            }
            Kind::FalseSchema => say(5, found(), "nothing here".to_owned()),
            _ => say(
                6,
                found(),
                cut(&error.masked_with("another value").to_string(), 200),
            ),
        }
    }

    /// The alternative that the value is meant to be: the one of its type that it breaks least.
    fn explain_choice(
        &self,
        error: &ValidationError<'_>,
        context: &[Vec<ValidationError<'static>>],
        value: &Value,
        depth: usize,
        into: &mut Vec<(u8, Violation)>,
    ) {
        let here = error.instance_path().to_string();
        let other_type = |e: &ValidationError<'_>| {
            matches!(e.kind(), Kind::Type { .. }) && e.instance_path().to_string() == here
        };
        let near = context
            .iter()
            .filter(|branch| !branch.is_empty() && !branch.iter().any(other_type))
            .min_by_key(|branch| branch.len());
        match near {
            Some(branch) if depth < 4 => {
                for error in branch {
                    self.explain(error, value, depth + 1, into);
                }
            }
            _ => {
                let wanted: Vec<String> = error
                    .schema_path()
                    .to_string()
                    .strip_prefix('/')
                    .and_then(|p| self.source.pointer(&format!("/{p}")))
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .map(|branch| brief(&self.source, branch))
                    .collect();
                let at = path::dotted(&here, value);
                let violation = Violation::new(at, typed(error.instance()), alternatives(&wanted));
                into.push((1, violation));
            }
        }
    }
}

/// A key that is not in the schema and is nearly the missing one.
fn misspelled<'v>(value: &'v Value, schema: &Value, missing: &str) -> Option<&'v str> {
    let known = locals::properties(schema);
    let strangers = value
        .as_object()?
        .keys()
        .map(String::as_str)
        .filter(|k| known.is_none_or(|p| !p.contains_key(*k)));
    nearest(missing, strangers)
}

/// A value with its type.
fn typed(value: &Value) -> String {
    match value {
        Value::String(_) => format!("the string {}", shown(value)),
        Value::Number(_) => format!("the number {}", shown(value)),
        Value::Array(items) => format!("a list of {} items: {}", items.len(), shown(value)),
        Value::Object(_) => format!("an object: {}", shown(value)),
        Value::Bool(_) | Value::Null => shown(value),
    }
}

/// The choices, and the nearest one.
pub(crate) fn one_of(value: &Value, options: &[Value]) -> String {
    let all: Vec<String> = options.iter().map(|o| cut(&o.to_string(), 60)).collect();
    let texts = options.iter().filter_map(Value::as_str);
    let near = value.as_str().and_then(|text| nearest(text, texts));
    let all = alternatives(&all);
    match near {
        Some(near) => format!("one of {all}, perhaps {}", Value::from(near)),
        None => format!("one of {all}; the one that comes nearest where none fits"),
    }
}

/// Makes a value fit a schema where that loses nothing.
struct Coercion<'s> {
    root: &'s Value,
    notes: Vec<String>,
    fuel: usize,
}

impl<'s> Coercion<'s> {
    fn apply(&mut self, schema: &'s Value, value: &mut Value, at: &str, hops: usize) {
        if self.fuel == 0 || hops > HOPS {
            return;
        }
        self.fuel -= 1;
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            for part in all {
                self.apply(part, value, at, hops + 1);
            }
        }
        let schema = locals::without_null(self.root, schema);
        let types = locals::types(schema);
        let typed = types.is_empty() || types.iter().any(|t| locals::is_type(value, t));
        // A value within a list that was made for it: a list of itself must not be made without end.
        let mut within = 0;
        if !typed {
            if let Some(other) = converted(value, &types) {
                self.note(at, value, &other);
                *value = other;
            } else if types.contains(&"array") && !value.is_null() && !self.nests(schema) {
                within = hops + 1;
                let lone = value.take();
                *value = Value::Array(vec![lone]);
                self.notes
                    .push(format!("{}: took a lone value as a list", place(at)));
            }
        }
        if let Some(Value::Array(choices)) = schema.get("enum")
            && let Some(choice) = respelled(value, choices)
        {
            self.note(at, value, &choice);
            *value = choice;
        }
        match value {
            Value::Object(map) => {
                for (name, item) in map.iter_mut() {
                    if let Some(part) = locals::field(self.root, schema, name) {
                        self.apply(part, item, &path::key(at, name), 0);
                    }
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    if let Some(part) = locals::item(self.root, schema, i) {
                        self.apply(part, item, &path::index(at, i), within);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether the items of a list are lists: which of them a lone value would be, nobody knows.
    fn nests(&self, schema: &Value) -> bool {
        locals::item(self.root, schema, 0).is_some_and(|part| {
            locals::types(locals::without_null(self.root, part)).contains(&"array")
        })
    }

    fn note(&mut self, at: &str, from: &Value, to: &Value) {
        let (from, to) = (shown(from), shown(to));
        self.notes
            .push(format!("{}: took {from} as {to}", place(at)));
    }
}

fn place(at: &str) -> String {
    match at {
        "" => "the output".to_owned(),
        at => format!("`{at}`"),
    }
}

/// The same value in one of these types.
fn converted(value: &Value, types: &[&str]) -> Option<Value> {
    let other = match value {
        Value::String(text) => {
            let text = text.trim();
            match text.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                // A leading zero or plus is refused by JSON, and is likely part of a code.
                _ => Value::Number(serde_json::from_str::<Number>(text).ok()?),
            }
        }
        Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
        _ => return None,
    };
    let fits = types.iter().any(|t| locals::is_type(&other, t));
    // A long string of digits is no number of 64 bits: what it would lose decides.
    let exact = !other.is_number()
        || value.as_str().is_some_and(|text| {
            let text = text.trim();
            let written = other.to_string();
            text.len() <= 15 || text == written
        });
    (fits && exact).then_some(other)
}

/// The only choice that differs in case and white space alone.
fn respelled(value: &Value, choices: &[Value]) -> Option<Value> {
    if choices.contains(value) {
        return None;
    }
    let same = |text: &str| -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    let wanted = same(value.as_str()?);
    let mut near = choices
        .iter()
        .filter(|c| c.as_str().is_some_and(|c| same(c) == wanted));
    match (near.next(), near.next()) {
        (Some(one), None) => Some(one.clone()),
        _ => None,
    }
}
