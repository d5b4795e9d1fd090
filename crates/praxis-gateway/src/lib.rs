//! One interface to chat, embedding and reranking models over the local engine and the providers of `providers`.
//!
//! [`GatewayConfig`] is the gateway's part of `praxis.toml`; [`Gateway`] answers by the name of a model or a route,
//! with retries, fallback, hedging, trace and cost. Left out: limits per caller.

mod account;
mod asking;
mod attempts;
mod breaker;
mod builder;
mod cache;
mod charged;
mod claims;
mod config;
mod embedder;
mod error;
mod gateway;
mod local;
mod meter;
mod openai;
mod price;
mod prices;
mod providers;
mod reranker;
mod routes;
mod tally;
mod tokens;
mod transcriber;
mod validate;
mod vocabulary;
mod wire;

pub use cache::{CacheConfig, CachePolicy};
pub use config::{BreakerConfig, Defaults, GatewayConfig, ModelConfig, Provider};
pub use error::GatewayError;
pub use gateway::{Gateway, ModelInfo};
pub use praxis_core::{KeyReference, Period};
pub use praxis_hub::Task;
pub use price::{Price, Tier, Tiers};
pub use prices::{Listed, Prices};
pub use routes::{Order, RouteConfig, Shadow, Target};

/// The chat model of an application that names none.
pub const DEFAULT_CHAT_MODEL: &str = "qwen2.5-coder-1.5b-instruct";
/// The speech model of an application.
pub const DEFAULT_TRANSCRIBER: &str = "whisper-base";
/// The embedder of an application that names none.
pub const DEFAULT_EMBEDDER: &str = "multilingual-e5-small";
