//! The gateway: names to models, attempts, fallback.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::suggest::nearest;
use praxis_core::{
    CallContext, ChatGateway, ChatRequest, ChatStream, Embedder, Message, ModelError, Reranker,
    Secret, TokenCount,
};
use praxis_hub::{Cache, Catalogue, Task};
use reqwest::{Client, Url};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::account::{self, Account, Accounted};
use crate::attempts::{Attempts, Next};
use crate::config::{GatewayConfig, ModelConfig, Price, Provider, is_path};
use crate::embedder;
use crate::error::GatewayError;
use crate::local::{Engines, LocalChat, LocalEmbedder, Place};
use crate::openai::{Endpoint, Piece, Pieces, Timeouts};
use crate::reranker;

/// Defaults of remote models; a local one has its own pace, so nothing limits it unasked.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(600);
const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REMOTE_RETRIES: u32 = 2;

/// All models of an application behind their names. Building it costs nothing: local models load
/// when first used.
pub struct Gateway {
    config: GatewayConfig,
    cache: Cache,
    catalogue: Catalogue,
    models: BTreeMap<String, Model>,
}

/// A model behind a name.
enum Model {
    Chat(ChatTarget),
    Embedder {
        remote: Option<String>,
        embedder: Arc<dyn Embedder>,
        local: Option<Place>,
    },
    Reranker {
        remote: Option<String>,
        reranker: Arc<dyn Reranker>,
        local: Option<Place>,
    },
    Transcription,
}

/// A chat model with its policy.
struct ChatTarget {
    name: String,
    runner: Runner,
    price: Price,
    max_retries: u32,
    fallback: Vec<String>,
}

enum Runner {
    Local(LocalChat),
    OpenAi(Endpoint),
}

/// A model as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// Its name in requests.
    pub name: String,
    /// Who runs it.
    pub provider: Provider,
    /// What it does.
    pub task: Task,
    /// Whether it can be used now.
    pub available: bool,
    /// Why not, and the fix.
    pub reason: Option<String>,
    /// Tokens of prompt and answer together, where known.
    pub context: Option<usize>,
    /// Whether the application declares it or has it as a default.
    pub declared: bool,
}

impl Gateway {
    /// A gateway over the configured models and the catalogue; keys come from the environment.
    ///
    /// # Errors
    /// [`GatewayError::Config`] with all that [`GatewayConfig::problems`] finds.
    pub fn new(config: GatewayConfig, cache: Cache) -> Result<Self, GatewayError> {
        Self::with_env(config, cache, &|name| std::env::var(name).ok())
    }

    /// The same with an environment of the caller's making.
    ///
    /// # Errors
    /// As [`Gateway::new`].
    pub fn with_env(
        config: GatewayConfig,
        cache: Cache,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, GatewayError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(GatewayError::Config { problems });
        }
        account::describe_metrics();
        let catalogue = Catalogue::builtin()?;
        let mut builder = Builder {
            catalogue: &catalogue,
            cache: &cache,
            client: client()?,
            env,
            engines: Engines::default(),
        };
        let mut models = BTreeMap::new();
        for entry in catalogue.entries() {
            let place = Place::Catalogue(Box::new(entry.clone()));
            models.insert(
                entry.name.clone(),
                builder.local(&entry.name, place, entry.task, None),
            );
        }
        for (name, model) in &config.models {
            models.insert(name.clone(), builder.declared(name, model)?);
        }
        Ok(Self {
            config,
            cache,
            catalogue,
            models,
        })
    }

    /// The model of that name.
    fn model(&self, name: &str) -> Result<&Model, ModelError> {
        self.models.get(name).ok_or_else(|| {
            let near = nearest(name, self.models.keys().map(String::as_str));
            let hint = near.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
            ModelError::NotFound(format!("no model is called `{name}`{hint}"))
        })
    }

    fn chat_target(&self, name: &str) -> Result<&ChatTarget, ModelError> {
        let name = if name.is_empty() {
            self.config.chat_default()
        } else {
            name
        };
        match self.model(name)? {
            Model::Chat(target) => Ok(target),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not chat",
                other.task()
            ))),
        }
    }

    /// The embedder of that name, or the application's default. Loading waits for the first use.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] or [`ModelError::InvalidRequest`] for a name that is none.
    pub fn embedder(&self, name: Option<&str>) -> Result<Arc<dyn Embedder>, ModelError> {
        let name = match name {
            None | Some("") => self.config.embedding_default(),
            Some(name) => name,
        };
        match self.model(name)? {
            Model::Embedder { embedder, .. } => Ok(Arc::clone(embedder)),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not embedding",
                other.task()
            ))),
        }
    }

    /// The cross-encoder of that name; `None` for a chat model, which can be asked to rerank. Loading waits
    /// for the first use.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] or [`ModelError::InvalidRequest`] for a name that is neither.
    pub fn reranker(&self, name: &str) -> Result<Option<Arc<dyn Reranker>>, ModelError> {
        match self.model(name)? {
            Model::Reranker { reranker, .. } => Ok(Some(Arc::clone(reranker))),
            Model::Chat(_) => Ok(None),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not reranking",
                other.task()
            ))),
        }
    }

    /// Loads a model before it is asked; a remote one has nothing to load.
    ///
    /// # Errors
    /// [`ModelError::NotPulled`] and whatever else stands in the way of loading.
    pub async fn preload(&self, name: &str) -> Result<(), ModelError> {
        match self.model(name)? {
            Model::Chat(ChatTarget {
                runner: Runner::Local(local),
                ..
            }) => local.engine().await.map(|_| ()),
            Model::Embedder {
                embedder,
                local: Some(_),
                ..
            } => embedder.dimension().await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// All models, declared ones and the catalogue's, by name.
    pub fn models(&self) -> Vec<ModelInfo> {
        self.models
            .iter()
            .map(|(name, model)| self.info(name, model))
            .collect()
    }

    /// The models of the catalogue that the application uses and this machine lacks.
    pub fn missing(&self) -> Vec<String> {
        let absent = |name: &String| {
            self.catalogue
                .find(name)
                .is_some_and(|e| self.cache.resolve(e).is_none())
        };
        self.config
            .local_models()
            .into_iter()
            .filter(absent)
            .collect()
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    fn info(&self, name: &str, model: &Model) -> ModelInfo {
        let declared = self.config.models.get(name);
        let (provider, reason) = match model {
            Model::Chat(target) => match &target.runner {
                Runner::Local(local) => {
                    let absent = local.absent().map(|e| e.to_string());
                    (Provider::Local, absent)
                }
                Runner::OpenAi(endpoint) => (Provider::OpenAi, endpoint.unavailable()),
            },
            Model::Embedder {
                local: Some(place), ..
            }
            | Model::Reranker {
                local: Some(place), ..
            } => (Provider::Local, self.absent(place)),
            Model::Embedder { remote, .. } | Model::Reranker { remote, .. } => {
                (Provider::OpenAi, remote.clone())
            }
            Model::Transcription => (
                Provider::Local,
                Some("speech is not recognized by this version".to_owned()),
            ),
        };
        let catalogued = match declared {
            Some(config) if config.provider == Provider::OpenAi => None,
            Some(config) => self.catalogue.find(&config.model),
            None => self.catalogue.find(name),
        };
        ModelInfo {
            name: name.to_owned(),
            provider,
            task: model.task(),
            available: reason.is_none(),
            reason,
            context: declared
                .and_then(|d| d.context_length)
                .or(catalogued.map(|e| e.context)),
            declared: declared.is_some()
                || name == self.config.chat_default()
                || name == self.config.embedding_default(),
        }
    }

    fn absent(&self, place: &Place) -> Option<String> {
        place.path(&self.cache).err().map(|e| e.to_string())
    }

    /// The models to ask, in order: the one asked for, its fallbacks, and theirs.
    fn chain(&self, name: &str) -> Result<Vec<&ChatTarget>, ModelError> {
        let mut chain: Vec<&ChatTarget> = Vec::new();
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            let target = self.chat_target(name)?;
            if chain.iter().all(|t| t.name != target.name) {
                chain.push(target);
                waiting.extend(target.fallback.iter().rev().map(String::as_str));
            }
        }
        Ok(chain)
    }
}

#[async_trait]
impl ChatGateway for Gateway {
    async fn chat(&self, request: ChatRequest, cx: &CallContext) -> Result<ChatStream, ModelError> {
        let chain = self.chain(&request.model)?;
        let Some(asked) = chain.first() else {
            return Err(ModelError::Internal("an empty fallback chain".to_owned()));
        };
        let mut account = Account::open(&asked.name, &request, cx);
        let stop = cx.cancel().child_token();
        let guard = stop.clone().drop_guard();
        let begun = tokio::select! {
            // A caller that is gone already must not cost a request.
            biased;
            () = stop.cancelled() => Err(ModelError::Cancelled),
            begun = begin(&chain, &request, &mut account, &stop) => begun,
        };
        match begun {
            Ok((first, rest)) => Ok(Accounted::new(first, rest, account, guard).boxed()),
            Err(error) => {
                account.fail(&error);
                Err(error)
            }
        }
    }

    fn window(&self, model: &str) -> Option<usize> {
        let target = self.chat_target(model).ok()?;
        match &target.runner {
            Runner::Local(local) => Some(local.window()),
            Runner::OpenAi(_) => self.config.models.get(&target.name)?.context_length,
        }
    }

    async fn count_tokens(
        &self,
        model: &str,
        messages: &[Message],
    ) -> Result<TokenCount, ModelError> {
        match &self.chat_target(model)?.runner {
            Runner::Local(local) => local.engine().await?.count_each(messages),
            Runner::OpenAi(_) => Ok(TokenCount::estimate(messages)),
        }
    }
}

/// Asks along the chain until an answer begins. The first piece is awaited here, because nothing
/// after it can be retried.
async fn begin(
    chain: &[&ChatTarget],
    request: &ChatRequest,
    account: &mut Account,
    stop: &CancellationToken,
) -> Result<(Piece, Pieces), ModelError> {
    let mut models = chain.iter().peekable();
    while let Some(target) = models.next() {
        account.ask(&target.name, target.price);
        let mut attempts = Attempts::new(target.max_retries);
        loop {
            let error = match target.first_piece(request, stop).await {
                Ok(begun) => return Ok(begun),
                Err(error) => error,
            };
            match attempts.next(&error, rand::random()) {
                Next::Retry(pause) => {
                    account.attempt_failed(&error);
                    embedder::count_retry(&target.name);
                    tracing::debug!(model = %target.name, %error, ?pause, "trying again");
                    tokio::time::sleep(pause).await;
                }
                Next::Fallback if models.peek().is_some() => {
                    account.attempt_failed(&error);
                    let from = target.name.clone();
                    metrics::counter!("praxis_model_fallbacks_total", "model" => from).increment(1);
                    tracing::warn!(model = %target.name, %error, "falling back");
                    break;
                }
                Next::Fallback | Next::GiveUp => return Err(error),
            }
        }
    }
    Err(ModelError::Internal("an empty fallback chain".to_owned()))
}

impl ChatTarget {
    async fn first_piece(
        &self,
        request: &ChatRequest,
        stop: &CancellationToken,
    ) -> Result<(Piece, Pieces), ModelError> {
        let begun = async {
            let mut pieces = match &self.runner {
                Runner::Local(local) => {
                    // The engine's errors name the model as the application does.
                    let request = ChatRequest {
                        model: self.name.clone(),
                        ..request.clone()
                    };
                    local.chat(request, stop.child_token()).await?
                }
                Runner::OpenAi(endpoint) => endpoint.chat(request).await?,
            };
            match pieces.next().await {
                Some(Ok(first)) => Ok((first, pieces)),
                Some(Err(ModelError::Broken(message))) => Err(ModelError::Unavailable(message)),
                Some(Err(error)) => Err(error),
                None => Err(ModelError::Unavailable(format!(
                    "`{}` gave no answer",
                    self.name
                ))),
            }
        };
        match &self.runner {
            Runner::Local(LocalChat {
                first_token_timeout: Some(limit),
                ..
            }) => tokio::time::timeout(*limit, begun)
                .await
                .unwrap_or(Err(ModelError::Timeout(*limit))),
            _ => begun.await,
        }
    }
}

impl Model {
    fn task(&self) -> Task {
        match self {
            Model::Chat(_) => Task::Chat,
            Model::Embedder { .. } => Task::Embedding,
            Model::Reranker { .. } => Task::Reranking,
            Model::Transcription => Task::Transcription,
        }
    }
}

fn client() -> Result<Client, GatewayError> {
    // Whoever comes first installs it; an error means that someone did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("praxis/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(|e| GatewayError::Http(e.to_string()))
}

/// Builds models from configuration.
struct Builder<'a> {
    catalogue: &'a Catalogue,
    cache: &'a Cache,
    client: Client,
    env: &'a dyn Fn(&str) -> Option<String>,
    engines: Engines,
}

impl Builder<'_> {
    fn declared(&mut self, name: &str, config: &ModelConfig) -> Result<Model, GatewayError> {
        let task = config.task(self.catalogue);
        if config.provider == Provider::OpenAi {
            return self.remote(name, config, task);
        }
        let place = if is_path(&config.model) {
            Place::Path(PathBuf::from(&config.model))
        } else {
            Place::Catalogue(Box::new(self.catalogue.get(&config.model)?.clone()))
        };
        Ok(self.local(name, place, task, Some(config)))
    }

    fn local(
        &mut self,
        name: &str,
        place: Place,
        task: Task,
        config: Option<&ModelConfig>,
    ) -> Model {
        let cache = self.cache.clone();
        match task {
            Task::Chat => Model::Chat(ChatTarget {
                name: name.to_owned(),
                runner: Runner::Local(LocalChat::new(place, cache, config, &mut self.engines)),
                price: config.and_then(|c| c.price).unwrap_or_default(),
                max_retries: config.and_then(|c| c.max_retries).unwrap_or(0),
                fallback: config.map(|c| c.fallback.clone()).unwrap_or_default(),
            }),
            Task::Embedding => {
                let model = LocalEmbedder::new(name, place.clone(), cache, config);
                let embedder = Arc::new(embedder::Local {
                    name: name.to_owned(),
                    model,
                });
                Model::Embedder {
                    remote: None,
                    embedder,
                    local: Some(place),
                }
            }
            Task::Reranking => Model::Reranker {
                remote: None,
                reranker: Arc::new(reranker::Local::new(name, place.clone(), cache, config)),
                local: Some(place),
            },
            Task::Transcription => Model::Transcription,
        }
    }

    fn remote(&self, name: &str, config: &ModelConfig, task: Task) -> Result<Model, GatewayError> {
        let base = config.base_url.as_deref().unwrap_or_default();
        let base_url = Url::parse(base)
            .map_err(|e| GatewayError::Http(format!("`{name}`: `{base}` is no address: {e}")))?;
        let key = config
            .api_key
            .as_ref()
            .and_then(|k| k.variable())
            .map(|variable| {
                let value = (self.env)(variable).filter(|v| !v.trim().is_empty());
                (variable.to_owned(), value.map(|v| Secret::new(v.trim())))
            });
        let period = |given: Option<crate::Period>, default| given.map_or(default, |p| p.0);
        let endpoint = Endpoint {
            name: name.to_owned(),
            model: config.model.clone(),
            base_url,
            key,
            timeouts: Timeouts {
                total: period(config.timeout, TOTAL_TIMEOUT),
                first_token: period(config.first_token_timeout, FIRST_TOKEN_TIMEOUT),
                idle: period(config.idle_timeout, IDLE_TIMEOUT),
            },
            structured_outputs: config.structured_outputs.unwrap_or_default(),
            client: self.client.clone(),
        };
        let max_retries = config.max_retries.unwrap_or(REMOTE_RETRIES);
        Ok(match task {
            Task::Chat => Model::Chat(ChatTarget {
                name: name.to_owned(),
                runner: Runner::OpenAi(endpoint),
                price: config.price.unwrap_or_default(),
                max_retries,
                fallback: config.fallback.clone(),
            }),
            Task::Embedding => Model::Embedder {
                remote: endpoint.unavailable(),
                embedder: Arc::new(embedder::Remote {
                    endpoint,
                    max_retries,
                    wanted: config.dimension,
                    max_tokens: config.context_length,
                    query_prefix: config.query_prefix.clone().unwrap_or_default(),
                    passage_prefix: config.passage_prefix.clone().unwrap_or_default(),
                    dimension: tokio::sync::OnceCell::new(),
                }),
                local: None,
            },
            Task::Reranking => Model::Reranker {
                remote: endpoint.unavailable(),
                reranker: Arc::new(reranker::Remote {
                    endpoint,
                    max_retries,
                }),
                local: None,
            },
            Task::Transcription => Model::Transcription,
        })
    }
}
