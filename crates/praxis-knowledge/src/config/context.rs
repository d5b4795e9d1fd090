//! `[context]`: what a chat model writes about each chunk, for it to be found by. It is off by default, and costs an
//! answer of a chat model for each chunk. Left out: what the model is asked (`ingest::context`).

use std::ops::RangeInclusive;
use std::time::Duration;

use praxis_core::Problem;
use serde::{Deserialize, Serialize};

/// How many questions a model may write for a chunk.
const QUESTIONS: RangeInclusive<usize> = 0..=8;

/// How many tokens of a document a model may read around a chunk.
const WINDOWS: RangeInclusive<usize> = 200..=32_000;

/// How many chunks may be asked about at a time.
const CONCURRENCY: RangeInclusive<usize> = 1..=64;

/// How long a model may take for a chunk, in seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=3600;

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
}

/// What is wrong with the table.
pub(super) fn problems(context: &ContextConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |key: &str, good: bool, value: u64, help: String| {
        if !good {
            problems.push(Problem {
                path: format!("context.{key}"),
                message: format!("`{key}` is {value}"),
                help: Some(help),
            });
        }
    };
    for (key, value, range) in [
        ("questions", context.questions, QUESTIONS),
        ("window_tokens", context.window_tokens, WINDOWS),
        ("concurrency", context.concurrency, CONCURRENCY),
    ] {
        let help = format!(
            "choose a number between {} and {}",
            range.start(),
            range.end()
        );
        check(key, range.contains(&value), value as u64, help);
    }
    let help = format!(
        "choose a time between {} and {}",
        TIMEOUTS.start(),
        TIMEOUTS.end()
    );
    let seconds = context.timeout_seconds;
    check(
        "timeout_seconds",
        TIMEOUTS.contains(&seconds),
        seconds,
        help,
    );
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
