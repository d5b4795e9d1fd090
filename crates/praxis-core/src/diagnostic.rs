//! Errors that read like a good compiler's: file, line, column, the offending text, the fix.
//!
//! Every parser of a person's file (`praxis.toml`, prompts, knowledge bases) reports
//! [`Diagnostic`]s; the command line renders them, `--json` serializes them.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The application cannot run.
    Error,
    /// It runs, but likely not as meant.
    Warning,
}

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceSpan {
    /// Path as the user knows it.
    pub file: String,
    /// First line, from 1.
    pub line: usize,
    /// First column in characters, from 1.
    pub column: usize,
    /// The whole source, for rendering.
    #[serde(skip)]
    pub source: std::sync::Arc<str>,
    /// Bytes of the offending text in `source`.
    #[serde(skip)]
    pub range: Range<usize>,
}

impl SourceSpan {
    /// A span of `source`; the range is clamped to the text and to character borders.
    pub fn new(file: impl Into<String>, source: &str, range: Range<usize>) -> Self {
        let floor = |mut i: usize| {
            i = i.min(source.len());
            while !source.is_char_boundary(i) {
                i -= 1;
            }
            i
        };
        let start = floor(range.start);
        let end = floor(range.end).max(start);
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            file: file.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            source: source.into(),
            range: start..end,
        }
    }

    /// A span at a line and column (both from 1), one character wide.
    pub fn at(file: impl Into<String>, source: &str, line: usize, column: usize) -> Self {
        let line_start: usize = source
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum();
        let offset: usize = source[line_start..]
            .chars()
            .take(column.saturating_sub(1))
            .take_while(|c| *c != '\n')
            .map(char::len_utf8)
            .sum();
        let start = line_start + offset;
        let width = source[start..].chars().next().map_or(0, char::len_utf8);
        Self::new(file, source, start..start + width)
    }
}

/// Something wrong with a configuration that parses: what its owner knows before the file's text,
/// and with it the place, is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted: `models.gpt.api_key`.
    pub path: String,
    /// What is wrong; names the offender.
    pub message: String,
    /// The fix.
    pub help: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        self.help
            .as_ref()
            .map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// One thing wrong with a file, and its fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong; names the offender.
    pub message: String,
    /// Where, if it is in a file.
    pub span: Option<SourceSpan>,
    /// A few words beside the offending text.
    pub label: Option<String>,
    /// The fix.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            help: None,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, span: SourceSpan) -> Self {
        self.span = Some(span);
        self
    }

    /// The same, with words beside the offending text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same, with the fix.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, asking whether a near name was meant; where none is near, with another fix.
    #[must_use]
    pub fn suggest(self, near: Option<&str>, otherwise: impl Into<String>) -> Self {
        match near {
            Some(near) => self.label(format!("did you mean `{near}`?")),
            None => self.help(otherwise),
        }
    }

    /// Renders it as text, with ANSI colours if `color`.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = match &self.span {
            Some(span) => {
                let mut annotation = AnnotationKind::Primary.span(span.range.clone());
                if let Some(label) = &self.label {
                    annotation = annotation.label(label.as_str());
                }
                title.element(
                    Snippet::source(&*span.source)
                        .path(span.file.as_str())
                        .annotation(annotation),
                )
            }
            None => Group::with_title(title),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_place_text_and_fix() {
        let source = "[models]\ndefalt = \"qwen\"\n";
        let rendered = Diagnostic::error("unknown key `defalt`")
            .at(SourceSpan::new("praxis.toml", source, 9..15))
            .label("not a key of [models]")
            .help("did you mean `default`?")
            .render(false);
        for part in [
            "unknown key `defalt`",
            "praxis.toml:2:1",
            "defalt = \"qwen\"",
            "^^^^^^",
            "did you mean `default`?",
        ] {
            assert!(
                rendered.contains(part),
                "{part:?} is missing in:\n{rendered}"
            );
        }
    }

    #[test]
    fn spans_are_clamped_to_characters() {
        let span = SourceSpan::new("a", "问题\nx", 1..200);
        assert_eq!((span.line, span.column, span.range), (1, 1, 0..8));
        let span = SourceSpan::at("a", "一二\n三四", 2, 2);
        assert_eq!(
            (span.line, span.column, &span.source[span.range.clone()]),
            (2, 2, "四")
        );
    }
}
