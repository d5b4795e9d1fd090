//! Markdown (CommonMark with tables and front matter) by pulldown-cmark.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use crate::document::{BlockKind, Builder, LoadedDocument};

/// Headings, paragraphs, list items, code and tables as blocks; markup is dropped, text kept.
pub(super) fn load(source: &str, name: &str) -> LoadedDocument {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut walk = Walk::default();
    for event in Parser::new_ext(source, options) {
        walk.event(event);
    }
    walk.flush();
    let title = walk.title;
    walk.builder.finish(title, name)
}

#[derive(Default)]
struct Walk {
    builder: Builder,
    text: String,
    kind: Option<BlockKind>,
    /// Ordinal of the next item for each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    in_metadata: bool,
    title: Option<String>,
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
            Event::Text(text) if self.in_metadata => self.metadata(&text),
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
            Tag::Table(_) => self.begin(BlockKind::Table),
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
            TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::Table | TagEnd::Item => self.flush(),
            TagEnd::Paragraph if self.lists.is_empty() => self.flush(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::TableCell => self.text.push_str(" | "),
            TagEnd::TableHead | TagEnd::TableRow => {
                let row = self.text.trim_end_matches([' ', '|']).len();
                self.text.truncate(row);
                self.text.push('\n');
            }
            TagEnd::MetadataBlock(_) => self.in_metadata = false,
            _ => {}
        }
    }

    fn metadata(&mut self, yaml: &str) {
        self.title = yaml
            .lines()
            .find_map(|line| line.strip_prefix("title:"))
            .map(|t| t.trim().trim_matches(['"', '\'']).to_owned());
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
