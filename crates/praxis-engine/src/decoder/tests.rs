//! The decoder with its kernels, and llama.cpp, against exact arithmetic on the same weights.

#[path = "../../tests/common/adapters.rs"]
pub(crate) mod adapters;

use std::path::PathBuf;

use super::{BlockPool, Decoder, KvCache, Memory, Piece};
use crate::compute::linear::tests::EXACT;
use crate::gguf::Gguf;
use crate::test_models::model_file;

pub(crate) fn model(name: &str) -> Option<PathBuf> {
    model_file(name, "model.gguf")
}

/// After each position; `reads`: as a prompt, which a matrix unit may round.
fn logprobs(
    file: &Gguf,
    (exact, reads): (bool, bool),
    tokens: &[u32],
    positions: &[usize],
) -> Vec<Vec<f32>> {
    EXACT.set(exact);
    let decoder = Decoder::open(file).unwrap();
    EXACT.set(false);
    let pool = BlockPool::new(decoder.cache_shape(), usize::MAX);
    let (mut cache, mut memory) = (KvCache::new(decoder.cache_shape()), Memory::default());
    let mut start = 0;
    positions
        .iter()
        .map(|position| {
            let tokens = &tokens[start..=*position];
            start = position + 1;
            assert!(cache.reserve(tokens.len(), &pool));
            let piece = Piece {
                tokens,
                cache: &mut cache,
                logits: 1,
                reads,
                adapter: None,
            };
            let logits = decoder.forward(&mut [piece], &mut memory, &|| false);
            let logits = logits.unwrap().remove(0);
            let z = crate::sampler::log_denominator(&logits);
            logits.iter().map(|l| l - z).collect()
        })
        .collect()
}

/// Mean difference from exact arithmetic, over the reference's likeliest tokens: ours, theirs.
fn errors(name: &str, fixture: &str) -> Option<(f32, f32)> {
    let file = Gguf::open(&model(name)?).unwrap();
    let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let (mut ours, mut theirs, mut count) = (0.0, 0.0, 0.0);
    for conversation in fixture["conversations"].as_array().unwrap().iter().take(2) {
        let tokens: Vec<u32> = serde_json::from_value(conversation["tokens"].clone()).unwrap();
        let top = conversation["top"].as_array().unwrap();
        let positions: Vec<usize> = top
            .iter()
            .map(|t| t["position"].as_u64().unwrap() as usize)
            .collect();
        let rounded = logprobs(&file, (false, true), &tokens, &positions);
        let exact = logprobs(&file, (true, false), &tokens, &positions);
        for (i, top) in top.iter().enumerate() {
            let ids: Vec<usize> = serde_json::from_value(top["tokens"].clone()).unwrap();
            let reference: Vec<f32> = serde_json::from_value(top["logprobs"].clone()).unwrap();
            let (mut a, mut b) = (0.0, 0.0);
            for (id, reference) in ids.iter().zip(&reference) {
                a += (rounded[i][*id] - exact[i][*id]).abs();
                b += (reference - exact[i][*id]).abs();
            }
            let n = ids.len() as f32;
            eprintln!(
                "{name} @{}: ours {:.4} llama.cpp {:.4}",
                positions[i],
                a / n,
                b / n
            );
            ours += a;
            theirs += b;
            count += n;
        }
    }
    eprintln!(
        "{name}: ours {:.4} llama.cpp {:.4}",
        ours / count,
        theirs / count
    );
    Some((ours / count, theirs / count))
}

#[test]
fn smollm2_is_as_near_to_exact_arithmetic_as_llama_cpp() {
    let fixture = include_str!("../../tests/fixtures/smollm2_logits.json");
    if let Some((ours, theirs)) = errors("smollm2-135m-instruct", fixture) {
        assert!(ours < 1.25 * theirs, "ours {ours}, llama.cpp {theirs}");
    }
}

#[test]
fn qwen2_is_as_near_to_exact_arithmetic_as_llama_cpp() {
    let fixture = include_str!("../../tests/fixtures/qwen2.5-coder_logits.json");
    if let Some((ours, theirs)) = errors("qwen2.5-coder-1.5b-instruct", fixture) {
        assert!(ours < 1.25 * theirs, "ours {ours}, llama.cpp {theirs}");
    }
}

/// Every architecture on a tiny model of random weights (`scripts/reference/tiny_models.py`).
#[test]
fn architectures_agree_with_llama_cpp() {
    for architecture in ["llama", "qwen2", "qwen3", "smollm3"] {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let file = Gguf::open(&fixtures.join(format!("tiny-{architecture}.gguf"))).unwrap();
        let fixture = std::fs::read(fixtures.join(format!("tiny-{architecture}.json"))).unwrap();
        let fixture: serde_json::Value = serde_json::from_slice(&fixture).unwrap();
        let tokens: Vec<u32> = serde_json::from_value(fixture["tokens"].clone()).unwrap();
        let positions: Vec<usize> = serde_json::from_value(fixture["positions"].clone()).unwrap();
        let reference: Vec<Vec<f32>> = serde_json::from_value(fixture["logits"].clone()).unwrap();
        let ours = logprobs(&file, (false, false), &tokens, &positions);
        for (ours, reference) in ours.iter().zip(&reference) {
            let z = crate::sampler::log_denominator(reference);
            for (ours, reference) in ours.iter().zip(reference) {
                let difference = (ours - (reference - z)).abs();
                assert!(difference < 0.02, "{architecture}: {difference}");
            }
        }
    }
}
