//! Models from their configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use praxis_core::Secret;
use praxis_hub::{Cache, Catalogue, Task};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::asking::{ChatTarget, Runner};
use crate::breaker::Breaker;
use crate::config::{BreakerConfig, ModelConfig, is_path};
use crate::error::GatewayError;
use crate::gateway::Model;
use crate::local::{Engines, LocalChat, LocalEmbedder, Place};
use crate::price::Price;
use crate::prices::Prices;
use crate::providers::Dialect;
use crate::wire::{Endpoint, Timeouts};
use crate::{embedder, reranker, transcriber};

/// Defaults of remote models; a local one has its own pace, so nothing limits it unasked.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(600);
const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The same of models that think before they answer: many say nothing meanwhile.
const THINKING_TIMEOUT: Duration = Duration::from_secs(600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REMOTE_RETRIES: u32 = 2;

/// Where a region is looked for that no model names, as AWS's tools do.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Builds models from configuration.
pub(crate) struct Builder<'a> {
    catalogue: &'a Catalogue,
    cache: &'a Cache,
    client: Client,
    env: &'a dyn Fn(&str) -> Option<String>,
    engines: Engines,
    /// The application's own prices.
    own_prices: Option<&'a Prices>,
}

impl<'a> Builder<'a> {
    /// A builder of the models of a catalogue and of a configuration, whose keys come from `env`.
    pub(crate) fn new(
        catalogue: &'a Catalogue,
        cache: &'a Cache,
        env: &'a dyn Fn(&str) -> Option<String>,
        own_prices: Option<&'a Prices>,
    ) -> Result<Self, GatewayError> {
        Ok(Self {
            own_prices,
            catalogue,
            cache,
            client: client()?,
            env,
            engines: Engines::default(),
        })
    }

    pub(crate) fn declared(
        &mut self,
        name: &str,
        config: &ModelConfig,
    ) -> Result<Model, GatewayError> {
        let task = config.task(self.catalogue);
        if let Some(dialect) = config.provider.dialect() {
            return self.remote(name, config, dialect, task);
        }
        let place = if is_path(&config.model) {
            Place::Path(PathBuf::from(&config.model))
        } else {
            Place::Catalogue(Box::new(self.catalogue.get(&config.model)?.clone()))
        };
        Ok(self.local(name, place, task, Some(config)))
    }

    pub(crate) fn local(
        &mut self,
        name: &str,
        place: Place,
        task: Task,
        config: Option<&ModelConfig>,
    ) -> Model {
        let cache = self.cache.clone();
        match task {
            Task::Chat => Model::Chat(Arc::new(ChatTarget {
                name: name.to_owned(),
                runner: Runner::Local(LocalChat::new(
                    name,
                    place,
                    cache,
                    config,
                    &mut self.engines,
                )),
                price: Some(config.and_then(|c| c.price).unwrap_or_default()),
                max_retries: config.and_then(|c| c.max_retries).unwrap_or(0),
                fallback: config.map(|c| c.fallback.clone()).unwrap_or_default(),
                reasoning_effort: None,
                // It is here or it is not.
                breaker: Breaker::new(BreakerConfig {
                    failures: 0,
                    ..BreakerConfig::default()
                }),
            })),
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
                    price: Some(config.and_then(|c| c.price).unwrap_or_default()),
                }
            }
            Task::Reranking => Model::Reranker {
                remote: None,
                reranker: Arc::new(reranker::Local::new(name, place.clone(), cache, config)),
                local: Some(place),
            },
            Task::Transcription => {
                let model = transcriber::Local::new(name, place.clone(), cache, config);
                Model::Transcriber {
                    local: Some((place, Arc::new(model))),
                    price: config.and_then(|c| c.price).unwrap_or_default(),
                }
            }
        }
    }

    fn remote(
        &self,
        name: &str,
        config: &ModelConfig,
        dialect: &'static dyn Dialect,
        task: Task,
    ) -> Result<Model, GatewayError> {
        let endpoint = self.endpoint(name, config, dialect)?;
        let remote = Remote {
            unavailable: endpoint.unavailable(),
            provider: config.provider,
        };
        let max_retries = config.max_retries.unwrap_or(REMOTE_RETRIES);
        let price = self.price(config, dialect)?;
        Ok(match task {
            Task::Chat => Model::Chat(Arc::new(ChatTarget {
                name: name.to_owned(),
                runner: Runner::Remote(Box::new(endpoint)),
                price,
                max_retries,
                fallback: config.fallback.clone(),
                reasoning_effort: config.reasoning_effort,
                breaker: Breaker::new(config.breaker.unwrap_or_default()),
            })),
            Task::Embedding => Model::Embedder {
                remote: Some(remote),
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
                price,
            },
            Task::Reranking => Model::Reranker {
                remote: Some(remote),
                reranker: Arc::new(reranker::Remote {
                    endpoint,
                    max_retries,
                }),
                local: None,
            },
            Task::Transcription => Model::Transcriber {
                local: None,
                price: Price::default(),
            },
        })
    }

    /// What a model costs, where that is known: names mean the provider's models at its own address only. The tables
    /// are read where they are needed first: most applications ask for none.
    fn price(
        &self,
        config: &ModelConfig,
        dialect: &dyn Dialect,
    ) -> Result<Option<Price>, GatewayError> {
        let own = config.base_url.is_none() || dialect.facts().base_url.is_none();
        if config.price.is_some() || !own {
            return Ok(config.price);
        }
        let builtin = Prices::builtin().map_err(GatewayError::Prices)?;
        let prices = match self.own_prices {
            Some(own) => own.clone().before(&builtin),
            None => builtin,
        };
        let listed = prices.find(config.provider.as_str(), &config.model);
        Ok(listed.map(|(price, _)| price))
    }

    fn endpoint(
        &self,
        name: &str,
        config: &ModelConfig,
        dialect: &'static dyn Dialect,
    ) -> Result<Endpoint, GatewayError> {
        let set = |variable: &str| (self.env)(variable).filter(|v| !v.trim().is_empty());
        let region = config
            .region
            .clone()
            .or_else(|| REGION_VARIABLES.into_iter().find_map(set));
        let base = config
            .base_url
            .clone()
            .or_else(|| dialect.default_base_url(region.as_deref()))
            .unwrap_or_default();
        if base.is_empty() {
            return Err(GatewayError::Http(format!(
                "`{name}`: nothing says where it is: give `region`, or set AWS_REGION"
            )));
        }
        let base_url = Url::parse(&base)
            .map_err(|e| GatewayError::Http(format!("`{name}`: `{base}` is no address: {e}")))?;
        let variable = match &config.api_key {
            Some(key) => key.variable(),
            // A provider's own key goes to its own address only.
            None if config.base_url.is_none() || dialect.facts().base_url.is_none() => {
                dialect.facts().key
            }
            None => None,
        };
        let key = variable.map(|variable| {
            let value = set(variable).map(|v| Secret::new(v.trim()));
            (variable.to_owned(), value)
        });
        let (headers, absent) = self.headers(name, config)?;
        let period = |given: Option<crate::Period>, default| given.map_or(default, |p| p.0);
        Ok(Endpoint {
            name: name.to_owned(),
            model: config.model.clone(),
            dialect,
            base_url,
            key,
            absent,
            timeouts: Timeouts {
                total: period(config.timeout, TOTAL_TIMEOUT),
                first_token: period(config.first_token_timeout, FIRST_TOKEN_TIMEOUT),
                idle: period(config.idle_timeout, IDLE_TIMEOUT),
                thinking: (
                    period(config.first_token_timeout, THINKING_TIMEOUT),
                    period(config.idle_timeout, THINKING_TIMEOUT),
                ),
            },
            structured_outputs: config.structured_outputs.unwrap_or_default(),
            region,
            api_version: config.api_version.clone(),
            prompt_cache: config.prompt_cache.unwrap_or(true),
            headers,
            extra_body: config.extra_body.clone(),
            client: self.client.clone(),
        })
    }

    /// The headers of a configuration, and the variable of the first that is not set.
    fn headers(
        &self,
        name: &str,
        config: &ModelConfig,
    ) -> Result<(HeaderMap, Option<String>), GatewayError> {
        let (mut headers, mut absent) = (HeaderMap::new(), None);
        for (header, value) in &config.headers {
            let wrong = || GatewayError::Http(format!("`{name}`: `{header}` is no header"));
            let key = HeaderName::from_bytes(header.as_bytes()).map_err(|_| wrong())?;
            let value = match value.variable() {
                Some(variable) => match (self.env)(variable) {
                    Some(value) => value,
                    None => {
                        absent.get_or_insert_with(|| variable.to_owned());
                        continue;
                    }
                },
                None => value.written().to_owned(),
            };
            let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok((headers, absent))
    }
}

/// What is told of a model behind an address.
pub(crate) struct Remote {
    pub provider: crate::Provider,
    /// Why it cannot be used as configured.
    pub unavailable: Option<String>,
}

fn client() -> Result<Client, GatewayError> {
    // Whoever comes first installs it; an error means that someone did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("praxis/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // Another host would get the prompt, and headers with keys that are no `Authorization`; and a redirected POST
        // becomes a GET, or sends all of it again.
        .redirect(Policy::none())
        .build()
        .map_err(|e| GatewayError::Http(e.to_string()))
}
