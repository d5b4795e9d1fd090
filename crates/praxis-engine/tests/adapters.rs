//! What callers rely on of adapters: answers with several beside each other, nothing shared that must
//! not be, and changes while the engine runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]
mod common;

use std::path::Path;

use common::adapters::{SMOLLM2, peft_config, peft_tensors, random, write_peft};
use futures::StreamExt;
use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{ChatChunk, ChatModel, ChatRequest, Message, Sampling};
use praxis_engine::{ChatEngine, ChatOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A request for the likeliest tokens and their probabilities, with a system prompt of some blocks.
fn request(text: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        messages: vec![
            Message::system("You are a careful assistant. ".repeat(40)),
            Message::user(text),
        ],
        sampling: Sampling {
            temperature: Some(0.0),
            max_tokens: Some(max_tokens),
            ..Sampling::default()
        },
        top_logprobs: Some(2),
        ..ChatRequest::default()
    }
}

async fn answer(engine: &ChatEngine, text: &str) -> ChatAnswer {
    common::answer(engine, request(text, 24)).await
}

/// Text and probabilities, to the bit.
fn bits(answer: &ChatAnswer) -> (String, Vec<u32>) {
    let logprobs = answer.logprobs.iter().map(|l| l.logprob.to_bits());
    (answer.text.clone(), logprobs.collect())
}

fn adapter(folder: &Path, rank: usize, seed: u64) -> std::path::PathBuf {
    let tensors = peft_tensors(&random(&SMOLLM2, rank, seed));
    write_peft(folder, &peft_config(rank, rank as f64), &tensors)
}

#[tokio::test]
async fn adapters_and_the_bare_model_answer_together_what_they_answer_alone() {
    let Some(base) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let engines = [
        base.clone(),
        base.with_adapter(&adapter(&folder.path().join("a"), 4, 1))
            .unwrap(),
        base.with_adapter(&adapter(&folder.path().join("b"), 8, 2))
            .unwrap(),
    ];
    assert_eq!(base.adapter_bytes(), 0);
    assert_eq!(engines[2].adapter_bytes(), 2 * engines[1].adapter_bytes());
    let questions = ["What is Rust?", "Who wrote Faust?"];
    let mut together = Vec::new();
    for question in questions {
        for engine in &engines {
            let engine = engine.clone();
            together.push(tokio::spawn(async move { answer(&engine, question).await }));
        }
    }
    let mut together_bits = Vec::new();
    for task in together {
        together_bits.push(bits(&task.await.unwrap()));
    }
    let fresh = common::smollm2(ChatOptions::default()).unwrap();
    let fresh = [
        fresh.clone(),
        fresh.with_adapter(&folder.path().join("a")).unwrap(),
        fresh.with_adapter(&folder.path().join("b")).unwrap(),
    ];
    let mut together_bits = together_bits.into_iter();
    for question in questions {
        let mut texts = Vec::new();
        for engine in &fresh {
            let alone = answer(engine, question).await;
            assert_eq!(together_bits.next().unwrap(), bits(&alone));
            texts.push(alone.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 3, "adapters change the answer");
    }
}

#[tokio::test]
async fn what_one_adapter_computed_of_a_prompt_no_other_reuses() {
    let Some(base) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let adapted = base.with_adapter(&adapter(folder.path(), 4, 1)).unwrap();
    let again = base.with_adapter(folder.path()).unwrap();
    let mut texts = Vec::new();
    for engine in [&base, &adapted, &again] {
        let first = answer(engine, "What is Rust?").await;
        assert_eq!(first.usage.cached_tokens, 0);
        let second = answer(engine, "What is Rust?").await;
        assert_eq!(
            second.usage.cached_tokens,
            second.usage.input_tokens - 1,
            "its own beginnings it reuses"
        );
        assert_eq!(bits(&first), bits(&second));
        texts.push(first.text);
    }
    assert_ne!(texts[0], texts[1]);
    assert_eq!(texts[1], texts[2], "the same file loaded again");
}

#[tokio::test]
async fn an_adapter_is_exchanged_while_answers_are_being_given() {
    let Some(base) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let old = base.with_adapter(&adapter(folder.path(), 4, 1)).unwrap();
    let expected = answer(&old, "Tell me a story.").await;
    let mut running = old
        .chat(request("Tell me a story.", 24), CancellationToken::new())
        .await
        .unwrap();
    let Some(Ok(ChatChunk::Delta { text: begun, .. })) = running.next().await else {
        panic!("it answers");
    };
    drop(old);
    let new = base.with_adapter(&adapter(folder.path(), 6, 9)).unwrap();
    let (rest, other) = tokio::join!(collect(running), answer(&new, "Tell me a story."));
    assert_eq!(begun + &rest.unwrap().text, expected.text);
    assert_ne!(other.text, expected.text);
}
