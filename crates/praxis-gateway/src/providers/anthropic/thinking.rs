//! How a model is told how long to think (Claude documentation, "Thinking", "Extended thinking", "Effort", and the
//! models' migration guides).
//!
//! Three generations want three things: models before 4.6, and what is no Claude, a budget of tokens; those from 4.6
//! on an effort, with thinking that adapts to it; those from 5.0 on think unasked. Which one it is, the model's name
//! says. Left out: budgets of whole tasks, effort of single messages.

use praxis_core::chat::ReasoningEffort;
use serde_json::{Value, json};

use crate::providers::claude::{self, Version, version};

/// The version of a Claude whose name has none: no older one has such a name.
const NEWEST: (u32, u32) = (u32::MAX, 0);

/// The smallest budget that the API takes.
const SMALLEST_BUDGET: u32 = 1024;

/// How a model is kept from thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Off {
    /// By saying nothing.
    Unsaid,
    /// By this type of thinking.
    Said(&'static str),
    /// Not at all: it can only be asked to think little.
    Never,
}

/// What is known of how a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mind {
    /// It thinks within a budget, and knows no effort.
    budget: bool,
    /// It thinks where nobody asks for it.
    unasked: bool,
    off: Off,
    /// That of its name; none for what is no Claude, too.
    version: Option<Version>,
    /// Whether it takes `temperature`, `top_p` and `top_k`; none of them while it thinks.
    pub sampled: bool,
    /// Whether it takes `temperature` and `top_p` at once.
    pub both: bool,
}

/// What decides about thinking, beside the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub effort: Option<ReasoningEffort>,
    pub max_tokens: u32,
    /// Whether tools have to be called.
    pub forced: bool,
    /// Whether what the model thought in its turn so far is there, or nothing came of it yet.
    pub whole: bool,
}

/// What the model is told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub thinking: Option<Value>,
    pub effort: Option<&'static str>,
    /// Whether it is not what was asked for.
    pub otherwise: bool,
}

impl Mind {
    /// That of the model with this name.
    pub(super) fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let Some(claude) = name.find("claude").and_then(|at| name.get(at..)) else {
            // Another server that speaks this API: what all of them take.
            return Self {
                budget: true,
                unasked: false,
                off: Off::Unsaid,
                version: None,
                sampled: true,
                both: true,
            };
        };
        let named = version(claude);
        let version = named.unwrap_or(NEWEST);
        let is = |family: &str| claude.contains(family);
        Self {
            budget: version < (4, 6),
            unasked: version >= (5, 0),
            off: match version {
                _ if version < (5, 0) => Off::Unsaid,
                (5, 0) if is("opus") || is("sonnet") => Off::Said("disabled"),
                (5, 5) if is("haiku") => Off::Said("disabled"),
                (5, 5) if is("sonnet") => Off::Said("between_tools"),
                _ => Off::Never,
            },
            version: named,
            sampled: version < (4, 7),
            both: false,
        }
    }

    /// What to tell it.
    pub(super) fn tell(&self, asked: Asked) -> Told {
        // The same as nothing for those that think unasked, but that thoughts come as they are thought: without
        // them a long one would look like a model that does not answer.
        let adaptive = || Some(json!({ "type": "adaptive", "display": "summarized" }));
        let Some(effort) = asked.effort else {
            return Told {
                thinking: adaptive().filter(|_| self.unasked),
                ..Told::default()
            };
        };
        match (effort, self.off) {
            (ReasoningEffort::None, Off::Unsaid) => Told::default(),
            (ReasoningEffort::None, Off::Said(word)) => Told {
                thinking: Some(json!({ "type": word })),
                ..Told::default()
            },
            (ReasoningEffort::None, Off::Never) => Told {
                thinking: adaptive(),
                effort: Some("low"),
                otherwise: true,
            },
            _ if self.budget => {
                // A budget goes neither with a call that is forced nor with a turn that began without thoughts.
                let possible = asked.whole && !asked.forced;
                let budget = budget(effort, asked.max_tokens).filter(|_| possible);
                Told {
                    thinking: budget.map(|n| json!({ "type": "enabled", "budget_tokens": n })),
                    effort: None,
                    otherwise: budget.is_none(),
                }
            }
            _ => Told {
                thinking: adaptive(),
                effort: Some(claude::effort(self.version, effort)),
                otherwise: false,
            },
        }
    }
}

/// Tokens to think with, of which the API wants fewer than the answer may have: a quarter is left for the answer
/// itself. `None` where that is too little to think.
fn budget(effort: ReasoningEffort, max_tokens: u32) -> Option<u32> {
    let wanted = match effort {
        ReasoningEffort::None => 0,
        ReasoningEffort::Minimal => SMALLEST_BUDGET,
        ReasoningEffort::Low => 4 << 10,
        ReasoningEffort::Medium => 8 << 10,
        ReasoningEffort::High => 16 << 10,
        ReasoningEffort::XHigh | ReasoningEffort::Max => 32 << 10,
    };
    Some(wanted.min(max_tokens / 4 * 3)).filter(|n| *n >= SMALLEST_BUDGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(effort: Option<ReasoningEffort>) -> Asked {
        Asked {
            effort,
            max_tokens: 32_000,
            forced: false,
            whole: true,
        }
    }

    #[test]
    fn a_name_says_which_generation_a_model_is_of() {
        for (name, expected) in [
            ("claude-opus-4-5-20251101", Some((4, 5))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-4.7-opus", Some((4, 7))),
            ("claude-sonnet-4-5@20250929", Some((4, 5))),
            ("claude-opus-4-6-v1:0", Some((4, 6))),
            ("claude-opus-5", Some((5, 0))),
            ("claude-haiku-5-5[1m]", Some((5, 5))),
            ("claude-mythos-preview", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
        for name in ["anthropic/Claude-Opus-4.8", "us.anthropic.claude-opus-4-8"] {
            assert_eq!(Mind::of(name), Mind::of("claude-opus-4-8"));
        }
    }

    #[test]
    fn each_generation_is_told_how_long_to_think_in_its_own_words() {
        use ReasoningEffort::{High, Low, Minimal, None as Off, XHigh};
        let adaptive = json!({"type": "adaptive", "display": "summarized"});
        let budget = |n: u32| json!({"type": "enabled", "budget_tokens": n});
        let said = |word: &str| json!({ "type": word });
        for (model, effort, thinking, level, otherwise) in [
            ("claude-haiku-4-5", None, None, None, false),
            ("claude-haiku-4-5", Some(Off), None, None, false),
            (
                "claude-haiku-4-5",
                Some(Minimal),
                Some(budget(1024)),
                None,
                false,
            ),
            (
                "claude-haiku-4-5",
                Some(XHigh),
                Some(budget(24_000)),
                None,
                false,
            ),
            ("glm-5", Some(Low), Some(budget(4096)), None, false),
            ("claude-sonnet-4-6", None, None, None, false),
            ("claude-sonnet-4-6", Some(Off), None, None, false),
            (
                "claude-sonnet-4-6",
                Some(XHigh),
                Some(adaptive.clone()),
                Some("max"),
                false,
            ),
            (
                "claude-opus-4-8",
                Some(Minimal),
                Some(adaptive.clone()),
                Some("low"),
                false,
            ),
            (
                "claude-opus-4-8",
                Some(XHigh),
                Some(adaptive.clone()),
                Some("xhigh"),
                false,
            ),
            ("claude-sonnet-5", None, Some(adaptive.clone()), None, false),
            (
                "claude-sonnet-5",
                Some(Off),
                Some(said("disabled")),
                None,
                false,
            ),
            (
                "claude-haiku-5-5",
                Some(Off),
                Some(said("disabled")),
                None,
                false,
            ),
            (
                "claude-sonnet-5-5",
                Some(Off),
                Some(said("between_tools")),
                None,
                false,
            ),
            (
                "claude-opus-5-5",
                Some(High),
                Some(adaptive.clone()),
                Some("high"),
                false,
            ),
            (
                "claude-opus-5-5",
                Some(Off),
                Some(adaptive.clone()),
                Some("low"),
                true,
            ),
            (
                "claude-fable-5",
                Some(Off),
                Some(adaptive.clone()),
                Some("low"),
                true,
            ),
            (
                "claude-mythos-preview",
                Some(XHigh),
                Some(adaptive.clone()),
                Some("max"),
                false,
            ),
        ] {
            let told = Told {
                thinking,
                effort: level,
                otherwise,
            };
            assert_eq!(
                Mind::of(model).tell(asked(effort)),
                told,
                "{model} {effort:?}"
            );
        }
    }

    #[test]
    fn a_budget_is_given_only_where_it_can_be() {
        let mind = Mind::of("claude-sonnet-4-5");
        let none = Told {
            otherwise: true,
            ..Told::default()
        };
        let high = asked(Some(ReasoningEffort::High));
        for refused in [
            Asked {
                forced: true,
                ..high
            },
            Asked {
                whole: false,
                ..high
            },
            Asked {
                max_tokens: 1024,
                ..high
            },
        ] {
            assert_eq!(mind.tell(refused), none, "{refused:?}");
        }
        let short = Asked {
            max_tokens: 4000,
            ..high
        };
        let thinking = mind.tell(short).thinking.unwrap();
        assert_eq!(thinking["budget_tokens"], 3000);
        // Thinking that adapts goes with all of it.
        let forced = Asked {
            forced: true,
            whole: false,
            ..high
        };
        assert!(!Mind::of("claude-opus-4-8").tell(forced).otherwise);
    }
}
