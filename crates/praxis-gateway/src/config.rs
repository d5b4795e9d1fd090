//! The gateway's part of `praxis.toml`: `[models.NAME]`, `[routes]` and `[defaults]`. What is wrong with it
//! beyond its shape is found in [`crate::validate`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use praxis_core::chat::ReasoningEffort;
use praxis_core::suggest::nearest;
use praxis_engine::Device;
use praxis_hub::{Catalogue, Task};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::cache::{CacheConfig, CachePolicy};
use crate::price::Price;
use crate::prices::Prices;
use crate::providers::{self, Dialect};
use crate::routes::RouteConfig;
use crate::{DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDER, KeyReference, Period};

/// The models of an application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Declared models by name; those of the catalogue need no declaration.
    pub models: BTreeMap<String, ModelConfig>,
    /// Other names for chat models, and ways to choose among several.
    pub routes: BTreeMap<String, RouteConfig>,
    /// What is used where nothing is named.
    pub defaults: Defaults,
    /// How much memory answers take that are kept.
    pub cache: CacheConfig,
    /// The application's own table of prices, which goes before the built-in one.
    #[serde(skip)]
    pub prices: Option<Prices>,
}

/// `[defaults]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// The chat model; default: `qwen2.5-coder-1.5b-instruct`.
    pub chat: Option<String>,
    /// The embedder; default: `multilingual-e5-small`.
    pub embedding: Option<String>,
}

/// `[models.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Who runs it.
    pub provider: Provider,
    /// Local: a name of the catalogue, or the path of a GGUF file or model folder. Remote: the
    /// provider's name for the model.
    pub model: String,
    /// What it does; default: what the catalogue says, else chat.
    #[serde(default)]
    pub task: Option<Task>,
    /// Remote: where the provider is, up to and without such as `/chat/completions`; default: its own address.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Remote: the key, as `env:NAME`; default: the provider's own variable, at its own address.
    #[serde(default)]
    pub api_key: Option<KeyReference>,
    /// Remote: where the model runs, for providers that have regions; routes can be held to some.
    #[serde(default)]
    pub region: Option<String>,
    /// Remote: the version of the provider's API, where it has some.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Remote: whether providers that must be told are told to keep prompts in their caches; default: they are.
    #[serde(default)]
    pub prompt_cache: Option<bool>,
    /// Remote: headers that are sent too; a value may be `env:NAME`.
    #[serde(default)]
    pub headers: BTreeMap<String, KeyReference>,
    /// Remote: fields of the body that are sent too; they go before what is sent otherwise.
    #[serde(default)]
    pub extra_body: Map<String, Value>,
    /// Remote: how long the model thinks where a request does not say.
    #[serde(default)]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Remote: when it is left alone for a while after failures.
    #[serde(default)]
    pub breaker: Option<BreakerConfig>,
    /// The longest a whole answer may take; default: 10 minutes for remote models, none for local ones.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// The longest wait for the first token, from one sign of work to the next; default: 1 minute for remote models, 10
    /// for those that think before they answer, none for local ones.
    #[serde(default)]
    pub first_token_timeout: Option<Period>,
    /// The longest silence between two pieces of an answer; default: 1 minute for remote models, 10 for those that think.
    #[serde(default)]
    pub idle_timeout: Option<Period>,
    /// How often a failed request is sent again, if it may succeed then; default: 2 for remote
    /// models, 0 for local ones.
    #[serde(default)]
    pub max_retries: Option<u32>,
    /// Models to ask, in this order, where this one is unavailable.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// Chat models: for how long answers are kept and given again to the same request; default: none is.
    #[serde(default)]
    pub cache: Option<CachePolicy>,
    /// Price, in US dollars for a million tokens, or, of a speech model, for a minute of audio; default: what the tables
    /// of prices say for the provider's own address. Local models are free.
    #[serde(default)]
    pub price: Option<Price>,
    /// OpenAI: whether the endpoint takes regular expressions, choices and grammars that answers are held
    /// to, as vLLM's `structured_outputs`; default: it does not.
    #[serde(default)]
    pub structured_outputs: Option<bool>,
    /// Tokens of prompt and answer together.
    #[serde(default)]
    pub context_length: Option<usize>,
    /// Local chat models: what computes, `cpu` or `cuda`, an NVIDIA GPU; default: `cpu`.
    #[serde(default)]
    pub device: Option<Device>,
    /// Local: threads that compute; default: all processors.
    #[serde(default)]
    pub threads: Option<usize>,
    /// Local: requests that are answered at a time; default: 16.
    #[serde(default)]
    pub parallel: Option<usize>,
    /// Local: tokens whose keys and values are kept in memory, of all requests together; default:
    /// twice `context_length`.
    #[serde(default)]
    pub cache_tokens: Option<usize>,
    /// Local chat models: a LoRA adapter that answers are given with, the path of a GGUF file or of a
    /// folder as PEFT saves it. Models of one file with the same settings share one engine.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Embedders: length of the vectors to ask for, where the provider offers a choice.
    #[serde(default)]
    pub dimension: Option<usize>,
    /// Embedders: written before each query; default: what the model's files or the catalogue say.
    #[serde(default)]
    pub query_prefix: Option<String>,
    /// Embedders: written before each passage.
    #[serde(default)]
    pub passage_prefix: Option<String>,
}

/// Who runs a model: the engine inside Praxis, or a provider behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Provider(&'static str);

impl Provider {
    /// The engine inside Praxis.
    pub const LOCAL: Provider = Provider("local");
    /// An endpoint that speaks OpenAI's API.
    pub const OPENAI: Provider = Provider("openai");
    /// No provider: a route, which is listed among the models.
    pub(crate) const ROUTE: Provider = Provider("route");

    /// All providers, by name.
    pub fn all() -> impl Iterator<Item = Provider> {
        let remote = providers::ALL.iter().map(|d| Provider(d.facts().name));
        std::iter::once(Provider::LOCAL).chain(remote)
    }

    /// Its name in `praxis.toml`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether it is the engine inside Praxis.
    pub fn is_local(self) -> bool {
        self == Provider::LOCAL
    }

    /// How it speaks; `None` for the engine inside Praxis.
    pub(crate) fn dialect(self) -> Option<&'static dyn Dialect> {
        providers::find(self.0)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if let Some(provider) = Provider::all().find(|p| p.0 == name) {
            return Ok(provider);
        }
        let names: Vec<&str> = Provider::all().map(Provider::as_str).collect();
        let help = match nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", names.join(", ")),
        };
        Err(D::Error::custom(format!(
            "no provider is called `{name}`; {help}"
        )))
    }
}

/// When a model is left alone after failures (Nygard, "Release It!", circuit breaker).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// How many requests in a row have to fail; 0: it is never left alone.
    pub failures: u32,
    /// For how long.
    pub pause: Period,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Period(Duration::from_secs(30)),
        }
    }
}

impl GatewayConfig {
    /// The default chat model's name.
    pub fn chat_default(&self) -> &str {
        self.defaults.chat.as_deref().unwrap_or(DEFAULT_CHAT_MODEL)
    }

    /// The default embedder's name.
    pub fn embedding_default(&self) -> &str {
        self.defaults
            .embedding
            .as_deref()
            .unwrap_or(DEFAULT_EMBEDDER)
    }

    /// Whether a model may get what a route was asked as its shadow: where the route is held to regions, one that is in
    /// them, or on this machine.
    pub(crate) fn may_shadow(&self, route: &RouteConfig, model: &str) -> bool {
        let declared = self.models.get(model);
        let Some(remote) = declared.filter(|model| !model.provider.is_local()) else {
            return true;
        };
        let region = remote.region.as_ref();
        route.regions.is_empty() || region.is_some_and(|region| route.regions.contains(region))
    }

    /// All names that a request or a prompt may use, sorted.
    pub fn known_models(&self) -> Vec<String> {
        let own = self.models.keys().chain(self.routes.keys());
        let mut names: Vec<String> = own.cloned().collect();
        if let Ok(catalogue) = Catalogue::builtin() {
            names.extend(catalogue.names().map(str::to_owned));
        }
        names.sort();
        names.dedup();
        names
    }

    /// The models of the catalogue that the application needs on this machine: its defaults and what
    /// it declares, without repetition. The built-in default embedder counts only where
    /// `defaults.embedding` or a declaration names it: not every application searches.
    pub fn local_models(&self) -> Vec<String> {
        let Ok(catalogue) = Catalogue::builtin() else {
            return Vec::new();
        };
        let mut used: Vec<&str> = vec![self.chat_default()];
        used.extend(self.routes.values().flat_map(RouteConfig::names));
        used.extend(self.defaults.embedding.as_deref());
        used.extend(self.models.keys().map(String::as_str));
        used.extend(
            self.models
                .values()
                .flat_map(|m| m.fallback.iter().map(String::as_str)),
        );
        let mut names: Vec<String> = Vec::new();
        for name in used {
            let model = match self.models.get(name) {
                Some(config) if !config.provider.is_local() => continue,
                Some(config) => config.model.as_str(),
                None => name,
            };
            if catalogue.find(model).is_some() && names.iter().all(|n| n != model) {
                names.push(model.to_owned());
            }
        }
        names
    }

    /// The same with relative paths of local models and adapters taken from `root` instead of the
    /// current folder.
    #[must_use]
    pub fn rooted(mut self, root: &Path) -> Self {
        for config in self.models.values_mut() {
            if config.provider.is_local() && is_path(&config.model) {
                config.model = root.join(&config.model).to_string_lossy().into_owned();
            }
            if let Some(adapter) = &mut config.adapter {
                *adapter = root.join(&adapter).to_string_lossy().into_owned();
            }
        }
        self
    }
}

/// Whether a local `model` is a path rather than a name of the catalogue.
pub(crate) fn is_path(model: &str) -> bool {
    model.contains(['/', '\\']) || model.to_ascii_lowercase().ends_with(".gguf")
}

impl ModelConfig {
    /// What it does.
    pub(crate) fn task(&self, catalogue: &Catalogue) -> Task {
        self.task.unwrap_or_else(|| match self.provider.is_local() {
            true => catalogue.find(&self.model).map_or(Task::Chat, |e| e.task),
            false => Task::Chat,
        })
    }
}
