//! A value against its JSON Schema: all that is wrong, the most useful first; and before that, what can
//! be made right without losing anything.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use praxis_core::json_schema::coercion::{self, Slip, SlipKind};
use praxis_core::suggest::nearest;
use serde_json::Value;

use super::instructions::{article, brief, format_hint, shape, shape_of};
use super::violation::{Violation, alternatives, cut, shown};
use super::{Want, locals, path};

/// Violations that are told at once: a small model does not mend more.
const MOST: usize = 8;

/// Bytes of a form that is shown whole with each repair.
const SMALL: usize = 800;

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

    /// Whether it wants a text, and no number.
    pub fn wants_text(&self) -> bool {
        let types = locals::types(locals::without_null(&self.source, &self.source));
        types.contains(&"string") && !types.iter().any(|t| matches!(*t, "number" | "integer"))
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

    /// The value with what could be made right without loss, and what that was. A valid one is not touched.
    pub fn coerce(&self, value: Value) -> (Value, Vec<String>) {
        if self.validator.is_valid(&value) {
            return (value, Vec::new());
        }
        let (value, slips) = coercion::coerce(&self.source, value);
        let notes = slips.iter().map(|slip| note(slip, &value)).collect();
        (value, notes)
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

/// What was mended in a value.
fn note(slip: &Slip, value: &Value) -> String {
    let place = match slip.at.as_str() {
        "" => "the output".to_owned(),
        at => format!("`{}`", path::dotted(at, value)),
    };
    match &slip.kind {
        SlipKind::Instead { found, taken } => {
            format!("{place}: took {} as {}", shown(found), shown(taken))
        }
        SlipKind::Lone => format!("{place}: took a lone value as a list"),
        SlipKind::Null => format!("{place}: left out null"),
    }
}
