//! The text of a TOML file, so that every complaint about it points at line and column.
//!
//! Left out: reading and writing files, which are their owners'.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Problem, SourceSpan};
use crate::plain;
use crate::suggest::nearest;

/// Keys whose values may be secrets that a person wrote into the file.
const SECRETS: &[&str] = &[
    "api_key",
    ".key",
    ".token",
    ".password",
    ".client_secret",
    ".headers",
    ".access_key",
    ".secret_key",
    ".database",
];

/// Keys whose values may have a password in them, before an `@`.
const ADDRESSES: &[&str] = &[".url", ".urls", ".sitemap", ".endpoint"];

/// A TOML file that has been read.
pub struct TomlFile {
    name: String,
    source: String,
}

impl TomlFile {
    /// A file's text; diagnostics call it `name`.
    pub fn new(name: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
        }
    }

    /// Parses it.
    ///
    /// # Errors
    /// A diagnostic at the offending text; a misspelt key names the nearest one.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        toml::from_str(&self.source).map_err(|error| {
            let range = error.span().unwrap_or(0..0);
            self.explain(error.message(), range)
        })
    }

    /// A diagnostic at the value of a dotted key such as `models.gpt.fallback` or `sources.0.url`, or at the
    /// nearest table above it that exists.
    pub fn diagnose(&self, problem: Problem) -> Diagnostic {
        let Problem {
            path,
            message,
            help,
        } = problem;
        let path = path.as_str();
        let range = self.locate(path);
        let mut span = self.span(range.clone());
        let is = |keys: &[&str]| keys.iter().any(|key| path.ends_with(key));
        if is(SECRETS) || is(ADDRESSES) && self.source[range.clone()].contains('@') {
            // The diagnostic shows the line; a key that was written into the file must stay unseen.
            let masked: String = self.source[range.clone()]
                .chars()
                .map(|c| if "\"\n[]".contains(c) { c } else { '*' })
                .collect();
            let (before, after) = (&self.source[..range.start], &self.source[range.end..]);
            let width = masked.len();
            span = SourceSpan::new(
                &self.name,
                &format!("{before}{masked}{after}"),
                range.start..range.start + width,
            );
        }
        let mut diagnostic = Diagnostic::error(message).at(span);
        diagnostic.help = help;
        diagnostic
    }

    fn span(&self, range: Range<usize>) -> SourceSpan {
        SourceSpan::new(&self.name, &self.source, range)
    }

    /// Turns serde's words into a person's.
    fn explain(&self, message: &str, range: Range<usize>) -> Diagnostic {
        let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if let (true, [unknown, known @ ..]) = (message.starts_with("unknown field"), &names[..]) {
            let diagnostic =
                Diagnostic::error(format!("unknown key `{unknown}`")).at(self.span(range));
            return match nearest(unknown, known.iter().copied()) {
                Some(name) => diagnostic.label(format!("did you mean `{name}`?")),
                None => diagnostic.label("not a key of this table"),
            }
            .help(format!("keys of this table: {}", known.join(", ")));
        }
        if let (true, [unknown, known @ ..]) = (message.starts_with("unknown variant"), &names[..])
        {
            return Diagnostic::error(format!("unknown value `{unknown}`"))
                .at(self.span(range))
                .help(format!("one of: {}", known.join(", ")));
        }
        let message = plain::complaint(message.lines().next().unwrap_or(message));
        let diagnostic = Diagnostic::error(message.as_str()).at(self.span(range));
        match plain::missing(&message) {
            Some(key) => diagnostic.help(format!("write `{key} = ...`")),
            None => diagnostic,
        }
    }

    fn locate(&self, path: &str) -> Range<usize> {
        let Ok(root) = DeTable::parse(&self.source) else {
            return 0..0;
        };
        let mut found = 0..0;
        let mut table: &DeTable = root.get_ref();
        let mut rest = path;
        // A key may hold dots itself (`[models."gpt-4.1"]`): the longest that fits is meant.
        while let Some((name, value)) = table
            .iter()
            .filter(|(key, _)| {
                rest.strip_prefix(key.get_ref().as_ref())
                    .is_some_and(|after| after.is_empty() || after.starts_with('.'))
            })
            .max_by_key(|(key, _)| key.get_ref().len())
        {
            rest = rest[name.get_ref().len()..].trim_start_matches('.');
            match value.get_ref() {
                DeValue::Table(inner) => {
                    found = name.span();
                    table = inner;
                }
                // `sources.1.url`: a key of the second of `[[sources]]`.
                DeValue::Array(items) => {
                    let (index, after) = rest.split_once('.').unwrap_or((rest, ""));
                    let item = index.parse().ok().and_then(|i: usize| items.get(i));
                    match item.map(|item| (item.span(), item.get_ref())) {
                        Some((span, DeValue::Table(inner))) => {
                            found = span;
                            table = inner;
                            rest = after;
                        }
                        Some((span, _)) => return span,
                        None => return value.span(),
                    }
                }
                _ => return value.span(),
            }
        }
        found
    }
}
