//! `[context]`: what a chat model writes about each chunk, for it to be found by. It is off by default, and costs an
//! answer of a chat model for each chunk. Left out: what the model is asked (`ingest::context`).

use std::ops::RangeInclusive;
use std::time::Duration;

use praxis_core::Problem;
use serde::{Deserialize, Serialize};

use super::checks::Checks;

/// How many questions a model may write for a chunk.
const QUESTIONS: RangeInclusive<usize> = 0..=8;

/// How many tokens of a document a model may read around a chunk.
const WINDOWS: RangeInclusive<usize> = 200..=32_000;

/// How many chunks may be asked about at a time.
const CONCURRENCY: RangeInclusive<usize> = 1..=64;

/// How long a model may take for a chunk, in seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=3600;

/// Tokens of what is written about a chunk, by the embedder: of the context, and of each question.
const CONTEXT_TOKENS: usize = 80;
const QUESTION_TOKENS: usize = 24;

/// `[context]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContextConfig {
    /// Whether a chat model writes about each chunk when it is ingested.
    pub enabled: bool,
    /// The chat model; default: the application's. Another one named here writes all contexts anew.
    pub model: Option<String>,
    /// Whether it says in a sentence or two where in its document a chunk stands.
    pub situate: bool,
    /// How many questions it writes that the chunk answers.
    pub questions: usize,
    /// Tokens of the document that it reads around a chunk.
    pub window_tokens: usize,
    /// How many chunks it is asked about at a time.
    pub concurrency: usize,
    /// The longest wait for one chunk, in seconds.
    pub timeout_seconds: u64,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            model: None,
            situate: true,
            questions: 0,
            window_tokens: 1500,
            concurrency: 4,
            timeout_seconds: 300,
        }
    }
}

impl ContextConfig {
    /// The chat model's name; empty for the application's default.
    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// Tokens, of the `room` that an embedder has for a chunk, that are left for what is written about it.
    pub(crate) fn reserve(&self, room: usize) -> usize {
        if !self.enabled {
            return 0;
        }
        let situating = usize::from(self.situate) * CONTEXT_TOKENS;
        (situating + self.questions * QUESTION_TOKENS).min(room / 2)
    }
}

/// What is wrong with the table.
pub(super) fn problems(context: &ContextConfig) -> Vec<Problem> {
    let mut checks = Checks::of("context");
    checks.within("questions", &context.questions, &QUESTIONS, "a number");
    checks.within(
        "window_tokens",
        &context.window_tokens,
        &WINDOWS,
        "a number",
    );
    checks.within(
        "concurrency",
        &context.concurrency,
        &CONCURRENCY,
        "a number",
    );
    checks.within(
        "timeout_seconds",
        &context.timeout_seconds,
        &TIMEOUTS,
        "a time",
    );
    let mut problems = checks.problems();
    if context.enabled && !context.situate && context.questions == 0 {
        problems.push(Problem {
            path: "context".to_owned(),
            message: "it is enabled, and there is nothing for the model to write".to_owned(),
            help: Some("set `situate = true`, or `questions = 3`, or `enabled = false`".to_owned()),
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert_eq!(problems(&ContextConfig::default()), []);
        for (toml, path) in [
            ("questions = 9", "context.questions"),
            ("window_tokens = 10", "context.window_tokens"),
            ("concurrency = 0", "context.concurrency"),
            ("timeout_seconds = 0", "context.timeout_seconds"),
            ("enabled = true\nsituate = false", "context"),
        ] {
            let config: ContextConfig = toml::from_str(toml).unwrap();
            let paths: Vec<String> = problems(&config).into_iter().map(|p| p.path).collect();
            assert_eq!(paths, [path], "{toml}");
        }
    }
}
