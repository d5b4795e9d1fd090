//! Embeddings: one vector a text.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::embed::TokenCounter;
use praxis_core::{EmbedKind, Embedder, ModelError, Priority};
use rayon::prelude::*;

use super::config::{EncoderConfig, Pooling};
use super::forward::Encoder;
use super::tensors::{Safetensors, Tensors};
use super::text::TextTokenizer;
use super::worker::Worker;
use super::{BYTES_OF_TOKEN, check_vocabulary, kernels, token_limit, tokenizer_failed};
use crate::EngineError;
use crate::gguf::Gguf;

/// So many texts as they are may be what somebody waits for; more are embedded in bulk.
const FEW: usize = 8;

/// What an encoder's file does not say, or says wrongly. `None` leaves it to the file.
#[derive(Debug, Clone, Default)]
pub struct EmbedOptions {
    /// Name of the model, the first half of its vectors' identity.
    pub name: String,
    /// Revision of its weights, e.g. the start of a SHA-256: the second half.
    pub revision: String,
    /// Written before each query.
    pub query_prefix: Option<String>,
    /// Written before each passage.
    pub passage_prefix: Option<String>,
    /// How token vectors become one; [`Pooling::Mean`] where the file is silent too.
    pub pooling: Option<Pooling>,
    /// Cuts texts earlier than the model's positions do.
    pub max_tokens: Option<usize>,
    /// Threads that compute; `None`: those that all encoders share, one for each processor.
    pub threads: Option<usize>,
}

/// An encoder that is ready to embed. Clones share the weights and the thread that computes.
#[derive(Clone)]
pub struct EmbedEngine {
    shared: Arc<Shared>,
}

struct Shared {
    identity: String,
    dimension: usize,
    max_tokens: usize,
    weight_bytes: usize,
    query_prefix: String,
    passage_prefix: String,
    tokenizer: Arc<TextTokenizer>,
    worker: Worker<String, Vec<f32>>,
}

impl EmbedEngine {
    /// Loads a GGUF file, or a folder with `model.safetensors`, `tokenizer.json` and
    /// `config.json`. Takes a part of a second: call it off the async runtime.
    pub fn load(path: &Path, options: EmbedOptions) -> Result<Self, EngineError> {
        if path.is_dir() {
            let config = EncoderConfig::from_folder(path)?;
            let tokenizer = TextTokenizer::from_file(&path.join("tokenizer.json"))?;
            let tensors = Tensors::Safetensors(Safetensors::open(&path.join("model.safetensors"))?);
            Self::assemble(config, tokenizer, &tensors, options)
        } else {
            let gguf = Gguf::open(path)?;
            let config = EncoderConfig::from_gguf(&gguf)?;
            let tokenizer = TextTokenizer::from_gguf(&gguf)?;
            Self::assemble(config, tokenizer, &Tensors::Gguf(&gguf), options)
        }
    }

    fn assemble(
        config: EncoderConfig,
        tokenizer: TextTokenizer,
        tensors: &Tensors<'_>,
        options: EmbedOptions,
    ) -> Result<Self, EngineError> {
        let pooling = options.pooling.or(config.pooling).unwrap_or(Pooling::Mean);
        let encoder = Encoder::load(tensors, &config)?;
        check_vocabulary(tensors.path(), &tokenizer, &encoder)?;
        let specials = tokenizer.specials();
        let max_tokens = token_limit(tensors.path(), options.max_tokens, &encoder, specials)?;
        let prefix = |chosen: Option<String>, of_file: Option<String>| {
            chosen.or(of_file).unwrap_or_default()
        };
        let (dimension, tokenizer) = (encoder.hidden(), Arc::new(tokenizer));
        let weight_bytes = encoder.weight_bytes();
        let tokens_of = tokenizer.clone();
        let worker = Worker::start(
            "praxis-embed",
            options.threads,
            move |text: &String| text.len().min(max_tokens * BYTES_OF_TOKEN),
            move |texts: &[String]| {
                let tokens = texts
                    .par_iter()
                    .map(|text| tokens_of.encode(text, max_tokens))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(tokenizer_failed)?;
                Ok(encoder.encode(&tokens, |rows| pool(rows, dimension, pooling)))
            },
        )?;
        Ok(Self {
            shared: Arc::new(Shared {
                identity: format!("{}@{}", options.name, options.revision),
                dimension,
                max_tokens,
                weight_bytes,
                query_prefix: prefix(options.query_prefix, config.query_prefix),
                passage_prefix: prefix(options.passage_prefix, config.passage_prefix),
                tokenizer,
                worker,
            }),
        })
    }

    /// Bytes of memory that the model's weights take beside its file.
    pub fn weight_bytes(&self) -> usize {
        self.shared.weight_bytes
    }
}

/// A vector of length 1 from a text's rows of `hidden` numbers.
pub(super) fn pool(rows: &[f32], hidden: usize, pooling: Pooling) -> Vec<f32> {
    let mut vector = vec![0.0; hidden];
    match pooling {
        // The length is made 1 afterwards, so the sum does for the mean.
        Pooling::Mean => {
            for row in rows.chunks_exact(hidden) {
                kernels::add(&mut vector, row);
            }
        }
        // A text without tokens, of a tokenizer that adds none, has no first row either.
        Pooling::Cls => {
            for (value, of_first) in vector.iter_mut().zip(rows) {
                *value = *of_first;
            }
        }
    }
    kernels::unit_length(&mut vector);
    vector
}

#[async_trait]
impl Embedder for EmbedEngine {
    fn identity(&self) -> String {
        self.shared.identity.clone()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(self.shared.dimension)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(self.shared.max_tokens)
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let prefix: &str = match kind {
            EmbedKind::Query => &self.shared.query_prefix,
            EmbedKind::Passage => &self.shared.passage_prefix,
            EmbedKind::Raw => "",
        };
        let priority = match kind {
            EmbedKind::Query => Priority::Interactive,
            EmbedKind::Raw if texts.len() <= FEW => Priority::Interactive,
            EmbedKind::Raw | EmbedKind::Passage => Priority::Batch,
        };
        let texts = texts.into_iter().map(|text| match prefix {
            "" => text,
            prefix => format!("{prefix}{text}"),
        });
        self.shared.worker.compute(priority, texts).await
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        let tokenizer = self.shared.tokenizer.clone();
        Ok(Arc::new(move |text: &str| tokenizer.count(text)))
    }
}
