//! A model's text as a JSON value, and what had to be mended. What is missing is never invented: a key
//! without a value is dropped, for the schema to miss. Whether the value is the right one is not asked
//! here.
//!
//! Which of several values in a text is the answer: those of the wanted kind before others, those in a
//! Markdown fence before others, complete ones before a cut one, and of those left the last that is at
//! least half as long as the longest. The last, because models correct themselves; half as long,
//! because after the answer they mention a part of it or cite `[1]`.

use serde_json::{Map, Number, Value};

use super::Want;
use super::violation::cut;

/// Brackets within brackets, as many as `serde_json` reads.
pub(crate) const DEPTH: usize = 128;

/// How often a byte may be read by attempts that fail, on average.
const FUEL: usize = 64;

/// Bytes of a number or of a text without quotes.
const LONGEST_WORD: usize = 256;

/// A text, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lenient {
    /// The value.
    pub value: Value,
    /// What had to be mended, each once.
    pub mended: Vec<String>,
    /// Whether the text ended before the value did.
    pub cut: bool,
}

/// Reads a text.
///
/// # Errors
/// What was found instead of JSON.
pub(crate) fn parse(text: &str, want: Want) -> Result<Lenient, String> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(Lenient {
            value,
            mended: Vec::new(),
            cut: false,
        });
    }
    let Some(text) = after_thoughts(text) else {
        return Err("only thoughts, and no answer after them".to_owned());
    };
    if want == Want::Scalar {
        return scalar(text);
    }
    let mut candidates = candidates(text, want);
    let best = |c: &Candidate| (c.is(want), c.fenced, !c.read.cut);
    if let Some(top) = candidates.iter().map(best).max() {
        candidates.retain(|c| best(c) == top);
    }
    if want == Want::Array && candidates.len() > 1 && candidates.iter().all(|c| !c.is(want)) {
        return Ok(gathered(candidates));
    }
    let longest = candidates.iter().map(|c| c.length).max().unwrap_or(0);
    let chosen = candidates
        .into_iter()
        .rev()
        .find(|c| c.length * 2 >= longest);
    match chosen {
        Some(candidate) => Ok(candidate.finish(text)),
        None if text.trim().is_empty() => Err("nothing".to_owned()),
        None => Err(format!("text without JSON: {}", cut(text.trim(), 80))),
    }
}

/// The text behind what a model thinks aloud; `None` where it did nothing else.
fn after_thoughts(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        return Some(text);
    }
    match text.rsplit_once("</think>") {
        Some((_, answer)) => Some(answer.trim()),
        None if text.starts_with("<think>") => None,
        None => Some(text),
    }
}

/// A text that stands for one scalar, as it was written.
pub(crate) fn written(text: &str) -> &str {
    unfenced(after_thoughts(text).unwrap_or(text))
}

/// A text without the Markdown fence around it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(fenced) = text.strip_prefix("```") else {
        return text;
    };
    let body = fenced.split_once('\n').map_or(fenced, |(_, body)| body);
    body.trim().trim_end_matches('`').trim()
}

/// A text that stands for one scalar: as JSON without its fence, else as a string.
fn scalar(text: &str) -> Result<Lenient, String> {
    let inner = unfenced(text);
    let mut mended = Vec::new();
    if inner.len() < text.trim().len() {
        mended.push("took off the Markdown fence".to_owned());
    }
    if inner.is_empty() {
        return Err("nothing".to_owned());
    }
    let value = match serde_json::from_str(inner) {
        Ok(value) => value,
        Err(_) => {
            mended.push("took the text as a string".to_owned());
            Value::String(inner.to_owned())
        }
    };
    Ok(Lenient {
        value,
        mended,
        cut: false,
    })
}

/// Objects one after the other, where a list of them was wanted.
fn gathered(candidates: Vec<Candidate>) -> Lenient {
    let mut mended = vec!["put the values into a list".to_owned()];
    let cut = candidates.iter().any(|c| c.read.cut);
    let mut items = Vec::new();
    for candidate in candidates {
        for note in candidate.read.mended {
            if !mended.contains(&note) {
                mended.push(note);
            }
        }
        items.push(candidate.read.value);
    }
    Lenient {
        value: Value::Array(items),
        mended,
        cut,
    }
}

/// A value in a text.
struct Candidate {
    start: usize,
    length: usize,
    fenced: bool,
    read: Lenient,
}

impl Candidate {
    fn is(&self, want: Want) -> bool {
        match want {
            Want::Object => self.read.value.is_object(),
            Want::Array => self.read.value.is_array(),
            Want::Any | Want::Scalar => true,
        }
    }

    fn finish(self, text: &str) -> Lenient {
        let mut read = self.read;
        let around = self.start > 0 || self.start + self.length < text.len();
        if self.fenced {
            read.mended
                .insert(0, "took off the Markdown fence".to_owned());
        } else if around {
            read.mended
                .insert(0, "left out the text around it".to_owned());
        }
        read
    }
}

/// The outermost values of a text. A cut one ends the search: what lies in it is part of it.
fn candidates(text: &str, want: Want) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut fuel = text.len().saturating_mul(FUEL).saturating_add(1024);
    let mut at = 0;
    while let Some(next) = text[at..].find(['{', '[']) {
        let start = at + next;
        let mut reader = Reader::new(text, start);
        match reader.value(0, Place::Top) {
            Ok(value) => {
                let candidate = Candidate {
                    start,
                    length: reader.at - start,
                    fenced: is_fenced(&text[..start]),
                    read: Lenient {
                        value,
                        mended: reader.mended.iter().map(|m| (*m).to_owned()).collect(),
                        cut: reader.cut,
                    },
                };
                let (cut, fits) = (candidate.read.cut, candidate.is(want));
                at = if cut && !fits { start + 1 } else { reader.at };
                found.push(candidate);
                if cut && fits {
                    break;
                }
            }
            Err(Broken) => at = start + 1,
        }
        fuel = fuel.saturating_sub(reader.at - start);
        if fuel == 0 {
            break;
        }
    }
    found
}

/// Whether a text ends with the line that opens a Markdown fence.
fn is_fenced(before: &str) -> bool {
    let near = &before[before.ceil_char_boundary(before.len().saturating_sub(64))..];
    let line = near.trim_end().rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with("```")
}

/// It is no JSON, however kindly one looks.
struct Broken;

/// What surrounds a value: it decides what may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Key,
    Field,
    Item,
}

/// A tolerant recursive-descent parser.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    mended: Vec<&'static str>,
    /// The text ended within a value.
    cut: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, at: usize) -> Self {
        Self {
            text,
            at,
            mended: Vec::new(),
            cut: false,
        }
    }

    fn note(&mut self, what: &'static str) {
        if !self.mended.contains(&what) {
            self.mended.push(what);
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, c: char) {
        self.at += c.len_utf8();
    }

    fn ended(&mut self) {
        self.cut = true;
        self.note("closed what was open at the end");
    }

    /// Passes white space and comments.
    fn space(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            let length = if trimmed.starts_with("//") || trimmed.starts_with('#') {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else {
                return;
            };
            self.note("removed comments");
            self.at += length;
        }
    }

    fn value(&mut self, depth: usize, place: Place) -> Result<Value, Broken> {
        if depth >= DEPTH {
            return Err(Broken);
        }
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some(c) if closing_quote(c).is_some() => self.string(place).map(Value::String),
            Some(_) => self.word(place),
            None => Err(Broken),
        }
    }

    /// Goes to the next part of an object or list, or behind its end; says whether that is it. The end is
    /// that of the text, the closing bracket, or the `other` one, which closes what is around it as well.
    fn at_end(&mut self, closing: char, other: Option<char>, first: bool, empty: bool) -> bool {
        // Nothing need stand before the first part.
        let mut comma = first;
        loop {
            self.space();
            match self.peek() {
                None => {
                    self.ended();
                    return true;
                }
                Some(c) if c == closing => {
                    if comma && !empty {
                        self.note("removed trailing commas");
                    }
                    self.at += 1;
                    return true;
                }
                Some(c) if Some(c) == other => {
                    self.note("closed brackets");
                    return true;
                }
                Some(c @ (',' | '，')) => {
                    if comma {
                        self.note("removed needless commas");
                    }
                    comma = true;
                    self.skip(c);
                }
                Some(_) => {
                    if !comma {
                        self.note("added missing commas");
                    }
                    return false;
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Broken> {
        self.at += 1;
        let mut map = Map::new();
        let mut first = true;
        loop {
            let other = (depth > 0 && !map.is_empty()).then_some(']');
            if self.at_end('}', other, first, map.is_empty()) {
                return Ok(Value::Object(map));
            }
            first = false;
            let key = self.key()?;
            self.space();
            match self.peek() {
                Some(c @ (':' | '：')) => self.skip(c),
                // Cut within or behind a key: there is no value to give it.
                None => {
                    self.ended();
                    return Ok(Value::Object(map));
                }
                Some(_) => return Err(Broken),
            }
            self.space();
            match self.peek() {
                None => {
                    self.ended();
                    return Ok(Value::Object(map));
                }
                Some(',' | '}') => self.note("dropped keys without a value"),
                Some(_) => match self.value(depth + 1, Place::Field) {
                    Ok(value) => {
                        map.insert(key, value);
                    }
                    Err(Broken) if self.cut => return Ok(Value::Object(map)),
                    Err(Broken) => return Err(Broken),
                },
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Broken> {
        self.at += 1;
        let mut items = Vec::new();
        let mut first = true;
        loop {
            let other = (depth > 0).then_some('}');
            if self.at_end(']', other, first, items.is_empty()) {
                return Ok(Value::Array(items));
            }
            first = false;
            match self.value(depth + 1, Place::Item) {
                Ok(value) => items.push(value),
                Err(Broken) if self.cut => return Ok(Value::Array(items)),
                Err(Broken) => return Err(Broken),
            }
        }
    }

    fn key(&mut self) -> Result<String, Broken> {
        if self.peek().is_some_and(|c| closing_quote(c).is_some()) {
            return self.string(Place::Key);
        }
        let rest = &self.text[self.at..];
        let length = name_length(rest);
        if length == 0 {
            return Err(Broken);
        }
        self.at += length;
        self.note("quoted keys");
        Ok(rest[..length].to_owned())
    }

    fn string(&mut self, place: Place) -> Result<String, Broken> {
        let Some(open) = self.peek() else {
            return Err(Broken);
        };
        let Some(close) = closing_quote(open) else {
            return Err(Broken);
        };
        if open != '"' {
            self.note("wrote double quotes");
        }
        self.skip(open);
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c: char| c == close || c == '\\' || c < ' ')
                .unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                None => {
                    self.ended();
                    return Ok(out);
                }
                Some('\\') => self.escape(&mut out),
                Some(c) if c == close => {
                    self.skip(c);
                    if self.closes(place) {
                        return Ok(out);
                    }
                    self.note("escaped quotes within strings");
                    out.push(c);
                }
                Some(c) => {
                    self.note("escaped line breaks within strings");
                    out.push(c);
                    self.skip(c);
                }
            }
        }
    }

    /// Whether the quote before `self.at` ends its string: what follows tells. In valid JSON it always
    /// does.
    fn closes(&self, place: Place) -> bool {
        let rest = &self.text[self.at..];
        let next = rest.trim_start();
        let broken_line = rest[..rest.len() - next.len()].contains('\n');
        let Some(c) = next.chars().next() else {
            return true;
        };
        let quoted = closing_quote(c).is_some();
        match (place, c) {
            (Place::Key, _) => matches!(c, ':' | '：'),
            (_, '}' | ']') => true,
            (_, '/') => next.starts_with("//") || next.starts_with("/*"),
            (Place::Top, _) => true,
            (_, ',' | '，') => {
                let after = next[c.len_utf8()..].trim_start();
                let Some(c) = after.chars().next() else {
                    return true;
                };
                let begins = closing_quote(c).is_some() || matches!(c, '}' | ']' | ',' | '/' | '#');
                match place {
                    Place::Field => begins || is_field(after),
                    _ => begins || matches!(c, '{' | '[' | '-' | '0'..='9') || is_literal(after),
                }
            }
            // A comma is missing at the end of a line.
            _ => broken_line && (quoted || c == '`' || c == '#' || is_field(next) || c == '{'),
        }
    }

    fn escape(&mut self, out: &mut String) {
        self.at += 1;
        let Some(c) = self.peek() else {
            return;
        };
        self.skip(c);
        let plain = match c {
            '"' | '\\' | '/' => c,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                self.unicode(out);
                return;
            }
            other => {
                self.note("mended escapes");
                // `\d` of a regular expression or `\alpha` of a formula means its backslash.
                if other.is_alphanumeric() {
                    out.push('\\');
                }
                other
            }
        };
        out.push(plain);
    }

    /// The four digits behind `\u`, with the second half of a pair.
    fn unicode(&mut self, out: &mut String) {
        let Some(first) = self.hex() else {
            self.note("mended escapes");
            out.push_str("\\u");
            return;
        };
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            match self.hex() {
                Some(low) if (0xdc00..0xe000).contains(&low) => {
                    code = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
                }
                _ => self.at = before,
            }
        }
        out.push(char::from_u32(code).unwrap_or_else(|| {
            self.note("mended escapes");
            char::REPLACEMENT_CHARACTER
        }));
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// A number, a literal, or in an object a bare text.
    fn word(&mut self, place: Place) -> Result<Value, Broken> {
        let rest = &self.text[self.at..];
        let near = &rest[..rest.floor_char_boundary(LONGEST_WORD)];
        let length = near.find([',', '}', ']', '\n']).unwrap_or(near.len());
        let line = &near[..length];
        let line = ["//", "/*", " #"]
            .iter()
            .filter_map(|comment| line.find(comment))
            .min()
            .map_or(line, |end| &line[..end]);
        let token = line.split_whitespace().next().unwrap_or_default();
        let at_end = token.len() == rest.len();
        if let Some(value) = self.literal(token).or_else(|| self.number(token)) {
            // What follows on the line may be the next key, where a comma is missing.
            let behind = line.trim_start()[token.len()..].trim_start();
            let lone = behind.is_empty() || behind.starts_with(['"', '\'', '“']);
            if lone || place != Place::Field {
                self.at += token.len();
                return Ok(value);
            }
        }
        if at_end && is_literal_start(token) {
            self.at += token.len();
            self.ended();
            return Err(Broken);
        }
        let bare = line.trim_end();
        let usable = place == Place::Field
            && bare.len() < LONGEST_WORD
            && bare.starts_with(|c: char| c.is_alphanumeric())
            && !bare.contains(['"', '{', '[', ':']);
        if !usable {
            return Err(Broken);
        }
        self.note("quoted bare texts");
        self.at += bare.len();
        Ok(Value::String(bare.to_owned()))
    }

    fn literal(&mut self, token: &str) -> Option<Value> {
        let (value, note) = match token {
            "true" => (Value::Bool(true), None),
            "false" => (Value::Bool(false), None),
            "null" => (Value::Null, None),
            "True" | "TRUE" => (Value::Bool(true), Some(PYTHON)),
            "False" | "FALSE" => (Value::Bool(false), Some(PYTHON)),
            "None" | "NULL" | "nil" | "undefined" => (Value::Null, Some(PYTHON)),
            "NaN" | "nan" | "Infinity" | "-Infinity" | "+Infinity" | "inf" | "-inf" => {
                (Value::Null, Some("wrote null for what is no number"))
            }
            _ => return None,
        };
        if let Some(note) = note {
            self.note(note);
        }
        Some(value)
    }

    fn number(&mut self, token: &str) -> Option<Value> {
        if let Ok(number) = serde_json::from_str::<Number>(token) {
            return Some(Value::Number(number));
        }
        let numeric = token.starts_with(|c: char| matches!(c, '+' | '-' | '.' | '0'..='9'))
            && token
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if !numeric {
            return None;
        }
        // A number with a leading zero may be a code; only the sign and the point are mended.
        let digits = token.trim_start_matches(['+', '-']);
        if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
            return None;
        }
        let number = Number::from_f64(token.parse::<f64>().ok()?)?;
        let whole = token.trim_start_matches('+').parse::<i64>();
        self.note("mended numbers");
        Some(Value::Number(whole.map_or(number, Number::from)))
    }
}

const PYTHON: &str = "wrote JSON's true, false and null";

/// The quote that ends a string which begins with `open`.
fn closing_quote(open: char) -> Option<char> {
    match open {
        '"' | '\'' => Some(open),
        '“' | '”' => Some('”'),
        '‘' | '’' => Some('’'),
        _ => None,
    }
}

/// Bytes of a name without quotes at the beginning of a text.
fn name_length(text: &str) -> usize {
    text.char_indices()
        .find(|(i, c)| {
            let inside = c.is_alphanumeric() || matches!(c, '_' | '$');
            !(inside || *i > 0 && *c == '-') || *i > 64
        })
        .map_or(text.len(), |(i, _)| i)
}

/// Whether a text begins with a name without quotes and its colon.
fn is_field(text: &str) -> bool {
    let length = name_length(text);
    length > 0 && text[length..].trim_start().starts_with(':')
}

const LITERALS: &[&str] = &["true", "false", "null", "True", "False", "None", "NaN"];

fn is_literal(text: &str) -> bool {
    LITERALS.iter().any(|l| text.starts_with(l))
}

/// Whether a token at the end of a text is the beginning of a literal or of a number.
fn is_literal_start(token: &str) -> bool {
    LITERALS.iter().any(|l| l.starts_with(token))
        || token
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}
