//! Indexes made anew from the store. Left out: whether they need it (`check`).

use praxis_core::CallError;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Keeper, Knowledge};
use crate::vectors::OnDisk;

/// What a rebuild did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// Chunks of the base.
    pub chunks: usize,
    /// Whether the index of their vectors was left as it was, because another process has it open.
    pub vectors_elsewhere: bool,
}

impl Knowledge {
    /// Makes a base's indexes anew from the store, without embedding anything. An index of vectors that another
    /// process has open is left to it, which keeps it up to the store.
    ///
    /// # Errors
    /// An unknown base, or a disk that fails.
    pub async fn rebuild(&self, name: &str) -> Result<RebuildReport, CallError> {
        let keeper = self.keeper(name)?;
        let _lock = self.lock(name, &CancellationToken::new()).await?;
        let work = |keeper: Keeper| async move {
            if let Ok(mut snapshot) = keeper.base.snapshot.write() {
                *snapshot = None;
            }
            if let Ok(mut vectors) = keeper.base.vectors.lock() {
                *vectors = OnDisk::default();
            }
            keeper.empty().await?;
            keeper.refreshed().await
        };
        let snapshot = keeper.apart(work).await?;
        self.tidy_vectors(name).await?;
        let Some(snapshot) = snapshot else {
            return Ok(RebuildReport::default());
        };
        let vectors = &snapshot.indexes.vectors;
        Ok(RebuildReport {
            chunks: vectors.len(),
            vectors_elsewhere: vectors.len() > 0 && !vectors.are_on_disk(),
        })
    }
}
