//! How much of the prompts that are compared is the same in each call: the beginning that providers and the engine read
//! from their caches, and what ends it.

use std::sync::Arc;

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Caller};
use praxis_function::{PromptFunction, StablePrefix};
use serde_json::{Value, json};

use super::cases::Case;

/// Of each variant what two cases have in common, the first and the next that differs; nothing where there are no such
/// two, and of variants that cannot be laid out.
pub async fn of(
    variants: &[(&str, &PromptFunction)],
    cases: &[Case],
) -> Vec<(String, StablePrefix)> {
    let Some(first) = cases.first() else {
        return Vec::new();
    };
    let Some(other) = cases.iter().find(|case| case.input != first.input) else {
        return Vec::new();
    };
    let cx = CallContext::new(Arc::new(NoTrace)).with_caller(Caller::full());
    let mut found = Vec::new();
    for (name, function) in variants {
        let prefix = function.stable_prefix(&first.input, &other.input, &cx);
        if let Ok(prefix) = prefix.await {
            found.push(((*name).to_owned(), prefix));
        }
    }
    found
}

/// What is said of a variant's.
pub fn note(variant: &str, prefix: &StablePrefix) -> String {
    let StablePrefix {
        tokens,
        total,
        breaks_at,
    } = prefix;
    match breaks_at {
        Some(name) => format!(
            "{variant}: about {tokens} of {total} tokens of the prompt are the same in each call, up to `{name}`"
        ),
        None => format!("{variant}: all of the prompt's about {total} tokens are the same"),
    }
}

/// The same for programs, by variant.
pub fn shown(prefixes: &[(String, StablePrefix)]) -> Value {
    let entry = |(name, prefix): &(String, StablePrefix)| (name.clone(), json!(prefix));
    Value::Object(prefixes.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_told_with_what_ends_it() {
        let prefix = |breaks_at: Option<&str>| StablePrefix {
            tokens: 120,
            total: 480,
            breaks_at: breaks_at.map(str::to_owned),
        };
        assert_eq!(
            note("base", &prefix(Some("question"))),
            "base: about 120 of 480 tokens of the prompt are the same in each call, up to `question`"
        );
        assert!(note("base", &prefix(None)).starts_with("base: all of"));
        let shown = shown(&[("base".to_owned(), prefix(Some("question")))]);
        let wanted = json!({"base": {"tokens": 120, "total": 480, "breaks_at": "question"}});
        assert_eq!(shown, wanted);
    }
}
