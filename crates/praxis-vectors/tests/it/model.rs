//! Whatever is done in whatever order: the index finds what a list of vectors would.

use std::collections::BTreeMap;

use praxis_vectors::{Error, Filter, IdSet, Index, SearchOptions};
use proptest::prelude::*;

use super::{Dice, dot, open};

const DIMENSION: usize = 24;

#[derive(Debug, Clone)]
enum Step {
    Insert { first: u64, count: u64, stride: u64 },
    Delete { first: u64, count: u64 },
    Merge,
    Commit,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // Ids far apart are found by another kind of table.
    let stride = prop_oneof![3 => Just(1u64), 1 => Just(1 << 40)];
    prop_oneof![
        5 => (0u64..200, 1u64..90, stride)
            .prop_map(|(first, count, stride)| Step::Insert { first, count, stride }),
        3 => (0u64..250, 1u64..70).prop_map(|(first, count)| Step::Delete { first, count }),
        3 => Just(Step::Merge),
        1 => Just(Step::Commit),
        2 => Just(Step::Reopen),
    ]
}

/// The best ids among all vectors, the lower of equals first.
fn brute(
    model: &BTreeMap<u64, Vec<f32>>,
    query: &[f32],
    k: usize,
    filter: Option<Filter<'_>>,
) -> Vec<(u64, f32)> {
    let mut scores: Vec<(u64, f32)> = model
        .iter()
        .filter(|(id, _)| filter.is_none_or(|filter| filter.allows(**id)))
        .map(|(id, vector)| (*id, dot(vector, query)))
        .collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores.truncate(k);
    scores
}

fn compare(index: &Index, model: &BTreeMap<u64, Vec<f32>>, dice: &mut Dice) {
    assert_eq!(index.len(), model.len());
    let some: IdSet = model
        .keys()
        .copied()
        .filter(|_| dice.below(5) == 0)
        .chain([9999])
        .collect();
    for filter in [None, Some(Filter::Only(&some)), Some(Filter::Except(&some))] {
        let query = dice.unit(DIMENSION);
        let options = SearchOptions {
            recall: 1.0,
            filter,
            ..Default::default()
        };
        let hits = index.search(&query, 7, &options).unwrap();
        let expected = brute(model, &query, 7, filter);
        assert_eq!(hits.len(), expected.len());
        for (hit, (_, score)) in hits.iter().zip(&expected) {
            assert!((hit.score - score).abs() < 1e-5, "{hits:?} {expected:?}");
            assert!((dot(&model[&hit.id], &query) - hit.score).abs() < 1e-5);
            assert!(filter.is_none_or(|filter| filter.allows(hit.id)));
        }
    }
    for id in [0, 1, 50, 100, 249] {
        assert_eq!(index.contains(id), model.contains_key(&id));
        assert_eq!(index.vector(id).unwrap().as_ref(), model.get(&id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_steps_is_like_a_list(steps in proptest::collection::vec(step(), 1..24), seed: u64) {
        let folder = tempfile::tempdir().unwrap();
        let mut index = open(folder.path(), DIMENSION);
        let mut model = BTreeMap::new();
        let mut dice = Dice(seed);
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert { first, count, stride } => {
                    let batch: Vec<(u64, Vec<f32>)> = (0..count)
                        .map(|i| (first + i * stride, dice.unit(DIMENSION)))
                        .collect();
                    index.insert(batch.iter().map(|(id, v)| (*id, v.as_slice()))).unwrap();
                    for (id, _) in &batch {
                        // What is stored may differ from what was given by the last bit of its length.
                        model.insert(*id, index.vector(*id).unwrap().unwrap());
                    }
                }
                Step::Delete { first, count } => {
                    let there = (first..first + count).filter(|id| model.remove(id).is_some()).count();
                    prop_assert_eq!(index.delete(first..first + count).unwrap(), there);
                }
                Step::Merge => {
                    index.merge().unwrap();
                }
                Step::Commit => {
                    index.commit(at as u64).unwrap();
                    prop_assert_eq!(index.watermark(), at as u64);
                }
                Step::Reopen => {
                    // A seal without a commit is forgotten when the index is closed.
                    index.commit(at as u64).unwrap();
                    drop(index);
                    index = open(folder.path(), DIMENSION);
                    prop_assert_eq!(index.watermark(), at as u64);
                }
            }
            compare(&index, &model, &mut dice);
        }
        let report = index.check(usize::MAX).unwrap();
        prop_assert!(report.is_sound(), "{:?}", report);
        prop_assert_eq!(report.live, model.len());
    }
}

#[test]
fn what_cannot_be_a_vector_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), 3);
    for (vector, expected) in [
        ([1.0f32, 2.0].as_slice(), "2 dimensions in an index of 3"),
        (&[0.0, 0.0, 0.0], "without a direction"),
        (&[f32::NAN, 0.0, 0.0], "without a direction"),
        (&[f32::INFINITY, 0.0, 0.0], "without a direction"),
    ] {
        for error in [
            index.insert([(1, vector)]).unwrap_err(),
            index
                .search(vector, 1, &SearchOptions::default())
                .unwrap_err(),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
    index
        .insert([(1, [1e-30f32, 0.0, 0.0].as_slice()), (2, &[0.0, 1e30, 0.0])])
        .unwrap();
    assert_eq!(index.vector(1).unwrap(), Some(vec![1.0, 0.0, 0.0]));
    assert_eq!(index.cosine(2, &[0.0, -3.0, 0.0]).unwrap(), Some(-1.0));
    assert_eq!(
        index
            .search(&[1.0, 0.0, 0.0], 0, &SearchOptions::default())
            .unwrap(),
        []
    );
    assert!(matches!(
        Index::open(folder.path(), 3),
        Err(Error::Locked { .. })
    ));
    drop(index);
    assert!(matches!(
        Index::open(folder.path(), 4),
        Err(Error::Dimension {
            expected: 3,
            found: 4
        })
    ));
    assert!(matches!(
        Index::open(folder.path(), 0),
        Err(Error::Limit(_))
    ));
}

#[test]
fn what_is_cleared_is_gone_for_good_and_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(5);
    let index = open(folder.path(), DIMENSION);
    for id in 0..150 {
        let vector = dice.unit(DIMENSION);
        index.insert([(id, vector.as_slice())]).unwrap();
    }
    assert!(index.is_merge_due());
    index.merge().unwrap();
    assert!(!index.is_merge_due());
    index.commit(9).unwrap();
    index.clear().unwrap();
    assert!(index.is_empty() && index.watermark() == 0);
    let query = dice.unit(DIMENSION);
    let options = SearchOptions::default();
    assert_eq!(index.search(&query, 3, &options).unwrap(), []);
    index.insert([(7, query.as_slice())]).unwrap();
    drop(index);
    // It was cleared on the disk too; what came later was not committed, and may have survived or not.
    let index = open(folder.path(), DIMENSION);
    assert!(index.watermark() == 0 && index.len() <= 1);
    let files = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(files.count(), 3, "lock, manifest and log");
    assert!(index.check(9).unwrap().is_sound());
}

#[test]
fn searches_go_on_while_others_write_and_merge() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), DIMENSION);
    let query = Dice(1).unit(DIMENSION);
    // One vector is always there, and always the best.
    index.insert([(7, query.as_slice())]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut dice = Dice(2);
            for round in 0..60 {
                for id in 0..20 {
                    let id = 100 + (round * 13 + id) % 500;
                    index
                        .insert([(id, dice.unit(DIMENSION).as_slice())])
                        .unwrap();
                }
                index.delete((0..5).map(|_| 100 + dice.below(500))).unwrap();
            }
        });
        let index = &index;
        let merger = scope.spawn(move || {
            while !writer.is_finished() {
                index.merge().unwrap();
            }
        });
        while !merger.is_finished() {
            let hits = index.search(&query, 5, &SearchOptions::default()).unwrap();
            assert_eq!(hits[0].id, 7);
            assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    });
    assert!(index.check(usize::MAX).unwrap().is_sound());
}
