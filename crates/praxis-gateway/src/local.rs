//! Models that run in this process: found in the cache, loaded on first use, shared afterwards.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use praxis_core::{ChatChunk, ChatModel, ChatRequest, Embedder, ModelError};
use praxis_engine::{ChatEngine, ChatOptions, EmbedEngine, EmbedOptions, EngineError};
use praxis_hub::{Cache, ModelEntry};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::config::ModelConfig;
use crate::openai::{Piece, Pieces};

/// Where a local model's files are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In the cache, if pulled.
    Catalogue(Box<ModelEntry>),
    /// At a path of the user's own.
    Path(PathBuf),
}

impl Place {
    pub(crate) fn path(&self, cache: &Cache) -> Result<PathBuf, ModelError> {
        match self {
            Place::Catalogue(entry) => match cache.resolve(entry) {
                Some(local) => Ok(local.path().to_owned()),
                None => Err(ModelError::NotPulled {
                    model: entry.name.clone(),
                }),
            },
            Place::Path(path) if path.exists() => Ok(path.clone()),
            Place::Path(path) => Err(ModelError::NotFound(format!(
                "there is no file `{}`",
                path.display()
            ))),
        }
    }
}

/// A chat model of the engine.
pub(crate) struct LocalChat {
    pub place: Place,
    pub cache: Cache,
    options: ChatOptions,
    pub first_token_timeout: Option<Duration>,
    timeout: Option<Duration>,
    engine: OnceCell<ChatEngine>,
}

fn chat_options(config: Option<&ModelConfig>) -> ChatOptions {
    let defaults = ChatOptions::default();
    let Some(config) = config else {
        return defaults;
    };
    ChatOptions {
        context_length: config.context_length,
        threads: config.threads,
        parallel: config.parallel.unwrap_or(defaults.parallel),
        cache_tokens: config.cache_tokens,
        ..defaults
    }
}

impl LocalChat {
    pub(crate) fn new(place: Place, cache: Cache, config: Option<&ModelConfig>) -> Self {
        Self {
            place,
            cache,
            options: chat_options(config),
            first_token_timeout: config.and_then(|c| c.first_token_timeout).map(|p| p.0),
            timeout: config.and_then(|c| c.timeout).map(|p| p.0),
            engine: OnceCell::new(),
        }
    }

    /// The engine; the first caller loads it, others wait for the same load.
    pub(crate) async fn engine(&self) -> Result<&ChatEngine, ModelError> {
        self.engine
            .get_or_try_init(|| async {
                let path = self.place.path(&self.cache)?;
                let options = self.options;
                load(move || ChatEngine::load(&path, options)).await
            })
            .await
    }

    pub(crate) async fn chat(
        &self,
        mut request: ChatRequest,
        cancel: CancellationToken,
    ) -> Result<Pieces, ModelError> {
        request.timeout = request.timeout.or(self.timeout);
        let stream = self.engine().await?.chat(request, cancel).await?;
        let pieces = stream.map(|chunk| {
            chunk.map(|chunk| match chunk {
                ChatChunk::Delta { text, logprobs } => Piece::Delta { text, logprobs },
                ChatChunk::Done {
                    finish_reason,
                    usage,
                } => Piece::Done {
                    finish_reason,
                    usage: Some(usage),
                },
            })
        });
        Ok(pieces.boxed())
    }
}

/// An embedder of the engine.
pub(crate) struct LocalEmbedder {
    pub place: Place,
    pub cache: Cache,
    pub options: EmbedOptions,
    engine: OnceCell<EmbedEngine>,
}

impl LocalEmbedder {
    pub(crate) fn new(
        name: &str,
        place: Place,
        cache: Cache,
        config: Option<&ModelConfig>,
    ) -> Self {
        let mut options = match &place {
            Place::Catalogue(entry) => of_catalogue(entry),
            Place::Path(path) => EmbedOptions {
                name: name.to_owned(),
                revision: praxis_hub::fingerprint(path).unwrap_or_else(|_| "absent".to_owned()),
                ..EmbedOptions::default()
            },
        };
        if let Some(config) = config {
            options.query_prefix = config.query_prefix.clone().or(options.query_prefix);
            options.passage_prefix = config.passage_prefix.clone().or(options.passage_prefix);
            options.max_tokens = config.context_length.or(options.max_tokens);
        }
        Self {
            place,
            cache,
            options,
            engine: OnceCell::new(),
        }
    }

    /// Identity of the vectors, known before the model is loaded.
    pub(crate) fn identity(&self) -> String {
        format!("{}@{}", self.options.name, self.options.revision)
    }

    pub(crate) async fn engine(&self) -> Result<&dyn Embedder, ModelError> {
        let engine = self
            .engine
            .get_or_try_init(|| async {
                let path = self.place.path(&self.cache)?;
                let options = self.options.clone();
                load(move || EmbedEngine::load(&path, options)).await
            })
            .await?;
        Ok(engine)
    }
}

fn of_catalogue(entry: &ModelEntry) -> EmbedOptions {
    let info = entry.embedding.as_ref();
    EmbedOptions {
        name: entry.name.clone(),
        revision: entry.revision().to_owned(),
        query_prefix: info.map(|i| i.query_prefix.clone()),
        passage_prefix: info.map(|i| i.passage_prefix.clone()),
        pooling: info.map(|i| match i.pooling {
            praxis_hub::Pooling::Mean => praxis_engine::Pooling::Mean,
            praxis_hub::Pooling::Cls => praxis_engine::Pooling::Cls,
        }),
        max_tokens: Some(entry.context),
    }
}

async fn load<T: Send + 'static>(
    load: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, ModelError> {
    tokio::task::spawn_blocking(load)
        .await
        .map_err(|e| ModelError::Internal(format!("loading a model failed: {e}")))?
        .map_err(ModelError::from)
}
