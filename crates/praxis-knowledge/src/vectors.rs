//! The vector lane: an exact scan over all vectors of a base, held in memory.

use std::collections::HashMap;

use praxis_core::embed::dot;
use praxis_core::{ChunkId, DocumentId};
use praxis_store::ChunkVector;
use rayon::prelude::*;

/// All vectors of a base.
#[derive(Debug, Default)]
pub(crate) struct VectorIndex {
    dimension: usize,
    chunks: Vec<ChunkId>,
    documents: Vec<DocumentId>,
    values: Vec<f32>,
    place: HashMap<ChunkId, usize>,
}

impl VectorIndex {
    /// The index of these vectors; those of another dimension than the first are left out, which
    /// [`crate::Knowledge::check`] reports.
    pub fn new(vectors: Vec<ChunkVector>) -> Self {
        let dimension = vectors.first().map_or(0, |v| v.vector.len());
        let mut index = Self {
            dimension,
            ..Self::default()
        };
        for vector in vectors.into_iter().filter(|v| v.vector.len() == dimension) {
            index.place.insert(vector.chunk.clone(), index.chunks.len());
            index.chunks.push(vector.chunk);
            index.documents.push(vector.document);
            index.values.extend(vector.vector);
        }
        index
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether a chunk can be found.
    pub fn contains(&self, chunk: &ChunkId) -> bool {
        self.place.contains_key(chunk)
    }

    /// Cosine of a chunk's vector and a query of unit length.
    pub fn cosine(&self, chunk: &ChunkId, query: &[f32]) -> Option<f32> {
        self.place.get(chunk).map(|i| self.cosine_at(*i, query))
    }

    fn cosine_at(&self, i: usize, query: &[f32]) -> f32 {
        dot(
            &self.values[i * self.dimension..(i + 1) * self.dimension],
            query,
        )
    }

    /// The `limit` chunks nearest to `query`, best first.
    pub fn search(&self, query: &[f32], limit: usize) -> Vec<(ChunkId, f32)> {
        if query.len() != self.dimension {
            return Vec::new();
        }
        let mut scores: Vec<(usize, f32)> = (0..self.len())
            .into_par_iter()
            .with_min_len(4096)
            .map(|i| (i, self.cosine_at(i, query)))
            .collect();
        let limit = limit.min(scores.len());
        let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if limit > 0 && limit < scores.len() {
            scores.select_nth_unstable_by(limit - 1, order);
        }
        scores.truncate(limit);
        scores.sort_unstable_by(order);
        scores
            .into_iter()
            .map(|(i, s)| (self.chunks[i].clone(), s))
            .collect()
    }
}
