//! The gateway's part of `praxis.toml`: `[models.NAME]` and `[defaults]`. What is wrong with it
//! beyond its shape is found in [`crate::validate`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use praxis_engine::Device;
use praxis_hub::{Catalogue, Task};
use serde::{Deserialize, Serialize};

use crate::{DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDER, KeyReference, Period};

/// The models of an application.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Declared models by name; those of the catalogue need no declaration.
    pub models: BTreeMap<String, ModelConfig>,
    /// What is used where nothing is named.
    pub defaults: Defaults,
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
    /// Local: a name of the catalogue, or the path of a GGUF file or model folder. OpenAI: the
    /// provider's name for the model.
    pub model: String,
    /// What it does; default: what the catalogue says, else chat.
    #[serde(default)]
    pub task: Option<Task>,
    /// OpenAI: address up to and without `/chat/completions`, e.g. `https://api.openai.com/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// OpenAI: the key, as `env:NAME`.
    #[serde(default)]
    pub api_key: Option<KeyReference>,
    /// The longest a whole answer may take; default: 10 minutes for OpenAI, none for local models.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// The longest wait for the first token; default: 1 minute for OpenAI, none for local models.
    #[serde(default)]
    pub first_token_timeout: Option<Period>,
    /// The longest silence between two pieces of an answer; default: 1 minute for OpenAI.
    #[serde(default)]
    pub idle_timeout: Option<Period>,
    /// How often a failed request is sent again, if it may succeed then; default: 2 for OpenAI, 0
    /// for local models.
    #[serde(default)]
    pub max_retries: Option<u32>,
    /// Models to ask, in this order, where this one is unavailable.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// Price, in US dollars for a million tokens; default: free.
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

/// Who runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The engine inside Praxis.
    Local,
    /// An endpoint that speaks OpenAI's API.
    OpenAi,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Provider::Local => "local",
            Provider::OpenAi => "openai",
        })
    }
}

/// Price of a model, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    #[serde(default)]
    pub output: f64,
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

    /// All names that a request or a prompt may use, sorted.
    pub fn known_models(&self) -> Vec<String> {
        let mut names: Vec<String> = self.models.keys().cloned().collect();
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
                Some(config) if config.provider == Provider::OpenAi => continue,
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
            if config.provider == Provider::Local && is_path(&config.model) {
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
        self.task.unwrap_or_else(|| match self.provider {
            Provider::Local => catalogue.find(&self.model).map_or(Task::Chat, |e| e.task),
            Provider::OpenAi => Task::Chat,
        })
    }
}
