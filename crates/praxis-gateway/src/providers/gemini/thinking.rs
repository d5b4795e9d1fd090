//! How long a model thinks ("Gemini thinking"), which models of each generation are told in words of their own.

use praxis_core::chat::ReasoningEffort;
use serde_json::{Value, json};

/// How a model is told how long to think, by its name: `gemini-2.5` takes tokens, each older one and those of other
/// families nothing, each later one a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking<'a> {
    Budget(&'a str),
    Level(&'a str),
    Never,
}

/// What the names of models begin with that take the level `MINIMAL`, beside those called `flash-lite`. All take
/// `LOW`, and refuse a level that they do not know ("Gemini thinking", the table of levels).
const MINIMAL: [&str; 3] = ["gemini-3-flash", "gemini-3.5-flash", "gemini-3.6-flash"];

impl<'a> Thinking<'a> {
    pub(super) fn of(model: &'a str) -> Self {
        let model = model.rsplit('/').next().unwrap_or(model);
        let old = model.starts_with("gemini-2.0") || model.starts_with("gemini-1.");
        if model.starts_with("gemini-2.5") {
            Self::Budget(model)
        } else if old || !model.starts_with("gemini-") {
            Self::Never
        } else {
            Self::Level(model)
        }
    }

    /// Whether the model refuses calls of its own that come back without a signature ("Thought signatures").
    pub(super) fn signs(self) -> bool {
        matches!(self, Self::Level(_))
    }

    /// What makes the model think so long, and tell what it thinks.
    pub(super) fn config(self, effort: ReasoningEffort) -> Option<Value> {
        match self {
            Self::Never => None,
            // A budget of nothing does not go with thoughts that are told.
            Self::Budget(model) => Some(match budget(model, effort) {
                0 => json!({ "thinkingBudget": 0 }),
                tokens => json!({ "includeThoughts": true, "thinkingBudget": tokens }),
            }),
            Self::Level(model) => {
                Some(json!({ "includeThoughts": true, "thinkingLevel": level(model, effort) }))
            }
        }
    }
}

/// Tokens to think with: what Google's OpenAI-compatible API makes of an effort ("OpenAI compatibility"). The Pro model
/// cannot do without, and takes more than the others.
fn budget(model: &str, effort: ReasoningEffort) -> u32 {
    let pro = model.contains("-pro");
    match effort {
        ReasoningEffort::None if pro => 128,
        ReasoningEffort::None => 0,
        ReasoningEffort::Minimal | ReasoningEffort::Low => 1024,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::XHigh | ReasoningEffort::Max if pro => 32768,
        ReasoningEffort::High | ReasoningEffort::XHigh | ReasoningEffort::Max => 24576,
    }
}

/// The level of an effort. Models with levels always think: the least of them stands for not at all.
fn level(model: &str, effort: ReasoningEffort) -> &'static str {
    let takes_minimal =
        model.contains("flash-lite") || MINIMAL.iter().any(|start| model.starts_with(start));
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal if takes_minimal => "MINIMAL",
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "LOW",
        ReasoningEffort::Medium => "MEDIUM",
        ReasoningEffort::High | ReasoningEffort::XHigh | ReasoningEffort::Max => "HIGH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_follows_the_model_s_name() {
        use ReasoningEffort::{Low, Medium, Minimal, None as No, XHigh};
        let budget = |tokens: u32| json!({ "includeThoughts": true, "thinkingBudget": tokens });
        let level = |level: &str| json!({ "includeThoughts": true, "thinkingLevel": level });
        for (model, effort, expected) in [
            ("gemini-2.5-flash", No, json!({ "thinkingBudget": 0 })),
            ("gemini-2.5-flash", Minimal, budget(1024)),
            ("gemini-2.5-flash-lite", Medium, budget(8192)),
            ("gemini-2.5-flash", XHigh, budget(24576)),
            ("gemini-2.5-pro", No, budget(128)),
            ("models/gemini-2.5-pro", XHigh, budget(32768)),
            ("gemini-3-flash-preview", No, level("MINIMAL")),
            ("gemini-3.1-flash-lite", Minimal, level("MINIMAL")),
            ("gemini-3.1-pro-preview", Minimal, level("LOW")),
            ("gemini-3.7-flash", No, level("LOW")),
            ("gemini-3.7-flash", Low, level("LOW")),
            ("gemini-flash-latest", Medium, level("MEDIUM")),
            ("models/gemini-3-flash-preview", XHigh, level("HIGH")),
        ] {
            let thinking = Thinking::of(model);
            assert_eq!(
                thinking.config(effort),
                Some(expected),
                "{model} {effort:?}"
            );
            assert_eq!(thinking.signs(), !model.contains("gemini-2.5"), "{model}");
        }
        for model in ["gemini-2.0-flash", "gemini-1.5-pro", "gemma-3-27b-it", ""] {
            assert_eq!(Thinking::of(model).config(Medium), None, "{model}");
        }
    }
}
