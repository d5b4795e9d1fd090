//! Raw texts that a real model goes on with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]
mod common;

use common::answer;
use praxis_core::chat::Layout;
use praxis_core::{ChatRequest, Message, Sampling};
use praxis_engine::ChatOptions;

#[tokio::test]
async fn a_text_is_gone_on_with_as_it_stands() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let raw = ChatRequest {
        messages: vec![Message::user("1, 2, 3, 4, 5, 6,")],
        layout: Layout::Raw,
        sampling: Sampling {
            temperature: Some(0.0),
            max_tokens: Some(6),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    };
    let chat = ChatRequest {
        layout: Layout::Chat,
        ..raw.clone()
    };
    let counted = [&raw, &chat].map(|request| engine.count_prompt(request).unwrap());
    assert!(
        counted[0] < counted[1],
        "the template adds to it: {counted:?}"
    );
    assert_eq!(counted[1], engine.count_tokens(&chat.messages).unwrap());
    let found = answer(&engine, raw).await;
    assert_eq!(found.usage.input_tokens, counted[0] as u64);
    assert!(found.text.contains('7'), "{:?}", found.text);
}
