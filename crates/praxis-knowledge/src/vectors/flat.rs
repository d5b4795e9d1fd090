//! All vectors of a base in memory, and a search that compares each of them.

use praxis_core::embed::dot;
use praxis_vectors::{IdSet, has_direction};

use super::Numbered;
use crate::meaning::nearest_of;

/// Vectors by id.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    dimension: usize,
    ids: Vec<u64>,
    values: Vec<f32>,
}

impl Flat {
    /// Adds vectors, whose ids grow. Those without a direction are left out, as from an index on the disk, and
    /// those of another dimension than the first, which [`crate::Knowledge::check`] reports.
    pub fn extend(&mut self, vectors: Vec<Numbered>) {
        for (id, vector) in vectors {
            if !has_direction(&vector) {
                continue;
            }
            if self.ids.is_empty() {
                self.dimension = vector.len();
            }
            if vector.len() == self.dimension {
                self.ids.push(id);
                self.values.extend(vector);
            }
        }
    }

    /// The vector with an id.
    pub fn get(&self, id: u64) -> Option<&[f32]> {
        self.ids.binary_search(&id).ok().map(|i| self.at(i))
    }

    /// Cosine of the vector with an id and a query of unit length.
    pub fn cosine(&self, id: u64, query: &[f32]) -> Option<f32> {
        self.get(id).map(|vector| dot(vector, query))
    }

    fn at(&self, i: usize) -> &[f32] {
        &self.values[i * self.dimension..(i + 1) * self.dimension]
    }

    /// The ids of the `limit` vectors nearest to `query`, best first, with their cosines; only those of
    /// `only`, where it is given.
    pub fn search(&self, query: &[f32], limit: usize, only: Option<&IdSet>) -> Vec<(u64, f32)> {
        if query.len() != self.dimension {
            return Vec::new();
        }
        let allows = |i: &usize| only.is_none_or(|only| only.contains(self.ids[*i]));
        let allowed: Vec<usize> = (0..self.ids.len()).filter(allows).collect();
        let score = |i: usize| dot(self.at(allowed[i]), query);
        let found = nearest_of(allowed.len(), limit, score);
        let id = |(i, score): (usize, f32)| (self.ids[allowed[i]], score);
        found.into_iter().map(id).collect()
    }
}
