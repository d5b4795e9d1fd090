//! `NAME/ask`: a question in words, answered from a database.
//!
//! What of the schema matters is chosen (`link`), the model writes a query, which is checked, planned and run, mended
//! by what the database says, and chosen among several by their rows; the rows are told in words, with a chart where
//! one fits (`answer`). `machine` says what comes next, `drive` does it. Left out: what may run and who may see what,
//! which `check` holds against every query, however it came about.

pub(crate) mod ddl;
mod drive;
mod examples;
#[cfg(test)]
pub(crate) mod fixtures;
mod grammar;
pub(crate) mod grid;
mod machine;
mod prompt;
mod read;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effects, Function, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use self::examples::Example;
use self::examples::Shots;
use self::machine::{Plan, VIEWS};
use crate::deps::ToolDeps;
use crate::sql::Database;
use crate::sql::link::{Linker, Mode};
use crate::work::{Work, invalid, read, tool as function};

/// The most that options may say.
const MOST_SAMPLES: usize = 16;
const MOST_REPAIRS: u32 = 8;
const MOST_SHOTS: usize = 16;
const MOST_NOTES: usize = 50;
const LONGEST_NOTE: usize = 500;

/// The longest question, in characters.
const LONGEST_QUESTION: usize = 4_000;

/// `[ask]`: how questions are answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The chat model; empty: the application's default.
    pub model: String,
    /// Queries that are written for one question; more than one are put to a vote.
    pub samples: usize,
    /// How often each of them is mended.
    pub repairs: u32,
    /// Temperature of the samples behind the first three, which are greedy and put the question in other ways.
    pub temperature: f32,
    /// How much of the schema the model sees.
    pub link: Mode,
    /// Whether the model is held to a grammar of queries over the tables that it sees, where it can be.
    pub constrain: bool,
    /// Whether the answer is told in words by a model, beside the rows.
    pub words: bool,
    /// Whether a chart is drawn where one fits.
    pub chart: bool,
    /// Examples that the model is shown, at most.
    pub shots: usize,
    /// What one should know about the data, a sentence each: how a figure is defined, what a word means here.
    pub notes: Vec<String>,
    /// Verified questions and queries.
    pub examples: Vec<Example>,
    /// A file of them, JSON Lines with `question` and `sql`, relative to the application's folder.
    pub examples_file: Option<PathBuf>,
    /// How much one question may take.
    pub budget: Budget,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: String::new(),
            samples: 3,
            repairs: 2,
            temperature: 0.7,
            link: Mode::Auto,
            constrain: true,
            words: true,
            chart: true,
            shots: 4,
            notes: Vec::new(),
            examples: Vec::new(),
            examples_file: None,
            budget: Budget::default(),
        }
    }
}

/// `[ask.budget]`: how much one question may take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Budget {
    /// Tokens of the part of the schema that the model sees.
    pub schema: usize,
    /// Tokens that models write for one question, all samples and repairs together.
    pub tokens: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            schema: 800,
            tokens: 8_000,
        }
    }
}

impl Config {
    /// What is wrong with it, as far as it shows without files and models.
    pub fn problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        let mut add = |key: &str, message: String, help: &str| {
            all.push(Problem {
                path: format!("ask.{key}"),
                message,
                help: Some(help.to_owned()),
            });
        };
        if !(1..=MOST_SAMPLES).contains(&self.samples) {
            let message = format!("`samples` is {}", self.samples);
            add(
                "samples",
                message,
                &format!("choose a number between 1 and {MOST_SAMPLES}"),
            );
        }
        if self.repairs > MOST_REPAIRS {
            let message = format!("`repairs` is {}", self.repairs);
            add(
                "repairs",
                message,
                &format!("choose at most {MOST_REPAIRS}"),
            );
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            let message = format!("`temperature` is {}", self.temperature);
            add("temperature", message, "choose a number between 0 and 2");
        }
        if self.samples > VIEWS && self.temperature == 0.0 {
            let message = format!("more than {VIEWS} samples without a temperature are the same");
            let help = format!("write at most `samples = {VIEWS}`, or a temperature such as 0.7");
            add("temperature", message, &help);
        }
        if self.shots > MOST_SHOTS {
            let message = format!("`shots` is {}", self.shots);
            add("shots", message, &format!("choose at most {MOST_SHOTS}"));
        }
        if self.notes.len() > MOST_NOTES {
            let message = format!("there are {} notes", self.notes.len());
            add(
                "notes",
                message,
                &format!("keep to {MOST_NOTES}: the model reads all of them with each question"),
            );
        }
        for (i, note) in self.notes.iter().enumerate() {
            if note.chars().count() > LONGEST_NOTE || note.contains('\n') {
                let message = "a note is one line, and not a long one".to_owned();
                add(
                    &format!("notes.{i}"),
                    message,
                    "split it into sentences, each a note",
                );
            }
        }
        for (i, example) in self.examples.iter().enumerate() {
            if example.question.trim().is_empty() || example.sql.trim().is_empty() {
                let message = "an example needs a `question` and its `sql`".to_owned();
                add(
                    &format!("examples.{i}"),
                    message,
                    "write both, or leave the example out",
                );
            }
        }
        if let Some(path) = &self.examples_file
            && !is_inside(path)
        {
            let message = format!(
                "`{}` is outside of the application's folder",
                path.display()
            );
            add(
                "examples_file",
                message,
                "name a file of the application, such as \"tools/shop.examples.jsonl\"",
            );
        }
        if !(200..=200_000).contains(&self.budget.schema) {
            let message = format!("`schema` is {}", self.budget.schema);
            add(
                "budget.schema",
                message,
                "choose a number of tokens between 200 and 200000",
            );
        }
        if !(100..=1_000_000).contains(&self.budget.tokens) {
            let message = format!("`tokens` is {}", self.budget.tokens);
            add(
                "budget.tokens",
                message,
                "choose a number of tokens between 100 and 1000000",
            );
        }
        all
    }

    fn plan(&self) -> Plan {
        Plan {
            samples: self.samples,
            repairs: self.repairs,
            temperature: self.temperature,
            doubts: self.repairs > 0,
            words: self.words,
        }
    }
}

/// Whether a path stays in the folder that it is relative to.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The function's name, for the file of the tool `name`.
pub(crate) fn name(name: &str) -> String {
    format!("{name}/ask")
}

/// The function `NAME/ask` of a database; `about` is what the file says that it is about.
///
/// # Errors
/// An examples file that cannot be read.
pub(crate) fn tool(
    tool: &str,
    about: Option<&str>,
    config: &Config,
    database: Arc<Database>,
    deps: &ToolDeps,
) -> Result<Arc<dyn Function>, Problem> {
    let file = config
        .examples_file
        .as_ref()
        .map(|path| deps.root.join(path));
    let shots = Shots::load(
        &config.examples,
        file.as_deref(),
        Arc::clone(&deps.embedder),
    )?;
    let folder = deps.state.join("sql").join(tool);
    let linker = Linker::new(
        config.link,
        config.budget.schema,
        folder,
        Arc::clone(&deps.embedder),
    );
    function(Ask {
        signature: signature(tool, about),
        config: config.clone(),
        database,
        deps: deps.clone(),
        shots,
        linker,
        unheld: AtomicBool::new(false),
    })
}

/// Asking one database.
pub(crate) struct Ask {
    signature: Signature,
    config: Config,
    database: Arc<Database>,
    deps: ToolDeps,
    shots: Shots,
    linker: Linker,
    /// Whether the model turned out to be one that cannot be held to a grammar.
    unheld: AtomicBool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    question: String,
}

/// What the function takes and gives.
pub(crate) fn signature(tool: &str, about: Option<&str>) -> Signature {
    let about = about.map_or_else(
        || format!("the database `{tool}`"),
        |about| format!("this database: {}", about.trim().trim_end_matches('.')),
    );
    let attempt = json!({
        "type": "object",
        "properties": {
            "sql": { "type": "string" },
            "fault": { "type": ["string", "null"], "description": "what was wrong with it" },
        },
    });
    Signature {
        name: name(tool),
        description: format!(
            "Answers a question in words from {about}. Writes the query itself and only reads. Gives the \
             answer, the query and its rows."
        ),
        input_schema: json!({
            "type": "object",
            "properties": {
                "question": {
                    "type": "string",
                    "description": "one question, with all that it needs to be understood",
                    "maxLength": LONGEST_QUESTION,
                },
            },
            "required": ["question"],
            "additionalProperties": false,
        }),
        output_schema: json!({
            "type": "object",
            "properties": {
                "answerable": { "type": "boolean", "description": "whether the data have an answer" },
                "answer": { "type": "string", "description": "the answer in words, or why there is none" },
                "sql": { "type": ["string", "null"] },
                "columns": { "type": "array", "items": { "type": "string" } },
                "rows": { "type": "array", "items": { "type": "array" } },
                "cut": { "type": "boolean", "description": "whether there are more rows than these" },
                "chart": {
                    "type": ["string", "null"],
                    "description": "an SVG",
                    "contentMediaType": "image/svg+xml",
                    "x-not-for-models": true,
                },
                "notes": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "what is likely not as meant, and what of files is left out",
                },
                "confidence": { "type": ["number", "null"], "description": "share of the samples that agree" },
                "attempts": { "type": "array", "items": attempt },
                "linked": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "tables that the model saw",
                },
            },
            "required": [
                "answerable", "answer", "sql", "columns", "rows", "cut", "chart", "notes", "confidence", "attempts",
                "linked",
            ],
        }),
        effects: Effects::READ,
    }
}

#[async_trait]
impl Work for Ask {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let input: Input = read(name, input)?;
        let question = input.question.trim();
        if question.is_empty() {
            return Err(
                invalid(name, "`question` is empty").with_hint("ask something about the data")
            );
        }
        drive::answer(self, question, cx).await
    }
}

#[cfg(test)]
mod tests;
