//! The vectors of a base for a search: from its indexes on the disk, brought up to the store, or, where
//! another process has those open, from the store itself. Left out: what following the store takes
//! (`follow`), and when that is tried again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use praxis_core::{CallError, now_s};
use praxis_store::{Base, Place as Since};
use praxis_vectors::Index;

use super::catalog::Gone;
use super::follow::{Pieces, Place, VectorKind, follow};
use super::{Catalog, Flat, Lane, VectorIndex};
use crate::knowledge::{Keeper, Snapshot, aside, internal};

/// The indexes of a base's vectors that this process has open; none where another one has them, and of a base
/// without vectors.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnDisk {
    pub chunks: Option<Arc<Index>>,
    pub documents: Option<Arc<Index>>,
}

impl OnDisk {
    /// That of a kind.
    pub fn of(&self, kind: VectorKind) -> Option<&Arc<Index>> {
        match kind {
            VectorKind::Chunks => self.chunks.as_ref(),
            VectorKind::Documents => self.documents.as_ref(),
        }
    }
}

impl Keeper {
    /// The chunks and documents of a base over what is `on_disk` of their vectors, and over the others themselves.
    /// What a snapshot of `before` has read is not read again; `embedder` is whose vectors they are.
    pub(crate) async fn vectors(
        &self,
        before: Option<&Snapshot>,
        embedder: &str,
        on_disk: OnDisk,
    ) -> Result<VectorIndex, CallError> {
        let (catalog, gone) = self.catalog(before).await?;
        // Those of another embedder are others, also of chunks that stayed.
        let before = before.filter(|known| known.embedder == embedder);
        let dimension = match (&on_disk.chunks, &on_disk.documents) {
            (Some(_), Some(_)) => None,
            _ => self.store.dimension(&self.name).await.map_err(internal)?,
        };
        let known = |kind| {
            let known = before?;
            let flat = known.indexes.vectors.lane(kind).flat()?;
            (Some(flat.dimension()) == dimension).then_some((flat, known.generation))
        };
        let chunks = known(VectorKind::Chunks);
        let chunks = self.lane(VectorKind::Chunks, on_disk.chunks, chunks, &gone.chunks);
        let chunks = chunks.await?;
        let documents = known(VectorKind::Documents);
        let documents = self.lane(
            VectorKind::Documents,
            on_disk.documents,
            documents,
            &gone.documents,
        );
        let documents = documents.await?;
        Ok(VectorIndex::new(catalog, chunks, documents))
    }

    /// The chunks of a base, and what is gone of those before.
    async fn catalog(&self, before: Option<&Snapshot>) -> Result<(Catalog, Gone), CallError> {
        let Some(before) = before else {
            let entries = self.store.chunk_entries(&self.name).await;
            let entries = entries.map_err(internal)?;
            return aside(move || Ok((Catalog::new(entries), Gone::default()))).await;
        };
        let known = before.indexes.vectors.catalog().clone();
        // In this order: what is written between the two comes the next time, what goes is gone.
        let came = self
            .store
            .chunk_entries_after(&self.name, before.generation)
            .await
            .map_err(internal)?;
        let kept = self.store.document_generations(&self.name).await;
        let kept = kept.map_err(internal)?;
        aside(move || Ok(known.followed(came, kept))).await
    }

    /// The vectors of a kind: those of an index; else those that are `known` at a generation, without what is `gone`,
    /// and what came since.
    async fn lane(
        &self,
        kind: VectorKind,
        index: Option<Arc<Index>>,
        known: Option<(&Flat, i64)>,
        gone: &HashSet<u64>,
    ) -> Result<Lane, CallError> {
        if let Some(index) = index {
            return Ok(Lane::Disk(index));
        }
        let (mut flat, since) = match known {
            Some((flat, since)) => (flat.clone(), since),
            None => (Flat::default(), 0),
        };
        flat.remove(gone);
        let mut pieces = Pieces::since(&self.store, &self.name, kind, since);
        while let Some(piece) = pieces.next().await? {
            flat.extend(piece);
        }
        aside(move || {
            flat.tidy();
            Ok(Lane::Memory(flat))
        })
        .await
    }

    /// Brings the indexes of vectors on disk up to the store; none where another process has them open. The caller
    /// holds the base's lock.
    pub(crate) async fn vectors_on_disk(&self, stored: &Base) -> Result<OnDisk, CallError> {
        let (store, name) = (&self.store, self.name.as_str());
        let first = store.vectors_after(name, Since::after(0), 1).await;
        let Some(dimension) = first.map_err(internal)?.first().map(|v| v.vector.len()) else {
            return Ok(OnDisk::default());
        };
        let id = store.id().await.map_err(internal)?;
        let place = |kind: VectorKind| {
            Place::new(
                self.dir.join(kind.folder()),
                &id,
                &stored.embedder,
                dimension,
            )
        };
        let open = self.base.open_vectors();
        // Who has this one open has the other one, too.
        let Some(chunks) = opened(open.chunks, place(VectorKind::Chunks)).await? else {
            self.base.elsewhere.store(now_s(), Ordering::Relaxed);
            return Ok(OnDisk::default());
        };
        follow(store, name, stored, VectorKind::Chunks, &chunks).await?;
        let documents = opened(open.documents, place(VectorKind::Documents)).await?;
        if let Some(documents) = &documents {
            follow(store, name, stored, VectorKind::Documents, documents).await?;
        } else {
            self.base.elsewhere.store(now_s(), Ordering::Relaxed);
        }
        let on_disk = OnDisk {
            chunks: Some(chunks),
            documents,
        };
        if let Ok(mut open) = self.base.vectors.lock() {
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
    aside(move || place.open().map_err(internal)).await
}
