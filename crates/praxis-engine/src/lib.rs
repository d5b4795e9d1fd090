//! The embedded local runtime: GGUF and safetensors models on the CPU.
//!
//! [`ChatEngine`] runs decoders, [`EmbedEngine`] encoders; both implement the ports of
//! `praxis-core` and know nothing of applications, names or networks: a path in, tokens or vectors
//! out. The tensor library is candle; a later issue replaces the hot path by kernels of our own.

mod attention;
mod chat;
mod decoder;
mod error;
mod gguf;
mod sampler;
mod stream;
mod template;
mod tokenizer;

pub use chat::{ChatEngine, ChatOptions};
pub use error::EngineError;
