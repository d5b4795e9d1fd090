//! Why a gateway cannot be built. What goes wrong in a call is `praxis_core::ModelError`.

use praxis_hub::HubError;

use praxis_core::Problem;

/// A gateway's error, sorted by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Correct `praxis.toml`; each problem names its key.
    #[error("praxis.toml: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config {
        /// What is wrong, in the order of the file's keys.
        problems: Vec<Problem>,
    },
    /// Report it: the built-in table of prices is broken.
    #[error("the built-in prices: {0}")]
    Prices(Problem),
    /// Report it: the built-in catalogue is broken.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Mend the system's certificates or proxy settings.
    #[error("no HTTP client: {0}")]
    Http(String),
}
