//! Which models think before they answer where nobody asks them to, by their names. It decides how long the first token is
//! waited for and what is charged for an answer that breaks off, so a model that is taken for one that thinks costs
//! patience, and one that is not recognized has to be given a `reasoning_effort`.

use super::claude::version;

/// What such names begin with, without who made the model.
const BEGIN: &[&str] = &[
    "deepseek-r1",
    "deepseek-reasoner",
    "deepseek.r1",
    "gemini-2.5",
    "gemini-3",
    "gemini-4",
    "glm-4.5",
    "glm-4.6",
    "glm-4.7",
    "glm-5",
    "gpt-5",
    "gpt-6",
    "gpt-oss",
    "grok-3-mini",
    "grok-4",
    "kimi-k3",
    "magistral",
    "o1",
    "o3",
    "o4-mini",
    "qwen3",
    "qwq",
];

/// What is within the name of a model that does not, though its family does.
const NOT: &[&str] = &["-chat", "instruct", "non-reasoning", "no-think"];

/// Whether a model of this name thinks unasked.
pub(crate) fn thinks(model: &str) -> bool {
    let name = model.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or(&name);
    if name.contains("claude") {
        // From 5.0 on (`anthropic::thinking`).
        return version(name).is_some_and(|version| version >= (5, 0));
    }
    if NOT.iter().any(|part| name.contains(part)) {
        return false;
    }
    // At Amazon Bedrock the maker and the region stand before the name.
    let begins = |at: usize| {
        let before = name.get(..at).unwrap_or_default();
        before.is_empty() || before.ends_with('.')
    };
    let has = |start: &&str| name.match_indices(*start).any(|(at, _)| begins(at));
    name.contains("thinking") || name.contains("reasoning") || BEGIN.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_think_are_known_by_their_names() {
        for (model, expected) in [
            ("gpt-4o-mini", false),
            ("gpt-5-mini", true),
            ("gpt-5.3-chat-latest", false),
            ("openai/gpt-oss-120b", true),
            ("o3", true),
            ("o4-mini-2025-04-16", true),
            ("omni-moderation", false),
            ("claude-sonnet-4-5", false),
            ("claude-opus-5-5", true),
            ("us.anthropic.claude-sonnet-5-v1:0", true),
            ("deepseek-chat", false),
            ("deepseek-reasoner", true),
            ("us.deepseek.r1-v1:0", true),
            ("kimi-k2-thinking", true),
            ("Qwen/Qwen3-8B", true),
            ("Qwen/Qwen3-30B-A3B-Instruct-2507", false),
            ("gemini-2.0-flash", false),
            ("gemini-2.5-pro", true),
            ("some-model", false),
        ] {
            assert_eq!(thinks(model), expected, "{model}");
        }
    }
}
