//! Text with fields of a record in it: `# {{title}}`. Left out: everything else that templates can do; a query can
//! do more.

use serde_json::{Map, Value};

use super::{Fields, plain};

/// A text with places for fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (field, after) = after.split_once("}}").ok_or_else(|| {
                format!(
                    "`{{{{{}` is not closed",
                    after.chars().take(20).collect::<String>()
                )
            })?;
            let field = field.trim();
            if field.is_empty() || field.contains(['{', '}', '\n']) {
                return Err(format!("`{{{{{field}}}}}` names no field"));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text with a record's fields. A field that is null leaves nothing.
    ///
    /// # Errors
    /// The name of a field that the record does not have, where all records are to have the same.
    pub fn fill(&self, record: &Map<String, Value>, fields: Fields) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(field) => match find(record, field) {
                    Some(value) => text.push_str(&plain(value)),
                    None if fields == Fields::Varied => {}
                    None => return Err(field.clone()),
                },
            }
        }
        Ok(text)
    }
}

/// A field by its name, or by the path to it with dots.
pub(super) fn find<'r>(record: &'r Map<String, Value>, field: &str) -> Option<&'r Value> {
    if let Some(value) = record.get(field) {
        return Some(value);
    }
    let (first, rest) = field.split_once('.')?;
    find(record.get(first)?.as_object()?, rest)
}
