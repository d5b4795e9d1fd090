//! Embeddings: BERT and XLM-R encoders from GGUF or safetensors, behind the port
//! [`Embedder`](praxis_core::Embedder).
//!
//! [`EmbedEngine`] is the way in. `config` and `tensors` read files, `text` tokenizes, `forward`
//! computes over packed texts, `worker` is the thread that does it. Left out: cross-encoders.

mod charsmap;
mod config;
mod forward;
mod kernels;
mod mapped;
mod matrix;
mod tensors;
mod text;
mod unigram;
mod worker;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::embed::TokenCounter;
use praxis_core::{EmbedKind, Embedder, ModelError};
use tokio::sync::{mpsc, oneshot};

#[cfg(test)]
pub(crate) use charsmap::Charsmap;
pub use config::Pooling;
pub(crate) use mapped::MappedFile;

use crate::EngineError;
use crate::gguf::Gguf;
use config::EncoderConfig;
use forward::Encoder;
use tensors::{Safetensors, Tensors};
use text::TextTokenizer;
use worker::{Job, Model, TEXTS_AT_ONCE};

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
    query_prefix: String,
    passage_prefix: String,
    tokenizer: Arc<TextTokenizer>,
    jobs: mpsc::Sender<Job>,
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
        let encoder = Encoder::load(tensors, &config, pooling)?;
        let path = tensors.path();
        if tokenizer.vocabulary() > encoder.vocabulary() {
            let problem = format!(
                "the tokenizer knows {} tokens, the model {}",
                tokenizer.vocabulary(),
                encoder.vocabulary()
            );
            return Err(EngineError::damaged(path, problem));
        }
        let max_tokens = options
            .max_tokens
            .unwrap_or(usize::MAX)
            .min(encoder.positions());
        if max_tokens <= tokenizer.specials() {
            let problem = format!("{max_tokens} tokens a text leave no room for the text");
            return Err(EngineError::unsupported(path, problem));
        }
        let prefix = |chosen: Option<String>, of_file: Option<String>| {
            chosen.or(of_file).unwrap_or_default()
        };
        let (dimension, tokenizer) = (encoder.dimension(), Arc::new(tokenizer));
        let jobs = worker::start(Model {
            encoder,
            tokenizer: tokenizer.clone(),
            max_tokens,
        })
        .map_err(|error| EngineError::read(path, error))?;
        Ok(Self {
            shared: Arc::new(Shared {
                identity: format!("{}@{}", options.name, options.revision),
                dimension,
                max_tokens,
                query_prefix: prefix(options.query_prefix, config.query_prefix),
                passage_prefix: prefix(options.passage_prefix, config.passage_prefix),
                tokenizer,
                jobs,
            }),
        })
    }
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
        let stopped = || ModelError::Internal("the embedding thread has stopped".to_owned());
        let mut vectors = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter().map(|text| match prefix {
            "" => text,
            prefix => format!("{prefix}{text}"),
        });
        // One part is computed while the next one waits, so that the thread never idles; other
        // callers' jobs come in between.
        let mut waiting: Option<oneshot::Receiver<_>> = None;
        loop {
            let part = texts.by_ref().take(TEXTS_AT_ONCE).collect::<Vec<_>>();
            let last = part.is_empty();
            let next = if last {
                None
            } else {
                let (reply, answer) = oneshot::channel();
                let job = Job { texts: part, reply };
                self.shared.jobs.send(job).await.map_err(|_| stopped())?;
                Some(answer)
            };
            if let Some(answer) = std::mem::replace(&mut waiting, next) {
                vectors.extend(answer.await.map_err(|_| stopped())??);
            }
            if last {
                return Ok(vectors);
            }
        }
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        let tokenizer = self.shared.tokenizer.clone();
        Ok(Arc::new(move |text: &str| tokenizer.count(text)))
    }
}
