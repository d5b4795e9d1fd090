//! The model catalogue and the shared cache: resolve, download, verify, convert and remove models.
//!
//! [`Catalogue`] knows models by name ([`ModelEntry`]: files, checksums, sources); [`Cache`] is the
//! folder that holds them and [`Cache::pull`] fills it. Left out: running models (`praxis-engine`)
//! and choosing among providers (`praxis-gateway`).

mod cache;
mod catalogue;
mod download;
mod error;
mod files;
mod package;
mod pull;

pub use cache::{Cache, LocalModel, ModelInfo};
pub use catalogue::{
    Catalogue, Conversion, EmbeddingInfo, ModelEntry, ModelFile, PackagePart, Pooling, Source,
    SourceKind, Task,
};
pub use error::HubError;
pub use files::fingerprint;
pub use pull::{Progress, PullOptions};
