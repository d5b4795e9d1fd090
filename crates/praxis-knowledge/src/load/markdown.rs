//! Markdown (CommonMark with tables and front matter) by pulldown-cmark.

use std::borrow::Cow;

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use serde_json::{Map, Value};

use super::grid::Grid;
use super::table;
use crate::document::{BlockKind, Builder, LoadedDocument};
use crate::metadata::from_file;

/// Headings, paragraphs, list items, code and tables as blocks; markup is dropped, text kept.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let source = with_separators(source);
    let mut walk = Walk::default();
    for event in Parser::new_ext(&source, options()) {
        walk.event(event);
    }
    walk.flush();
    let mut notes = Vec::new();
    let front = front_matter(&walk.front, &mut notes);
    let title = match front.get("title") {
        Some(Value::String(title)) => Some(title.clone()),
        // What is not YAML as a whole may have a title all the same.
        _ => walk.front.lines().find_map(|line| {
            let title = line.strip_prefix("title:")?.trim();
            Some(title.trim_matches(['"', '\'']).to_owned())
        }),
    };
    let mut document = walk.builder.finish(title, name);
    document.metadata = from_file(&front, FRONT_MATTER, &mut notes);
    document.notes = notes;
    document
}

/// What of Markdown is read beyond CommonMark.
fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
}

/// The source with the line `|---|---|` below the first row of tables that lack it, or have one of other columns, which
/// Markdown takes for paragraphs. Only paragraphs are looked at, and none in lists and quotes.
fn with_separators(source: &str) -> Cow<'_, str> {
    if !source
        .lines()
        .any(|line| line.trim_start().starts_with('|'))
    {
        return Cow::Borrowed(source);
    }
    let mut whole = String::new();
    let (mut done, mut depth) = (0, 0usize);
    for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0
                    && matches!(tag, Tag::Paragraph)
                    && let Some(paragraph) = separated(&source[range.clone()])
                {
                    whole.push_str(&source[done..range.start]);
                    whole.push_str(&paragraph);
                    done = range.end;
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if done == 0 {
        return Cow::Borrowed(source);
    }
    whole.push_str(&source[done..]);
    Cow::Owned(whole)
}

/// A paragraph whose tables have that line, and blank lines around them; `None` of one without a table.
fn separated(paragraph: &str) -> Option<String> {
    let (mut text, mut found) = (String::new(), false);
    for piece in table::pieces(paragraph) {
        let Some(columns) = piece.columns else {
            // Spaces before a line of a paragraph mean nothing; before the first line after a table they mean code.
            text.push_str(piece.lines.trim_start());
            continue;
        };
        found = true;
        let mut separator = Some("|---".repeat(columns) + "|\n");
        text.push('\n');
        for row in table::rows(piece.lines) {
            text.push_str(row);
            text.push('\n');
            text.extend(separator.take());
        }
        text.push('\n');
    }
    found.then_some(text)
}

/// What notes call it.
const FRONT_MATTER: &str = "front matter";

/// The most bytes of front matter that are read.
const MAX_FRONT_MATTER: usize = 64 << 10;

/// Front matter by key. Notes what is no YAML, which costs the document nothing else.
fn front_matter(yaml: &str, notes: &mut Vec<String>) -> Map<String, Value> {
    if yaml.trim().is_empty() {
        return Map::new();
    }
    if yaml.len() > MAX_FRONT_MATTER {
        notes.push(format!(
            "its {FRONT_MATTER} is larger than {MAX_FRONT_MATTER} bytes and is left out"
        ));
        return Map::new();
    }
    // YAML 1.2: in 1.1 `no` and `on` are booleans.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
    };
    match serde_saphyr::from_str_with_options::<Value>(yaml, options) {
        Ok(Value::Object(front)) => front,
        Ok(_) => {
            notes.push(format!(
                "its {FRONT_MATTER} is left out: it is not made of `key: value` lines"
            ));
            Map::new()
        }
        Err(error) => {
            // One line is that of the `---` before it.
            let line = error.location().map_or(1, |place| place.line() as usize) + 1;
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            notes.push(format!(
                "line {line}: its {FRONT_MATTER} is not YAML and is left out: {reason}"
            ));
            Map::new()
        }
    }
}

#[derive(Default)]
struct Walk {
    builder: Builder,
    text: String,
    kind: Option<BlockKind>,
    /// Ordinal of the next item for each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The table that is open, and the column of its open cell.
    table: Option<(Grid, usize)>,
    in_metadata: bool,
    /// The text of the front matter.
    front: String,
}

impl Walk {
    fn flush(&mut self) {
        let kind = self.kind.take().unwrap_or(BlockKind::Paragraph);
        self.builder.push(kind, &self.text, None);
        self.text.clear();
    }

    fn begin(&mut self, kind: BlockKind) {
        self.flush();
        self.kind = Some(kind);
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_metadata => self.front.push_str(&text),
            Event::Text(text)
            | Event::Code(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text) => {
                self.text.push_str(&text);
            }
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.flush(),
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
            Event::Html(_) | Event::InlineHtml(_) | Event::FootnoteReference(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.begin(BlockKind::Heading(depth(*level))),
            Tag::Paragraph if self.lists.is_empty() => self.begin(BlockKind::Paragraph),
            Tag::Paragraph if !self.text.is_empty() && !self.text.ends_with(['\n', ' ']) => {
                self.text.push('\n');
            }
            Tag::CodeBlock(_) => self.begin(BlockKind::Code),
            Tag::Table(_) => {
                self.begin(BlockKind::Table);
                self.table = Some((Grid::default(), 0));
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some((grid, column)) = &mut self.table {
                    grid.row();
                    *column = 0;
                }
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(*first);
            }
            Tag::Item => {
                self.begin(BlockKind::ListItem);
                self.text
                    .push_str(&"  ".repeat(self.lists.len().saturating_sub(1)));
                match self.lists.last_mut() {
                    Some(Some(n)) => {
                        self.text.push_str(&format!("{n}. "));
                        *n += 1;
                    }
                    _ => self.text.push_str("- "),
                }
            }
            Tag::MetadataBlock(MetadataBlockKind::YamlStyle) => self.in_metadata = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::Item => self.flush(),
            TagEnd::Paragraph if self.lists.is_empty() => self.flush(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::TableCell => {
                let text = std::mem::take(&mut self.text);
                if let Some((grid, column)) = &mut self.table {
                    grid.add(*column, text.trim());
                    *column += 1;
                }
            }
            TagEnd::Table => {
                if let Some((grid, _)) = self.table.take() {
                    self.text = grid.finish();
                }
                self.flush();
            }
            TagEnd::MetadataBlock(_) => self.in_metadata = false,
            _ => {}
        }
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
