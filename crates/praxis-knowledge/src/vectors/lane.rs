//! Where vectors are, asked alike wherever that is. Left out: whose they are (`mod.rs`).

use std::sync::Arc;

use praxis_vectors::{Error, Filter, IdSet, Index, SearchOptions};

use super::Flat;

/// Where the vectors are.
#[derive(Debug)]
pub(crate) enum Lane {
    /// In an index on the disk.
    Disk(Arc<Index>),
    /// In memory.
    Memory(Flat),
}

impl Lane {
    /// Whether the vector with an id can be found.
    pub fn contains(&self, id: u64) -> bool {
        match self {
            Self::Disk(index) => index.contains(id),
            Self::Memory(flat) => flat.get(id).is_some(),
        }
    }

    /// The index on the disk, unless the vectors were read from the store.
    pub fn on_disk(&self) -> Option<Arc<Index>> {
        match self {
            Self::Disk(index) => Some(Arc::clone(index)),
            Self::Memory(_) => None,
        }
    }

    /// The vectors in memory, where they are there.
    pub fn flat(&self) -> Option<&Flat> {
        match self {
            Self::Disk(_) => None,
            Self::Memory(flat) => Some(flat),
        }
    }

    /// The vector with an id.
    pub fn get(&self, id: u64) -> Option<Vec<f32>> {
        match self {
            Self::Disk(index) => index.vector(id).ok().flatten(),
            Self::Memory(flat) => flat.get(id).map(<[f32]>::to_vec),
        }
    }

    /// Cosine of the vector with an id and a query of unit length.
    pub fn cosine(&self, id: u64, query: &[f32]) -> Option<f32> {
        match self {
            Self::Disk(index) => index.cosine(id, query).ok().flatten(),
            Self::Memory(flat) => flat.cosine(id, query),
        }
    }

    /// The ids of the `limit` vectors nearest to `query`, best first, with their cosines; only those of
    /// `only`, where it is given: then they are exactly the best of them.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn search(
        &self,
        query: &[f32],
        limit: usize,
        only: Option<&IdSet>,
    ) -> Result<Vec<(u64, f32)>, Error> {
        let options = SearchOptions {
            filter: only.map(Filter::Only),
            ..SearchOptions::default()
        };
        match self {
            Self::Disk(index) => {
                let hits = index.search(query, limit, &options)?;
                Ok(hits.into_iter().map(|hit| (hit.id, hit.score)).collect())
            }
            Self::Memory(flat) => Ok(flat.search(query, limit, only)),
        }
    }
}
