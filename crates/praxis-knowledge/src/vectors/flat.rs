//! All vectors of a base in memory, and a search that compares each of them. What is read later lies beside what was
//! there, which is shared with the snapshot before.

use std::collections::HashSet;
use std::sync::Arc;

use praxis_core::embed::dot;
use praxis_vectors::{IdSet, has_direction};

use super::Numbered;
use crate::meaning::nearest_of;

/// Vectors of a part that is at most so many times as large as those after it are copied into one with them.
const GROWTH: usize = 2;

/// Vectors by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    dimension: usize,
    parts: Vec<Part>,
}

/// Vectors that were read together, and those of them that are gone.
#[derive(Debug, Clone, Default)]
struct Part {
    vectors: Arc<Vectors>,
    gone: HashSet<u64>,
}

/// Vectors one after the other, by id.
#[derive(Debug, Clone, Default)]
struct Vectors {
    ids: Vec<u64>,
    values: Vec<f32>,
}

impl Part {
    /// The place of a vector.
    fn find(&self, id: u64) -> Option<usize> {
        let place = self.vectors.ids.binary_search(&id).ok()?;
        (!self.gone.contains(&id)).then_some(place)
    }

    fn len(&self) -> usize {
        self.vectors.ids.len() - self.gone.len()
    }
}

impl Flat {
    /// Adds vectors, whose ids grow; one whose id is there is passed over. Those without a direction are left out, as
    /// from an index on the disk, and those of another dimension than the first, which [`crate::Knowledge::check`]
    /// reports.
    pub fn extend(&mut self, vectors: Vec<Numbered>) {
        let last = |part: &Part| part.vectors.ids.last().copied();
        let highest = self.parts.iter().filter_map(last).max();
        for (id, vector) in vectors {
            if !has_direction(&vector) {
                continue;
            }
            if self.parts.is_empty() {
                self.dimension = vector.len();
            }
            let is_there = highest.is_some_and(|highest| id <= highest) && self.get(id).is_some();
            if vector.len() == self.dimension && !is_there {
                let own = self.own();
                own.ids.push(id);
                own.values.extend(vector);
            }
        }
    }

    /// The last part, where it is nobody else's; else a new one.
    fn own(&mut self) -> &mut Vectors {
        let is_own = self
            .parts
            .last_mut()
            .is_some_and(|part| part.gone.is_empty() && Arc::get_mut(&mut part.vectors).is_some());
        if !is_own {
            self.parts.push(Part::default());
        }
        let last = self.parts.len() - 1;
        // Nobody else has it, so nothing is copied.
        Arc::make_mut(&mut self.parts[last].vectors)
    }

    /// Removes the vectors with these ids.
    pub fn remove(&mut self, ids: &HashSet<u64>) {
        for part in &mut self.parts {
            let gone = ids.iter().filter(|id| part.find(**id).is_some());
            let gone: Vec<u64> = gone.copied().collect();
            part.gone.extend(gone);
        }
    }

    /// Makes one of parts that are about as large as those after them, and drops what is gone where that is most.
    pub fn tidy(&mut self) {
        let (mut first, mut size) = (self.parts.len(), 0);
        for (at, part) in self.parts.iter().enumerate().rev() {
            if first < self.parts.len() && part.len() > GROWTH * size {
                break;
            }
            size += part.len();
            first = at;
        }
        let decayed = |part: &Part| part.gone.len() > part.len();
        if let Some(at) = self.parts.iter().position(decayed) {
            first = first.min(at);
        }
        let rest = &self.parts[first..];
        if rest.len() < 2 && !rest.iter().any(decayed) {
            return;
        }
        let mut joined = Vectors::default();
        for (part, place) in rest.iter().flat_map(|part| {
            let ids = part.vectors.ids.iter().enumerate();
            let alive = ids.filter(move |(_, id)| !part.gone.contains(*id));
            alive.map(move |(place, _)| (part, place))
        }) {
            joined.ids.push(part.vectors.ids[place]);
            let start = place * self.dimension;
            let vector = &part.vectors.values[start..start + self.dimension];
            joined.values.extend_from_slice(vector);
        }
        self.parts.truncate(first);
        if !joined.ids.is_empty() {
            self.parts.push(Part {
                vectors: Arc::new(joined),
                gone: HashSet::new(),
            });
        }
    }

    /// Components of a vector; 0 where there is none.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.len() == 0)
    }

    /// The vector with an id.
    pub fn get(&self, id: u64) -> Option<&[f32]> {
        // The newest first: what is gone may have had the number of what came later.
        self.parts.iter().rev().find_map(|part| {
            let place = part.find(id)?;
            Some(self.at(part, place))
        })
    }

    /// Cosine of the vector with an id and a query of unit length.
    pub fn cosine(&self, id: u64, query: &[f32]) -> Option<f32> {
        self.get(id).map(|vector| dot(vector, query))
    }

    fn at<'a>(&self, part: &'a Part, place: usize) -> &'a [f32] {
        &part.vectors.values[place * self.dimension..(place + 1) * self.dimension]
    }

    /// The ids of the `limit` vectors nearest to `query`, best first, with their cosines; only those of
    /// `only`, where it is given.
    pub fn search(&self, query: &[f32], limit: usize, only: Option<&IdSet>) -> Vec<(u64, f32)> {
        if query.len() != self.dimension {
            return Vec::new();
        }
        let allowed: Vec<(&Part, usize)> = self
            .parts
            .iter()
            .flat_map(|part| {
                let ids = part.vectors.ids.iter().enumerate();
                let alive = ids.filter(move |(_, id)| !part.gone.contains(*id));
                let counts = move |id: u64| only.is_none_or(|only| only.contains(id));
                let alive = alive.filter(move |(_, id)| counts(**id));
                alive.map(move |(place, _)| (part, place))
            })
            .collect();
        let score = |i: usize| dot(self.at(allowed[i].0, allowed[i].1), query);
        let found = nearest_of(allowed.len(), limit, score);
        let id = |(i, score): (usize, f32)| (allowed[i].0.vectors.ids[allowed[i].1], score);
        found.into_iter().map(id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: u64) -> Vec<f32> {
        let angle = id as f32 * 0.1;
        vec![angle.cos(), angle.sin()]
    }

    fn numbered(ids: impl IntoIterator<Item = u64>) -> Vec<Numbered> {
        ids.into_iter().map(|id| (id, unit(id))).collect()
    }

    fn ids(flat: &Flat) -> Vec<u64> {
        let found = flat.search(&unit(0), 1000, None);
        let mut ids: Vec<u64> = found.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_comes_and_goes_leaves_the_rest_where_it_is() {
        let mut first = Flat::default();
        first.extend(numbered(0..40));
        first.extend(numbered(40..50));
        assert_eq!(first.parts.len(), 1, "nobody else has it yet");
        let mut next = first.clone();
        next.remove(&[3, 49, 77].into());
        next.extend(numbered([48, 49, 50]));
        next.tidy();
        // 48 was there; 49 is another one by now.
        let expected: Vec<u64> = (0..51).filter(|id| *id != 3).collect();
        assert_eq!(ids(&next), expected);
        assert!(Arc::ptr_eq(&first.parts[0].vectors, &next.parts[0].vectors));
        assert_eq!(next.get(49), Some(&unit(49)[..]));
        assert!(next.get(3).is_none() && first.get(3).is_some());
        assert_eq!(ids(&first), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn there_are_few_parts_and_little_that_is_gone() {
        let mut flat = Flat::default();
        flat.extend(numbered(0..64));
        for id in 64..128 {
            let before = flat.clone();
            flat.extend(numbered([id]));
            flat.tidy();
            assert!(flat.parts.len() < 9, "{id}: {}", flat.parts.len());
            assert_eq!(ids(&before).len(), id as usize);
        }
        flat.remove(&(0..100).collect());
        flat.tidy();
        assert_eq!(ids(&flat), (100..128).collect::<Vec<_>>());
        assert!(flat.parts.iter().all(|part| part.gone.len() <= part.len()));
        flat.remove(&(100..128).collect());
        flat.tidy();
        assert!(flat.is_empty() && flat.get(100).is_none());
        // Others may have other dimensions then.
        flat.extend(vec![(200, vec![1.0, 0.0, 0.0])]);
        assert_eq!((flat.dimension(), flat.get(200).is_some()), (3, true));
    }
}
