//! Documents in an index on the disk, and in memory: both find the same.

use std::cmp::Ordering;

use praxis_core::embed::{dot, normalize};
use praxis_store::ChunkEntry;
use tempfile::TempDir;

use super::follow::beside;
use super::*;

const DIMENSION: usize = 64;
const DOCUMENTS: u64 = 3000;

/// Documents of which an index on the disk has made a segment; it holds the others one by one.
const MERGED: usize = 2500;

/// Vectors of unit length in all directions, the same each time.
struct Directions(u64);

impl Directions {
    fn another(&mut self) -> Vec<f32> {
        let mut vector: Vec<f32> = (0..DIMENSION).map(|_| self.value()).collect();
        normalize(&mut vector);
        vector
    }

    fn value(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }
}

/// Documents with gaps between their generations.
fn summaries() -> Vec<Numbered> {
    let mut directions = Directions(7);
    let generations = (0..DOCUMENTS).map(|i| 10 + 3 * i);
    generations.map(|g| (g, directions.another())).collect()
}

/// The id of the document that a generation wrote: in another order than these.
fn id(generation: u64) -> DocumentId {
    DocumentId::from_string(format!("d{:04}", generation * 7919 % 10_007))
}

/// Each document with one chunk.
fn entries(summaries: &[Numbered]) -> Vec<ChunkEntry> {
    let entry = |(generation, _): &Numbered| ChunkEntry {
        number: generation * 2,
        chunk: ChunkId::from_string(format!("c{generation}")),
        document: id(*generation),
        generation: *generation,
    };
    summaries.iter().map(entry).collect()
}

fn on_disk(summaries: &[Numbered]) -> (TempDir, Arc<Index>) {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path(), DIMENSION).unwrap();
    let (merged, others) = summaries.split_at(MERGED);
    for part in [merged, others] {
        let vectors = part.iter().map(|(id, vector)| (*id, vector.as_slice()));
        index.insert(vectors).unwrap();
        index.merge().unwrap();
    }
    assert_eq!(index.check(0).unwrap().delta, others.len());
    (dir, Arc::new(index))
}

fn in_memory(summaries: &[Numbered]) -> Lane {
    let mut flat = Flat::default();
    flat.extend(summaries.to_vec());
    Lane::Memory(flat)
}

#[test]
fn documents_are_the_nearest_of_those_that_count_wherever_their_vectors_are() {
    let summaries = summaries();
    let (_dir, index) = on_disk(&summaries);
    let mut queries = Directions(11);
    let first = queries.another();
    // One that came since the snapshot, and is nearer than any other.
    index.insert([(100_000, first.as_slice())]).unwrap();
    let none = || Lane::Memory(Flat::default());
    let lanes = [Lane::Disk(index), in_memory(&summaries)];
    let scopes: [Option<IdSet>; 3] = [
        None,
        Some((0..DOCUMENTS).step_by(3).map(|i| 10 + 3 * i).collect()),
        Some([10, 4000, 9007].into_iter().collect()),
    ];
    for lane in lanes {
        let vectors = VectorIndex::new(Catalog::new(entries(&summaries)), none(), lane);
        for scope in &scopes {
            for query in [first.clone(), queries.another(), queries.another()] {
                let mut expected: Vec<(DocumentId, f32)> = summaries
                    .iter()
                    .filter(|(g, _)| scope.as_ref().is_none_or(|scope| scope.contains(*g)))
                    .map(|(g, vector)| (id(*g), dot(vector, &query)))
                    .collect();
                let cosines: HashMap<DocumentId, f32> = expected.iter().cloned().collect();
                expected.sort_by(|a, b| b.1.total_cmp(&a.1));
                expected.truncate(60);
                let found = vectors
                    .search_documents(&query, 60, scope.as_ref())
                    .unwrap();
                assert_eq!(found.len(), expected.len());
                for ((document, score), (_, best)) in found.iter().zip(&expected) {
                    assert!((score - best).abs() < 1e-5, "{score} and not {best}");
                    assert!((score - cosines[document]).abs() < 1e-5, "{document}");
                }
                assert!(found.is_sorted_by(|a, b| a.1.total_cmp(&b.1) != Ordering::Less));
            }
        }
        let some = [id(10), id(4000), id(8998), DocumentId::from_string("none")];
        let own = vectors.of_summaries(some.iter());
        assert_eq!(own.len(), 3);
        for (generation, vector) in summaries.iter().filter(|(g, _)| some.contains(&id(*g))) {
            let same = dot(&own[&id(*generation)], vector);
            assert!((same - 1.0).abs() < 1e-5, "{generation}: {same}");
        }
    }
}

#[test]
fn what_an_index_holds_beside_what_is_kept_is_all_told() {
    let summaries = summaries();
    let (_dir, index) = on_disk(&summaries);
    let gone: Vec<u64> = summaries.iter().step_by(7).map(|(g, _)| *g).collect();
    index.delete(gone.clone()).unwrap();
    let mut there: Vec<u64> = summaries.iter().map(|(g, _)| *g).collect();
    there.retain(|g| !gone.contains(g));
    for keeps in [0, 1, 2, 5, 1000] {
        let kept = |g: &u64| g.is_multiple_of(keeps);
        // Some of what is to be kept is not there.
        let set: IdSet = (0..20_000).filter(kept).collect();
        let mut others = beside(&index, &set);
        others.sort_unstable();
        let expected: Vec<u64> = there.iter().copied().filter(|g| !kept(g)).collect();
        assert_eq!(others, expected, "{keeps}");
    }
}
