//! What a base holds, as its lanes know it: chunks by number and by id, and their documents by generation and by id.
//!
//! A catalog is made of an earlier one by what came and went, and shares all else with it, so that a small change of a
//! large base costs little. Left out: vectors.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use praxis_core::{ChunkId, DocumentId};
use praxis_store::ChunkEntry;
use praxis_vectors::IdSet;
use rayon::prelude::*;

/// A part that is at most so many times as large as the one after it becomes one with it: so there are few, and what
/// came is copied a few times only.
const GROWTH: usize = 2;

/// The chunks of a base at one generation of the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// By generation, and so by the numbers of what is alive, which grow with them.
    parts: Vec<Arc<Part>>,
    /// The generations of documents of these parts that are gone.
    gone: HashSet<u64>,
    /// Those of all others.
    all: IdSet,
    /// Chunks of all others.
    len: usize,
}

/// What is gone since an earlier catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Numbers of chunks.
    pub chunks: HashSet<u64>,
    /// Generations of documents.
    pub documents: HashSet<u64>,
}

/// Chunks that came together.
#[derive(Debug, Default)]
struct Part {
    /// By number.
    chunks: Vec<(u64, ChunkId)>,
    /// Of each chunk, the place of its document.
    owner: Vec<u32>,
    /// By generation.
    documents: Vec<DocumentId>,
    /// The generation that wrote each document.
    generations: Vec<u64>,
    /// Places of documents, by the documents' ids.
    by_id: Vec<u32>,
    /// Places of chunks.
    place: HashMap<ChunkId, u32>,
}

impl Part {
    /// Of these chunks, by number.
    fn new(entries: Vec<ChunkEntry>) -> Self {
        let mut part = Self {
            chunks: Vec::with_capacity(entries.len()),
            owner: Vec::with_capacity(entries.len()),
            place: HashMap::with_capacity(entries.len()),
            ..Self::default()
        };
        let mut known: HashMap<DocumentId, u32> = HashMap::new();
        for (place, entry) in (0u32..).zip(entries) {
            let next = u32::try_from(part.documents.len()).unwrap_or(u32::MAX);
            let of = *known.entry(entry.document).or_insert_with_key(|document| {
                part.documents.push(document.clone());
                part.generations.push(entry.generation);
                next
            });
            part.owner.push(of);
            part.place.insert(entry.chunk.clone(), place);
            part.chunks.push((entry.number, entry.chunk));
        }
        let documents = &part.documents;
        let mut by_id: Vec<u32> = (0u32..).take(documents.len()).collect();
        by_id.par_sort_unstable_by(|a, b| documents[*a as usize].cmp(&documents[*b as usize]));
        part.by_id = by_id;
        part
    }

    /// One of several, without what is gone.
    fn joined(parts: &[Arc<Self>], gone: &HashSet<u64>) -> Self {
        let entries = parts.iter().flat_map(|part| {
            let chunks = part.chunks.iter().zip(&part.owner);
            chunks.filter_map(move |((number, chunk), owner)| {
                let generation = *part.generations.get(*owner as usize)?;
                (!gone.contains(&generation)).then(|| ChunkEntry {
                    number: *number,
                    chunk: chunk.clone(),
                    document: part.documents[*owner as usize].clone(),
                    generation,
                })
            })
        });
        Self::new(entries.collect())
    }

    fn has_document(&self, generation: u64) -> bool {
        self.generations.binary_search(&generation).is_ok()
    }

    /// The place of a chunk's document, by the place of the chunk.
    fn document_at(&self, chunk: usize) -> Option<usize> {
        self.owner.get(chunk).map(|owner| *owner as usize)
    }

    /// The place of a document.
    fn find_document(&self, document: &DocumentId) -> Option<usize> {
        let id = |place: &u32| self.documents[*place as usize].cmp(document);
        let at = self.by_id.binary_search_by(id).ok()?;
        Some(self.by_id[at] as usize)
    }
}

impl Catalog {
    /// Of these chunks, by number.
    pub fn new(entries: Vec<ChunkEntry>) -> Self {
        let len = entries.len();
        let part = Part::new(entries);
        Self {
            all: part.generations.iter().copied().collect(),
            parts: vec![Arc::new(part)],
            gone: HashSet::new(),
            len,
        }
    }

    /// What it becomes where these chunks came, by number, and only the documents that these generations wrote are
    /// kept; and what is gone with the others. What it has already may come again.
    pub fn followed(&self, came: Vec<ChunkEntry>, kept: Vec<u64>) -> (Self, Gone) {
        let kept: IdSet = kept.into_iter().collect();
        let mut next = self.clone();
        let gone = next.remove(|generation| !kept.contains(generation));
        let is_new = |entry: &ChunkEntry| {
            let generation = entry.generation;
            let is_there = next.parts.iter().any(|part| part.has_document(generation));
            kept.contains(generation) && !is_there
        };
        let came: Vec<ChunkEntry> = came.into_iter().filter(is_new).collect();
        next.len += came.len();
        if !came.is_empty() {
            next.parts.push(Arc::new(Part::new(came)));
        }
        next.tidy();
        let alive = next.parts.iter().flat_map(|part| &part.generations);
        let alive = alive.filter(|generation| !next.gone.contains(*generation));
        next.all = alive.copied().collect();
        (next, gone)
    }

    /// Removes the documents whose generations `is_gone` names.
    fn remove(&mut self, is_gone: impl Fn(u64) -> bool) -> Gone {
        let mut gone = Gone::default();
        for part in &self.parts {
            let generations = part.generations.iter().copied();
            let lost: HashSet<u64> = generations
                .filter(|generation| !self.gone.contains(generation) && is_gone(*generation))
                .collect();
            if lost.is_empty() {
                continue;
            }
            let chunks = part.chunks.iter().zip(&part.owner);
            let of_lost = chunks.filter(|(_, owner)| {
                let generation = part.generations.get(**owner as usize);
                generation.is_some_and(|generation| lost.contains(generation))
            });
            gone.chunks.extend(of_lost.map(|((number, _), _)| *number));
            gone.documents.extend(lost);
        }
        self.gone.extend(&gone.documents);
        self.len = self.len.saturating_sub(gone.chunks.len());
        gone
    }

    /// Makes one of parts that are about as large as others, or of all where most is gone.
    fn tidy(&mut self) {
        let mut first = self.parts.len();
        let mut size = 0;
        for (at, part) in self.parts.iter().enumerate().rev() {
            if first < self.parts.len() && part.chunks.len() > GROWTH * size {
                break;
            }
            size += part.chunks.len();
            first = at;
        }
        let all: usize = self.parts.iter().map(|part| part.chunks.len()).sum();
        let is_decayed = all > GROWTH * self.len;
        if is_decayed {
            first = 0;
        }
        if self.parts.len() - first > 1 || is_decayed {
            let joined = Part::joined(&self.parts[first..], &self.gone);
            self.parts.truncate(first);
            self.parts.push(Arc::new(joined));
            let parts = &self.parts;
            self.gone
                .retain(|generation| parts.iter().any(|part| part.has_document(*generation)));
        }
    }

    /// How many chunks there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The generations that wrote the documents.
    pub fn generations(&self) -> &IdSet {
        &self.all
    }

    /// The number of a chunk.
    pub fn number(&self, chunk: &ChunkId) -> Option<u64> {
        let (part, place, _) = self.find(chunk)?;
        part.chunks.get(place).map(|chunk| chunk.0)
    }

    /// The document of a chunk.
    pub fn document(&self, chunk: &ChunkId) -> Option<&DocumentId> {
        let (part, _, document) = self.find(chunk)?;
        part.documents.get(document)
    }

    /// The chunk with a number.
    pub fn chunk(&self, number: u64) -> Option<&ChunkId> {
        // The newest first: what is gone may have had the number of what came later.
        self.parts.iter().rev().find_map(|part| {
            let place = part.chunks.binary_search_by_key(&number, |c| c.0).ok()?;
            self.alive(part, place)?;
            Some(&part.chunks[place].1)
        })
    }

    /// The document that a generation wrote.
    pub fn document_of(&self, generation: u64) -> Option<&DocumentId> {
        if self.gone.contains(&generation) {
            return None;
        }
        self.parts.iter().find_map(|part| {
            let place = part.generations.binary_search(&generation).ok()?;
            part.documents.get(place)
        })
    }

    /// The generation that wrote a document.
    pub fn generation(&self, document: &DocumentId) -> Option<u64> {
        self.parts.iter().rev().find_map(|part| {
            let generation = *part.generations.get(part.find_document(document)?)?;
            (!self.gone.contains(&generation)).then_some(generation)
        })
    }

    /// Of the documents that `allows` lets pass, the generations that wrote them, and the numbers of their
    /// chunks.
    pub fn select(&self, allows: impl Fn(u64) -> bool) -> (IdSet, IdSet) {
        let (mut documents, mut chunks) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let passes = |generation: &u64| !self.gone.contains(generation) && allows(*generation);
            let allowed: Vec<bool> = part.generations.iter().map(passes).collect();
            let passing = part.generations.iter().zip(&allowed);
            documents.extend(passing.filter(|(_, allowed)| **allowed).map(|(g, _)| *g));
            let of = |owner: &u32| allowed.get(*owner as usize) == Some(&true);
            let own = part.chunks.iter().zip(&part.owner);
            chunks.extend(own.filter(|(_, owner)| of(owner)).map(|(c, _)| c.0));
        }
        (
            documents.into_iter().collect(),
            chunks.into_iter().collect(),
        )
    }

    /// The part of a chunk, its place there, and its document's.
    fn find(&self, chunk: &ChunkId) -> Option<(&Part, usize, usize)> {
        // The newest first: a document that was written anew may have the same chunks.
        self.parts.iter().rev().find_map(|part| {
            let place = *part.place.get(chunk)? as usize;
            let document = self.alive(part, place)?;
            Some((part.as_ref(), place, document))
        })
    }

    /// The place of the document of a chunk at a place, if that is not gone.
    fn alive(&self, part: &Part, chunk: usize) -> Option<usize> {
        let document = part.document_at(chunk)?;
        let generation = part.generations.get(document)?;
        (!self.gone.contains(generation)).then_some(document)
    }
}

#[cfg(test)]
mod tests;
