//! Marks of list items: bullets, or numbers that are counted as Word counts them. Left out: letters,
//! Roman numerals and the text around a number, which are all given as `1.`.

use std::collections::HashMap;

use crate::load::LoadError;
use crate::load::xml::{self, Event};

/// Levels of a list.
const LEVELS: usize = 9;

/// The numbering of a document, and how far it has counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// Numbering ids to abstract ones.
    instances: HashMap<String, String>,
    /// For each abstract numbering and level, whether it is a bullet, and the first number.
    levels: HashMap<(String, u8), (bool, u64)>,
    counters: HashMap<String, [Option<u64>; LEVELS]>,
}

impl Numbering {
    /// The numbering of `numbering.xml`; none if it is empty.
    ///
    /// # Errors
    /// [`LoadError::Damaged`].
    pub fn read(text: &str) -> Result<Self, LoadError> {
        let mut all = Self::default();
        let (mut outer, mut level) = (String::new(), 0u8);
        let mut instance = None::<String>;
        xml::each(text, |event| match event {
            Event::Start("abstractNum", a) => outer = a.get("abstractNumId").unwrap_or_default(),
            Event::Start("lvl", a) => {
                level = a.get("ilvl").and_then(|v| v.parse().ok()).unwrap_or(0);
                all.levels.insert((outer.clone(), level), (false, 1));
            }
            Event::Start("numFmt", a) => {
                if let Some(entry) = all.levels.get_mut(&(outer.clone(), level)) {
                    entry.0 = matches!(a.get("val").as_deref(), Some("bullet" | "none"));
                }
            }
            Event::Start("start", a) => {
                if let Some(entry) = all.levels.get_mut(&(outer.clone(), level)) {
                    entry.1 = a.get("val").and_then(|v| v.parse().ok()).unwrap_or(1);
                }
            }
            Event::Start("num", a) => instance = a.get("numId"),
            Event::Start("abstractNumId", a) => {
                if let (Some(id), Some(target)) = (instance.take(), a.get("val")) {
                    all.instances.insert(id, target);
                }
            }
            _ => {}
        })?;
        Ok(all)
    }

    /// The mark of the next item of a list, such as `- ` or `3. `.
    pub fn mark(&mut self, id: &str, level: u8) -> String {
        let outer = self.instances.get(id).cloned().unwrap_or_default();
        let known = self.levels.get(&(outer.clone(), level));
        let Some((false, first)) = known.copied() else {
            return "- ".to_owned();
        };
        let counters = self.counters.entry(outer).or_default();
        let level = usize::from(level).min(LEVELS - 1);
        let number = counters[level].map_or(first, |n| n.saturating_add(1));
        counters[level] = Some(number);
        for inner in &mut counters[level + 1..] {
            *inner = None;
        }
        format!("{number}. ")
    }
}
