//! Recall on clustered data, with and without filters and deletions.

use praxis_vectors::{Filter, IdSet, Index, SearchOptions};

use super::{Dice, dot, unit};

const DIMENSION: usize = 48;
const COUNT: u64 = 24_000;
const K: usize = 10;

struct Data {
    centres: Vec<Vec<f32>>,
    dice: Dice,
}

impl Data {
    fn vector(&mut self) -> Vec<f32> {
        let centre = self.dice.below(self.centres.len() as u64) as usize;
        let noise = self.dice.unit(DIMENSION);
        unit(
            self.centres[centre]
                .iter()
                .zip(noise)
                .map(|(c, x)| c + 0.9 * x)
                .collect(),
        )
    }
}

fn recall(
    index: &Index,
    vectors: &[Vec<f32>],
    queries: &[Vec<f32>],
    options: &SearchOptions<'_>,
    gone: impl Fn(u64) -> bool,
) -> f64 {
    let mut right = 0;
    for query in queries {
        let mut all: Vec<(f32, u64)> = vectors
            .iter()
            .zip(0..)
            .filter(|(_, id)| !gone(*id) && options.filter.is_none_or(|filter| filter.allows(*id)))
            .map(|(vector, id)| (dot(vector, query), id))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let hits = index.search(query, K, options).unwrap();
        assert_eq!(hits.len(), K);
        right += hits
            .iter()
            .filter(|hit| hit.score >= all[K - 1].0 - 1e-6)
            .count();
        for hit in hits {
            assert!(!gone(hit.id) && options.filter.is_none_or(|filter| filter.allows(hit.id)));
            assert!((hit.score - dot(&vectors[hit.id as usize], query)).abs() < 1e-5);
        }
    }
    right as f64 / (queries.len() * K) as f64
}

#[test]
fn recall_is_what_was_asked_for() {
    let mut dice = Dice(6);
    let centres = (0..150).map(|_| dice.unit(DIMENSION)).collect();
    let mut data = Data { centres, dice };
    let vectors: Vec<Vec<f32>> = (0..COUNT).map(|_| data.vector()).collect();
    let queries: Vec<Vec<f32>> = (0..60).map(|_| data.vector()).collect();
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), DIMENSION).unwrap();
    index
        .insert((0..).zip(vectors.iter().map(Vec::as_slice)))
        .unwrap();
    index.merge().unwrap();
    let report = index.check(200).unwrap();
    assert!(
        report.is_sound() && report.segments == 1 && report.delta == 0,
        "{report:?}"
    );
    let few: IdSet = (0..COUNT).filter(|id| id % 100 == 7).collect();
    let some: IdSet = (0..COUNT).filter(|id| id % 7 == 1).collect();
    let half: IdSet = (0..COUNT).filter(|id| id % 2 == 1).collect();
    let filters = [
        None,
        Some(Filter::Only(&few)),
        Some(Filter::Only(&some)),
        Some(Filter::Except(&half)),
    ];
    for deleted in [false, true] {
        if deleted {
            let count = index.delete((0..COUNT).filter(|id| id % 5 == 0)).unwrap();
            assert_eq!(count as u64, COUNT / 5);
        }
        for filter in filters {
            for target in [0.9f32, 0.95, 0.99, 1.0] {
                let options = SearchOptions {
                    recall: target,
                    filter,
                    ..Default::default()
                };
                let found = recall(&index, &vectors, &queries, &options, |id| {
                    deleted && id % 5 == 0
                });
                // With a filter it is exact, whatever the target.
                let least = if target == 1.0 || filter.is_some() {
                    1.0
                } else {
                    f64::from(target) - 0.01
                };
                assert!(found >= least, "{target} {filter:?}: {found}");
            }
        }
    }
}

/// In several segments, what a filter lets pass is found whole: a few, and many, near the query and away
/// from it, in all segments and in some.
#[test]
fn a_filter_is_exact_in_several_segments_and_away_from_the_query() {
    let mut dice = Dice(26);
    let centres: Vec<Vec<f32>> = (0..150).map(|_| dice.unit(DIMENSION)).collect();
    let mut data = Data { centres, dice };
    let count = 44_000u64;
    let vectors: Vec<Vec<f32>> = (0..count).map(|_| data.vector()).collect();
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), DIMENSION).unwrap();
    // Each is less than half of what came before, so none of them is merged with another.
    for (first, last) in [(0, 30_000), (30_000, 40_000), (40_000, count)] {
        let batch = (first..last).map(|id| (id, vectors[id as usize].as_slice()));
        index.insert(batch).unwrap();
        index.merge().unwrap();
    }
    let report = index.check(0).unwrap();
    assert_eq!((report.segments, report.delta), (3, 0));

    // Queries lie about the first centre, and these vectors are among the farthest from it.
    let centre = data.centres[0].clone();
    let queries: Vec<Vec<f32>> = (0..30)
        .map(|_| {
            let noise = data.dice.unit(DIMENSION);
            unit(centre.iter().zip(noise).map(|(c, x)| c + 0.5 * x).collect())
        })
        .collect();
    let mut by_nearness: Vec<u64> = (0..count).collect();
    let nearness = |id: &u64| dot(&vectors[*id as usize], &centre);
    by_nearness.sort_by(|a, b| nearness(b).total_cmp(&nearness(a)));
    let away = |share: usize| -> IdSet {
        let from = by_nearness.len() - by_nearness.len() / share;
        by_nearness[from..].iter().copied().collect()
    };
    let near: IdSet = by_nearness[..(count / 2) as usize]
        .iter()
        .copied()
        .collect();
    for (what, set) in [
        (
            "one percent",
            (0..count).filter(|id| id % 100 == 3).collect(),
        ),
        ("a tenth", (0..count).filter(|id| id % 10 == 3).collect()),
        ("half", (0..count).filter(|id| id % 2 == 1).collect()),
        ("the last segment", (40_000..count).collect()),
        ("the farthest 5 %", away(20)),
        ("the farthest third", away(3)),
        ("the farther half", away(2)),
        ("the nearer half", near),
    ] {
        for filter in [Filter::Only(&set), Filter::Except(&set)] {
            let options = SearchOptions {
                recall: 0.9,
                filter: Some(filter),
                ..Default::default()
            };
            let found = recall(&index, &vectors, &queries, &options, |_| false);
            let kind = matches!(filter, Filter::Only(_));
            assert_eq!(found, 1.0, "{what}, only: {kind}");
        }
    }
}

#[test]
fn what_is_learned_from_queries_is_kept() {
    let mut dice = Dice(16);
    let centres = (0..60).map(|_| dice.unit(DIMENSION)).collect();
    let mut data = Data { centres, dice };
    let vectors: Vec<Vec<f32>> = (0..COUNT).map(|_| data.vector()).collect();
    // Queries from elsewhere.
    let queries: Vec<Vec<f32>> = (0..240).map(|_| data.dice.unit(DIMENSION)).collect();
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), DIMENSION).unwrap();
    index
        .insert((0..).zip(vectors.iter().map(Vec::as_slice)))
        .unwrap();
    index.merge().unwrap();
    let (taught, asked) = queries.split_at(200);
    let taught: Vec<&[f32]> = taught.iter().map(Vec::as_slice).collect();
    index.calibrate(&taught).unwrap();
    let options = SearchOptions {
        recall: 0.95,
        ..Default::default()
    };
    let before = recall(&index, &vectors, asked, &options, |_| false);
    assert!(before >= 0.93, "{before}");
    index.commit(1).unwrap();
    drop(index);
    let index = Index::open(folder.path(), DIMENSION).unwrap();
    let after = recall(&index, &vectors, asked, &options, |_| false);
    assert_eq!(before, after);
}
