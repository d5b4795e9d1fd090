//! An embedder whose vectors are counts of words: texts are near that have words in common.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::embed::{EmbedKind, TokenCounter, normalize};
use praxis_core::{Embedder, ModelError};

const DIMENSION: usize = 64;

pub struct Counts;

#[async_trait]
impl Embedder for Counts {
    fn identity(&self) -> String {
        "counts@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(DIMENSION)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(512)
    }

    async fn embed(&self, _: EmbedKind, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        // A real one takes its time, and its caller may be gone by then.
        tokio::task::yield_now().await;
        Ok(texts.iter().map(|text| counts(text)).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(|text: &str| text.split_whitespace().count()))
    }
}

fn counts(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01f32; DIMENSION];
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|w| !w.is_empty()) {
        let letters = word.to_lowercase().into_bytes();
        let hash = letters.iter().fold(7usize, |hash, letter| {
            hash.wrapping_mul(31).wrapping_add(usize::from(*letter))
        });
        vector[hash % DIMENSION] += 1.0;
    }
    normalize(&mut vector);
    vector
}
