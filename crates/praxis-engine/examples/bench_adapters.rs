//! Measures what LoRA adapters cost SmolLM2: `bench_adapters MODEL.gguf [RANK]` prints one line of JSON
//! for each number of requests, of those without an adapter (`bare`), and of different adapters that the
//! others have. The adapters have no effect (their second matrices are zero), so that all runs compute
//! the same tokens.

#![allow(clippy::unwrap_used, reason = "shared with tests: writing adapters")]

#[path = "../tests/common/adapters.rs"]
mod adapters;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use adapters::{SMOLLM2, peft_config, peft_tensors, random, write_peft};
use futures::StreamExt;
use futures::future::try_join_all;
use praxis_core::{ChatChunk, ChatModel, ChatRequest, Message, ModelError, Sampling};
use praxis_engine::{ChatEngine, ChatOptions};
use tokio_util::sync::CancellationToken;

const ANSWER: u32 = 128;
const RUNS: usize = 3;

/// When the first and the last token of an answer came, and how many there were.
async fn answer(engine: &ChatEngine, text: String) -> Result<(Instant, Instant, u64), ModelError> {
    let request = ChatRequest {
        messages: vec![Message::user(text)],
        sampling: Sampling {
            temperature: Some(1.0),
            seed: Some(7),
            max_tokens: Some(ANSWER),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    };
    let mut stream = engine.chat(request, CancellationToken::new()).await?;
    let (mut first, mut tokens) = (None, 0);
    while let Some(chunk) = stream.next().await {
        first.get_or_insert_with(Instant::now);
        if let ChatChunk::Done { usage, .. } = chunk? {
            tokens = usage.output_tokens;
        }
    }
    let last = Instant::now();
    Ok((first.unwrap_or(last), last, tokens))
}

/// The best of some runs: prompt tokens and answer tokens a second, of all requests together.
async fn measure(engines: &[&ChatEngine], salt: &str) -> Result<(f64, f64), Box<dyn Error>> {
    let (mut prefill, mut decode) = (0.0f64, 0.0f64);
    for run in 0..RUNS {
        let prompts: Vec<String> = (0..engines.len())
            .map(|i| format!("{salt} {run} {i}. {}", "The sea is wide. ".repeat(40)))
            .collect();
        let mut read = 0;
        for (engine, prompt) in engines.iter().zip(&prompts) {
            read += engine.count_tokens(&[Message::user(prompt.as_str())])?;
        }
        let started = Instant::now();
        let answers = engines.iter().zip(prompts);
        let answers = try_join_all(answers.map(|(engine, prompt)| answer(engine, prompt))).await?;
        let first = answers.iter().map(|a| a.0).max().unwrap_or(started);
        let last = answers.iter().map(|a| a.1).max().unwrap_or(started);
        let tokens: u64 = answers.iter().map(|a| a.2 - 1).sum();
        prefill = prefill.max(read as f64 / (first - started).as_secs_f64());
        decode = decode.max(tokens as f64 / (last - first).as_secs_f64());
    }
    Ok((prefill, decode))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args
        .next()
        .ok_or("usage: bench_adapters MODEL.gguf [RANK]")?;
    let rank = args.next().map_or(Ok(16), |rank| rank.parse::<usize>())?;
    let options = ChatOptions {
        prompt_lookup: false,
        ..ChatOptions::default()
    };
    let base = ChatEngine::load(Path::new(&model), options)?;
    let folder = tempfile::TempDir::new()?;
    let mut pairs = random(&SMOLLM2, rank, 1);
    pairs.iter_mut().for_each(|pair| pair.b.fill(0.0));
    let path = write_peft(
        folder.path(),
        &peft_config(rank, 16.0),
        &peft_tensors(&pairs),
    );
    let adapted = (0..8)
        .map(|_| base.with_adapter(&path))
        .collect::<Result<Vec<_>, _>>()?;
    // How many requests have no adapter, how many have one, and how many different ones these have.
    for (bare, with, adapters) in [
        (1, 0, 0),
        (0, 1, 1),
        (8, 0, 0),
        (0, 8, 1),
        (0, 8, 8),
        (4, 4, 4),
    ] {
        let engines = adapted.iter().take(adapters).cycle().take(with);
        let engines: Vec<&ChatEngine> = engines.chain(std::iter::repeat_n(&base, bare)).collect();
        let (prefill, decode) = measure(&engines, &format!("{bare} {with} {adapters}")).await?;
        let line = serde_json::json!({
            "requests": engines.len(),
            "bare": bare,
            "adapters": adapters,
            "rank": rank,
            "adapter_mb": adapted[0].adapter_bytes() as f64 / 1e6,
            "prefill_tok_s": prefill.round(),
            "decode_tok_s": decode.round(),
        });
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
