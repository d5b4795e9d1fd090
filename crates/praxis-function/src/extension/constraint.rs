//! What a text must be: `praxis.constraint`, and whether anything can be held to it.
//!
//! The engine compiles a constraint when it is asked; what is told here needs no model. Left out: expressions that it
//! cannot follow, with `\b` or an anchor inside, whose answers are checked instead; the rules of a grammar.

use praxis_core::{Constraint, Diagnostic, Severity};
use regex::Regex;
use serde_json::{Map, Value};

use crate::prompt::File;
use crate::structured::checks::no_regex;
use crate::structured::schema::OutputSchema;

/// How a grammar is written.
const START: &str = "write its first rule in Lark's notation, as in `start: \"yes\" | \"no\"`";

impl File<'_> {
    /// Reads `praxis.constraint`; problems go to `problems`.
    pub(super) fn constraint(
        &self,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Constraint> {
        let constraint: Constraint = self.read("constraint", ours, problems)?;
        if let Some((severity, what, help)) = problem(&constraint) {
            let kind = constraint.kind();
            let message = format!("`constraint.{kind}`: {what}");
            let found = self.at_key_below(&["constraint", kind], message);
            problems.push(Diagnostic {
                severity,
                ..found.help(help)
            });
        }
        Some(constraint)
    }
}

/// What is wrong with a constraint, how bad that is, and the fix.
fn problem(constraint: &Constraint) -> Option<(Severity, String, &'static str)> {
    let error = |what: String, help| Some((Severity::Error, what, help));
    match constraint {
        Constraint::Regex(pattern) if pattern.is_empty() => error(
            "an empty expression lets nothing be written".to_owned(),
            "write what the whole text must match, as in '[0-9]{3}'",
        ),
        Constraint::Regex(pattern) => match Regex::new(pattern) {
            // What becomes too big here may still be followed by the engine.
            Err(syntax @ regex::Error::Syntax(_)) => error(
                no_regex(pattern, &syntax),
                "the syntax is that of Rust's `regex`; single quotes keep backslashes as they are",
            ),
            _ => None,
        },
        Constraint::Choice(texts) if texts.is_empty() || texts.iter().any(String::is_empty) => {
            error(
                "it needs at least one text, and none that is empty".to_owned(),
                "list the texts, as in [\"yes\", \"no\"]",
            )
        }
        Constraint::Choice(_) | Constraint::JsonObject => None,
        Constraint::Grammar(grammar) if grammar.trim().is_empty() => {
            error("the grammar is empty".to_owned(), START)
        }
        Constraint::Grammar(grammar) if !begins(grammar) => Some((
            Severity::Warning,
            "there is no rule `start`, with which a local model begins".to_owned(),
            START,
        )),
        Constraint::Grammar(_) => None,
        Constraint::JsonSchema(schema) => match OutputSchema::compile(schema) {
            Ok(_) => None,
            Err(what) => error(
                format!("no JSON Schema: {what}"),
                "a form for the whole output is better written as `output.schema`",
            ),
        },
    }
}

/// Whether a grammar has the rule that it begins with; Lark lets `?` or `!` stand before its name.
fn begins(grammar: &str) -> bool {
    grammar.lines().any(|line| {
        let name = line.trim_start().trim_start_matches(['?', '!']);
        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let after = name.strip_prefix("start");
        after.is_some_and(|after| !after.starts_with(goes_on))
    })
}
