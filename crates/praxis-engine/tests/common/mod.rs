//! Where the models of tests are: the cache that `praxis models pull` fills; and adapters for them.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "helpers of tests")]

pub mod adapters;
pub mod models;

use std::path::PathBuf;

use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{ChatModel, ChatRequest};
use praxis_engine::{ChatEngine, ChatOptions};
use tokio_util::sync::CancellationToken;

/// The GGUF file of a pulled model.
pub fn model(name: &str) -> Option<PathBuf> {
    models::model_file(name, "model.gguf")
}

/// The small chat model, loaded with some options.
#[allow(
    dead_code,
    reason = "each test binary compiles this module, not all use all of it"
)]
pub fn smollm2(options: ChatOptions) -> Option<ChatEngine> {
    let path = model("smollm2-135m-instruct")?;
    Some(ChatEngine::load(&path, options).expect("the model loads"))
}

/// The whole answer to a request.
#[allow(
    dead_code,
    reason = "each test binary compiles this module, not all use all of it"
)]
pub async fn answer(engine: &ChatEngine, request: ChatRequest) -> ChatAnswer {
    let stream = engine
        .chat(request, CancellationToken::new())
        .await
        .expect("accepted");
    collect(stream).await.expect("answered")
}
