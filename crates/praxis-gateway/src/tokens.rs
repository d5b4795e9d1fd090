//! Token counts where no tokenizer is at hand, in the types of usage: for providers that report
//! none, and for segmentation with a remote embedder.

use praxis_core::tokens::TokenCount;
use praxis_core::{Message, ToolCalls, tokens};

/// About how many tokens a text has.
pub(crate) fn estimate(text: &str) -> u64 {
    tokens::estimate(text) as u64
}

/// About how many tokens a model wrote to call tools.
pub(crate) fn estimate_calls(calls: &ToolCalls) -> u64 {
    let calls = calls.as_slice().iter();
    calls
        .map(|call| estimate(&call.name) + estimate(&call.arguments))
        .sum()
}

/// About how many tokens a conversation has as a prompt.
pub(crate) fn estimate_prompt(messages: &[Message]) -> u64 {
    TokenCount::estimate(messages).total() as u64
}

/// The beginning of a text that has at most about `tokens`.
pub(crate) fn cut(text: &str, tokens: u64) -> &str {
    tokens::cut(text, usize::try_from(tokens).unwrap_or(usize::MAX))
}
