//! Helpers that write marks and values, and the bounds of one rendering.
//!
//! Left out: helpers with blocks (`blocks`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use handlebars::{
    Context, Handlebars, Helper, HelperDef, Output, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::{Map, Value};

use super::compile::{GET, NOTHING, WRITE};
use super::messages::{Mark, Media, Role};
use super::values::{MARK, guarded, plain_numbers, text_of};

/// Blocks and partials within each other while rendering: the crate recurses for each.
const DEEPEST: usize = 64;

/// Blocks, rounds of loops and partials of one rendering.
const MOST_STEPS: usize = 100_000;

/// Bytes of one rendering, what partials hold back included.
const MOST_BYTES: usize = 32 << 20;

/// What one rendering has done so far.
#[derive(Default)]
pub(super) struct State {
    marks: Mutex<Vec<Mark>>,
    depth: AtomicUsize,
    steps: AtomicUsize,
    bytes: AtomicUsize,
}

/// An error of ours, as the crate passes them on.
pub(super) fn failed(message: impl Into<String>) -> RenderError {
    RenderErrorReason::Other(message.into()).into()
}

impl State {
    /// One step of a loop, a block or a partial.
    pub(super) fn step(&self) -> Result<(), RenderError> {
        if self.steps.fetch_add(1, Ordering::Relaxed) < MOST_STEPS {
            return Ok(());
        }
        Err(failed(format!(
            "the template takes more than {MOST_STEPS} steps; give it less data, or fewer loops within loops"
        )))
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper(
        &self,
        inner: impl FnOnce() -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        self.step()?;
        if self.depth.fetch_add(1, Ordering::Relaxed) >= DEEPEST {
            return Err(failed(format!(
                "blocks and partials are nested more than {DEEPEST} levels deep; does a partial include itself without end?"
            )));
        }
        let result = inner();
        self.depth.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn mark(&self, mark: Mark) -> String {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push(mark);
        format!("{MARK}{};", marks.len() - 1)
    }

    /// The marks, in the order of their numbers.
    pub(super) fn marks(&self) -> Vec<Mark> {
        std::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Text of bounded length.
pub(super) struct Bounded<'a> {
    pub(super) text: String,
    state: &'a State,
}

impl<'a> Bounded<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        let text = String::new();
        Self { text, state }
    }
}

impl Output for Bounded<'_> {
    fn write(&mut self, text: &str) -> Result<(), std::io::Error> {
        let written = self.state.bytes.fetch_add(text.len(), Ordering::Relaxed);
        if written + text.len() > MOST_BYTES {
            return Err(std::io::Error::other(format!(
                "the template writes more than {} MiB",
                MOST_BYTES >> 20
            )));
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// A helper that gives a value.
#[derive(Clone, Copy)]
pub(super) enum Inline {
    Get,
    Write,
    Nothing,
    Role,
    History,
    Section,
    Media,
    Json,
    Lookup,
}

impl Inline {
    pub(super) const ALL: &'static [(&'static str, Inline)] = &[
        (GET, Inline::Get),
        (WRITE, Inline::Write),
        (NOTHING, Inline::Nothing),
        ("log", Inline::Nothing),
        ("role", Inline::Role),
        ("history", Inline::History),
        ("section", Inline::Section),
        ("media", Inline::Media),
        ("json", Inline::Json),
        ("lookup", Inline::Lookup),
    ];
}

/// An inline helper in one rendering.
pub(super) struct InlineHelper {
    pub(super) kind: Inline,
    pub(super) state: Arc<State>,
}

impl HelperDef for InlineHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let text = match self.kind {
            Inline::Get => {
                let path = h.param(0).and_then(|p| p.value().as_str());
                return get(path.unwrap_or_default(), context, render);
            }
            Inline::Lookup => return Ok(found(h)),
            Inline::Nothing => String::new(),
            Inline::Write => h.param(0).map_or_else(String::new, |p| {
                if p.is_value_missing() {
                    return String::new();
                }
                guarded(text_of(p.value()))
            }),
            Inline::History => self.state.mark(Mark::History),
            Inline::Role => self.state.mark(role(h)?),
            Inline::Section => self.state.mark(Mark::Section(argument(h, "section")?)),
            Inline::Media => self.state.mark(media(h)?),
            Inline::Json => json(h),
        };
        Ok(ScopedJson::Derived(Value::String(text)))
    }
}

/// The value at a path; what is not there is missing, never an error.
fn get<'reg: 'rc, 'rc>(
    path: &str,
    context: &'rc Context,
    render: &RenderContext<'reg, 'rc>,
) -> Result<ScopedJson<'rc>, RenderError> {
    // The crate fails where a list is asked for a field; the original gives nothing, but for `length`.
    let at = |path: &str| match render.evaluate(context, path) {
        Err(e) if matches!(e.reason(), RenderErrorReason::InvalidJsonIndex(_)) => {
            Ok(ScopedJson::Missing)
        }
        other => other,
    };
    let value = at(path)?;
    if !value.is_missing() {
        return Ok(value);
    }
    let owner = match path.strip_suffix("length") {
        Some("") => "this",
        Some(before) => match before.strip_suffix(['.', '/']) {
            Some(owner) if !owner.is_empty() && !owner.ends_with("..") => owner,
            _ => return Ok(value),
        },
        None => return Ok(value),
    };
    Ok(match at(owner)?.as_json() {
        Value::Array(all) => ScopedJson::Derived(Value::from(all.len())),
        Value::String(text) => ScopedJson::Derived(Value::from(text.encode_utf16().count())),
        _ => value,
    })
}

/// `{{lookup map key}}`.
fn found<'rc>(h: &Helper<'rc>) -> ScopedJson<'rc> {
    let (Some(of), Some(key)) = (h.param(0), h.param(1)) else {
        return ScopedJson::Missing;
    };
    let key = text_of(key.value());
    let value = match of.value() {
        Value::Array(all) if key == "length" => Some(Value::from(all.len())),
        Value::Array(all) => key.parse::<usize>().ok().and_then(|i| all.get(i)).cloned(),
        Value::Object(map) => map.get(&key).cloned(),
        _ => None,
    };
    value.map_or(ScopedJson::Missing, ScopedJson::Derived)
}

/// A helper's first argument as text.
fn argument(h: &Helper<'_>, name: &str) -> Result<String, RenderError> {
    match h.param(0).map(|p| p.value()) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err(failed(format!(
            "`{name}` needs a name: write `{{{{{name} \"...\"}}}}`"
        ))),
    }
}

fn role(h: &Helper<'_>) -> Result<Mark, RenderError> {
    let name = argument(h, "role")?;
    let role = Role::named(&name).ok_or_else(|| {
        failed(format!(
            "there is no role `{name}`; there are system, user, model, tool"
        ))
    })?;
    let metadata: Map<String, Value> = h
        .hash()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.value().clone()))
        .collect();
    Ok(Mark::Role(role, metadata))
}

fn media(h: &Helper<'_>) -> Result<Mark, RenderError> {
    let text = |key: &str| {
        let value = h.hash_get(key).map(|v| text_of(v.value()));
        value.filter(|text| !text.is_empty())
    };
    let url = text("url").ok_or_else(|| {
        failed("`media` has no `url`: write `{{media url=image}}` and give the input `image`")
    })?;
    Ok(Mark::Media(Media {
        url,
        content_type: text("contentType"),
    }))
}

/// `{{json value indent=2}}`.
fn json(h: &Helper<'_>) -> String {
    let Some(value) = h.param(0).filter(|p| !p.is_value_missing()) else {
        return String::new();
    };
    let value = plain_numbers(value.value());
    let indent = match h.hash_get("indent").map(|i| i.value()) {
        Some(Value::String(text)) => text.chars().take(10).collect(),
        Some(number) => " ".repeat(number.as_f64().unwrap_or(0.0).clamp(0.0, 10.0) as usize),
        None => String::new(),
    };
    if indent.is_empty() {
        return value.to_string();
    }
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    match serde::Serialize::serialize(&value, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => value.to_string(),
    }
}
