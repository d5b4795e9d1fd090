//! The vectors of a base for a search: from its indexes on the disk, brought up to the store, or, where
//! another process has those open, from the store itself. Left out: what following the store takes
//! (`follow`).

use std::sync::Arc;

use praxis_core::CallError;
use praxis_store::{Base, Place as Since};
use praxis_vectors::Index;

use super::follow::{Pieces, Place, VectorKind, follow};
use super::{Flat, Lane, VectorIndex};
use crate::knowledge::{Knowledge, internal};

/// The indexes of a base's vectors that this process has open; none where another one has them, and of a base
/// without vectors.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnDisk {
    pub chunks: Option<Arc<Index>>,
    pub documents: Option<Arc<Index>>,
}

impl Knowledge {
    /// The chunks and documents of a base over what is `on_disk` of their vectors, and over the others
    /// themselves.
    pub(crate) async fn vectors(
        &self,
        name: &str,
        on_disk: OnDisk,
    ) -> Result<VectorIndex, CallError> {
        let chunks = self.lane(name, VectorKind::Chunks, on_disk.chunks).await?;
        let documents = self
            .lane(name, VectorKind::Documents, on_disk.documents)
            .await?;
        let entries = self.store().chunk_entries(name).await.map_err(internal)?;
        Ok(VectorIndex::new(entries, chunks, documents))
    }

    async fn lane(
        &self,
        name: &str,
        kind: VectorKind,
        index: Option<Arc<Index>>,
    ) -> Result<Lane, CallError> {
        if let Some(index) = index {
            return Ok(Lane::Disk(index));
        }
        let mut flat = Flat::default();
        let mut pieces = Pieces::since(self.store(), name, kind, 0);
        while let Some(piece) = pieces.next().await? {
            flat.extend(piece);
        }
        Ok(Lane::Memory(flat))
    }

    /// Brings the indexes of vectors on disk up to the store. The caller holds the base's lock.
    pub(crate) async fn index_vectors(
        &self,
        name: &str,
        stored: &Base,
    ) -> Result<OnDisk, CallError> {
        let first = self.store().vectors_after(name, Since::after(0), 1).await;
        let Some(dimension) = first.map_err(internal)?.first().map(|v| v.vector.len()) else {
            return Ok(OnDisk::default());
        };
        let store = self.store().id().await.map_err(internal)?;
        let place = |kind: VectorKind| {
            let root = self.index_dir(name).join(kind.folder());
            Place::new(root, &store, &stored.embedder, dimension)
        };
        let base = self.base(name)?;
        let open = base.open_vectors();
        // Who has this one open has the other one, too.
        let Some(chunks) = opened(open.chunks, place(VectorKind::Chunks)).await? else {
            return Ok(OnDisk::default());
        };
        follow(self.store(), name, stored, VectorKind::Chunks, &chunks).await?;
        let documents = opened(open.documents, place(VectorKind::Documents)).await?;
        if let Some(documents) = &documents {
            follow(self.store(), name, stored, VectorKind::Documents, documents).await?;
        }
        let on_disk = OnDisk {
            chunks: Some(chunks),
            documents,
        };
        if let Ok(mut open) = base.vectors.lock() {
            *open = on_disk.clone();
        }
        Ok(on_disk)
    }
}

/// The index at a place: the one that is open, where it is that; `None` where another process has it open.
async fn opened(open: Option<Arc<Index>>, place: Place) -> Result<Option<Arc<Index>>, CallError> {
    if let Some(index) = open.filter(|index| place.is_of(index)) {
        return Ok(Some(index));
    }
    let opened = tokio::task::spawn_blocking(move || place.open()).await;
    opened.map_err(internal)?.map_err(internal)
}
