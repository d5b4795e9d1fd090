//! Semantic validators, as `praxis.checks` of a prompt declares them: what a schema cannot say about an
//! output. Checks that are functions of the application are only named here; who runs them hands back
//! what they said.

use std::borrow::Cow;
use std::collections::BTreeSet;

use praxis_core::Language;
use praxis_core::suggest::nearest;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::path::{self, Path};
use super::schema::one_of;
use super::violation::{Violation, alternatives, cut, shown};
use crate::personal::{self, Kind, Kinds};

/// The kinds of checks.
const KINDS: &[&str] = &[
    "length",
    "words",
    "regex",
    "not_regex",
    "one_of",
    "no_pii",
    "must_cite",
    "language",
    "function",
];

/// What may stand beside a kind.
const BESIDES: &[&str] = &["at", "message"];

/// What `no_pii` forbids.
const FORBIDDEN: Kinds = Kinds::of(&[
    Kind::Email,
    Kind::Phone,
    Kind::Card,
    Kind::ResidentId,
    Kind::Iban,
]);

/// Bytes of a compiled regular expression.
const REGEX_SIZE: usize = 1 << 20;

/// The checks of a prompt, in the order of the front matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    all: Vec<Declared>,
}

#[derive(Debug, Clone)]
struct Declared {
    check: Check,
    /// Where in the output; all of it without.
    at: Option<Path>,
    /// The prompt's own words for what is wanted.
    message: Option<String>,
}

/// One check.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// So many characters of a text, or items of a list.
    Length(Range),
    /// So many words; a Chinese character counts as one.
    Words(Range),
    /// A text that the expression finds something in.
    Regex(Regex),
    /// A text that it does not.
    NotRegex(Regex),
    /// One of these values.
    OneOf(Vec<Value>),
    /// No personal data.
    NoPii,
    /// At least one citation of a passage, or one in every sentence.
    MustCite {
        /// Whether every sentence needs its own.
        every_sentence: bool,
    },
    /// A text in this language.
    Language(Language),
    /// What a function of the application says.
    Function(String),
}

/// Bounds, both included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Range {
    min: Option<usize>,
    max: Option<usize>,
}

/// A check that a function of the application makes: it is called with `{output, input}` and returns a
/// boolean or `{ok, message}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FunctionCheck {
    /// The function's name.
    pub function: String,
    /// Where in the output.
    pub path: String,
    /// The value there.
    pub output: Value,
    /// The prompt's own words for what is wanted.
    pub message: Option<String>,
}

impl FunctionCheck {
    /// What the function's result says about the output.
    ///
    /// # Errors
    /// The result is neither a boolean nor `{ok, message}`.
    pub fn judged(&self, result: &Value) -> Result<Option<Violation>, String> {
        let said = result.get("message").and_then(Value::as_str);
        let ok = result.as_bool().or_else(|| result.get("ok")?.as_bool());
        match ok {
            Some(true) => Ok(None),
            Some(false) => {
                let wanted = self.message.as_deref().or(said).map_or_else(
                    || format!("an output that passes `{}`", self.function),
                    str::to_owned,
                );
                Ok(Some(Violation::new(
                    self.path.clone(),
                    shown(&self.output),
                    wanted,
                )))
            }
            None => Err(format!(
                "`{}` is a check, and must return a boolean or `{{ok, message}}`, not {}",
                self.function,
                shown(result)
            )),
        }
    }
}

/// What checks say about an output.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Evaluation {
    /// What is wrong.
    pub violations: Vec<Violation>,
    /// What functions must be asked.
    pub pending: Vec<FunctionCheck>,
}

impl Checks {
    /// Reads the list of `praxis.checks`.
    ///
    /// # Errors
    /// Each mistake, with its path in the front matter.
    pub fn parse(source: &Value) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let mut all = Vec::new();
        match source {
            Value::Null => {}
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let at = path::index("praxis.checks", i);
                    match declared(item, &at) {
                        Ok(check) => all.push(check),
                        Err(mut more) => problems.append(&mut more),
                    }
                }
            }
            _ => problems.push((
                "praxis.checks".to_owned(),
                "checks are a list, such as `- length: {max: 400}`".to_owned(),
            )),
        }
        match problems.is_empty() {
            true => Ok(Self { all }),
            false => Err(problems),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a citation is wanted: only a prompt with knowledge can give one.
    pub fn cites(&self) -> bool {
        let cites = |d: &Declared| matches!(d.check, Check::MustCite { .. });
        self.all.iter().any(cites)
    }

    /// The functions that checks name: they must exist.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter_map(|d| match &d.check {
            Check::Function(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Checks an output that was written over so many passages. A place that the output does not have
    /// is no violation: what must be there is the schema's to say. Without passages no citation is
    /// missed.
    pub fn evaluate(&self, output: &Value, passages: usize) -> Evaluation {
        let mut found = Evaluation::default();
        for declared in &self.all {
            let places = match &declared.at {
                None => vec![(String::new(), output)],
                Some(path) => path.find(output),
            };
            for (path, value) in places {
                if let Check::Function(function) = &declared.check {
                    found.pending.push(FunctionCheck {
                        function: function.clone(),
                        path,
                        output: value.clone(),
                        message: declared.message.clone(),
                    });
                    continue;
                }
                let mut violations = declared.check.violations(&path, value, passages);
                if let Some(message) = &declared.message {
                    for violation in &mut violations {
                        violation.wanted.clone_from(message);
                    }
                }
                found.violations.append(&mut violations);
            }
        }
        found
    }
}

impl Check {
    fn violations(&self, at: &str, value: &Value, passages: usize) -> Vec<Violation> {
        let one = |found: String, wanted: String| vec![Violation::new(at, found, wanted)];
        match self {
            Self::Length(range) => {
                let (count, what) = match value {
                    Value::Array(items) => (items.len(), "items"),
                    other => (text_of(other).chars().count(), "characters"),
                };
                match range.wanted(count, what) {
                    Some(wanted) => one(format!("{count} {what}"), wanted),
                    None => Vec::new(),
                }
            }
            Self::Words(range) => {
                let count = words(&all_text(value));
                match range.wanted(count, "words") {
                    Some(wanted) => one(format!("{count} words"), wanted),
                    None => Vec::new(),
                }
            }
            Self::Regex(regex) => match regex.is_match(&text_of(value)) {
                true => Vec::new(),
                false => one(
                    shown(value),
                    format!("a text that matches {}", cut(regex.as_str(), 120)),
                ),
            },
            Self::NotRegex(regex) => match regex.find(&text_of(value)) {
                Some(found) => one(
                    format!("`{}`", cut(found.as_str(), 80)),
                    format!("no text that matches {}", cut(regex.as_str(), 120)),
                ),
                None => Vec::new(),
            },
            Self::OneOf(options) => match options.contains(value) {
                true => Vec::new(),
                false => one(shown(value), one_of(value, options)),
            },
            Self::NoPii => {
                let mut leaves = Vec::new();
                path::leaves(at, value, &mut leaves);
                let with_kinds = leaves.into_iter().filter_map(|(path, leaf)| {
                    // What people are known by is often a whole number.
                    let text = match leaf {
                        Value::String(text) => Cow::Borrowed(text.as_str()),
                        Value::Number(number) if !number.is_f64() => number.to_string().into(),
                        _ => return None,
                    };
                    let found = personal::find(&text, &FORBIDDEN);
                    let kinds: BTreeSet<Kind> = found.iter().map(|f| f.kind).collect();
                    let names: Vec<&str> = kinds.into_iter().map(Kind::phrase).collect();
                    (!names.is_empty()).then_some((path, names))
                });
                let violation = |(path, names): (String, Vec<&str>)| {
                    let wanted = "the same without personal data: leave it out or write [removed]";
                    Violation::new(path, names.join(" and "), wanted)
                };
                with_kinds.map(violation).collect()
            }
            Self::MustCite { .. } if passages == 0 => Vec::new(),
            Self::MustCite { every_sentence } => {
                uncited(&all_text(value), passages, *every_sentence)
                    .into_iter()
                    .map(|(found, wanted)| Violation::new(at, found, wanted))
                    .collect()
            }
            Self::Language(language) => {
                let text = all_text(value);
                let has_letters = text.chars().any(char::is_alphabetic);
                if !has_letters || Language::of(&text) == *language {
                    return Vec::new();
                }
                let (is, wanted) = match language {
                    Language::Chinese => ("not Chinese", "Chinese (中文)"),
                    Language::English => ("Chinese", "English"),
                };
                one(
                    format!("text that is {is}: {}", cut(text.trim(), 40)),
                    format!("the text in {wanted}"),
                )
            }
            Self::Function(_) => Vec::new(),
        }
    }
}

impl Range {
    /// What is wanted, where a count is out of bounds.
    fn wanted(self, count: usize, what: &str) -> Option<String> {
        let low = self.min.is_some_and(|min| count < min);
        let high = self.max.is_some_and(|max| count > max);
        if !low && !high {
            return None;
        }
        Some(match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => format!("exactly {min} {what}"),
            (Some(min), Some(max)) => format!("{min} to {max} {what}"),
            (Some(min), None) => format!("at least {min} {what}"),
            (None, max) => format!("at most {} {what}", max.unwrap_or(count)),
        })
    }
}

/// A string, or what JSON it is.
fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// All strings of a value, a line each.
fn all_text(value: &Value) -> String {
    let mut leaves = Vec::new();
    path::leaves("", value, &mut leaves);
    let texts: Vec<&str> = leaves
        .iter()
        .filter_map(|(_, leaf)| leaf.as_str())
        .collect();
    texts.join("\n")
}

fn words(text: &str) -> usize {
    let (mut count, mut inside) = (0, false);
    for c in text.chars() {
        let han = praxis_core::language::is_han(c);
        let letter = c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '_');
        if han || letter && !inside && c.is_alphanumeric() {
            count += 1;
        }
        inside = letter && !han && (inside || c.is_alphanumeric());
    }
    count
}

/// What is wrong with the citations of a text, as what is found and what is wanted.
fn uncited(text: &str, passages: usize, every_sentence: bool) -> Vec<(String, String)> {
    let range = match passages {
        1 => "[1]".to_owned(),
        _ => format!("[1] to [{passages}]"),
    };
    let mut problems = Vec::new();
    let strangers: Vec<String> = marks(text)
        .into_iter()
        .filter(|n| !(1..=passages).contains(n))
        .map(|n| format!("[{n}]"))
        .collect();
    if !strangers.is_empty() {
        problems.push((
            format!(
                "citations of passages that do not exist: {}",
                alternatives(&strangers)
            ),
            format!("only citations of the passages {range}"),
        ));
    }
    let cites = |text: &str| marks(text).iter().any(|n| (1..=passages).contains(n));
    if every_sentence {
        let without = sentences(text).into_iter().filter(|s| !cites(s));
        problems.extend(without.take(3).map(|sentence| {
            (
                format!(
                    "a sentence without a citation: {}",
                    cut(sentence.trim(), 80)
                ),
                format!("after each sentence the number of its passage, {range}"),
            )
        }));
    } else if !cites(text) {
        problems.push((
            "no citation".to_owned(),
            format!("after each statement the number of the passage it is from, {range}"),
        ));
    }
    problems
}

/// The numbers in citations such as `[1]`, `[1, 2]` and `【1】`.
fn marks(text: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['[', '【', '［']) {
        let after = &rest[open..];
        let inside = &after[after.chars().next().map_or(1, char::len_utf8)..];
        let end = inside.find([']', '】', '］']).unwrap_or(0);
        let mark = &inside[..end];
        let of_numbers = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ' | '，' | '、' | ';');
        if mark.chars().all(of_numbers) {
            let split = mark.split(|c: char| !c.is_ascii_digit());
            numbers.extend(split.filter_map(|n| n.parse::<usize>().ok()));
        }
        rest = inside;
    }
    numbers
}

/// The sentences of a text, each with the citations behind its full stop. Short ones, such as what an
/// abbreviation's dot leaves, stay with the next.
fn sentences(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut all, mut now, mut i) = (Vec::new(), String::new(), 0);
    while i < chars.len() {
        let c = chars[i];
        now.push(c);
        i += 1;
        let next = chars.get(i).copied().unwrap_or(' ');
        let ends = match c {
            '。' | '！' | '？' | '\n' => true,
            '.' | '!' | '?' => next.is_whitespace() || matches!(next, '[' | '【' | '"' | '”'),
            _ => false,
        };
        if !ends {
            continue;
        }
        // Citations, and spaces and quotes before them, belong to the sentence that they follow.
        while let Some(mark) = trailing_mark(&chars[i..]) {
            now.extend(&chars[i..i + mark]);
            i += mark;
        }
        if words(&now) >= 3 || c == '\n' {
            all.push(std::mem::take(&mut now));
        }
    }
    all.push(now);
    all.retain(|s| words(s) >= 3 && !s.trim_start().starts_with('#'));
    all
}

/// Characters up to the end of a citation that stands first.
fn trailing_mark(chars: &[char]) -> Option<usize> {
    let blank = |c: &char| matches!(c, ' ' | '"' | '”' | '’' | ')');
    let start = chars.iter().take_while(|c| blank(c)).count();
    if !matches!(chars.get(start)?, '[' | '【' | '［') {
        return None;
    }
    let end = chars[start..]
        .iter()
        .take(24)
        .position(|c| matches!(c, ']' | '】' | '］'))?;
    let inside = &chars[start + 1..start + end];
    let numbers = |c: &char| c.is_ascii_digit() || matches!(c, ',' | ' ' | '，' | '、' | ';');
    inside.iter().all(numbers).then_some(start + end + 1)
}

fn declared(item: &Value, at: &str) -> Result<Declared, Vec<(String, String)>> {
    let map = match item {
        Value::Object(map) => map.clone(),
        Value::String(kind) => Map::from_iter([(kind.clone(), Value::Bool(true))]),
        _ => {
            let message = "a check is a mapping such as `length: {max: 400}`".to_owned();
            return Err(vec![(at.to_owned(), message)]);
        }
    };
    let mut problems = Vec::new();
    let mut kinds = Vec::new();
    for key in map.keys() {
        if KINDS.contains(&key.as_str()) {
            kinds.push(key.as_str());
        } else if !BESIDES.contains(&key.as_str()) {
            let known = KINDS.iter().chain(BESIDES).copied();
            let message = unknown(&format!("`{key}` is no kind of check"), key, known);
            problems.push((path::key(at, key), message));
        }
    }
    let place = match map.get("at") {
        None => None,
        Some(Value::String(text)) => match Path::parse(text) {
            Ok(path) => Some(path),
            Err(message) => {
                problems.push((path::key(at, "at"), message));
                None
            }
        },
        Some(_) => {
            let message = "a place is a text such as `items.*.name`".to_owned();
            problems.push((path::key(at, "at"), message));
            None
        }
    };
    let message = match map.get("message") {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            problems.push((path::key(at, "message"), "a message is a text".to_owned()));
            None
        }
    };
    let check = match kinds.as_slice() {
        [kind] => {
            let here = path::key(at, kind);
            check(
                kind,
                map.get(*kind).unwrap_or(&Value::Null),
                &here,
                &mut problems,
            )
        }
        [] if problems.is_empty() => {
            let message = format!("a check needs a kind: {}", KINDS.join(", "));
            problems.push((at.to_owned(), message));
            None
        }
        [] => None,
        several => {
            let message = format!("write {} as checks of their own", several.join(" and "));
            problems.push((at.to_owned(), message));
            None
        }
    };
    match check {
        Some(check) if problems.is_empty() => Ok(Declared {
            check,
            at: place,
            message,
        }),
        _ => Err(problems),
    }
}

fn check(
    kind: &str,
    value: &Value,
    at: &str,
    problems: &mut Vec<(String, String)>,
) -> Option<Check> {
    let result = match (kind, value) {
        ("length", value) => range(value, at, problems).map(Check::Length),
        ("words", value) => range(value, at, problems).map(Check::Words),
        ("regex", value) => regex(value).map(Check::Regex),
        ("not_regex", value) => regex(value).map(Check::NotRegex),
        ("one_of", Value::Array(options)) if !options.is_empty() => {
            Ok(Check::OneOf(options.clone()))
        }
        ("one_of", _) => Err("a list of values, such as `[low, high]`".to_owned()),
        ("no_pii", Value::Bool(true) | Value::Null) => Ok(Check::NoPii),
        ("no_pii", _) => Err("write `no_pii: true`, or leave the check out".to_owned()),
        ("must_cite", Value::Bool(true) | Value::Null) => Ok(Check::MustCite {
            every_sentence: false,
        }),
        ("must_cite", Value::Object(map)) => must_cite(map, at, problems),
        ("must_cite", _) => Err("write `true` or `{every_sentence: true}`".to_owned()),
        ("language", Value::String(code)) => match code.as_str() {
            "zh" => Ok(Check::Language(Language::Chinese)),
            "en" => Ok(Check::Language(Language::English)),
            _ => Err(format!(
                "`{}` is no language that can be checked; there are zh and en",
                cut(code, 40)
            )),
        },
        ("language", _) => Err("zh or en".to_owned()),
        ("function", Value::String(name)) if !name.trim().is_empty() => {
            Ok(Check::Function(name.trim().to_owned()))
        }
        _ => Err("the name of a function of this application".to_owned()),
    };
    match result {
        Ok(check) => Some(check),
        Err(message) => {
            // Mistakes inside have told their own place.
            if !message.is_empty() {
                problems.push((at.to_owned(), message));
            }
            None
        }
    }
}

fn range(value: &Value, at: &str, problems: &mut Vec<(String, String)>) -> Result<Range, String> {
    const FORM: &str = "bounds, such as `{min: 1, max: 400}`";
    let Value::Object(map) = value else {
        return Err(FORM.to_owned());
    };
    let mut range = Range::default();
    let before = problems.len();
    for (key, value) in map {
        let bound = value.as_u64().and_then(|n| usize::try_from(n).ok());
        match (key.as_str(), bound) {
            ("min", Some(n)) => range.min = Some(n),
            ("max", Some(n)) => range.max = Some(n),
            ("min" | "max", None) => {
                problems.push((path::key(at, key), "a whole number, 0 or more".to_owned()));
            }
            _ => {
                let message = unknown(&format!("`{key}` is no bound"), key, ["min", "max"]);
                problems.push((path::key(at, key), message));
            }
        }
    }
    if problems.len() > before {
        return Err(String::new());
    }
    match (range.min, range.max) {
        (None, None) => Err(FORM.to_owned()),
        (Some(min), Some(max)) if min > max => Err(format!("min ({min}) is above max ({max})")),
        _ => Ok(range),
    }
}

fn regex(value: &Value) -> Result<Regex, String> {
    let Value::String(source) = value else {
        return Err("a regular expression, in single quotes".to_owned());
    };
    RegexBuilder::new(source)
        .size_limit(REGEX_SIZE)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the expression becomes too big".to_owned(),
            error => no_regex(source, &error),
        })
}

/// What is wrong with a text that is no regular expression, in a line.
pub(crate) fn no_regex(source: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    let last = error.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ");
    format!("`{}` is no regular expression: {last}", cut(source, 60))
}

fn must_cite(
    map: &Map<String, Value>,
    at: &str,
    problems: &mut Vec<(String, String)>,
) -> Result<Check, String> {
    let mut every_sentence = false;
    let before = problems.len();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("every_sentence", Value::Bool(every)) => every_sentence = *every,
            ("every_sentence", _) => {
                problems.push((path::key(at, key), "true or false".to_owned()));
            }
            _ => {
                let what = format!("`{key}` is no option of `must_cite`");
                problems.push((path::key(at, key), unknown(&what, key, ["every_sentence"])));
            }
        }
    }
    match problems.len() > before {
        true => Err(String::new()),
        false => Ok(Check::MustCite { every_sentence }),
    }
}

/// What is unknown, with the nearest that is known, or with all.
fn unknown<'a>(what: &str, key: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("{what}; did you mean `{near}`?"),
        None => format!("{what}; there are {}", known.join(", ")),
    }
}
