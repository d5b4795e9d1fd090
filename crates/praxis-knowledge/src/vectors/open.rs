//! The vectors of a base for a search: from its index on the disk, brought up to the store, or, where
//! another process has that open, from the store itself. Left out: what following the store takes
//! (`follow`).

use std::sync::Arc;

use praxis_core::CallError;
use praxis_store::{Base, Place as Since};
use praxis_vectors::Index;

use super::follow::{Pieces, Place, follow};
use super::{Flat, Lane, VectorIndex};
use crate::knowledge::{Knowledge, VECTORS, internal};

impl Knowledge {
    /// The chunks of a base over an index of their vectors, or, without one, over the vectors themselves.
    pub(crate) async fn vectors(
        &self,
        name: &str,
        index: Option<Arc<Index>>,
    ) -> Result<VectorIndex, CallError> {
        let lane = match index {
            Some(index) => Lane::Disk(index),
            None => {
                let mut flat = Flat::default();
                let mut pieces = Pieces::since(self.store(), name, 0);
                while let Some(piece) = pieces.next().await? {
                    flat.extend(piece);
                }
                Lane::Memory(flat)
            }
        };
        let entries = self.store().chunk_entries(name).await.map_err(internal)?;
        Ok(VectorIndex::new(entries, lane))
    }

    /// Brings the index of vectors on disk up to the store; `None` where another process has it open, and
    /// for a base without vectors. The caller holds the base's lock.
    pub(crate) async fn index_vectors(
        &self,
        name: &str,
        stored: &Base,
    ) -> Result<Option<Arc<Index>>, CallError> {
        let first = self.store().vectors_after(name, Since::after(0), 1).await;
        let Some(dimension) = first.map_err(internal)?.first().map(|v| v.vector.len()) else {
            return Ok(None);
        };
        let place = Place::new(
            self.index_dir(name).join(VECTORS),
            &self.store().id().await.map_err(internal)?,
            &stored.embedder,
            dimension,
        );
        let base = self.base(name)?;
        let open = base.vectors.lock().ok().and_then(|slot| slot.clone());
        let index = match open.filter(|index| place.is_of(index)) {
            Some(index) => Some(index),
            None => {
                let opened = tokio::task::spawn_blocking(move || place.open()).await;
                opened.map_err(internal)?.map_err(internal)?
            }
        };
        let Some(index) = index else {
            return Ok(None);
        };
        follow(self.store(), name, stored, &index).await?;
        if let Ok(mut slot) = base.vectors.lock() {
            *slot = Some(Arc::clone(&index));
        }
        Ok(Some(index))
    }
}
