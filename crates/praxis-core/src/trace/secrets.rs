//! What a call tree keeps out of its traces: what nobody is shown of tools' arguments and results. Names and places
//! tell it where it first comes, in a tool's span or in the message of the model that wants the call; from then on it
//! is known by its text, whatever repeats it. Left out: personal data, which guards mask; what calls are made with.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use super::redact::{MASK, Steps, first_secret, redacted_with};
use super::{Span, SpanKind, SpanStatus};

/// Characters of a value that is looked for in other texts: at least so many, and from so many on also within words.
const LEAST: usize = 4;
const WITHIN_WORDS: usize = 8;

/// Bytes of the longest value that is looked for, and the most values of a call tree. Others are masked only where
/// their names and places tell them.
const LONGEST: usize = 16 << 10;
const MOST_VALUES: usize = 256;

/// The most tools that a call tree knows the secrets of.
const MOST_TOOLS: usize = 4096;

/// What a call tree keeps out of its traces. Clones share it: all contexts that were made of one root have the same.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// By what a tool or its function is called, the steps to those of its arguments that nobody is shown.
    tools: BTreeMap<String, Vec<Steps>>,
    /// Values as texts, the longest first.
    values: BTreeSet<(Reverse<usize>, String)>,
}

impl Secrets {
    /// Notes that what is called so is a tool, and where its arguments have what nobody is shown, beside what names
    /// tell. What it gives is masked at the same places.
    pub fn of_tool(&self, name: &str, hidden: &[Steps]) {
        let mut known = self.lock();
        if known.tools.len() < MOST_TOOLS || known.tools.contains_key(name) {
            known.tools.insert(name.to_owned(), hidden.to_vec());
        }
    }

    /// Notes what nobody is shown of a tool's arguments, or of what it gave.
    pub fn note(&self, value: &Value, hidden: &[Steps]) {
        self.lock().given(value, hidden);
    }

    /// A text as logs and traces have it: without what is known by now.
    pub fn shown(&self, text: &str) -> String {
        let shown = self.lock().without_values(text);
        shown.unwrap_or_else(|| text.to_owned())
    }

    /// Takes out of a span what nobody is shown.
    pub(crate) fn hide(&self, span: &mut Span) {
        let mut known = self.lock();
        let tool = known.tools.get(&span.name).cloned();
        match (span.kind, tool) {
            (SpanKind::Function, Some(hidden)) => {
                if let Some(input) = span.input.get_mut("input") {
                    *input = known.redacted(input, &hidden);
                }
                span.output = known.given(&span.output, &of_result(&hidden));
            }
            (SpanKind::Tool, hidden) => {
                let hidden = of_result(&hidden.unwrap_or_default());
                span.output = known.given(&span.output, &hidden);
            }
            _ => {}
        }
        let mut names = HashMap::new();
        known.hide_calls(&mut span.input, &mut names);
        known.hide_calls(&mut span.output, &mut names);
        if known.values.is_empty() {
            return;
        }
        known.hide_values(&mut span.input);
        known.hide_values(&mut span.output);
        if let SpanStatus::Error(message) = &mut span.status
            && let Some(shown) = known.without_values(message)
        {
            *message = shown;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// A value without what nobody is shown of it, which is known from now on.
    fn redacted(&mut self, value: &Value, hidden: &[Steps]) -> Value {
        redacted_with(value, hidden, &mut |found| self.learn(found))
    }

    /// What a tool gave, which may be JSON as a text, without what nobody is shown of it.
    fn given(&mut self, output: &Value, hidden: &[Steps]) -> Value {
        match output {
            Value::String(text) => Value::String(self.written(text, hidden)),
            other => self.redacted(other, hidden),
        }
    }

    fn learn(&mut self, found: &Value) {
        match found {
            Value::String(text) => self.add(text.trim()),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|one| self.learn(one)),
            Value::Object(fields) => fields.values().for_each(|one| self.learn(one)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add(&mut self, text: &str) {
        if text.len() > LONGEST || text.chars().count() < LEAST {
            return;
        }
        // As it is, and as it stands in JSON that stands in a text.
        let quoted = Value::from(text).to_string();
        let written = quoted.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
        for form in [Some(text), written].into_iter().flatten() {
            if self.values.len() < MOST_VALUES {
                self.values.insert((Reverse(form.len()), form.to_owned()));
            }
        }
    }

    /// Masks calls of tools, and messages with what they gave, wherever they stand in a value. `names` has the names of
    /// calls by their ids.
    fn hide_calls(&mut self, value: &mut Value, names: &mut HashMap<String, String>) {
        match value {
            Value::Array(items) => {
                for one in items {
                    self.hide_calls(one, names);
                }
            }
            Value::Object(fields) => {
                self.hide_call(fields, names);
                self.hide_result(fields, names);
                for one in fields.values_mut() {
                    self.hide_calls(one, names);
                }
            }
            _ => {}
        }
    }

    /// Masks the arguments of a call: what has a name and arguments is one.
    fn hide_call(&mut self, fields: &mut Map<String, Value>, names: &mut HashMap<String, String>) {
        if !fields.contains_key("arguments") {
            return;
        }
        let text = |field: &str| Some(fields.get(field)?.as_str()?.to_owned());
        let (Some(name), id) = (text("name"), text("call_id").or_else(|| text("id"))) else {
            return;
        };
        let hidden = self.tools.get(&name).cloned().unwrap_or_default();
        match fields.get_mut("arguments") {
            Some(Value::String(text)) => *text = self.written(text, &hidden),
            Some(other) => *other = self.redacted(other, &hidden),
            None => {}
        }
        if let Some(id) = id {
            names.insert(id, name);
        }
    }

    /// Masks what a tool gave, where it is told to a model: in a message of the tool's, or in an item of a response.
    fn hide_result(&mut self, fields: &mut Map<String, Value>, names: &HashMap<String, String>) {
        let is_item = fields.get("type").and_then(Value::as_str) == Some("function_call_output");
        let (id, place) = match is_item {
            true => ("call_id", "output"),
            false => ("tool_call_id", "content"),
        };
        let Some(id) = fields.get(id).and_then(Value::as_str) else {
            return;
        };
        let tool = names.get(id).and_then(|name| self.tools.get(name));
        let hidden = of_result(tool.map(Vec::as_slice).unwrap_or_default());
        match fields.get_mut(place) {
            Some(Value::String(text)) => *text = self.written(text, &hidden),
            Some(Value::Array(parts)) => {
                for part in parts {
                    if let Some(Value::String(text)) = part.get_mut("text") {
                        *text = self.written(text, &hidden);
                    }
                }
            }
            _ => {}
        }
    }

    /// A text without what nobody is shown of the JSON that it begins with. Of JSON that is not whole, it ends before
    /// the first secret.
    fn written(&mut self, text: &str, hidden: &[Steps]) -> String {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            let shown = self.redacted(&value, hidden);
            let behind = text.get(values.byte_offset()..).unwrap_or_default();
            // Of a field that stands twice, the value has one only.
            return match shown == value && first_secret(text, hidden).is_none() {
                true => text.to_owned(),
                false => format!("{shown}{behind}"),
            };
        }
        let is_json = text.trim_start().starts_with(['{', '[']);
        let secret = is_json.then(|| first_secret(text, hidden)).flatten();
        match secret.and_then(|at| text.get(..at)) {
            Some(before) => format!("{before}{MASK}"),
            None => text.to_owned(),
        }
    }

    fn hide_values(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(shown) = self.without_values(text) {
                    *text = shown;
                }
            }
            Value::Number(number) => {
                let digits = number.to_string();
                if self.values.contains(&(Reverse(digits.len()), digits)) {
                    *value = Value::from(MASK);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|one| self.hide_values(one)),
            Value::Object(fields) => fields.values_mut().for_each(|one| self.hide_values(one)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// A text without the values that are known; none where it has none of them.
    fn without_values(&self, text: &str) -> Option<String> {
        let mut shown: Option<String> = None;
        for (_, value) in &self.values {
            if let Some(less) = without(shown.as_deref().unwrap_or(text), value) {
                shown = Some(less);
            }
        }
        shown
    }
}

/// The steps to what nobody is shown of what a tool gave: the same as of its arguments, also where it is framed as
/// content from outside.
fn of_result(hidden: &[Steps]) -> Vec<Steps> {
    let framed = hidden.iter().map(|way| {
        let mut steps = vec!["content".to_owned()];
        steps.extend_from_slice(way);
        steps
    });
    hidden.iter().cloned().chain(framed).collect()
}

/// A text without a value; none where it does not have it. A short value counts only where no letter or digit stands
/// beside it.
fn without(text: &str, value: &str) -> Option<String> {
    let is_short = value.chars().count() < WITHIN_WORDS;
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    let mut shown = String::new();
    let mut kept = 0;
    for (at, _) in text.match_indices(value) {
        let end = at + value.len();
        let is_within = text[..at].ends_with(is_letter) || text[end..].starts_with(is_letter);
        if is_short && is_within {
            continue;
        }
        shown.push_str(&text[kept..at]);
        shown.push_str(MASK);
        kept = end;
    }
    (kept > 0).then(|| shown + &text[kept..])
}

#[cfg(test)]
mod tests;
