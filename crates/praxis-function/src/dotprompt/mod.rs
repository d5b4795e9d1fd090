//! The Dotprompt format: front matter, Picoschema, templates, and messages with roles and parts.
//!
//! It follows Google's specification and its JavaScript implementation, and knows nothing of Praxis:
//! what a key means to an application, files, models and calls are its callers' business.
//!
//! Templates are Handlebars as `handlebars.js` has it. The `handlebars` crate parses and walks them;
//! what it does otherwise than the original is mended before it parses (`tags`), in what it parsed
//! (`compile`), and by helpers of our own (`helpers`, `blocks`).

mod blocks;
mod compile;
mod front;
mod helpers;
mod messages;
mod picoschema;
mod render;
mod tags;
mod values;

pub(crate) use front::read_yaml;
pub use front::{Document, FrontFlaw, FrontMatter, Input, Output, parse};
pub use messages::{Media, Message, Part, Role};
pub use picoschema::{SchemaError, to_json_schema};
pub use render::{Data, RenderFailure, Templates};

/// What is wrong with a template, and where in it (line and column from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Line of the template.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
    /// What is wrong; names the offender.
    pub message: String,
    /// The fix.
    pub help: String,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, column) = (self.line, self.column);
        write!(f, "{line}:{column}: {} ({})", self.message, self.help)
    }
}

impl std::error::Error for Flaw {}

#[cfg(test)]
mod tests;
