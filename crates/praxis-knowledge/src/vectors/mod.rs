//! The vector lanes of a base: which chunks are nearest to a question, and which documents by their summaries.
//! Vectors of each kind lie in an index on the disk that follows the store (`follow`); where another process has
//! that open, they are read from the store and all compared (`flat`). Left out: how an index finds what is near
//! (`praxis-vectors`).

mod flat;
mod follow;
mod lane;
mod open;

use std::collections::HashMap;
use std::sync::Arc;

use praxis_core::{ChunkId, DocumentId};
use praxis_store::ChunkEntry;
use praxis_vectors::{Error, IdSet, Index};
use rayon::prelude::*;

pub(crate) use flat::Flat;
pub(crate) use follow::{Numbered, Pieces, VectorKind, clear, tidy};
pub(crate) use lane::Lane;
pub(crate) use open::OnDisk;

/// Hits asked for beyond those that are wanted: a chunk that came or went since the snapshot is passed
/// over.
const SPARE: usize = 8;

/// The vectors of a base at one generation of the store.
#[derive(Debug)]
pub(crate) struct VectorIndex {
    /// Of chunks, by number.
    of_chunks: Lane,
    /// Of documents' summaries, by the generation that wrote the document.
    of_documents: Lane,
    /// By number.
    chunks: Vec<(u64, ChunkId)>,
    /// Of each chunk, the place of its document.
    owner: Vec<u32>,
    /// By generation: numbers of chunks grow with them.
    documents: Vec<DocumentId>,
    /// The generation that wrote each document.
    generations: Vec<u64>,
    /// The same as a set.
    all: IdSet,
    /// Places of documents, by the documents' ids.
    by_id: Vec<u32>,
    place: HashMap<ChunkId, u32>,
}

impl VectorIndex {
    /// The index of these chunks, by number, and of their documents, over what holds their vectors.
    pub fn new(entries: Vec<ChunkEntry>, of_chunks: Lane, of_documents: Lane) -> Self {
        let mut index = Self {
            of_chunks,
            of_documents,
            chunks: Vec::with_capacity(entries.len()),
            owner: Vec::with_capacity(entries.len()),
            documents: Vec::new(),
            generations: Vec::new(),
            all: IdSet::default(),
            by_id: Vec::new(),
            place: HashMap::with_capacity(entries.len()),
        };
        let mut known: HashMap<DocumentId, u32> = HashMap::new();
        for (place, entry) in (0u32..).zip(entries) {
            let next = u32::try_from(index.documents.len()).unwrap_or(u32::MAX);
            let of = *known.entry(entry.document).or_insert_with_key(|document| {
                index.documents.push(document.clone());
                index.generations.push(entry.generation);
                next
            });
            index.owner.push(of);
            index.place.insert(entry.chunk.clone(), place);
            index.chunks.push((entry.number, entry.chunk));
        }
        index.all = index.generations.iter().copied().collect();
        let documents = &index.documents;
        let mut by_id: Vec<u32> = (0u32..).take(documents.len()).collect();
        by_id.par_sort_unstable_by(|a, b| documents[*a as usize].cmp(&documents[*b as usize]));
        index.by_id = by_id;
        index
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
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

    fn lane(&self, kind: VectorKind) -> &Lane {
        match kind {
            VectorKind::Chunks => &self.of_chunks,
            VectorKind::Documents => &self.of_documents,
        }
    }

    /// A chunk's vector.
    pub fn get(&self, chunk: &ChunkId) -> Option<Vec<f32>> {
        self.of_chunks.get(self.number(chunk)?)
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
            let generation = self.generation(document)?;
            Some((document.clone(), self.of_documents.get(generation)?))
        };
        documents.filter_map(vector).collect()
    }

    /// The document of a chunk.
    pub fn document(&self, chunk: &ChunkId) -> Option<&DocumentId> {
        let place = *self.place.get(chunk)? as usize;
        self.documents.get(*self.owner.get(place)? as usize)
    }

    /// Cosine of a chunk's vector and a query of unit length.
    pub fn cosine(&self, chunk: &ChunkId, query: &[f32]) -> Option<f32> {
        self.of_chunks.cosine(self.number(chunk)?, query)
    }

    /// Of the documents that `allows` lets pass, the generations that wrote them, and the numbers of their
    /// chunks.
    pub fn select(&self, allows: impl Fn(u64) -> bool) -> (IdSet, IdSet) {
        let allowed: Vec<bool> = self.generations.iter().map(|g| allows(*g)).collect();
        let passing = self.generations.iter().zip(&allowed).filter(|(_, a)| **a);
        let documents = passing.map(|(generation, _)| *generation).collect();
        let of = |owner: &u32| allowed.get(*owner as usize) == Some(&true);
        let chunks = self.chunks.iter().zip(&self.owner);
        let chunks = chunks.filter(|(_, owner)| of(owner)).map(|(c, _)| c.0);
        (documents, chunks.collect())
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
        let hits = self.of_chunks.search(query, limit + SPARE, numbers)?;
        let chunk = |(number, score): (u64, f32)| {
            let place = self.chunks.binary_search_by_key(&number, |c| c.0).ok()?;
            Some((self.chunks[place].1.clone(), score))
        };
        Ok(hits.into_iter().filter_map(chunk).take(limit).collect())
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
        let only = generations.unwrap_or(&self.all);
        let hits = self.of_documents.search(query, limit, Some(only))?;
        let document = |(generation, score): (u64, f32)| {
            let place = self.generations.binary_search(&generation).ok()?;
            Some((self.documents[place].clone(), score))
        };
        Ok(hits.into_iter().filter_map(document).collect())
    }

    fn number(&self, chunk: &ChunkId) -> Option<u64> {
        let place = *self.place.get(chunk)? as usize;
        self.chunks.get(place).map(|c| c.0)
    }

    fn generation(&self, document: &DocumentId) -> Option<u64> {
        let id = |place: &u32| self.documents[*place as usize].cmp(document);
        let place = self.by_id[self.by_id.binary_search_by(id).ok()?] as usize;
        self.generations.get(place).copied()
    }
}

#[cfg(test)]
mod tests;
