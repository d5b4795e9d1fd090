//! Models that run in this process: found in the cache, loaded on first use, shared afterwards. Chat
//! models that differ in their adapters only share one engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use praxis_core::{ChatChunk, ChatModel, ChatRequest, Embedder, ModelError};
use praxis_engine::{
    ChatEngine, ChatOptions, DEFAULT_CONTEXT, Device, EmbedEngine, EmbedOptions, EngineError,
};
use praxis_hub::{Cache, ModelEntry};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::account;
use crate::config::ModelConfig;
use crate::wire::{Piece, Pieces};

/// Where a local model's files are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In the cache, if pulled.
    Catalogue(Box<ModelEntry>),
    /// At a path of the user's own.
    Path(PathBuf),
}

/// The revision of a file of the user's own; one that is not there yet has none.
pub(crate) fn revision(path: &Path) -> String {
    praxis_hub::fingerprint(path).unwrap_or_else(|_| "absent".to_owned())
}

impl Place {
    /// Whether both are the same file.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Place::Catalogue(a), Place::Catalogue(b)) => a.name == b.name,
            (Place::Path(a), Place::Path(b)) => a == b,
            _ => false,
        }
    }

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

/// What a model's engine is run with, as far as the configuration says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Settings {
    device: Device,
    context_length: Option<usize>,
    threads: Option<usize>,
    parallel: Option<usize>,
    cache_tokens: Option<usize>,
}

impl Settings {
    fn of(config: Option<&ModelConfig>) -> Self {
        config.map_or_else(Self::default, |config| Self {
            device: config.device.unwrap_or_default(),
            context_length: config.context_length,
            threads: config.threads,
            parallel: config.parallel,
            cache_tokens: config.cache_tokens,
        })
    }

    fn options(self) -> ChatOptions {
        let defaults = ChatOptions::default();
        ChatOptions {
            device: self.device,
            context_length: self.context_length,
            threads: self.threads,
            parallel: self.parallel.unwrap_or(defaults.parallel),
            cache_tokens: self.cache_tokens,
            ..defaults
        }
    }
}

/// An engine that all chat models of one file with the same settings share, whatever adapters they
/// have: it is in memory once, and their requests are answered together.
struct SharedEngine {
    place: Place,
    cache: Cache,
    settings: Settings,
    engine: OnceCell<ChatEngine>,
}

impl SharedEngine {
    /// The engine; the first caller loads it, others wait for the same load. What it takes is shown under the name that
    /// it is loaded by, `model`: of several names of one engine one, and no name of two.
    async fn get(&self, model: &str) -> Result<&ChatEngine, ModelError> {
        self.engine
            .get_or_try_init(|| async {
                let path = self.place.path(&self.cache)?;
                let options = self.settings.options();
                let engine = load(move || ChatEngine::load(&path, options)).await?;
                let memory = engine.memory();
                account::show_memory(
                    model,
                    &[
                        ("weights", memory.weights),
                        ("cache_limit", memory.max_cache),
                        ("constraint_limit", memory.max_constraints),
                    ],
                );
                Ok(engine)
            })
            .await
    }
}

/// The engines of an application while its models are built.
#[derive(Default)]
pub(crate) struct Engines(Vec<Arc<SharedEngine>>);

impl Engines {
    fn share(&mut self, place: Place, cache: Cache, settings: Settings) -> Arc<SharedEngine> {
        let same = |engine: &&Arc<SharedEngine>| {
            engine.settings == settings && engine.place.is_same(&place)
        };
        if let Some(engine) = self.0.iter().find(same) {
            return Arc::clone(engine);
        }
        let engine = Arc::new(SharedEngine {
            place,
            cache,
            settings,
            engine: OnceCell::new(),
        });
        self.0.push(Arc::clone(&engine));
        engine
    }
}

/// A chat model of an engine.
pub(crate) struct LocalChat {
    name: String,
    base: Arc<SharedEngine>,
    adapter: Option<PathBuf>,
    /// A handle of the engine with the adapter.
    adapted: OnceCell<ChatEngine>,
    pub first_token_timeout: Option<Duration>,
    timeout: Option<Duration>,
}

impl LocalChat {
    pub(crate) fn new(
        name: &str,
        place: Place,
        cache: Cache,
        config: Option<&ModelConfig>,
        engines: &mut Engines,
    ) -> Self {
        Self {
            name: name.to_owned(),
            base: engines.share(place, cache, Settings::of(config)),
            adapter: config.and_then(|c| c.adapter.as_ref()).map(PathBuf::from),
            adapted: OnceCell::new(),
            first_token_timeout: config.and_then(|c| c.first_token_timeout).map(|p| p.0),
            timeout: config.and_then(|c| c.timeout).map(|p| p.0),
        }
    }

    /// Why it cannot be used, where a file of it is absent or this build has no use of its device.
    pub(crate) fn absent(&self) -> Option<ModelError> {
        if let Err(error) = self.base.settings.device.is_built() {
            return Some(error.into());
        }
        if let Err(error) = self.base.place.path(&self.base.cache) {
            return Some(error);
        }
        let adapter = self.adapter.as_ref().filter(|path| !path.exists())?;
        Some(ModelError::NotFound(format!(
            "there is no adapter `{}`",
            adapter.display()
        )))
    }

    /// The engine, with the adapter where there is one; the first caller loads them, others wait for
    /// the same load.
    pub(crate) async fn engine(&self) -> Result<&ChatEngine, ModelError> {
        let base = self.base.get(&self.name).await?;
        let Some(path) = &self.adapter else {
            return Ok(base);
        };
        self.adapted
            .get_or_try_init(|| async {
                let (base, path) = (base.clone(), path.clone());
                let adapted = load(move || base.with_adapter(&path)).await?;
                account::show_memory(&self.name, &[("adapter", adapted.adapter_bytes())]);
                Ok(adapted)
            })
            .await
    }

    /// Tokens of prompt and answer together: the engine's where it is loaded, else what it will have
    /// as far as that is known without its file.
    pub(crate) fn window(&self) -> usize {
        if let Some(engine) = self.base.engine.get() {
            return engine.context_length();
        }
        let asked = self.base.settings.context_length.unwrap_or(DEFAULT_CONTEXT);
        match &self.base.place {
            Place::Catalogue(entry) => asked.min(entry.context),
            Place::Path(_) => asked,
        }
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
                ChatChunk::Reasoning(text) => Piece::Reasoning(text),
                ChatChunk::ToolCall(call) => Piece::ToolCall(call),
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
    name: String,
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
                revision: revision(path),
                ..EmbedOptions::default()
            },
        };
        if let Some(config) = config {
            let own = |own: &Option<String>, default: &Option<String>| {
                own.clone().filter(|own| Some(own) != default.as_ref())
            };
            let query = own(&config.query_prefix, &options.query_prefix);
            let passage = own(&config.passage_prefix, &options.passage_prefix);
            options.revision += &prefixes(query.as_deref(), passage.as_deref());
            options.query_prefix = config.query_prefix.clone().or(options.query_prefix);
            options.passage_prefix = config.passage_prefix.clone().or(options.passage_prefix);
            options.max_tokens = config.context_length.or(options.max_tokens);
            options.threads = config.threads;
        }
        Self {
            name: name.to_owned(),
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
                let engine = load(move || EmbedEngine::load(&path, options)).await?;
                account::show_memory(&self.name, &[("weights", engine.weight_bytes())]);
                Ok::<_, ModelError>(engine)
            })
            .await?;
        Ok(engine)
    }
}

/// What vectors with prefixes that the model does not have of itself add to their identity: they are others
/// than those of the bare model, which adds nothing.
pub(crate) fn prefixes(query: Option<&str>, passage: Option<&str>) -> String {
    if query.is_none() && passage.is_none() {
        return String::new();
    }
    let hash = blake3::hash(format!("{query:?} {passage:?}").as_bytes());
    format!("+{}", &hash.to_hex()[..8])
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
        threads: None,
    }
}

pub(crate) async fn load<T: Send + 'static>(
    load: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, ModelError> {
    tokio::task::spawn_blocking(load)
        .await
        .map_err(|e| ModelError::Internal(format!("loading a model failed: {e}")))?
        .map_err(ModelError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_with_prefixes_of_ones_own_are_others() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(dir.path().to_owned())).unwrap();
        let catalogue = praxis_hub::Catalogue::builtin().unwrap();
        let entry = catalogue.find("multilingual-e5-small").unwrap();
        let identity = |extra: &str| {
            let toml = format!("provider = \"local\"\nmodel = \"{}\"\n{extra}", entry.name);
            let config: ModelConfig = toml::from_str(&toml).unwrap();
            let place = Place::Catalogue(Box::new(entry.clone()));
            LocalEmbedder::new("e5", place, cache.clone(), Some(&config)).identity()
        };
        let bare = identity("");
        assert_eq!(bare, format!("{}@{}", entry.name, entry.revision()));
        let own = entry.embedding.as_ref().unwrap();
        let same = format!("query_prefix = \"{}\"", own.query_prefix);
        assert_eq!(identity(&same), bare, "what it has of itself");
        let (question, source) = (
            identity("query_prefix = \"Q: \""),
            identity("passage_prefix = \"Q: \""),
        );
        assert!(question.starts_with(&format!("{bare}+")), "{question}");
        assert!(question != source && source != bare);
    }

    #[test]
    fn models_of_one_file_with_the_same_settings_share_an_engine() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(dir.path().to_owned())).unwrap();
        let mut engines = Engines::default();
        let mut model = |toml: &str| {
            let config: ModelConfig = toml::from_str(toml).unwrap();
            let place = Place::Path(PathBuf::from(&config.model));
            LocalChat::new("a", place, cache.clone(), Some(&config), &mut engines)
        };
        let bare = model("provider = \"local\"\nmodel = \"a.gguf\"");
        let adapted = model("provider = \"local\"\nmodel = \"a.gguf\"\nadapter = \"x\"");
        let other = model("provider = \"local\"\nmodel = \"b.gguf\"");
        let other_device = model("provider = \"local\"\nmodel = \"a.gguf\"\ndevice = \"cuda\"");
        let narrow = model("provider = \"local\"\nmodel = \"a.gguf\"\nthreads = 1");
        assert!(Arc::ptr_eq(&bare.base, &adapted.base));
        assert!(!Arc::ptr_eq(&bare.base, &other.base));
        assert!(!Arc::ptr_eq(&bare.base, &narrow.base));
        assert!(!Arc::ptr_eq(&bare.base, &other_device.base));
    }
}
