//! `filter` of `praxis.knowledge`: which documents the passages of a prompt may come from. Values may name
//! inputs, `{{department}}`; a comparison whose input is absent or empty is left out. Left out: the
//! language itself (`praxis_core::filter`), and access, which no prompt decides.

use praxis_core::suggest::nearest;
use praxis_core::{CallError, ErrorCode, Filter};
use serde_json::{Map, Value};

/// What stands in for an input while a filter is checked.
const SAMPLE: &str = "x";

/// A filter with places for inputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FilterTemplate(Value);

/// A text as it is, and the inputs that it names, in order.
enum Piece<'a> {
    Text(&'a str),
    /// The path of an input, such as `user.department`.
    Input(&'a str),
}

impl FilterTemplate {
    /// Checks a filter: its form, its constant values, and the inputs that it names.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn parse(value: &Value, input_schema: &Value) -> Result<Self, String> {
        let mut names = Vec::new();
        let sample = sample(value, &mut names)?;
        Filter::parse(&sample).map_err(|error| error.to_string())?;
        let inputs = input_schema.get("properties").and_then(Value::as_object);
        for name in names {
            let root = name.split('.').next().unwrap_or_default();
            if inputs.is_some_and(|inputs| inputs.contains_key(root)) {
                continue;
            }
            let known = inputs.into_iter().flat_map(Map::keys).map(String::as_str);
            return Err(match nearest(root, known) {
                Some(near) => format!("`{root}` is no input; did you mean `{near}`?"),
                None => format!("`{root}` is no input; declare it in `input.schema`"),
            });
        }
        Ok(Self(value.clone()))
    }

    /// The filter for an input; nothing where all its comparisons are left out.
    ///
    /// # Errors
    /// An input that a filter cannot have for a value.
    pub fn fill(&self, input: &Map<String, Value>) -> Result<Option<Filter>, CallError> {
        let Some(filled) = filled(&self.0, input) else {
            return Ok(None);
        };
        Filter::parse(&filled).map(Some).map_err(|error| {
            let message = format!("the inputs make no filter of `praxis.knowledge`: {error}");
            CallError::new(ErrorCode::InvalidRequest, message)
        })
    }
}

/// The pieces of a text with places for inputs.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("`{text}` has `{{{{` without `}}}}`"))?;
        let name = name.trim();
        let fits = |c: char| c.is_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(fits) {
            return Err(format!(
                "`{{{{{name}}}}}` names no input; only inputs may stand in a filter, as `{{{{department}}}}`"
            ));
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Input(name));
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// A filter with a sample in each place for an input; `names` gets the inputs.
fn sample(filter: &Value, names: &mut Vec<String>) -> Result<Value, String> {
    let Value::Object(map) = filter else {
        return Ok(filter.clone());
    };
    let mut checked = map.clone();
    let takes_list = matches!(map.get("type").and_then(Value::as_str), Some("in" | "nin"));
    if let Some(value) = map.get("value") {
        let mut one = |value: &Value| -> Result<(Value, bool), String> {
            let Value::String(text) = value else {
                return Ok((value.clone(), false));
            };
            let mut named = false;
            for piece in pieces(text)? {
                if let Piece::Input(name) = piece {
                    names.push(name.to_owned());
                    named = true;
                }
            }
            let shown = if named {
                Value::from(SAMPLE)
            } else {
                value.clone()
            };
            Ok((shown, named))
        };
        let value = match value {
            Value::Array(all) => {
                let all: Result<Vec<Value>, String> =
                    all.iter().map(|v| one(v).map(|(v, _)| v)).collect();
                Value::from(all?)
            }
            single => match one(single)? {
                (sample, true) if takes_list => Value::from(vec![sample]),
                (sample, _) => sample,
            },
        };
        checked.insert("value".to_owned(), value);
    }
    if let Some(Value::Array(filters)) = map.get("filters") {
        let filters: Result<Vec<Value>, String> =
            filters.iter().map(|inner| sample(inner, names)).collect();
        checked.insert("filters".to_owned(), Value::from(filters?));
    }
    Ok(Value::Object(checked))
}

/// A filter with the inputs in their places; nothing where nothing is left of it.
fn filled(filter: &Value, input: &Map<String, Value>) -> Option<Value> {
    let Value::Object(map) = filter else {
        return Some(filter.clone());
    };
    let mut done = map.clone();
    let takes_list = matches!(map.get("type").and_then(Value::as_str), Some("in" | "nin"));
    if let Some(value) = map.get("value") {
        let value = match value {
            Value::Array(all) => {
                let values = all.iter().filter_map(|value| put(value, input));
                let flat = values.flat_map(|value| match value {
                    Value::Array(all) => all,
                    one => vec![one],
                });
                Value::from(flat.collect::<Vec<_>>())
            }
            one => match put(one, input)? {
                Value::Array(all) => Value::from(all),
                one if takes_list => Value::from(vec![one]),
                one => one,
            },
        };
        if value == Value::from(Vec::<Value>::new()) {
            return None;
        }
        done.insert("value".to_owned(), value);
    }
    if let Some(Value::Array(filters)) = map.get("filters") {
        let left: Vec<Value> = filters.iter().filter_map(|f| filled(f, input)).collect();
        if left.is_empty() {
            return None;
        }
        done.insert("filters".to_owned(), Value::from(left));
    }
    Some(Value::Object(done))
}

/// A value with the inputs that it names: the input itself where that is all of it, else a text.
fn put(value: &Value, input: &Map<String, Value>) -> Option<Value> {
    let Value::String(text) = value else {
        return Some(value.clone());
    };
    let pieces = pieces(text).ok()?;
    if let [Piece::Input(name)] = pieces.as_slice() {
        return looked_up(name, input).cloned();
    }
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => whole.push_str(text),
            Piece::Input(name) => match looked_up(name, input)? {
                Value::String(text) => whole.push_str(text),
                other => whole.push_str(&other.to_string()),
            },
        }
    }
    Some(Value::from(whole))
}

/// An input by its path, unless it is absent or empty.
fn looked_up<'a>(path: &str, input: &'a Map<String, Value>) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = input.get(parts.next()?)?;
    let found = parts.try_fold(first, |value, part| value.get(part))?;
    match found {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::Array(all) if all.is_empty() => None,
        found => Some(found),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({ "properties": {
            "department": { "type": "string" },
            "years": { "type": "array" },
            "user": { "type": "object" },
        }})
    }

    fn fill(filter: Value, input: Value) -> Option<Value> {
        let template = FilterTemplate::parse(&filter, &schema()).unwrap();
        let input = input.as_object().cloned().unwrap_or_default();
        template.fill(&input).unwrap().map(Value::from)
    }

    #[test]
    fn inputs_take_their_places_with_their_types() {
        let eq = |value: Value| json!({ "type": "eq", "key": "k", "value": value });
        let of = |value: Value| json!({ "type": "in", "key": "k", "value": value });
        for (filter, input, want) in [
            (
                eq(json!("{{department}}")),
                json!({ "department": "hr" }),
                Some(eq(json!("hr"))),
            ),
            (
                eq(json!("{{ user.id }}")),
                json!({ "user": { "id": 7 } }),
                Some(eq(json!(7.0))),
            ),
            (
                eq(json!("team/{{department}}")),
                json!({ "department": "hr" }),
                Some(eq(json!("team/hr"))),
            ),
            (
                of(json!("{{years}}")),
                json!({ "years": [2025, 2026] }),
                Some(of(json!([2025.0, 2026.0]))),
            ),
            (
                of(json!("{{department}}")),
                json!({ "department": "hr" }),
                Some(of(json!(["hr"]))),
            ),
            (
                of(json!(["it", "{{department}}"])),
                json!({}),
                Some(of(json!(["it"]))),
            ),
            (eq(json!("{{department}}")), json!({}), None),
            (
                eq(json!("{{department}}")),
                json!({ "department": " " }),
                None,
            ),
            (of(json!("{{years}}")), json!({ "years": [] }), None),
            (eq(json!(true)), json!({}), Some(eq(json!(true)))),
        ] {
            assert_eq!(
                fill(filter.clone(), input.clone()),
                want,
                "{filter} {input}"
            );
        }
        let both = json!({ "type": "and", "filters": [
            eq(json!("{{department}}")),
            { "type": "gte", "key": "date", "value": "2026-01-01" },
        ]});
        let left = json!({ "type": "and", "filters": [
            { "type": "gte", "key": "date", "value": "2026-01-01" },
        ]});
        assert_eq!(fill(both.clone(), json!({})), Some(left));
        // An input cannot be more of a filter than a value.
        let evil = json!({ "department": "x\", \"type\": \"ne" });
        let Some(Value::Object(filled)) = fill(both, evil.clone()) else {
            panic!("a filter")
        };
        assert_eq!(filled["filters"][0]["value"], evil["department"]);
        let template = FilterTemplate::parse(&eq(json!("{{user}}")), &schema()).unwrap();
        let input = json!({ "user": { "type": "or" } });
        let input = input.as_object().cloned().unwrap_or_default();
        assert!(template.fill(&input).is_err());
    }

    #[test]
    fn mistakes_are_found_when_the_prompt_is_loaded() {
        for (filter, part) in [
            (json!("x"), "an object"),
            (
                json!({ "type": "eq", "key": "k", "value": "{{departmnt}}" }),
                "did you mean `department`?",
            ),
            (
                json!({ "type": "eq", "key": "k", "value": "{{#if a}}x{{/if}}" }),
                "names no input",
            ),
            (
                json!({ "type": "eq", "key": "k", "value": "{{department" }),
                "without `}}`",
            ),
            (
                json!({ "type": "like", "key": "k", "value": "a" }),
                "no type of filter",
            ),
            (
                json!({ "type": "and", "filters": [{ "type": "in", "key": "k", "value": "a" }] }),
                "at `filters[0].value`",
            ),
        ] {
            let error = FilterTemplate::parse(&filter, &schema()).unwrap_err();
            assert!(error.contains(part), "{filter}: {error}");
        }
    }
}
