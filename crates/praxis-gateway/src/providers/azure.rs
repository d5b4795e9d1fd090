//! Azure OpenAI: OpenAI's API at an address of one's own, with the key in a header of its own. `base_url` is that of
//! the v1 API (`https://NAME.openai.azure.com/openai/v1`); with `api_version` it is the resource's
//! (`https://NAME.openai.azure.com`), and the older addresses with deployments and versions are asked. `model` is the
//! deployment's name in both.

use async_trait::async_trait;
use praxis_core::{ChatRequest, ModelError};
use praxis_hub::Task;
use reqwest::Request;
use serde_json::{Map, Value};

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE};
use crate::wire::{Endpoint, secret_header};

pub(super) struct Azure;

static FACTS: Facts = Facts {
    name: "azure",
    title: "Azure OpenAI",
    base_url: None,
    key: Some("AZURE_OPENAI_API_KEY"),
    reference: "https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat::OPENAI,
};

#[async_trait]
impl Dialect for Azure {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// Versions with a date have no word for caches, and no need of one: they are used anyway. Nor do they have those
    /// that are newer than most of them.
    fn adapt(
        &self,
        to: &Endpoint,
        _request: &ChatRequest,
        body: &mut Map<String, Value>,
        left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        if to.api_version.is_some() {
            for name in [
                "prompt_cache_key",
                "prompt_cache_retention",
                "prompt_cache_options",
            ] {
                body.remove(name);
            }
            for name in ["verbosity", "service_tier"] {
                if body.remove(name).is_some() {
                    left_out.push(name);
                }
            }
        }
        Ok(())
    }

    fn address(&self, to: &Endpoint, path: &str) -> String {
        let base = to.base_url.as_str().trim_end_matches('/');
        match &to.api_version {
            Some(version) => {
                let model = &to.model;
                format!("{base}/openai/deployments/{model}/{path}?api-version={version}")
            }
            None => format!("{base}/{path}"),
        }
    }

    async fn authorize(&self, to: &Endpoint, request: &mut Request) -> Result<(), ModelError> {
        if let Some(key) = to.secret() {
            let value = secret_header(&to.name, key.expose())?;
            request.headers_mut().insert("api-key", value);
        }
        Ok(())
    }
}
