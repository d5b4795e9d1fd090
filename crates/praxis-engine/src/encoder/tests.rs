//! Embeddings without rounding against sentence-transformers: whatever differs otherwise is the
//! rounding.

use super::config::{EncoderConfig, Pooling};
use super::embed::pool;
use super::forward::{Encoder, Tokens};
use super::tensors::{Safetensors, Tensors};
use crate::compute::linear::tests::{EXACT, ROTATED, instructions};
use crate::test_models::model_file;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn load(folder: &std::path::Path, exact: bool) -> Encoder {
    let config = EncoderConfig::from_folder(folder).unwrap();
    let tensors = Safetensors::open(&folder.join("model.safetensors")).unwrap();
    EXACT.set(exact);
    let encoder = Encoder::load(&Tensors::Safetensors(tensors), &config).unwrap();
    EXACT.set(false);
    encoder
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// All of the fixture's vectors are as near to those of an encoder.
fn assert_near(encoder: &Encoder, least: f32, which: &str) {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../tests/fixtures/minilm.json")).unwrap();
    for case in cases {
        let first = case.ids.len();
        let text = [Tokens {
            ids: case.ids,
            first,
        }];
        let vectors = encoder.encode(&text, |rows| pool(rows, 384, Pooling::Mean));
        let cosine = cosine(&vectors[0], &case.vector);
        assert!(cosine > least, "{which}: {cosine} for {:?}", case.text);
    }
}

#[test]
fn exact_vectors_are_those_of_sentence_transformers_and_rounded_ones_are_near() {
    let Some(weights) = model_file("all-minilm-l6-v2", "model.safetensors") else {
        return;
    };
    let folder = weights.parent().unwrap();
    assert_near(&load(folder, true), 0.999_999, "exact");
    assert_near(&load(folder, false), 0.996, "the best");
    for which in instructions() {
        ROTATED.set(Some(which));
        let encoder = load(folder, false);
        ROTATED.set(None);
        // Weights have 7 bits there.
        let least = if which == "avx2" { 0.996 } else { 0.998 };
        assert_near(&encoder, least, which);
    }
}
