//! The chat engine on one of candle's devices: the GPU where there is one, else its CPU.

use futures::StreamExt;
use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{
    ChatChunk, ChatModel, ChatRequest, Constraint, FinishReason, Message, ModelError,
};
use tokio_util::sync::CancellationToken;

use super::PIECE;
use crate::decoder::tests::model;
use crate::{ChatEngine, ChatOptions, EngineError};

fn engine(queue: usize) -> Option<ChatEngine> {
    let options = ChatOptions {
        context_length: Some(1024),
        queue,
        ..ChatOptions::default()
    };
    let path = model("smollm2-135m-instruct")?;
    let device = crate::gpu::tests::devices().pop()?;
    Some(ChatEngine::load_onto(&path, &options, &device).unwrap())
}

fn request(question: &str, most: u32) -> ChatRequest {
    let mut request = ChatRequest {
        messages: vec![Message::user(question)],
        ..ChatRequest::default()
    };
    request.sampling.temperature = Some(0.0);
    request.sampling.max_tokens = Some(most);
    request
}

async fn answer(engine: &ChatEngine, request: ChatRequest) -> ChatAnswer {
    let stream = engine.chat(request, CancellationToken::new()).await;
    collect(stream.unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_answer_is_streamed_sampled_and_held_to_its_constraint() {
    let Some(engine) = engine(4) else {
        return;
    };
    let question = request("What is the capital of France?", 12);
    let mut stream = engine
        .chat(question.clone(), CancellationToken::new())
        .await
        .unwrap();
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(chunk) = stream.next().await {
        if let ChatChunk::Delta { text: more, .. } = chunk.unwrap() {
            text.push_str(&more);
            pieces += 1;
        }
    }
    assert!(!text.is_empty() && pieces > 3, "{text}: {pieces}");

    let mut seeded = question.clone();
    seeded.sampling.temperature = Some(1.0);
    seeded.sampling.seed = Some(7);
    seeded.top_logprobs = Some(2);
    let first = answer(&engine, seeded.clone()).await;
    assert_eq!(first.text, answer(&engine, seeded).await.text);
    assert_eq!(first.logprobs.len() as u64, first.usage.output_tokens);

    let mut held = question;
    held.constraint = Some(Constraint::JsonSchema(serde_json::json!({
        "type": "object",
        "properties": { "city": { "enum": ["Paris", "Lyon"] } },
        "required": ["city"],
        "additionalProperties": false
    })));
    held.sampling.max_tokens = Some(64);
    let held = answer(&engine, held).await;
    assert_eq!(held.finish_reason, FinishReason::Stop);
    assert!(held.usage.forced_tokens > 0);
    let value: serde_json::Value = serde_json::from_str(&held.text).unwrap();
    assert!(["Paris", "Lyon"].contains(&value["city"].as_str().unwrap()));
}

#[tokio::test]
async fn what_prompts_begin_with_is_read_once() {
    let Some(engine) = engine(4) else {
        return;
    };
    let long = "The harbour master counts the boats every evening. ".repeat(6);
    let ask = |end: &str| request(&format!("{long}{end}"), 6);
    let first = answer(&engine, ask("How many are there?")).await;
    assert_eq!(first.usage.cached_tokens, 0);
    let again = answer(&engine, ask("How many are there?")).await;
    assert!(again.usage.cached_tokens as usize >= PIECE);
    assert_eq!(again.usage.cached_tokens as usize % PIECE, 0);
    assert_eq!(again.text, first.text);
    let other = answer(&engine, ask("Who counts?")).await;
    assert_eq!(other.usage.cached_tokens, again.usage.cached_tokens);
    let short = answer(&engine, request("Hi", 2)).await;
    assert_eq!(short.usage.cached_tokens, 0);
}

#[tokio::test]
async fn requests_wait_in_a_bounded_queue_and_can_be_cancelled() {
    let Some(engine) = engine(1) else {
        return;
    };
    let cancel = CancellationToken::new();
    let endless = request("Count to one thousand.", 900);
    let mut running = engine.chat(endless, cancel.clone()).await.unwrap();
    assert!(matches!(
        running.next().await,
        Some(Ok(ChatChunk::Delta { .. }))
    ));
    let waiting = engine
        .chat(request("Hi", 2), CancellationToken::new())
        .await
        .unwrap();
    let refused = engine.chat(request("Hi", 2), CancellationToken::new());
    assert!(matches!(
        refused.await.err(),
        Some(ModelError::RateLimited { .. })
    ));
    cancel.cancel();
    let last = running.collect::<Vec<_>>().await.pop().unwrap();
    assert!(matches!(last, Err(ModelError::Cancelled)));
    // The one that waited is answered, since the worker noticed.
    let answer = collect(waiting).await.unwrap();
    assert!(answer.usage.output_tokens <= 2);
}

#[test]
fn an_adapter_is_refused_with_the_way_out() {
    let Some(engine) = engine(1) else {
        return;
    };
    match engine.with_adapter(std::path::Path::new("adapter.gguf")) {
        Err(EngineError::Gpu(problem)) => assert!(problem.contains("device = \"cpu\"")),
        other => panic!("{other:?}"),
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_says_so() {
    let options = ChatOptions {
        device: crate::Device::Cuda,
        ..ChatOptions::default()
    };
    let error = ChatEngine::load(std::path::Path::new("absent.gguf"), options).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("--features cuda"), "{message}");
    assert!(message.contains("device = \"cpu\""), "{message}");
}
