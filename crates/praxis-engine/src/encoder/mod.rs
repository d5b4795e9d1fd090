//! BERT and XLM-R encoders from GGUF or safetensors: embeddings behind the port
//! [`Embedder`](praxis_core::Embedder), cross-encoders behind [`Reranker`](praxis_core::Reranker).
//!
//! [`EmbedEngine`] and [`RerankEngine`] are the ways in. `config` and `tensors` read files, `text`
//! tokenizes, `forward` computes over packed texts with the products of `compute`, `worker` is the
//! thread that does it, `queue` decides whose turn it is.

pub(crate) mod attention;
mod charsmap;
mod config;
mod embed;
mod forward;
pub(crate) mod kernels;
mod layer;
mod queue;
mod rerank;
mod tensors;
#[cfg(test)]
mod tests;
mod text;
mod unigram;
mod worker;

#[cfg(test)]
pub(crate) use charsmap::Charsmap;
pub use config::Pooling;
pub use embed::{EmbedEngine, EmbedOptions};
pub use rerank::{RerankEngine, RerankOptions};

use std::path::Path;

use crate::EngineError;
use forward::Encoder;
use text::TextTokenizer;

/// Bytes of text that a token stands for, where the size of an input is guessed: more than most do.
const BYTES_OF_TOKEN: usize = 4;

/// Refuses a tokenizer that knows tokens without a vector.
fn check_vocabulary(
    path: &Path,
    tokenizer: &TextTokenizer,
    encoder: &Encoder,
) -> Result<(), EngineError> {
    let (known, vectors) = (tokenizer.vocabulary(), encoder.vocabulary());
    if known > vectors {
        let problem = format!("the tokenizer knows {known} tokens, the model {vectors}");
        return Err(EngineError::damaged(path, problem));
    }
    Ok(())
}

/// The most tokens of an input: the model's positions, or fewer where the caller wants that.
fn token_limit(
    path: &Path,
    wanted: Option<usize>,
    encoder: &Encoder,
    specials: usize,
) -> Result<usize, EngineError> {
    let limit = wanted.unwrap_or(usize::MAX).min(encoder.positions());
    if limit <= specials {
        let problem = format!("{limit} tokens a text leave no room for the text");
        return Err(EngineError::unsupported(path, problem));
    }
    Ok(limit)
}

/// A failure of the tokenizer.
fn tokenizer_failed(error: impl std::fmt::Display) -> praxis_core::ModelError {
    praxis_core::ModelError::Internal(format!("the tokenizer failed: {error}"))
}
