//! The vector lane of a base: which chunks are nearest to a question. Vectors lie in an index on the disk
//! that follows the store (`follow`); where another process has that open, they are read from the store
//! and all compared (`flat`). Left out: how an index finds what is near (`praxis-vectors`).

mod flat;
mod follow;
mod open;

use std::collections::HashMap;
use std::sync::Arc;

use praxis_core::{ChunkId, DocumentId};
use praxis_store::ChunkEntry;
use praxis_vectors::{Filter, IdSet, Index, SearchOptions};

pub(crate) use flat::Flat;
pub(crate) use follow::{Pieces, clear, tidy};

/// Hits asked for beyond those that are wanted: a chunk that came or went since the snapshot is passed
/// over.
const SPARE: usize = 8;

/// Where the vectors are.
#[derive(Debug)]
pub(crate) enum Lane {
    /// In an index on the disk.
    Disk(Arc<Index>),
    /// In memory.
    Memory(Flat),
}

/// The vectors of a base at one generation of the store.
#[derive(Debug)]
pub(crate) struct VectorIndex {
    lane: Lane,
    /// By number.
    chunks: Vec<(u64, ChunkId)>,
    /// Of each chunk, the place of its document.
    owner: Vec<u32>,
    documents: Vec<DocumentId>,
    /// The generation that wrote each document.
    generations: Vec<u64>,
    place: HashMap<ChunkId, u32>,
}

impl VectorIndex {
    /// The index of these chunks, by number, over what holds their vectors.
    pub fn new(entries: Vec<ChunkEntry>, lane: Lane) -> Self {
        let mut index = Self {
            lane,
            chunks: Vec::with_capacity(entries.len()),
            owner: Vec::with_capacity(entries.len()),
            documents: Vec::new(),
            generations: Vec::new(),
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
        index
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether the chunk with a number can be found.
    pub fn contains(&self, number: u64) -> bool {
        match &self.lane {
            Lane::Disk(index) => index.contains(number),
            Lane::Memory(flat) => flat.get(number).is_some(),
        }
    }

    /// The index on the disk, unless the vectors were read from the store.
    pub fn on_disk(&self) -> Option<Arc<Index>> {
        match &self.lane {
            Lane::Disk(index) => Some(Arc::clone(index)),
            Lane::Memory(_) => None,
        }
    }

    /// A chunk's vector.
    pub fn get(&self, chunk: &ChunkId) -> Option<Vec<f32>> {
        let number = self.number(chunk)?;
        match &self.lane {
            Lane::Disk(index) => index.vector(number).ok().flatten(),
            Lane::Memory(flat) => flat.get(number).map(<[f32]>::to_vec),
        }
    }

    /// The vectors of some chunks.
    pub fn of<'a>(&self, chunks: impl Iterator<Item = &'a ChunkId>) -> HashMap<ChunkId, Vec<f32>> {
        let vector = |chunk: &ChunkId| Some((chunk.clone(), self.get(chunk)?));
        chunks.filter_map(vector).collect()
    }

    /// The document of a chunk.
    pub fn document(&self, chunk: &ChunkId) -> Option<&DocumentId> {
        let place = *self.place.get(chunk)? as usize;
        self.documents.get(*self.owner.get(place)? as usize)
    }

    /// Cosine of a chunk's vector and a query of unit length.
    pub fn cosine(&self, chunk: &ChunkId, query: &[f32]) -> Option<f32> {
        let number = self.number(chunk)?;
        match &self.lane {
            Lane::Disk(index) => index.cosine(number, query).ok().flatten(),
            Lane::Memory(flat) => flat.cosine(number, query),
        }
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
    ) -> Result<Vec<(ChunkId, f32)>, praxis_vectors::Error> {
        let options = SearchOptions {
            filter: numbers.map(Filter::Only),
            ..SearchOptions::default()
        };
        let hits: Vec<(u64, f32)> = match &self.lane {
            Lane::Disk(index) => index
                .search(query, limit + SPARE, &options)?
                .into_iter()
                .map(|hit| (hit.id, hit.score))
                .collect(),
            Lane::Memory(flat) => flat.search(query, limit + SPARE, numbers),
        };
        let chunk = |(number, score): (u64, f32)| {
            let place = self.chunks.binary_search_by_key(&number, |c| c.0).ok()?;
            Some((self.chunks[place].1.clone(), score))
        };
        Ok(hits.into_iter().filter_map(chunk).take(limit).collect())
    }

    fn number(&self, chunk: &ChunkId) -> Option<u64> {
        let place = *self.place.get(chunk)? as usize;
        self.chunks.get(place).map(|c| c.0)
    }
}
