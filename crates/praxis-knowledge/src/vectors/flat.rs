//! All vectors of a base in memory, and a search that compares each of them.

use praxis_core::embed::dot;
use praxis_store::NumberedVector;
use praxis_vectors::IdSet;

use crate::meaning::nearest_of;

/// Vectors by number.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    dimension: usize,
    numbers: Vec<u64>,
    values: Vec<f32>,
}

impl Flat {
    /// Adds vectors, whose numbers grow; those of another dimension than the first are left out, which
    /// [`crate::Knowledge::check`] reports.
    pub fn extend(&mut self, vectors: Vec<NumberedVector>) {
        for vector in vectors {
            if self.numbers.is_empty() {
                self.dimension = vector.vector.len();
            }
            if vector.vector.len() == self.dimension {
                self.numbers.push(vector.number);
                self.values.extend(vector.vector);
            }
        }
    }

    /// The vector with a number.
    pub fn get(&self, number: u64) -> Option<&[f32]> {
        self.numbers.binary_search(&number).ok().map(|i| self.at(i))
    }

    /// Cosine of the vector with a number and a query of unit length.
    pub fn cosine(&self, number: u64, query: &[f32]) -> Option<f32> {
        self.get(number).map(|vector| dot(vector, query))
    }

    fn at(&self, i: usize) -> &[f32] {
        &self.values[i * self.dimension..(i + 1) * self.dimension]
    }

    /// The numbers of the `limit` vectors nearest to `query`, best first, with their cosines; only those of
    /// `only`, where it is given.
    pub fn search(&self, query: &[f32], limit: usize, only: Option<&IdSet>) -> Vec<(u64, f32)> {
        if query.len() != self.dimension {
            return Vec::new();
        }
        let allows = |i: &usize| only.is_none_or(|only| only.contains(self.numbers[*i]));
        let allowed: Vec<usize> = (0..self.numbers.len()).filter(allows).collect();
        let score = |i: usize| dot(self.at(allowed[i]), query);
        let found = nearest_of(allowed.len(), limit, score);
        let number = |(i, score): (usize, f32)| (self.numbers[allowed[i]], score);
        found.into_iter().map(number).collect()
    }
}
