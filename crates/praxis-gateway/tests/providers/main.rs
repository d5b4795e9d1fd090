//! Each provider through the gateway: what is sent, to the byte of the JSON, and what a caller sees of the answer.
//! The fixtures say where they come from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

#[path = "../support/mod.rs"]
mod support;

mod anthropic;
#[cfg(feature = "bedrock")]
mod bedrock;
mod compatible;
mod gemini;
mod responses;

use std::sync::Arc;

use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{ChatGateway, ChatRequest, Message, ModelError, Span};
use support::{Exchange, Replay, Spans, gateway};

/// What came of a request.
struct Outcome {
    answer: Result<ChatAnswer, ModelError>,
    span: Span,
}

/// Asks `m`, which `model` declares: the lines of `[models.m]` behind its heading, with `URL` for the server.
async fn ask(model: &str, exchanges: Vec<Exchange>, request: ChatRequest) -> Outcome {
    let server = Replay::start(exchanges).await;
    let toml = format!("[models.m]\nmax_retries = 0\n{model}");
    let gateway = gateway(&toml, &server.url);
    let spans = Arc::new(Spans::default());
    let answer = match gateway.chat(request, &spans.context()).await {
        Ok(stream) => collect(stream).await,
        Err(error) => Err(error),
    };
    server.finish();
    Outcome {
        answer,
        span: spans.only(),
    }
}

/// A question to `m`.
fn question(text: &str) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message::user(text)],
        ..ChatRequest::default()
    }
}
