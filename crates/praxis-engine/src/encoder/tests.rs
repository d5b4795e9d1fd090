//! Embeddings without rounding against sentence-transformers: whatever differs otherwise is the
//! 8 bits.

use super::config::{EncoderConfig, Pooling};
use super::embed::pool;
use super::forward::{Encoder, Tokens};
use super::tensors::{Safetensors, Tensors};
use crate::compute::linear::tests::EXACT;
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

#[test]
fn exact_vectors_are_those_of_sentence_transformers_and_rounded_ones_are_near() {
    let Some(weights) = model_file("all-minilm-l6-v2", "model.safetensors") else {
        return;
    };
    let folder = weights.parent().unwrap();
    let (exact, rounded) = (load(folder, true), load(folder, false));
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../tests/fixtures/minilm.json")).unwrap();
    for case in cases {
        let first = case.ids.len();
        let text = [Tokens {
            ids: case.ids,
            first,
        }];
        let vector = |encoder: &Encoder| {
            let mut vectors = encoder.encode(&text, |rows| pool(rows, 384, Pooling::Mean));
            vectors.remove(0)
        };
        let exact = cosine(&vector(&exact), &case.vector);
        assert!(exact > 0.999_999, "{exact} for {:?}", case.text);
        let rounded = cosine(&vector(&rounded), &case.vector);
        assert!(rounded > 0.998, "{rounded} for {:?}", case.text);
    }
}
