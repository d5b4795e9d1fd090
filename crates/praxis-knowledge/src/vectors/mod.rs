//! The vector lanes of a base: which chunks are nearest to a question, and which documents by their summaries.
//! Vectors of each kind lie in an index on the disk that follows the store (`follow`); where another process has
//! that open, they are read from the store and all compared (`flat`). Left out: how an index finds what is near
//! (`praxis-vectors`).

mod catalog;
mod flat;
mod follow;
mod lane;
mod open;

use std::collections::HashMap;
use std::sync::Arc;

use praxis_core::{ChunkId, DocumentId};
use praxis_vectors::{Error, IdSet, Index};

pub(crate) use catalog::Catalog;
pub(crate) use flat::Flat;
pub(crate) use follow::{Numbered, Pieces, VectorKind, clear, tidy};
pub(crate) use lane::Lane;
pub(crate) use open::OnDisk;

/// Hits asked for beyond those that are wanted: a chunk that came or went since the snapshot is passed
/// over.
const SPARE: usize = 8;

/// How much more is asked for where that was not enough, and how many times.
const MORE: usize = 8;
const TIMES: usize = 3;

/// The vectors of a base at one generation of the store.
#[derive(Debug)]
pub(crate) struct VectorIndex {
    /// Of chunks, by number.
    of_chunks: Lane,
    /// Of documents' summaries, by the generation that wrote the document.
    of_documents: Lane,
    catalog: Catalog,
}

impl VectorIndex {
    /// The index of these chunks and their documents, over what holds their vectors.
    pub fn new(catalog: Catalog, of_chunks: Lane, of_documents: Lane) -> Self {
        Self {
            of_chunks,
            of_documents,
            catalog,
        }
    }

    /// The chunks and their documents.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.catalog.len()
    }

    /// Whether the vector with an id can be found.
    pub fn contains(&self, kind: VectorKind, id: u64) -> bool {
        self.lane(kind).contains(id)
    }

    /// The index on the disk, unless the vectors were read from the store.
    pub fn on_disk(&self, kind: VectorKind) -> Option<Arc<Index>> {
        self.lane(kind).on_disk()
    }

    /// Whether no vectors had to be read from the store.
    pub fn are_on_disk(&self) -> bool {
        let mut kinds = VectorKind::ALL.into_iter();
        kinds.all(|kind| self.lane(kind).on_disk().is_some())
    }

    /// Whether vectors had to be read from the store, because another process has an index open.
    pub fn are_in_memory(&self) -> bool {
        let mut kinds = VectorKind::ALL.into_iter();
        kinds.any(|kind| self.lane(kind).flat().is_some_and(|flat| !flat.is_empty()))
    }

    /// Whether it uses just these indexes on the disk.
    pub fn are_over(&self, open: &OnDisk) -> bool {
        let is_same = |kind| match (self.lane(kind).on_disk(), open.of(kind)) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(&own, other),
            _ => false,
        };
        VectorKind::ALL.into_iter().all(is_same)
    }

    /// What holds the vectors of a kind.
    pub fn lane(&self, kind: VectorKind) -> &Lane {
        match kind {
            VectorKind::Chunks => &self.of_chunks,
            VectorKind::Documents => &self.of_documents,
        }
    }

    /// A chunk's vector.
    pub fn get(&self, chunk: &ChunkId) -> Option<Vec<f32>> {
        self.of_chunks.get(self.catalog.number(chunk)?)
    }

    /// The vectors of some chunks.
    pub fn of<'a>(&self, chunks: impl Iterator<Item = &'a ChunkId>) -> HashMap<ChunkId, Vec<f32>> {
        let vector = |chunk: &ChunkId| Some((chunk.clone(), self.get(chunk)?));
        chunks.filter_map(vector).collect()
    }

    /// The vectors of some documents' summaries.
    pub fn of_summaries<'a>(
        &self,
        documents: impl Iterator<Item = &'a DocumentId>,
    ) -> HashMap<DocumentId, Vec<f32>> {
        let vector = |document: &DocumentId| {
            let generation = self.catalog.generation(document)?;
            Some((document.clone(), self.of_documents.get(generation)?))
        };
        documents.filter_map(vector).collect()
    }

    /// The document of a chunk.
    pub fn document(&self, chunk: &ChunkId) -> Option<&DocumentId> {
        self.catalog.document(chunk)
    }

    /// Cosine of a chunk's vector and a query of unit length.
    pub fn cosine(&self, chunk: &ChunkId, query: &[f32]) -> Option<f32> {
        self.of_chunks.cosine(self.catalog.number(chunk)?, query)
    }

    /// Of the documents that `allows` lets pass, the generations that wrote them, and the numbers of their
    /// chunks.
    pub fn select(&self, allows: impl Fn(u64) -> bool) -> (IdSet, IdSet) {
        self.catalog.select(allows)
    }

    /// The `limit` chunks nearest to `query`, best first, with their cosines; only those of `numbers`, where
    /// they are given.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn search(
        &self,
        query: &[f32],
        limit: usize,
        numbers: Option<&IdSet>,
    ) -> Result<Vec<(ChunkId, f32)>, Error> {
        let chunk = |(number, score): (u64, f32)| {
            let chunk = self.catalog.chunk(number)?;
            Some((chunk.clone(), score))
        };
        let mut found = Vec::new();
        let mut asked = limit + SPARE;
        for _ in 0..TIMES {
            let hits = self.of_chunks.search(query, asked, numbers)?;
            let is_all = hits.len() < asked;
            found = hits.into_iter().filter_map(chunk).take(limit).collect();
            if is_all || found.len() == limit {
                break;
            }
            asked *= MORE;
        }
        Ok(found)
    }

    /// The `limit` documents whose summaries are nearest to `query`, best first, with their cosines; only those
    /// that `generations` wrote, where they are given. They are exactly the best of them.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn search_documents(
        &self,
        query: &[f32],
        limit: usize,
        generations: Option<&IdSet>,
    ) -> Result<Vec<(DocumentId, f32)>, Error> {
        // With a filter also where all count: what came since the snapshot takes no place.
        let only = generations.unwrap_or(self.catalog.generations());
        let hits = self.of_documents.search(query, limit, Some(only))?;
        let document = |(generation, score): (u64, f32)| {
            let document = self.catalog.document_of(generation)?;
            Some((document.clone(), score))
        };
        Ok(hits.into_iter().filter_map(document).collect())
    }
}

#[cfg(test)]
mod tests;
