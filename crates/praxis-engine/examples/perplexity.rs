//! Perplexity of a GGUF model on a text, in windows of 512 tokens whose second half counts, as
//! llama.cpp's own tool does. `make bench-engine` runs it beside llama.cpp.
//!
//! usage: perplexity MODEL.gguf TOKENS.json     (TOKENS.json: the tokens of the text)

use std::error::Error;
use std::io::Write;
use std::path::Path;

use praxis_engine::{ChatEngine, ChatOptions};

const WINDOW: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: perplexity MODEL.gguf TOKENS.json";
    let mut args = std::env::args().skip(1);
    let (path, tokens) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?);
    let tokens: Vec<u32> = serde_json::from_slice(&std::fs::read(tokens)?)?;
    let engine = ChatEngine::load(Path::new(&path), ChatOptions::default())?;
    let (mut sum, mut count) = (0.0, 0);
    for window in tokens.chunks_exact(WINDOW) {
        let positions: Vec<usize> = (WINDOW / 2 - 1..WINDOW - 1).collect();
        let logits = engine.logits(&window[..WINDOW - 1], WINDOW, &positions);
        for (position, logits) in positions.iter().zip(logits) {
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
            let next = window[position + 1] as usize;
            sum += total.ln() - f64::from(logits[next] - max);
            count += 1;
        }
    }
    let line = serde_json::json!({
        "engine": "praxis",
        "tokens": count,
        "perplexity": (sum / f64::from(count.max(1))).exp(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
