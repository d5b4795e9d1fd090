//! The port to embedding models.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// What a text is to an asymmetric embedder: E5 prefixes queries and passages differently
/// (Wang et al. 2022). Symmetric models ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// The model's own token counter, for segmentation.
    async fn token_counter(&self) -> Result<TokenCounter, ModelError>;
}
