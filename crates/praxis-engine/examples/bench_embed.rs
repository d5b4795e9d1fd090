//! Embedding speed: `bench_embed MODEL TEXTS [ROUNDS [MAX_TOKENS [VECTORS]]]` prints one JSON line
//! `{model, texts, tokens, seconds, per_s}` for the best round.
//!
//! MODEL is a GGUF file or a model folder, TEXTS a JSON array of strings, embedded in one call and
//! cut after MAX_TOKENS, 256 by default. VECTORS is a file that the vectors are written to, as
//! floats one after the other. `RAYON_NUM_THREADS` sets the threads. The counterparts for the peers
//! are `scripts/bench/sentence_transformers.py` and `onnx_runtime.py`.

use std::path::PathBuf;
use std::time::Instant;

use praxis_core::{EmbedKind, Embedder};
use praxis_engine::{EmbedEngine, EmbedOptions};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the line is what the benchmark is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(texts)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench_embed MODEL TEXTS [ROUNDS]".into());
    };
    let rounds = arguments
        .next()
        .map_or(Ok(3), |rounds| rounds.parse::<usize>())?;
    let max_tokens = arguments
        .next()
        .map_or(Ok(256), |tokens| tokens.parse::<usize>())?;
    let vectors_file = arguments.next();
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(texts)?)?;
    let path = PathBuf::from(&model);
    let engine = EmbedEngine::load(
        &path,
        EmbedOptions {
            name: "bench".into(),
            max_tokens: Some(max_tokens),
            ..EmbedOptions::default()
        },
    )?;
    let counter = engine.token_counter().await?;
    let tokens = texts
        .iter()
        .map(|text| (counter(text) + 2).min(max_tokens))
        .sum::<usize>();
    engine
        .embed(EmbedKind::Raw, texts[..texts.len().min(32)].to_vec())
        .await?;
    let (mut best, mut vectors) = (f64::INFINITY, Vec::new());
    for _ in 0..rounds {
        let texts = texts.clone();
        let start = Instant::now();
        vectors = engine.embed(EmbedKind::Raw, texts).await?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    if let Some(file) = vectors_file {
        let numbers = vectors.iter().flatten().flat_map(|x| x.to_le_bytes());
        std::fs::write(file, numbers.collect::<Vec<_>>())?;
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let line = serde_json::json!({
        "engine": "praxis",
        "model": name,
        "texts": texts.len(),
        "tokens": tokens,
        "seconds": best,
        "per_s": texts.len() as f64 / best,
    });
    println!("{line}");
    Ok(())
}
