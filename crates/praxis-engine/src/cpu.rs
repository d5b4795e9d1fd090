//! The threads that compute.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::EngineError;

/// The processors this process may use: affinity and cgroup quota are respected, as the standard
/// library reads both.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// So many computing threads, `NAME-0` and on.
pub(crate) fn pool(name: &str, threads: usize) -> Result<ThreadPool, EngineError> {
    let name = name.to_owned();
    ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(move |i| format!("{name}-{i}"))
        .build()
        .map_err(|error| EngineError::Resource(error.to_string()))
}
