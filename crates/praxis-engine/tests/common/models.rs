//! Where pulled models are: the cache that `praxis models pull` fills. The library's own tests read this
//! file too.

use std::path::PathBuf;

/// A file of a pulled model; `None`, with a note, where it was not pulled.
pub fn model_file(name: &str, file: &str) -> Option<PathBuf> {
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
    let path = cache.join("models").join(name).join(file);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: {} is absent; run `praxis models pull {name}`",
        path.display()
    );
    None
}
