//! What is left out of a conversation that does not fit the model's window, where the request lets it
//! (`truncation: "auto"`): whole turns, the oldest first, and the trace says which. Where nothing helps, the model says
//! that the prompt is too long, in its own words.

use praxis_core::tokens::estimate;
use praxis_core::{CallContext, ChatGateway, Message, SpanKind, TokenCount, ToolSpec};
use praxis_function::hygiene::{Policy, Room, fit};
use serde_json::json;

/// Room for an answer where the request sets no limit.
const ANSWER: usize = 512;

/// What a conversation has to fit beside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub model: &'a str,
    pub tools: &'a [ToolSpec],
    /// The most tokens of the answer.
    pub answer: Option<u32>,
}

/// The messages that fit.
pub(crate) async fn fitting(
    messages: &[Message],
    beside: Beside<'_>,
    chat: &dyn ChatGateway,
    cx: &CallContext,
) -> Vec<Message> {
    let Some(window) = chat.window(beside.model) else {
        return messages.to_vec();
    };
    let answer = beside
        .answer
        .and_then(|tokens| usize::try_from(tokens).ok())
        .unwrap_or(ANSWER.min(window / 4));
    let tools = of_tools(beside.tools);
    // An estimate is seldom wrong by half: what is far from the window is not counted.
    if TokenCount::estimate(messages).total() * 2 + answer + tools <= window {
        return messages.to_vec();
    }
    let Ok(count) = chat.count_tokens(beside.model, messages).await else {
        return messages.to_vec();
    };
    let room = Room {
        window: window.saturating_sub(count.frame),
        answer,
        tools,
    };
    let Ok(fitted) = fit(messages, &count.messages, room, Policy::OldestFirst) else {
        return messages.to_vec();
    };
    let kept = fitted.messages(messages);
    if let Some(report) = fitted.report() {
        let (span, _) = cx.span(SpanKind::Step, "history", report);
        span.finish(json!({ "messages": kept.len() }));
    }
    kept
}

/// About how many tokens tools take in a prompt.
pub(crate) fn of_tools(tools: &[ToolSpec]) -> usize {
    tools
        .iter()
        .map(|tool| estimate(&json!(tool).to_string()))
        .sum()
}
