//! Filters by metadata, in the language of OpenAI's vector stores: comparisons, and `and` and `or` of
//! them; and a short form for people. Left out: what a base has for them to hold of (knowledge).
//!
//! A comparison holds of a document if it does of one of the key's values, since a key may have several.
//! `ne` and `nin` hold where `eq` and `in` do not, so also of documents without the key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::ErrorCode;
use crate::function::CallError;
use crate::metadata::{MAX_TEXT, is_key};
use crate::suggest::nearest;

/// Filters inside of filters, at most.
pub const MAX_DEPTH: usize = 8;

/// Values of all comparisons of a filter, at most.
pub const MAX_VALUES: usize = 256;

/// Keys that an error names, at most.
const SHOWN_KEYS: usize = 20;

/// Names of the kinds of filters.
const TYPES: &str = "eq, ne, gt, gte, lt, lte, in, nin, and, or";

/// Which documents count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(into = "Value", try_from = "Value")]
pub enum Filter {
    /// Those that a comparison holds of.
    Compare(Comparison),
    /// Those that all filters hold of.
    And(Vec<Filter>),
    /// Those that one of the filters holds of.
    Or(Vec<Filter>),
}

/// A key compared with a value, or with each of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The key.
    pub key: String,
    /// How they are compared.
    pub operator: Operator,
    /// One value; for [`Operator::In`] and [`Operator::NotIn`], several.
    pub values: Vec<Scalar>,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `in`
    In,
    /// `nin`
    NotIn,
}

impl Operator {
    const NAMES: [(&'static str, Self); 8] = [
        ("eq", Self::Equal),
        ("ne", Self::NotEqual),
        ("gt", Self::Greater),
        ("gte", Self::GreaterOrEqual),
        ("lt", Self::Less),
        ("lte", Self::LessOrEqual),
        ("in", Self::In),
        ("nin", Self::NotIn),
    ];

    /// Its name in the language.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, operator)| *operator == self);
        found.map_or("eq", |(name, _)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, operator)| *operator)
    }

    /// Whether it holds where its opposite does not.
    pub fn is_negated(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotIn)
    }

    /// Whether it takes several values.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }
}

/// A value to compare with. A text that is compared with numbers, dates or truth values is read as one.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A finite number; compared with dates, seconds since the epoch.
    Number(f64),
    /// True or false.
    Bool(bool),
}

impl Scalar {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => json!(number),
            Self::Bool(value) => Value::from(*value),
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
        }
    }
}

/// What is wrong with a filter, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("at `{path}`: ") })]
pub struct FilterError {
    /// The place, such as `filters[1].value`; empty for the whole.
    pub path: String,
    /// What is wrong, and what is wanted.
    pub message: String,
}

/// Marks the error of a filter by a key that a base does not have.
const UNKNOWN_KEY: &str = "unknown_key";

/// The error of a filter by a key that no document of a base has, as far as the caller may know; `known`
/// are those that there are.
pub fn unknown_key(base: &str, key: &str, known: &[String]) -> CallError {
    let message = format!("no document of `{base}` has `{key}` in its metadata");
    let near = nearest(key, known.iter().map(String::as_str));
    let list = known.iter().take(SHOWN_KEYS).map(String::as_str);
    let list = list.collect::<Vec<_>>().join(", ");
    let hint = match near {
        Some(near) => format!("did you mean `{near}`? there are: {list}"),
        None => format!("there are: {list}"),
    };
    CallError::new(ErrorCode::InvalidRequest, message)
        .with_hint(hint)
        .with_details(json!({ UNKNOWN_KEY: key }))
}

/// The key that an error of [`unknown_key`] names; `None` for any other error.
pub fn unknown_key_of(error: &CallError) -> Option<&str> {
    error.details.as_ref()?.get(UNKNOWN_KEY)?.as_str()
}

/// Whether an error is that of [`unknown_key`]: of several bases, others may have the key.
pub fn is_unknown_key(error: &CallError) -> bool {
    let details = error.details.as_ref();
    details.is_some_and(|details| details.get(UNKNOWN_KEY).is_some())
}

impl Filter {
    /// Reads a filter of the language.
    ///
    /// # Errors
    /// The place of the first mistake.
    pub fn parse(value: &Value) -> Result<Self, FilterError> {
        let mut reader = Reader { values: 0 };
        reader.filter(value, "", 1)
    }

    /// Reads the short form: `department=hr`, `year!=2024`, `date>=2026-01-01`, `size<10000`; or a whole
    /// filter in JSON.
    ///
    /// # Errors
    /// What is no comparison.
    pub fn parse_short(text: &str) -> Result<Self, FilterError> {
        let wrong = |message: String| FilterError {
            path: String::new(),
            message,
        };
        if text.trim_start().starts_with('{') {
            let value: Value = serde_json::from_str(text)
                .map_err(|e| wrong(format!("`{text}` is not JSON: {e}")))?;
            return Self::parse(&value);
        }
        let at = text.find(['=', '!', '<', '>']).unwrap_or(text.len());
        let (key, rest) = text.split_at(at);
        let operators = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("==", Operator::Equal),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let found = operators
            .into_iter()
            .find_map(|(sign, operator)| Some((operator, rest.strip_prefix(sign)?.trim())));
        let key = key.trim();
        let Some((operator, value)) = found.filter(|_| is_key(key)) else {
            return Err(wrong(format!(
                "`{text}` is no comparison: write KEY=VALUE, or `!=`, `>`, `>=`, `<` or `<=`"
            )));
        };
        let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        let value = Value::from(quoted.unwrap_or(value));
        Self::parse(&json!({ "type": operator.name(), "key": key, "value": value }))
    }

    /// The filter that all of these hold of; none for none.
    pub fn all_of(mut filters: Vec<Self>) -> Option<Self> {
        match filters.len() {
            0 => None,
            1 => filters.pop(),
            _ => Some(Self::And(filters)),
        }
    }
}

impl TryFrom<Value> for Filter {
    type Error = FilterError;

    fn try_from(value: Value) -> Result<Self, FilterError> {
        Self::parse(&value)
    }
}

impl From<Filter> for Value {
    fn from(filter: Filter) -> Self {
        let compound = |name: &str, filters: Vec<Filter>| {
            let filters: Vec<Value> = filters.into_iter().map(Value::from).collect();
            json!({ "type": name, "filters": filters })
        };
        match filter {
            Filter::And(filters) => compound("and", filters),
            Filter::Or(filters) => compound("or", filters),
            Filter::Compare(comparison) => {
                let values: Vec<Value> = comparison.values.iter().map(Scalar::to_json).collect();
                let value = match values.as_slice() {
                    [one] if !comparison.operator.takes_list() => one.clone(),
                    _ => Value::from(values),
                };
                json!({ "type": comparison.operator.name(), "key": comparison.key, "value": value })
            }
        }
    }
}

/// A filter on its way in, and how many values it has so far.
struct Reader {
    values: usize,
}

impl Reader {
    fn filter(&mut self, value: &Value, path: &str, depth: usize) -> Result<Filter, FilterError> {
        if depth > MAX_DEPTH {
            let message = format!("filters may be {MAX_DEPTH} deep");
            return Err(wrong(path, message));
        }
        let Value::Object(map) = value else {
            return Err(wrong(path, "a filter is an object with `type`".to_owned()));
        };
        let name = match map.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(_) => return Err(wrong(&below(path, "type"), format!("one of {TYPES}"))),
            None => {
                return Err(wrong(
                    path,
                    format!("a filter needs `type`, one of {TYPES}"),
                ));
            }
        };
        match (name, Operator::parse(name)) {
            (_, Some(operator)) => self.comparison(operator, map, path),
            ("and" | "or", None) => {
                only(map, &["type", "filters"], path)?;
                let place = below(path, "filters");
                let Some(Value::Array(all)) = map.get("filters") else {
                    return Err(wrong(
                        &place,
                        format!("`{name}` needs `filters`, a list of filters"),
                    ));
                };
                if all.is_empty() {
                    return Err(wrong(&place, format!("`{name}` of no filters")));
                }
                self.count(all.len(), &place)?;
                let filters = all
                    .iter()
                    .enumerate()
                    .map(|(i, inner)| self.filter(inner, &format!("{place}[{i}]"), depth + 1))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(if name == "and" {
                    Filter::And(filters)
                } else {
                    Filter::Or(filters)
                })
            }
            _ => Err(wrong(
                &below(path, "type"),
                format!("`{name}` is no type of filter: {TYPES}"),
            )),
        }
    }

    fn comparison(
        &mut self,
        operator: Operator,
        map: &Map<String, Value>,
        path: &str,
    ) -> Result<Filter, FilterError> {
        only(map, &["type", "key", "value"], path)?;
        let name = operator.name();
        let key = match map.get("key") {
            Some(Value::String(key)) if is_key(key) => key.clone(),
            Some(_) => {
                let message = "not a key of metadata: a short text without `=`, `!`, `<`, `>`";
                return Err(wrong(&below(path, "key"), message.to_owned()));
            }
            None => return Err(wrong(path, format!("`{name}` needs `key`"))),
        };
        let place = below(path, "value");
        let values = match map.get("value") {
            None => return Err(wrong(path, format!("`{name}` needs `value`"))),
            Some(Value::Array(all)) if operator.takes_list() => {
                if all.is_empty() {
                    return Err(wrong(&place, format!("`{name}` of no values")));
                }
                self.count(all.len(), &place)?;
                all.iter()
                    .enumerate()
                    .map(|(i, value)| scalar(value, &format!("{place}[{i}]")))
                    .collect::<Result<Vec<_>, _>>()?
            }
            Some(_) if operator.takes_list() => {
                return Err(wrong(&place, format!("`{name}` needs a list of values")));
            }
            Some(value) => {
                self.count(1, &place)?;
                vec![scalar(value, &place)?]
            }
        };
        Ok(Filter::Compare(Comparison {
            key,
            operator,
            values,
        }))
    }

    fn count(&mut self, more: usize, path: &str) -> Result<(), FilterError> {
        self.values += more;
        if self.values > MAX_VALUES {
            let message = format!("a filter may have {MAX_VALUES} parts and values in all");
            return Err(wrong(path, message));
        }
        Ok(())
    }
}

fn scalar(value: &Value, path: &str) -> Result<Scalar, FilterError> {
    match value {
        Value::String(text) if text.chars().count() <= MAX_TEXT => Ok(Scalar::Text(text.clone())),
        Value::String(_) => Err(wrong(
            path,
            format!("a text may have {MAX_TEXT} characters"),
        )),
        Value::Number(number) => match number.as_f64().filter(|n| n.is_finite()) {
            Some(number) => Ok(Scalar::Number(number)),
            None => Err(wrong(path, "the number is too large".to_owned())),
        },
        Value::Bool(value) => Ok(Scalar::Bool(*value)),
        _ => Err(wrong(
            path,
            "a value is a text, a number, true or false".to_owned(),
        )),
    }
}

fn only(map: &Map<String, Value>, known: &[&str], path: &str) -> Result<(), FilterError> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(wrong(
            &below(path, key),
            format!("unknown; this filter has {}", known.join(", ")),
        )),
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn wrong(path: &str, message: String) -> FilterError {
    FilterError {
        path: path.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests;
