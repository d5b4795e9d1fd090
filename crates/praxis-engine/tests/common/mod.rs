//! Where the models of tests are: the cache that `praxis models pull` fills; and adapters for them.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "helpers of tests")]

pub mod adapters;

use std::path::PathBuf;

use praxis_engine::{ChatEngine, ChatOptions};

/// The file of a pulled model; `None`, with a note, where it was not pulled.
pub fn model(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("PRAXIS_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            let base = std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| {
                    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"))
                })?;
            Some(base.join("praxis"))
        })?;
    let path = cache.join("models").join(name).join("model.gguf");
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: {} is absent; run `praxis models pull {name}`",
        path.display()
    );
    None
}

/// The small chat model, loaded with some options.
#[allow(
    dead_code,
    reason = "each test binary compiles this module, not all use all of it"
)]
pub fn smollm2(options: ChatOptions) -> Option<ChatEngine> {
    let path = model("smollm2-135m-instruct")?;
    Some(ChatEngine::load(&path, options).expect("the model loads"))
}
