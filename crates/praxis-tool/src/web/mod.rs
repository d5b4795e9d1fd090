//! The kind `web`: pages of the web as tools. `tools/NAME.web.toml` makes `NAME/page` (a URL becomes Markdown) and
//! `NAME/extract` (a page or a text becomes a record).
//!
//! Pages come from the internet, or from folders of the application under URLs of their own. Left out: scripts of
//! pages, log-ins, and documents that are no pages, such as PDF.

mod corpus;
mod extract;
mod markdown;
mod page;
mod pages;
mod record;
mod robots;
mod text;

use std::path::Path;
use std::sync::Arc;

use praxis_core::{Period, Problem};
use serde::Deserialize;

use self::extract::{Extract, ExtractConfig};
use self::page::Read;
use self::pages::Pages;
use self::record::Record;
use self::robots::Hosts;
use crate::deps::ToolDeps;
use crate::egress::{Egress, EgressConfig};
use crate::http::{bounds, limits, problem};
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Tool};
use crate::work::tool;

pub(crate) use self::corpus::{Corpus, CorpusConfig};
pub(crate) use self::markdown::{Written, markdown, plain};
pub(crate) use self::text::decode;

/// Tokens of a page that one call gets, where the file does not say.
const TOKENS: usize = 2500;
const LEAST_TOKENS: usize = 100;
const MOST_TOKENS: usize = 100_000;

/// A file of the kind `web`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What `NAME/page` does; models choose by it.
    #[serde(default)]
    pub description: Option<String>,
    /// Hosts whose pages may be read; default: all of the public internet.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Whether hosts may be at private addresses.
    #[serde(default)]
    pub allow_private: bool,
    /// Whether pages that a host's robots.txt forbids are left alone; default: they are.
    #[serde(default = "yes")]
    pub robots: bool,
    /// Folders of the application with pages of their own.
    #[serde(default)]
    pub pages: Vec<CorpusConfig>,
    /// Tokens of a page that one call gets.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// The longest time until a page is there.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// The most bytes of a page.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// How records are made of pages.
    #[serde(default)]
    pub extract: ExtractConfig,
    /// What calls need before they are made.
    #[serde(default)]
    pub policy: PolicyConfig,
}

fn yes() -> bool {
    true
}

impl Config {
    /// What is wrong with it, as far as the file alone tells.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = self.egress().problems("");
        all.extend(bounds(self.timeout, self.max_bytes));
        for (i, folder) in self.pages.iter().enumerate() {
            all.extend(folder.problems(&format!("pages.{i}")));
        }
        for (key, tokens) in [
            ("max_tokens", self.max_tokens),
            ("extract.tokens", self.extract.tokens),
        ] {
            if tokens.is_some_and(|t| !(LEAST_TOKENS..=MOST_TOKENS).contains(&t)) {
                let help = format!("write a number from {LEAST_TOKENS} to {MOST_TOKENS}");
                all.push(problem(key, format!("`{key}` is out of range"), &help));
            }
        }
        if let Some(schema) = &self.extract.schema
            && let Err(error) = Record::compile(schema)
        {
            let help = "write the JSON Schema of an object with its `properties`";
            all.push(problem("extract.schema", error, help));
        }
        all
    }

    fn egress(&self) -> EgressConfig {
        EgressConfig {
            allow: self.allow.clone(),
            allow_private: self.allow_private,
        }
    }
}

/// The functions of a file.
///
/// # Errors
/// What is wrong with the file.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let egress = Egress::new(&config.egress())?;
    let mut folders = Vec::with_capacity(config.pages.len());
    for (i, folder) in config.pages.iter().enumerate() {
        let open = Corpus::open(&deps.root, folder);
        folders.push(open.map_err(|problem| Problem {
            path: format!("pages.{i}.{}", problem.path),
            ..problem
        })?);
    }
    let limits = limits(config.timeout, config.max_bytes);
    let robots = config.robots.then(Hosts::default);
    let pages = Arc::new(Pages::new(egress, limits, folders, robots));
    let room = config.max_tokens.unwrap_or(TOKENS);
    let page = Read::new(
        name,
        config.description.as_deref(),
        Arc::clone(&pages),
        room,
    );
    let extract = Extract::new(name, &config.extract, pages, Arc::clone(&deps.chat))
        .map_err(|error| problem("extract.schema", error, "mend the schema"))?;
    let outside = |function| Tool {
        function,
        outside: true,
    };
    Ok(Made {
        tools: vec![outside(tool(page)?), outside(tool(extract)?)],
        warnings: Vec::new(),
    })
}

/// The names of the functions of a file.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![format!("{name}/page"), format!("{name}/extract")])
}

#[cfg(test)]
mod tests;
