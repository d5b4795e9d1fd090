//! One interface to chat, embedding and reranking models over the local engine and any OpenAI-compatible endpoint.
//!
//! [`GatewayConfig`] is the gateway's part of `praxis.toml`; [`Gateway`] answers by model name, with
//! retries, fallback, trace and cost. Left out: limits per caller and providers with a dialect of
//! their own, which the gateway issue brings.

mod account;
mod attempts;
mod config;
mod embedder;
mod error;
mod gateway;
mod local;
mod openai;
mod reranker;
mod tokens;
mod validate;

pub use config::{Defaults, GatewayConfig, ModelConfig, Price, Provider};
pub use error::GatewayError;
pub use gateway::{Gateway, ModelInfo};
pub use praxis_core::{KeyReference, Period};
pub use praxis_hub::Task;

/// The chat model of an application that names none.
pub const DEFAULT_CHAT_MODEL: &str = "qwen2.5-coder-1.5b-instruct";
/// The embedder of an application that names none.
pub const DEFAULT_EMBEDDER: &str = "multilingual-e5-small";
