//! The embedded local runtime: GGUF and safetensors models on the CPU, chat models also on a GPU.
//!
//! [`ChatEngine`] runs decoders, [`EmbedEngine`] encoders, [`RerankEngine`] cross-encoders, [`SpeechEngine`] Whisper; all
//! implement the ports of `praxis-core` and know nothing of applications, names or networks: a path
//! in, tokens, vectors or scores out.

mod chat;
mod compute;
mod constraint;
pub mod convert;
mod cpu;
mod decoder;
mod dtype;
mod encoder;
mod error;
mod gguf;
#[cfg(any(test, feature = "cuda"))]
mod gpu;
mod mapped;
mod safetensors_file;
mod sampler;
mod speech;
mod template;
#[cfg(test)]
#[path = "../tests/common/models.rs"]
mod test_models;
mod tokenizer;
mod tools;

pub use chat::{ChatEngine, ChatMemory, ChatOptions, DEFAULT_CONTEXT, Device};
#[doc(hidden)]
pub use constraint::walk::Walk;
pub use encoder::{EmbedEngine, EmbedOptions, Pooling, RerankEngine, RerankOptions};
pub use error::EngineError;
pub use speech::{SpeechEngine, SpeechOptions};
