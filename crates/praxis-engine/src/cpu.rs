//! How many threads to compute with.

/// The processors this process may use: affinity and cgroup quota are respected, as the standard
/// library reads both.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
