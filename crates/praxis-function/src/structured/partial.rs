//! The value of a JSON text while it is written. Each value that is given is a beginning of the next:
//! strings, arrays and objects grow, and all else appears when it is complete. Only JSON proper is
//! read, after prose or a fence: where a text leaves it, nothing more is given, and the whole answer is
//! left to [`super::lenient`].

use serde_json::{Map, Number, Value};

use super::Want;
use super::lenient::DEPTH;
use super::locals;

/// A reader of one JSON text in pieces. It costs the text's length, times the depth of nesting for each
/// piece.
pub(crate) struct PartialJson<'s> {
    want: Want,
    /// The whole schema and that of each open container, where partial values must keep its types.
    schema: Option<&'s Value>,
    schemas: Vec<Option<&'s Value>>,
    root: Option<Value>,
    /// Open containers: whether each is an object.
    stack: Vec<bool>,
    /// The key whose value comes next.
    key: String,
    state: State,
    /// A number, literal, key or held text, as far as it came; for prose its last line.
    token: String,
    /// An escape that is not complete.
    escape: String,
    /// The first half of a surrogate pair.
    high: Option<u32>,
    /// The text is shown only when it is complete.
    held: bool,
    changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the value.
    Prose,
    /// In what the model thinks aloud.
    Thoughts,
    /// Behind a bracket in prose, which begins the value if what follows fits.
    Maybe(char),
    Value,
    /// Behind `[`: a value or the end.
    First,
    /// Behind `{` or a comma in an object.
    Key,
    KeyText,
    Colon,
    Text,
    Word,
    After,
    /// The value is complete.
    Done,
    /// The text is not JSON, or its value breaks the schema.
    Stopped,
}

impl<'s> PartialJson<'s> {
    /// A reader for a value of this kind.
    pub fn new(want: Want) -> Self {
        Self {
            want,
            schema: None,
            schemas: Vec::new(),
            root: None,
            stack: Vec::new(),
            key: String::new(),
            state: State::Prose,
            token: String::new(),
            escape: String::new(),
            high: None,
            held: false,
            changed: false,
        }
    }

    /// The same, giving only values that keep the schema's types, with strings of a choice or a pattern
    /// when they are complete.
    #[must_use]
    pub fn with_schema(mut self, schema: &'s Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Takes more of the text; gives the value so far if it changed.
    pub fn push(&mut self, more: &str) -> Option<&Value> {
        let mut rest = more;
        while let Some(c) = rest.chars().next() {
            if self.state == State::Text && self.escape.is_empty() && self.high.is_none() {
                let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
                if plain > 0 {
                    self.say(&rest[..plain]);
                    rest = &rest[plain..];
                    continue;
                }
            }
            match self.state {
                State::Done | State::Stopped => break,
                _ => self.step(c),
            }
            rest = &rest[c.len_utf8()..];
        }
        self.given()
    }

    /// Ends the text: a number at its end is complete now.
    pub fn finish(&mut self) -> Option<&Value> {
        if self.state == State::Word {
            self.word();
        }
        self.given()
    }

    fn given(&mut self) -> Option<&Value> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        self.root.as_ref()
    }

    fn step(&mut self, c: char) {
        match self.state {
            State::Prose => self.prose(c),
            State::Thoughts => {
                self.token.push(c);
                if self.token.ends_with("</think>") {
                    self.token.clear();
                    self.state = State::Prose;
                }
            }
            State::Maybe(open) => self.maybe(open, c),
            State::Text | State::KeyText => self.text(c),
            State::Word => {
                if matches!(c, ',' | ']' | '}' | ' ' | '\n' | '\r' | '\t') {
                    self.word();
                    if self.state == State::After {
                        self.step(c);
                    }
                } else if self.token.len() < 64 {
                    self.token.push(c);
                } else {
                    self.state = State::Stopped;
                }
            }
            _ if c.is_whitespace() => {}
            State::Value | State::First => match (c, self.state) {
                // A comma before the end is forgiven.
                (']', _) if self.stack.last() == Some(&false) => self.close(),
                _ => self.begin(c),
            },
            State::Key => match c {
                '"' => {
                    self.token.clear();
                    self.state = State::KeyText;
                }
                '}' => self.close(),
                _ => self.state = State::Stopped,
            },
            State::Colon => {
                self.state = match c {
                    ':' => State::Value,
                    _ => State::Stopped,
                }
            }
            State::After => match (c, self.stack.last()) {
                (',', Some(true)) => self.state = State::Key,
                (',', Some(false)) => self.state = State::Value,
                ('}', Some(true)) | (']', Some(false)) => self.close(),
                _ => self.state = State::Stopped,
            },
            State::Done | State::Stopped => {}
        }
    }

    fn prose(&mut self, c: char) {
        if self.want == Want::Scalar {
            if !c.is_whitespace() {
                self.begin(c);
            }
            return;
        }
        let line_start = self.token.trim().is_empty();
        match c {
            '\n' => self.token.clear(),
            '{' if self.want != Want::Array => self.state = State::Maybe(c),
            // `[1]` in a sentence is a citation.
            '[' if self.want == Want::Array || self.want == Want::Any && line_start => {
                self.state = State::Maybe(c);
            }
            _ if self.token.len() < 64 => {
                self.token.push(c);
                if self.token.trim_start() == "<think>" {
                    self.state = State::Thoughts;
                }
            }
            _ => {}
        }
    }

    fn maybe(&mut self, open: char, c: char) {
        if c.is_whitespace() {
            return;
        }
        let fits = match open {
            '{' => matches!(c, '"' | '}'),
            _ => matches!(c, '"' | '{' | '[' | ']' | '-' | '0'..='9' | 't' | 'f' | 'n'),
        };
        if fits {
            self.begin(open);
            if self.state != State::Stopped {
                self.step(c);
            }
        } else {
            self.token.push(open);
            self.state = State::Prose;
            self.prose(c);
        }
    }

    /// The schema of the value that begins now.
    fn expected(&self) -> Option<&'s Value> {
        let root = self.schema?;
        let schema = match self.stack.last() {
            None => Some(root),
            Some(true) => locals::field(root, (*self.schemas.last()?)?, &self.key),
            Some(false) => {
                let at = match self.innermost_ref() {
                    Some(Value::Array(items)) => items.len(),
                    _ => 0,
                };
                locals::item(root, (*self.schemas.last()?)?, at)
            }
        };
        schema.map(|s| locals::without_null(root, s))
    }

    fn begin(&mut self, c: char) {
        let schema = self.expected();
        self.token.clear();
        match c {
            '{' | '[' => {
                let value = match c {
                    '{' => Value::Object(Map::new()),
                    _ => Value::Array(Vec::new()),
                };
                if self.stack.len() >= DEPTH || !self.place(value, schema) {
                    self.state = State::Stopped;
                    return;
                }
                self.stack.push(c == '{');
                self.schemas.push(schema);
                self.state = match c {
                    '{' => State::Key,
                    _ => State::First,
                };
            }
            '"' => {
                self.held = schema.is_some_and(is_held);
                let fits = self.held || self.place(Value::String(String::new()), schema);
                self.state = match fits {
                    true => State::Text,
                    false => State::Stopped,
                };
            }
            '-' | '0'..='9' | 't' | 'f' | 'n' => {
                self.token.push(c);
                self.state = State::Word;
            }
            _ => self.state = State::Stopped,
        }
    }

    fn close(&mut self) {
        self.stack.pop();
        self.schemas.pop();
        self.ended();
    }

    fn ended(&mut self) {
        self.state = match self.stack.is_empty() {
            true => State::Done,
            false => State::After,
        };
    }

    /// A number or a literal is complete.
    fn word(&mut self) {
        let token = std::mem::take(&mut self.token);
        let value = match token.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            number => serde_json::from_str::<Number>(number)
                .ok()
                .map(Value::Number),
        };
        let schema = self.expected();
        match value.is_some_and(|value| self.place(value, schema)) {
            true => self.ended(),
            false => self.state = State::Stopped,
        }
    }

    fn text(&mut self, c: char) {
        if !self.escape.is_empty() {
            self.escape.push(c);
            self.escaped();
            return;
        }
        match c {
            '\\' => self.escape.push(c),
            '"' => {
                self.lone_half();
                if self.state == State::KeyText {
                    self.key = std::mem::take(&mut self.token);
                    self.state = State::Colon;
                    return;
                }
                if self.held {
                    self.held = false;
                    let value = Value::String(std::mem::take(&mut self.token));
                    let schema = self.expected();
                    if !self.place(value, schema) {
                        self.state = State::Stopped;
                        return;
                    }
                }
                self.ended();
            }
            _ => self.say(c.encode_utf8(&mut [0; 4])),
        }
    }

    fn escaped(&mut self) {
        let plain = match self.escape.as_bytes() {
            [_, b'n'] => '\n',
            [_, b't'] => '\t',
            [_, b'r'] => '\r',
            [_, b'b'] => '\u{8}',
            [_, b'f'] => '\u{c}',
            [_, c @ (b'"' | b'\\' | b'/')] => char::from(*c),
            [_, b'u', digits @ ..] if digits.len() < 4 => return,
            [_, b'u', digits @ ..] => {
                let code = std::str::from_utf8(digits)
                    .ok()
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u32::from_str_radix(d, 16).ok());
                match code {
                    Some(code) => self.code(code),
                    None => self.state = State::Stopped,
                }
                self.escape.clear();
                return;
            }
            _ => {
                self.state = State::Stopped;
                return;
            }
        };
        self.escape.clear();
        self.say(plain.encode_utf8(&mut [0; 4]));
    }

    fn code(&mut self, code: u32) {
        let code = match (self.high.take(), code) {
            (Some(high), 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            (high, _) => {
                self.high = high;
                self.lone_half();
                if (0xd800..0xdc00).contains(&code) {
                    self.high = Some(code);
                    return;
                }
                code
            }
        };
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.say(c.encode_utf8(&mut [0; 4]));
    }

    /// A first half of a pair without its second becomes a mark.
    fn lone_half(&mut self) {
        if self.high.take().is_some() {
            self.say("\u{fffd}");
        }
    }

    fn say(&mut self, more: &str) {
        self.lone_half();
        if self.held || self.state == State::KeyText {
            self.token.push_str(more);
        } else if let Some(Value::String(text)) = self.newest() {
            text.push_str(more);
            self.changed = true;
        }
    }

    /// Puts a value where it belongs, if it is of the schema's type and its key is new.
    fn place(&mut self, value: Value, schema: Option<&Value>) -> bool {
        if schema.is_some_and(|s| !fits(s, &value)) {
            return false;
        }
        let key = std::mem::take(&mut self.key);
        if self.stack.is_empty() {
            self.root = Some(value);
        } else {
            match self.innermost() {
                Some(Value::Object(map)) => {
                    // What was given under this key must not change.
                    if map.contains_key(&key) {
                        return false;
                    }
                    map.insert(key, value);
                }
                Some(Value::Array(items)) => items.push(value),
                _ => return false,
            }
        }
        self.changed = true;
        true
    }

    /// The container that is open.
    fn innermost(&mut self) -> Option<&mut Value> {
        let mut value = self.root.as_mut()?;
        for _ in 1..self.stack.len() {
            value = last(value)?;
        }
        Some(value)
    }

    fn innermost_ref(&self) -> Option<&Value> {
        let mut value = self.root.as_ref()?;
        for _ in 1..self.stack.len() {
            value = match value {
                Value::Object(map) => map.values().next_back()?,
                Value::Array(items) => items.last()?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// The value that was placed last.
    fn newest(&mut self) -> Option<&mut Value> {
        if self.stack.is_empty() {
            return self.root.as_mut();
        }
        last(self.innermost()?)
    }
}

fn last(value: &mut Value) -> Option<&mut Value> {
    match value {
        Value::Object(map) => map.values_mut().next_back(),
        Value::Array(items) => items.last_mut(),
        _ => None,
    }
}

/// Whether a string of this schema means something only when it is complete.
fn is_held(schema: &Value) -> bool {
    let own = ["enum", "const", "pattern", "format"]
        .iter()
        .any(|k| schema.get(*k).is_some());
    own || branches(schema).any(is_held_branch)
}

/// One level of alternatives is looked at: more of them are rare, and their strings only come early.
fn is_held_branch(schema: &Value) -> bool {
    ["enum", "const", "pattern", "format", "$ref"]
        .iter()
        .any(|k| schema.get(*k).is_some())
}

fn branches(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .filter_map(|k| schema.get(k)?.as_array())
        .flatten()
}

/// Whether a value is of the types, and of the choice, that a schema names.
fn fits(schema: &Value, value: &Value) -> bool {
    let types = locals::types(schema);
    // `without_null` takes null from a choice; a null is shown in any case, and checked in the end.
    let typed =
        value.is_null() || types.is_empty() || types.iter().any(|t| locals::is_type(value, t));
    let chosen = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(choices)), _) => value.is_null() || choices.contains(value),
        (_, Some(only)) => value.is_null() || only == value,
        _ => true,
    };
    typed && chosen
}
