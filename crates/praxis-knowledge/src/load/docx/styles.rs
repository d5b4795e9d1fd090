//! Paragraph styles of a DOCX: which of them are headings or lists. Names are the same in all
//! languages of Word for the styles that come with it; their ids are translated.

use std::collections::HashMap;

use crate::load::LoadError;
use crate::load::xml::{self, Event};

/// A style, as far as structure goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Style {
    /// Its name, in lower case without spaces.
    name: String,
    based_on: Option<String>,
    /// Outline level, from 0; 9 is body text.
    outline: Option<u8>,
    /// Numbering and its level.
    list: Option<(String, u8)>,
}

/// The styles of a document, by id.
#[derive(Debug, Default)]
pub(super) struct Styles(HashMap<String, Style>);

/// Styles based on each other.
const MAX_CHAIN: usize = 16;

impl Styles {
    /// The styles of `styles.xml`; none if it is empty.
    ///
    /// # Errors
    /// [`LoadError::Damaged`].
    pub fn read(text: &str) -> Result<Self, LoadError> {
        let mut all = HashMap::new();
        let mut id = None::<String>;
        let mut style = Style::default();
        xml::each(text, |event| match event {
            Event::Start("style", attributes) => {
                id = attributes.get("styleId");
                style = Style::default();
            }
            Event::Start("name", attributes) => {
                let name = attributes.get("val").unwrap_or_default();
                style.name = name.to_lowercase().replace(' ', "");
            }
            Event::Start("basedOn", attributes) => style.based_on = attributes.get("val"),
            Event::Start("outlineLvl", attributes) => {
                style.outline = attributes.get("val").and_then(|v| v.parse().ok());
            }
            Event::Start(name @ ("numId" | "ilvl"), attributes) => {
                set_list(&mut style.list, name, attributes.get("val"));
            }
            Event::End("style") => {
                if let Some(id) = id.take() {
                    all.insert(id, std::mem::take(&mut style));
                }
            }
            _ => {}
        })?;
        Ok(Self(all))
    }

    /// A style and those that it is based on, nearest first.
    fn chain<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Style> {
        let first = self.0.get(id);
        std::iter::successors(first, |s| self.0.get(s.based_on.as_deref()?)).take(MAX_CHAIN)
    }

    /// Level of the heading that a style makes, from 1; `id` itself tells where the style is missing.
    pub fn heading(&self, id: &str) -> Option<u8> {
        for style in self.chain(id) {
            match style.outline {
                Some(level @ 0..9) => return Some(level + 1),
                Some(_) => return None,
                None => {}
            }
            if let Some(level) = named_heading(&style.name) {
                return Some(level);
            }
        }
        if self.0.contains_key(id) {
            return None;
        }
        named_heading(&id.to_lowercase().replace(' ', ""))
    }

    /// Numbering and level that a style brings along.
    pub fn list(&self, id: &str) -> Option<(String, u8)> {
        self.chain(id)
            .find_map(|s| s.list.clone())
            .filter(|(id, _)| !id.is_empty())
    }

    /// Whether a style is that of an entry in a table of contents.
    pub fn is_contents(&self, id: &str) -> bool {
        let name = self
            .0
            .get(id)
            .map_or_else(|| id.to_lowercase(), |s| s.name.clone());
        let level = name.strip_prefix("toc").unwrap_or_default();
        level.len() == 1 && level.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// Takes up one of the two elements that say which list a paragraph is in, and how deep.
pub(super) fn set_list(list: &mut Option<(String, u8)>, element: &str, value: Option<String>) {
    let (id, level) = list.take().unwrap_or_default();
    *list = match element {
        "numId" => value.map(|id| (id, level)),
        _ => Some((id, value.and_then(|v| v.parse().ok()).unwrap_or(0))),
    };
}

/// The level of `heading1`, `title`, or of the bare digits that Chinese editions use as ids.
fn named_heading(name: &str) -> Option<u8> {
    if name == "title" {
        return Some(1);
    }
    let level: u8 = name.strip_prefix("heading").unwrap_or(name).parse().ok()?;
    (1..=9).contains(&level).then_some(level)
}
