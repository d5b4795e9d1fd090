//! Embedding speed: `bench_embed MODEL TEXTS [ROUNDS]` prints one JSON line
//! `{model, texts, tokens, seconds, per_s}` for the best round.
//!
//! MODEL is a GGUF file or a model folder, TEXTS a JSON array of strings, embedded 32 a call.
//! `RAYON_NUM_THREADS` sets the threads. The counterpart for the peer is
//! `scripts/bench/sentence_transformers.py`.

use std::path::PathBuf;
use std::time::Instant;

use praxis_core::{EmbedKind, Embedder};
use praxis_engine::{EmbedEngine, EmbedOptions};

const BATCH: usize = 32;

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
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(texts)?)?;
    let path = PathBuf::from(&model);
    let engine = EmbedEngine::load(
        &path,
        EmbedOptions {
            name: "bench".into(),
            max_tokens: Some(256),
            ..EmbedOptions::default()
        },
    )?;
    let counter = engine.token_counter().await?;
    let tokens = texts
        .iter()
        .map(|text| (counter(text) + 2).min(256))
        .sum::<usize>();
    engine
        .embed(EmbedKind::Raw, texts[..BATCH.min(texts.len())].to_vec())
        .await?;
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        for batch in texts.chunks(BATCH) {
            let vectors = engine.embed(EmbedKind::Raw, batch.to_vec()).await?;
            if vectors.len() != batch.len() {
                return Err("a vector is missing".into());
            }
        }
        best = best.min(start.elapsed().as_secs_f64());
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
