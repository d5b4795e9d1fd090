//! The port to embedding models.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// What a text is to an asymmetric embedder: E5 prefixes queries and passages differently
/// (Wang et al. 2022). Symmetric models ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmbedKind {
    /// A question or search phrase.
    Query,
    /// A text to be found.
    Passage,
    /// As it is: the caller has written any prefix itself.
    Raw,
}

/// Counts the tokens of a text as the model does, without special tokens.
pub type TokenCounter = Arc<dyn Fn(&str) -> usize + Send + Sync>;

/// An embedding model behind a name.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Identity of the vectors, e.g. `multilingual-e5-small@1571fc98`: vectors of different
    /// identities must never be compared.
    fn identity(&self) -> String;

    /// Number of dimensions.
    async fn dimension(&self) -> Result<usize, ModelError>;

    /// The most tokens of one text that are read; longer texts are cut at the end.
    async fn max_tokens(&self) -> Result<usize, ModelError>;

    /// One vector a text, in order, L2-normalized, [`Embedder::dimension`] floats each.
    async fn embed(&self, kind: EmbedKind, texts: Vec<String>)
    -> Result<Vec<Vec<f32>>, ModelError>;

    /// The same, with how many tokens were read: as a provider counted them, or else by [`Embedder::token_counter`].
    /// And with vectors of `dimension` floats where that is said: such as the model gives itself, as those that were
    /// trained for it do; what is cut off here would be another vector.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] where the model gives vectors of another length only.
    async fn embed_sized(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, u64), ModelError> {
        only_own_length(self, dimension).await?;
        let counter = self.token_counter().await?;
        let tokens = texts.iter().map(|text| counter(text) as u64).sum();
        Ok((self.embed(kind, texts).await?, tokens))
    }

    /// The text that tokens of the model's own tokenizer spell.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] where the tokenizer is not known here, or has no such tokens.
    fn detokenize(&self, tokens: &[u32]) -> Result<String, ModelError> {
        let _ = tokens;
        Err(ModelError::InvalidRequest(
            "input: tokens are taken for OpenAI's models alone, whose tokenizers are known; send texts".into(),
        ))
    }

    /// The model's own token counter, for segmentation.
    async fn token_counter(&self) -> Result<TokenCounter, ModelError>;
}

/// Refuses to make vectors of another length than an embedder's own, for one that has no other.
///
/// # Errors
/// [`ModelError::InvalidRequest`] where `wanted` is another length; an embedder that cannot tell its own.
pub async fn only_own_length<E: Embedder + ?Sized>(
    embedder: &E,
    wanted: Option<usize>,
) -> Result<(), ModelError> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    match embedder.dimension().await? {
        own if own == wanted => Ok(()),
        own => Err(ModelError::InvalidRequest(format!(
            "dimensions: this model's vectors have {own} dimensions, not {wanted}; leave `dimensions` out"
        ))),
    }
}

/// The dot product of two vectors, which is the cosine of those that an [`Embedder`] gives. In eight lanes,
/// which the compiler keeps in one vector register.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane = x.mul_add(*y, *lane);
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// Scales a vector to length 1. One without a direction, all zeros or not finite, stays as it is.
pub fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length.is_finite() && length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}
