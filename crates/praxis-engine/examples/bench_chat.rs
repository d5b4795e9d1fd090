//! Measures a chat model: prefill and decode speed and loading time, one line of JSON a run.
//! `bench_chat MODEL.gguf [PROMPT_TOKENS [ANSWER_TOKENS [RUNS [cpu|cuda]]]]`; `scripts/bench/llama_cpp.py`
//! prints the same for llama.cpp. The best of the runs is reported, as is usual for shared machines. What a
//! token takes is said too: multiplications with the weights of all layers, and bytes of weights read.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::quantized::gguf_file::Content;
use futures::StreamExt;
use praxis_core::{ChatChunk, ChatModel, ChatRequest, Message, Sampling};
use praxis_engine::{ChatEngine, ChatOptions, Device};
use tokio_util::sync::CancellationToken;

/// Repeated until the prompt is long enough.
const TEXT: &str = "The quick brown fox jumps over the lazy dog near the river bank. ";

/// One measurement.
struct Run {
    prefill_tokens: u64,
    prefill_tok_s: f64,
    decode_tok_s: f64,
}

/// A conversation of just under `tokens` prompt tokens; `salt` keeps runs from sharing a prefix.
fn prompt(engine: &ChatEngine, tokens: usize, salt: usize) -> Result<Vec<Message>, Box<dyn Error>> {
    let messages = |repeats: usize| {
        vec![
            Message::system(format!("Run {salt}.")),
            Message::user(TEXT.repeat(repeats)),
        ]
    };
    let mut repeats = 1;
    while engine.count_tokens(&messages(repeats + 1))? <= tokens {
        repeats += 1;
    }
    Ok(messages(repeats))
}

async fn run(
    engine: &ChatEngine,
    messages: Vec<Message>,
    answer: u32,
) -> Result<Run, Box<dyn Error>> {
    let request = ChatRequest {
        messages,
        // A model that ends early would leave too little to measure: high temperature avoids that.
        sampling: Sampling {
            temperature: Some(1.0),
            seed: Some(7),
            max_tokens: Some(answer),
            ..Sampling::default()
        },
        top_logprobs: Some(0),
        ..ChatRequest::default()
    };
    let started = Instant::now();
    let mut stream = engine.chat(request, CancellationToken::new()).await?;
    let (mut first, mut last, mut usage) = (None, started, None);
    while let Some(chunk) = stream.next().await {
        match chunk? {
            ChatChunk::Delta { .. } | ChatChunk::Reasoning(_) | ChatChunk::ToolCall(_) => {
                last = Instant::now();
                first.get_or_insert(last);
            }
            ChatChunk::Done { usage: tokens, .. } => usage = Some(tokens),
        }
    }
    let (Some(first), Some(usage)) = (first, usage) else {
        return Err("no answer".into());
    };
    let computed = usage.input_tokens - usage.cached_tokens;
    Ok(Run {
        prefill_tokens: usage.input_tokens,
        prefill_tok_s: computed as f64 / (first - started).as_secs_f64(),
        decode_tok_s: (usage.output_tokens.saturating_sub(1)) as f64
            / (last - first).as_secs_f64().max(1e-9),
    })
}

/// Products and bytes of the weights that one token of an answer meets: those of all layers, and the
/// output matrix (which is the embedding's where the file has none). Products leave the latter out, since
/// prompts have no need of it.
fn work(path: &Path) -> Result<(usize, usize), Box<dyn Error>> {
    let content = Content::read(&mut std::fs::File::open(path)?)?;
    let (mut products, mut bytes) = (0, 0);
    let output = ["output.weight", "token_embd.weight"];
    let output = output
        .into_iter()
        .find(|name| content.tensor_infos.contains_key(*name));
    for (name, info) in &content.tensor_infos {
        let count = info.shape.elem_count();
        let in_layer = name.starts_with("blk.") && info.shape.rank() == 2;
        if in_layer {
            products += count;
        }
        if in_layer || Some(name.as_str()) == output {
            bytes += count / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        }
    }
    Ok((products, bytes))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = PathBuf::from(
        args.next()
            .ok_or("usage: bench_chat MODEL.gguf [PROMPT [ANSWER [RUNS [cpu|cuda]]]]")?,
    );
    let mut number = |default: usize| args.next().map_or(Ok(default), |a| a.parse::<usize>());
    let (prompt_tokens, answer_tokens, runs) = (number(512)?, number(64)?, number(3)?);
    let device = match args.next().as_deref() {
        None | Some("cpu") => Device::Cpu,
        Some("cuda") => Device::Cuda,
        Some(other) => return Err(format!("`{other}` is neither cpu nor cuda").into()),
    };
    let options = ChatOptions {
        device,
        ..ChatOptions::default()
    };
    let started = Instant::now();
    let engine = ChatEngine::load(&path, options)?;
    let load_s = started.elapsed().as_secs_f64();
    let (mut prefill, mut decode, mut tokens) = (0.0f64, 0.0f64, 0);
    for salt in 0..runs.max(1) {
        let messages = prompt(&engine, prompt_tokens, salt)?;
        let run = run(&engine, messages, u32::try_from(answer_tokens)?).await?;
        prefill = prefill.max(run.prefill_tok_s);
        decode = decode.max(run.decode_tok_s);
        tokens = run.prefill_tokens;
    }
    let (products, bytes) = work(&path)?;
    let line = serde_json::json!({
        "engine": "praxis",
        "model": path.parent().and_then(|p| p.file_name()).map(|n| n.to_string_lossy()),
        "prefill_tokens": tokens,
        "prefill_tok_s": (prefill * 10.0).round() / 10.0,
        "decode_tok_s": (decode * 10.0).round() / 10.0,
        "load_s": (load_s * 1000.0).round() / 1000.0,
        "products_per_token": products,
        "bytes_per_token": bytes,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
