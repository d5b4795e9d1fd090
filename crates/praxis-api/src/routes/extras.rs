//! What chats and responses say alike in words that few providers have: tiers, caches, and how a form is called. What
//! becomes of them is `praxis_core::chat::Extras`' to say.

use praxis_core::Priority;
use praxis_core::chat::{Form, ServiceTier};
use serde::Deserialize;

use crate::error::ApiError;

/// OpenAI's cheap tier is for requests that nobody waits for.
pub(crate) fn priority(tier: Option<ServiceTier>) -> Priority {
    match tier {
        Some(ServiceTier::Flex) => Priority::Batch,
        _ => Priority::Interactive,
    }
}

/// How a provider is to keep prompts, in OpenAI's words.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PromptCacheOptions")]
pub(crate) struct CacheOptions {
    ttl: Option<String>,
    mode: Option<CacheMode>,
}

/// Who says where prompts are cut for the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "PromptCacheMode")]
enum CacheMode {
    /// The provider.
    Implicit,
    /// The client.
    Explicit,
}

impl CacheOptions {
    /// How long a prompt is to be kept.
    ///
    /// # Errors
    /// Where the client wants to say where prompts are cut: without its marks nothing would be kept.
    pub(crate) fn ttl(&self) -> Result<Option<String>, ApiError> {
        if self.mode == Some(CacheMode::Explicit) {
            let message =
                "marks within messages are not passed on: leave `mode` out, or say `implicit`";
            return Err(ApiError::invalid("prompt_cache_options.mode", message));
        }
        Ok(self.ttl.clone())
    }
}

/// How a client's schema is told to a provider: it is strict where the client says so, as with OpenAI.
pub(crate) fn form(name: Option<&str>, description: Option<&str>, strict: Option<bool>) -> Form {
    let text = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    Form {
        name: text(name),
        description: text(description),
        strict: Some(strict.unwrap_or(false)),
    }
}
