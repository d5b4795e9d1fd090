//! New vectors, before they become a segment: in memory, compared one by one. Readers take the
//! chunks that there are and never wait for more than a push into a list.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, Result};
use crate::segment::Source;

/// Vectors in a chunk. The last chunk is copied when it grows while somebody reads it.
const CHUNK: usize = 64;

/// Vectors that were inserted since the last segment was made.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    inner: RwLock<Inner>,
    live: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    chunks: Vec<Arc<Chunk>>,
    places: HashMap<u64, u32>,
    count: usize,
}

/// A few vectors one after the other.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub ids: Vec<u64>,
    pub values: Vec<f32>,
    /// A bit for each vector that was deleted.
    dead: [AtomicU32; CHUNK / 32],
}

impl Clone for Chunk {
    fn clone(&self) -> Self {
        let mut values = Vec::with_capacity(self.values.capacity());
        values.extend_from_slice(&self.values);
        Self {
            ids: self.ids.clone(),
            values,
            dead: [0, 1].map(|i: usize| AtomicU32::new(self.dead[i].load(Ordering::Relaxed))),
        }
    }
}

impl Chunk {
    /// Whether a vector was not deleted.
    pub fn is_live(&self, at: usize) -> bool {
        self.dead[at / 32].load(Ordering::Relaxed) >> (at % 32) & 1 == 0
    }
}

impl Delta {
    /// Vectors that are alive.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// All vectors, dead ones too.
    pub fn len(&self) -> usize {
        self.inner
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .count
    }

    /// The vectors that there are now.
    pub fn chunks(&self) -> Vec<Arc<Chunk>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.chunks.clone()
    }

    /// The ids of the vectors that are alive.
    pub fn ids(&self) -> Vec<u64> {
        let mut ids = Vec::with_capacity(self.live());
        for chunk in self.chunks() {
            let all = chunk.ids.iter().enumerate();
            ids.extend(all.filter(|(at, _)| chunk.is_live(*at)).map(|(_, id)| *id));
        }
        ids
    }

    pub fn contains(&self, id: u64) -> bool {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.places.contains_key(&id)
    }

    /// Calls `with` with the vector of an id.
    pub fn with<T>(&self, id: u64, with: impl FnOnce(&[f32]) -> T) -> Option<T> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let place = *inner.places.get(&id)? as usize;
        let chunk = inner.chunks.get(place / CHUNK)?;
        let dimension = chunk.values.len() / chunk.ids.len().max(1);
        let start = place % CHUNK * dimension;
        chunk.values.get(start..start + dimension).map(with)
    }

    /// Adds a vector; one with the same id dies.
    pub fn insert(&self, id: u64, vector: &[f32]) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let place = inner.count;
        if place.is_multiple_of(CHUNK) {
            inner.chunks.push(Arc::new(Chunk {
                ids: Vec::with_capacity(CHUNK),
                values: Vec::with_capacity(CHUNK * vector.len()),
                dead: Default::default(),
            }));
        }
        if let Some(chunk) = inner.chunks.last_mut() {
            let chunk = Arc::make_mut(chunk);
            chunk.ids.push(id);
            chunk.values.extend_from_slice(vector);
        }
        inner.count += 1;
        match inner.places.insert(id, place as u32) {
            Some(before) => inner.kill(before),
            None => {
                self.live.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Deletes the vector of an id; whether there was one.
    pub fn delete(&self, id: u64) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = inner.places.remove(&id) else {
            return false;
        };
        inner.kill(place);
        self.live.fetch_sub(1, Ordering::Relaxed);
        true
    }
}

impl Inner {
    fn kill(&self, place: u32) {
        let at = place as usize % CHUNK;
        if let Some(chunk) = self.chunks.get(place as usize / CHUNK) {
            chunk.dead[at / 32].fetch_or(1 << (at % 32), Ordering::Relaxed);
        }
    }
}

/// Live vectors of a delta, to make a segment of.
pub(crate) struct Frozen {
    chunks: Vec<Arc<Chunk>>,
    live: Vec<(u32, u32)>,
    dimension: usize,
}

impl Frozen {
    pub fn new(delta: &Delta, dimension: usize) -> Self {
        let chunks = delta.chunks();
        let live = chunks
            .iter()
            .zip(0u32..)
            .flat_map(|(chunk, i)| {
                let all = 0..chunk.ids.len();
                all.filter(|at| chunk.is_live(*at))
                    .map(move |at| (i, at as u32))
            })
            .collect();
        Self {
            chunks,
            live,
            dimension,
        }
    }
}

impl Source for Frozen {
    fn len(&self) -> usize {
        self.live.len()
    }

    fn id(&self, at: usize) -> u64 {
        let (chunk, at) = self.live[at];
        self.chunks[chunk as usize].ids[at as usize]
    }

    fn vector(&self, at: usize, out: &mut [f32]) -> Result<()> {
        let (chunk, at) = self.live[at];
        let start = at as usize * self.dimension;
        let values = &self.chunks[chunk as usize].values;
        let vector = values.get(start..start + self.dimension);
        let vector = vector.ok_or(Error::Limit("a vector in memory is too short"))?;
        out.copy_from_slice(vector);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_there_was_and_deletes_at_once() {
        let delta = Delta::default();
        for id in 0..100 {
            delta.insert(id, &[id as f32]);
        }
        let before = delta.chunks();
        delta.insert(7, &[70.0]);
        assert!(delta.delete(3) && !delta.delete(3));
        assert_eq!(before.iter().map(|c| c.ids.len()).sum::<usize>(), 100);
        assert!(!before[0].is_live(3) && !before[0].is_live(7));
        assert_eq!((delta.live(), delta.len()), (99, 101));
        assert_eq!(delta.with(7, |v| v[0]), Some(70.0));
        let frozen = Frozen::new(&delta, 1);
        assert_eq!(frozen.len(), 99);
        let mut value = [0.0];
        let last = frozen.len() - 1;
        frozen.vector(last, &mut value).unwrap();
        assert_eq!((frozen.id(last), value), (7, [70.0]));
    }
}
