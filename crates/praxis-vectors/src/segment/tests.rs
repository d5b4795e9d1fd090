//! Segments beside a plain search over the same vectors.

use super::*;
use crate::index::SEED;
use crate::random::Random;
use crate::rotation::Rotation;

struct Numbers(Vec<f32>);

impl Source for Numbers {
    fn len(&self) -> usize {
        self.0.len() / 32
    }

    fn id(&self, at: usize) -> u64 {
        // Far apart, so that ids are sorted instead of a table.
        at as u64 * 1000 + 5
    }

    fn vector(&self, at: usize, out: &mut [f32]) -> Result<()> {
        out.copy_from_slice(&self.0[at * 32..(at + 1) * 32]);
        Ok(())
    }
}

#[test]
fn a_segment_has_what_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(3);
    let count = 1500;
    let source = Numbers(
        (0..32 * count)
            .map(|_| random.below(2001) as f32 / 5000.0 - 0.2)
            .collect(),
    );
    let rotation = Rotation::new(32, SEED);
    let segment = build(folder.path(), 4, &source, &rotation, 32, SEED).unwrap();
    assert_eq!(segment.problems(), Vec::<String>::new());
    assert_eq!((segment.len(), segment.dead()), (count, 0));
    let (mut stored, mut given) = ([0.0; 32], [0.0; 32]);
    for at in 0..count {
        let slot = segment.find(source.id(at)).unwrap();
        segment
            .vector(segment.row(slot).unwrap(), &mut stored)
            .unwrap();
        source.vector(at, &mut given).unwrap();
        assert_eq!(stored, given);
    }
    assert_eq!(segment.find(6), None);
    let slot = segment.find(5).unwrap();
    assert!(segment.kill(slot) && !segment.kill(slot) && !segment.is_live(slot));
    assert_eq!(segment.dead_slots(), [slot]);
    assert_eq!(segment.live_slots().len(), count - 1);
    // The same vectors make the same files.
    let read = |number| paths(folder.path(), number).map(|path| std::fs::read(path).unwrap());
    let first = read(4);
    build(folder.path(), 4, &source, &rotation, 32, SEED).unwrap();
    assert!(first == read(4));
}
