//! Program text, kept byte for byte: what is defined in it (functions, classes, statements) stays whole,
//! under the names of what encloses it. Left out: grammars. Where a definition ends is told by brackets or
//! indentation, which is what people see too; a parser for each language would be a C library each.

mod lines;
mod syntax;

use crate::document::{BlockKind, Builder, LoadedDocument};
use lines::{Line, read};

/// Bytes of a definition that is a section of its own. Smaller ones share a block.
const LARGE: usize = 1500;

/// Definitions inside of each other that are told apart.
const MAX_LEVEL: u8 = 6;

/// Characters of a heading.
const MAX_HEADING: usize = 80;

/// Words that say that a definition holds others.
const CONTAINERS: &[&str] = &[
    "class",
    "struct",
    "impl",
    "trait",
    "mod",
    "module",
    "namespace",
    "interface",
    "enum",
    "object",
    "extension",
    "protocol",
    "union",
    "record",
    "defmodule",
];

/// Whether files of this ending are read as program text.
pub(super) fn is_known(extension: &str) -> bool {
    syntax::of(extension).is_some()
}

/// The document of a source file.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e).to_lowercase();
    let syntax = syntax::of(&extension).unwrap_or(&syntax::PLAIN);
    let lines = read(source, syntax);
    let mut outline = Outline {
        builder: Builder::default(),
        source,
        lines: &lines,
    };
    outline.add(0..lines.len(), 1);
    outline.builder.finish(Some(name.to_owned()), name)
}

struct Outline<'a> {
    builder: Builder,
    source: &'a str,
    lines: &'a [Line],
}

type Range = std::ops::Range<usize>;

impl Outline<'_> {
    /// Adds lines, definition by definition.
    fn add(&mut self, range: Range, level: u8) {
        let mut run: Option<Range> = None;
        let mut headed = false;
        for item in self.items(range) {
            let large = self.text(&item).len() > LARGE;
            let joined = run.clone().map(|r| r.start..item.end);
            let fits = joined.as_ref().is_some_and(|r| self.text(r).len() <= LARGE);
            if large || !fits {
                if let Some(run) = run.take() {
                    self.run(&run, level, headed);
                }
                if large {
                    self.large(&item, level);
                    headed = true;
                } else {
                    run = Some(item);
                }
            } else {
                run = joined;
            }
        }
        if let Some(run) = run {
            self.run(&run, level, headed);
        }
    }

    /// Adds small definitions; after a large one they need a heading, or they would seem part of it.
    fn run(&mut self, run: &Range, level: u8, headed: bool) {
        if headed {
            let names: Vec<String> = self
                .items(run.clone())
                .into_iter()
                .map(|item| self.signature(&item))
                .collect();
            self.heading(&names.join(", "), level);
        }
        self.code(run);
    }

    /// Adds a definition as a section, and what is defined inside as sections of it.
    fn large(&mut self, item: &Range, level: u8) {
        let signature = self.signature(item);
        self.heading(&signature, level);
        let holds_others = signature
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| CONTAINERS.contains(&word));
        match self
            .inside(item)
            .filter(|_| holds_others && level < MAX_LEVEL)
        {
            Some(start) => {
                self.code(&(item.start..start));
                self.add(start..item.end, level + 1);
            }
            None => self.code(item),
        }
    }

    fn heading(&mut self, text: &str, level: u8) {
        let mut text = text.to_owned();
        if let Some((at, _)) = text.char_indices().nth(MAX_HEADING) {
            text.truncate(at);
            text.push('…');
        }
        self.builder.push(BlockKind::Heading(level), &text, None);
    }

    fn code(&mut self, range: &Range) {
        let text = self.text(range).to_owned();
        self.builder.push(BlockKind::Code, &text, None);
    }

    fn text(&self, range: &Range) -> &str {
        let begin = self.lines.get(range.start).map_or(0, |l| l.start);
        let end = match range.end.checked_sub(1).and_then(|i| self.lines.get(i)) {
            Some(last) if range.end > range.start => last.end,
            _ => begin,
        };
        &self.source[begin..end]
    }

    fn line(&self, index: usize) -> &str {
        self.text(&(index..index + 1)).trim()
    }

    /// The definitions of some lines, with the comments before each.
    fn items(&self, range: Range) -> Vec<Range> {
        let lines = &self.lines[range.clone()];
        let Some(base) = lines.iter().find(|l| !l.blank).map(|l| l.depth) else {
            return Vec::new();
        };
        let mut items: Vec<Range> = Vec::new();
        for index in range.clone() {
            let line = self.lines[index];
            let begins = match index.checked_sub(1).filter(|i| *i >= range.start) {
                None => true,
                Some(before) => {
                    let previous = self.lines[before];
                    !line.blank
                        && line.depth <= base
                        && (previous.blank || previous.depth > base || closes(self.line(before)))
                        && !goes_on(self.line(index))
                }
            };
            match items.last_mut() {
                Some(last) if !begins => last.end = index + 1,
                _ => items.push(index..index + 1),
            }
        }
        items
    }

    /// The first line inside of a definition.
    fn inside(&self, item: &Range) -> Option<usize> {
        let named = (item.clone()).find(|i| self.names(*i))?;
        let outer = self.lines[named].depth;
        let inner = |l: &Line| !l.blank && l.depth > outer;
        let base = self.lines[named..item.end]
            .iter()
            .filter(|l| inner(l))
            .map(|l| l.depth)
            .min()?;
        let start = (named + 1..item.end).find(|i| {
            let line = &self.lines[*i];
            inner(line) && line.depth <= base
        })?;
        (start + 1 < item.end).then_some(start)
    }

    /// Whether a line says what is defined, rather than commenting it.
    fn names(&self, index: usize) -> bool {
        let line = self.line(index);
        let comment = [
            "//", "/*", "*", "#", "@", "--", "\"\"\"", "'''", ";", "<!--", "%",
        ];
        !line.is_empty()
            && !self.lines[index].inside
            && !comment.iter().any(|mark| line.starts_with(mark))
    }

    /// The line that says what is defined.
    fn signature(&self, item: &Range) -> String {
        let index = item.clone().find(|i| self.names(*i)).unwrap_or(item.start);
        let line = self.line(index);
        let line = line.split('{').next().unwrap_or_default();
        let line = line.trim_end_matches([':', ' ', '(', ',', ';', '=']);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Whether a line ends what was begun before it, and nothing else.
fn closes(line: &str) -> bool {
    let word = line.trim_end_matches([';', ',']);
    matches!(
        word,
        "end" | "}" | ")" | "]" | "})" | "fi" | "done" | "esac" | "end)"
    ) || line.ends_with(';')
}

/// Whether a line belongs to what is before it, though it begins at the margin.
fn goes_on(line: &str) -> bool {
    closes(line) && !line.ends_with(';')
        || line.starts_with(['}', ')', ']', '{'])
        || ["end", "fi", "done", "esac"].contains(&line.trim_end_matches(';'))
        || [
            "else", "elif", "elsif", "catch", "except", "finally", "rescue", "ensure", "then", "do",
        ]
        .iter()
        .any(|word| {
            let rest = line.strip_prefix(word);
            rest.is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
}
