//! Small slips of models in a value, mended where it can only have meant one thing: a number in quotes, one value where
//! a list of them is wanted, a list or an object within a text, `null` for what may be left out, another spelling of an
//! option. One piece of code for the arguments of tools and the outputs of functions.
//!
//! A value is touched only where its schema refuses it, and no digit is lost: a number that 64 bits cannot hold stays
//! the text that it is, and one with a fraction is made no text, since 1.10 would be 1.1. Left out: values that are
//! missing or out of range, and names that are misspelt, which the model is told of instead; what is one of several
//! alternatives; and how a slip is told, which depends on who reads it.

use serde_json::{Number, Value};

use super::{is_type, own_field, own_item, properties, resolved, types, without_null};

/// How deep values are followed.
const MOST_DEPTH: usize = 64;

/// The most slips of one value that are told of.
const MOST_SLIPS: usize = 20;

/// The most schemas that are followed for one value: they can refer to each other.
const MOST_PARTS: usize = 32;

/// Bytes of the longest text that is read as something else.
const LONGEST: usize = 1 << 20;

/// A slip that was mended.
#[derive(Debug, Clone, PartialEq)]
pub struct Slip {
    /// Its place in the mended value, as a JSON pointer (RFC 6901).
    pub at: String,
    /// What it was.
    pub kind: SlipKind,
}

/// What was mended.
#[derive(Debug, Clone, PartialEq)]
pub enum SlipKind {
    /// One value stood for another: `"3"` for 3, 3 for `"3"`, `" Good"` for the option `"good"`.
    Instead {
        /// What was there.
        found: Value,
        /// What it was taken as.
        taken: Value,
    },
    /// One value stood for a list of it.
    Lone,
    /// `null` stood for what may be left out, and is left out.
    Null,
}

/// The value as its schema wants it, as far as that takes no guessing and loses nothing, and what was mended: the
/// first twenty slips. What is right stays, but that 3.0 is written as 3 where only integers are wanted: the same
/// number, which not everyone reads. Mended twice is mended once. The work is bounded by the value, whatever the schema
/// refers to.
pub fn coerce(schema: &Value, mut value: Value) -> (Value, Vec<Slip>) {
    let mut coercion = Coercion {
        root: schema,
        at: String::new(),
        slips: Vec::new(),
    };
    coercion.value(&[schema], &mut value, 0);
    (value, coercion.slips)
}

/// Whether a schema takes null, as far as its types, options and alternatives tell; one that has none may.
pub fn takes_null(root: &Value, schema: &Value) -> bool {
    Asked::of(root, &[schema]).takes_null
}

struct Coercion<'s> {
    root: &'s Value,
    /// Where it is, as a JSON pointer.
    at: String,
    slips: Vec<Slip>,
}

impl<'s> Coercion<'s> {
    fn value(&mut self, schemas: &[&'s Value], value: &mut Value, depth: usize) {
        if depth > MOST_DEPTH || schemas.is_empty() {
            return;
        }
        let asked = Asked::of(self.root, schemas);
        self.retype(&asked, value);
        self.respell(&asked, value);
        match value {
            Value::Object(map) => map.retain(|name, part| self.field(&asked, name, part, depth)),
            Value::Array(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    let end = self.enter(&i.to_string());
                    self.value(&asked.items(i), item, depth + 1);
                    self.at.truncate(end);
                }
            }
            _ => {}
        }
    }

    /// Mends a field; says whether it stays.
    fn field(&mut self, asked: &Asked<'s>, name: &str, value: &mut Value, depth: usize) -> bool {
        let end = self.enter(name);
        let schemas = asked.fields(name);
        // Models say null for what they could leave out.
        let stays =
            !value.is_null() || !asked.may_lack(name) || Asked::of(self.root, &schemas).takes_null;
        match stays {
            true => self.value(&schemas, value, depth + 1),
            false => self.note(SlipKind::Null),
        }
        self.at.truncate(end);
        stays
    }

    /// The value in one of the types that are wanted, where it has none of them and can only mean that.
    fn retype(&mut self, asked: &Asked<'s>, value: &mut Value) {
        let Some(kinds) = &asked.kinds else {
            return;
        };
        let wants = |kind: &str| kinds.contains(&kind);
        // 3.0 is an integer to JSON Schema, and none to those who read it.
        if let Value::Number(number) = &*value
            && wants("integer")
            && !wants("number")
            && let Some(whole) = whole(number)
        {
            *value = Value::Number(whole);
            return;
        }
        if kinds.iter().any(|kind| is_type(value, kind)) {
            return;
        }
        let taken = match &*value {
            Value::String(text) => read(text, kinds, asked.takes_null),
            // What has a fraction or an exponent may have been written with other digits.
            Value::Number(number) if wants("string") && !number.is_f64() => {
                Some(Value::String(number.to_string()))
            }
            Value::Bool(is) if wants("string") => Some(Value::String(is.to_string())),
            _ => None,
        };
        if let Some(taken) = taken {
            self.replace(value, taken);
        } else if asked.is_list() && may_be_item(value) && !self.nests(asked) {
            let lone = value.take();
            *value = Value::Array(vec![lone]);
            self.note(SlipKind::Lone);
        }
    }

    /// The option that a text differs from in nothing but case and white space.
    fn respell(&mut self, asked: &Asked<'s>, value: &mut Value) {
        if let Value::String(text) = &*value
            && let Some(option) = asked.option(text)
        {
            self.replace(value, Value::String(option.to_owned()));
        }
    }

    /// Whether the items of a list are lists: which of them a lone value would be, nobody knows.
    fn nests(&self, asked: &Asked<'s>) -> bool {
        let items = Asked::of(self.root, &asked.items(0));
        items.kinds.is_some_and(|kinds| kinds.contains(&"array"))
    }

    fn replace(&mut self, value: &mut Value, taken: Value) {
        let found = std::mem::replace(value, taken.clone());
        self.note(SlipKind::Instead { found, taken });
    }

    fn note(&mut self, kind: SlipKind) {
        if self.slips.len() < MOST_SLIPS {
            let at = self.at.clone();
            self.slips.push(Slip { at, kind });
        }
    }

    /// Goes to a part; gives where the way to it begins.
    fn enter(&mut self, name: &str) -> usize {
        let end = self.at.len();
        self.at.push('/');
        let escaped = name.replace('~', "~0").replace('/', "~1");
        self.at.push_str(&escaped);
        end
    }
}

/// What schemas ask of one value, as far as it takes no choice.
struct Asked<'s> {
    /// What has to hold of it, but where it is null and may be.
    parts: Vec<&'s Value>,
    /// The types that all of the parts take; none where they name none.
    kinds: Option<Vec<&'s str>>,
    /// Whether it may be null.
    takes_null: bool,
}

impl<'s> Asked<'s> {
    fn of(root: &'s Value, schemas: &[&'s Value]) -> Self {
        let mut parts = Vec::new();
        for schema in schemas.iter().copied() {
            gather(root, schema, &mut parts);
        }
        let takes_null = parts.iter().all(|part| may_be_null(root, part));
        let mut at = 0;
        while let Some(part) = parts.get(at).copied() {
            gather(root, without_null(root, part), &mut parts);
            at += 1;
        }
        Self {
            kinds: kinds(&parts),
            parts,
            takes_null,
        }
    }

    fn fields(&self, name: &str) -> Vec<&'s Value> {
        let parts = self.parts.iter().copied();
        parts.filter_map(|part| own_field(part, name)).collect()
    }

    fn items(&self, at: usize) -> Vec<&'s Value> {
        let parts = self.parts.iter().copied();
        parts.filter_map(|part| own_item(part, at)).collect()
    }

    /// Whether a field is known by its name and need not be there.
    fn may_lack(&self, name: &str) -> bool {
        let is_known = |part: &Value| properties(part).is_some_and(|p| p.contains_key(name));
        let is_required = |part: &Value| {
            let names = part.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|one| one == name))
        };
        self.parts.iter().any(|part| is_known(part))
            && !self.parts.iter().any(|part| is_required(part))
    }

    /// Whether a list is wanted and nothing else.
    fn is_list(&self) -> bool {
        self.kinds.as_ref().is_some_and(|kinds| {
            kinds.contains(&"array") && kinds.iter().all(|kind| matches!(*kind, "array" | "null"))
        })
    }

    /// The only option that a text which is none differs from in case and white space alone.
    fn option(&self, text: &str) -> Option<&'s str> {
        if self.kinds.as_ref().is_some_and(|k| !k.contains(&"string")) {
            return None;
        }
        let parts = self.parts.iter().copied();
        let mut lists = parts.filter_map(|part| part.get("enum")?.as_array());
        let first = lists.next()?;
        let others: Vec<&Vec<Value>> = lists.collect();
        let options: Vec<&'s str> = first
            .iter()
            .filter(|one| others.iter().all(|other| other.contains(one)))
            .filter_map(Value::as_str)
            .collect();
        if options.contains(&text) {
            return None;
        }
        let meant = folded(text);
        let mut near = options.into_iter().filter(|one| folded(one) == meant);
        match (near.next(), near.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }
}

/// Adds a schema, and what holds of the same value by its `allOf`, to those that are there.
fn gather<'s>(root: &'s Value, schema: &'s Value, parts: &mut Vec<&'s Value>) {
    let mut pending = vec![schema];
    while let Some(next) = pending.pop() {
        let next = resolved(root, next);
        let is_known = parts.iter().any(|part| std::ptr::eq(*part, next));
        if is_known || parts.len() >= MOST_PARTS {
            continue;
        }
        parts.push(next);
        let all = next.get("allOf").and_then(Value::as_array);
        pending.extend(all.into_iter().flatten().rev());
    }
}

/// The types that all of the schemas take, of those that name any.
fn kinds<'s>(schemas: &[&'s Value]) -> Option<Vec<&'s str>> {
    let named = schemas.iter().copied().map(types);
    named
        .filter(|kinds| !kinds.is_empty())
        .reduce(|common, kinds| {
            let common = common.into_iter();
            common.filter_map(|kind| within(kind, &kinds)).collect()
        })
}

/// What values of a type are, of these types: each integer is a number.
fn within<'s>(kind: &'s str, kinds: &[&'s str]) -> Option<&'s str> {
    match kind {
        _ if kinds.contains(&kind) => Some(kind),
        "integer" if kinds.contains(&"number") => Some(kind),
        "number" if kinds.contains(&"integer") => Some("integer"),
        _ => None,
    }
}

/// Whether a schema, with its alternatives, may hold of null.
fn may_be_null(root: &Value, schema: &Value) -> bool {
    let mut choices = ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|key| schema.get(key)?.as_array());
    says_null(schema)
        && choices.all(|branches| branches.iter().any(|one| says_null(resolved(root, one))))
}

fn says_null(schema: &Value) -> bool {
    let kinds = types(schema);
    let options = schema.get("enum").and_then(Value::as_array);
    (kinds.is_empty() || kinds.contains(&"null"))
        && options.is_none_or(|options| options.contains(&Value::Null))
        && schema.get("const").is_none_or(Value::is_null)
        && *schema != Value::Bool(false)
}

/// Whether a value may be meant as the only item of a list. An empty text may mean that there is none, and one that
/// begins as a list does is a list that could not be read.
fn may_be_item(value: &Value) -> bool {
    match value {
        Value::Null | Value::Array(_) => false,
        Value::String(text) => {
            let text = text.trim_start();
            !text.is_empty() && !text.starts_with('[')
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

/// What a text says that should have been one of these types.
fn read(text: &str, kinds: &[&str], takes_null: bool) -> Option<Value> {
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    let wants = |kind: &str| kinds.contains(&kind);
    if takes_null && text.eq_ignore_ascii_case("null") {
        return Some(Value::Null);
    }
    if wants("boolean") && text.eq_ignore_ascii_case("true") {
        return Some(Value::Bool(true));
    }
    if wants("boolean") && text.eq_ignore_ascii_case("false") {
        return Some(Value::Bool(false));
    }
    // A leading zero or plus is refused by JSON, and is likely part of a code.
    match serde_json::from_str::<Value>(text).ok()? {
        Value::Number(number) if wants("number") => exact(text, number).map(Value::Number),
        Value::Number(number) if wants("integer") => {
            let number = exact(text, number)?;
            whole(&number).map(Value::Number)
        }
        map @ Value::Object(_) if wants("object") && keeps_digits(text) => Some(map),
        list @ Value::Array(_) if wants("array") && keeps_digits(text) => Some(list),
        _ => None,
    }
}

/// The number that a text was read as, where it has all of its digits.
fn exact(text: &str, number: Number) -> Option<Number> {
    if !number.is_f64() {
        return Some(number);
    }
    // `serde_json` may be wrong in the last digit.
    let number = Number::from_f64(text.parse::<f64>().ok()?)?;
    is_same(text, &number).then_some(number)
}

/// Whether all numbers of a JSON text have their digits when it is read.
fn keeps_digits(json: &str) -> bool {
    let (mut is_text, mut is_escaped) = (false, false);
    let mut number = None;
    for (at, c) in json.char_indices() {
        if is_text {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => is_text = false,
                _ => {}
            }
            continue;
        }
        let begins = c == '-' || c.is_ascii_digit();
        match number {
            None if begins => number = Some(at),
            None => is_text = c == '"',
            Some(_) if begins || matches!(c, '+' | '.' | 'e' | 'E') => {}
            Some(start) => {
                if !json.get(start..at).is_some_and(is_kept) {
                    return false;
                }
                number = None;
            }
        }
    }
    true
}

/// Whether a number of a JSON text has its digits when it is read.
fn is_kept(written: &str) -> bool {
    serde_json::from_str::<Number>(written)
        .is_ok_and(|number| !number.is_f64() || is_same(written, &number))
}

/// Whether a number is exactly what was written.
fn is_same(written: &str, number: &Number) -> bool {
    let digits = decimal(written);
    digits.is_some() && digits == decimal(&number.to_string())
}

/// A decimal number without zeros that make no difference: whether it is negative, its digits, and the power of ten of
/// the last one.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let positive = text.strip_prefix('-');
    let is_negative = positive.is_some();
    let text = positive.unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    let zeros = i64::try_from(all.len() - digits.len()).ok()?;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some((false, String::new(), 0));
    }
    let places = i64::try_from(fraction.len()).ok()?;
    let power = exponent.checked_sub(places)?.checked_add(zeros)?;
    Some((is_negative, digits.to_owned(), power))
}

/// A number without a fraction as an integer; none where it has one, or is so large that it may have been another.
fn whole(number: &Number) -> Option<Number> {
    if !number.is_f64() {
        return Some(number.clone());
    }
    let float = number.as_f64()?;
    // Below, each integer is a float of its own.
    let inexact = 9_007_199_254_740_992.0;
    if float.fract() != 0.0 || float.abs() >= inexact {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is within 53 bits"
    )]
    let whole = float as i64;
    Some(Number::from(whole))
}

/// A text as options are compared.
fn folded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests;
