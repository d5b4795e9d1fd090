//! Greedy answers to prompts, token by token, one line of JSON: what `scripts/bench/greedy.py` compares
//! with the choices of llama.cpp at the same places. `make bench-engine` runs both.
//!
//! usage: greedy MODEL.gguf PROMPTS.txt ANSWER_TOKENS     (PROMPTS.txt: one prompt a line)

use std::error::Error;
use std::io::Write;
use std::path::Path;

use praxis_core::chat::collect;
use praxis_core::{ChatModel, ChatRequest, Message, Sampling};
use praxis_engine::{ChatEngine, ChatOptions};
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: greedy MODEL.gguf PROMPTS.txt ANSWER_TOKENS";
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or(usage);
    let (model, prompts, most) = (next()?, next()?, next()?.parse()?);
    let engine = ChatEngine::load(Path::new(&model), ChatOptions::default())?;
    let mut answers = Vec::new();
    for prompt in std::fs::read_to_string(prompts)?.lines() {
        let messages = vec![Message::user(prompt)];
        let tokens = engine.prompt_tokens(&messages)?;
        let request = ChatRequest {
            messages,
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(most),
                ..Sampling::default()
            },
            top_logprobs: Some(0),
            ..ChatRequest::default()
        };
        let answer = collect(engine.chat(request, CancellationToken::new()).await?).await?;
        let pieces: Vec<_> = answer.logprobs.iter().map(|t| &t.bytes).collect();
        answers.push(json!({ "prompt": tokens, "answer": pieces }));
    }
    writeln!(std::io::stdout(), "{}", json!({ "answers": answers }))?;
    Ok(())
}
