//! Two ranked lists to one, by scores or by ranks. Left out: where the lists come from (`lanes`).

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::Fusion;

/// Ids with their scores, best first.
pub(crate) type Ranked<Id> = Vec<(Id, f32)>;

/// The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009).
const RANK_OFFSET: f32 = 60.0;

/// Weights of the lanes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lanes {
    /// Of the keyword lane.
    pub keyword: f32,
    /// Of the vector lane.
    pub vector: f32,
}

/// Fuses the lanes. Scores are between 0 and 1; what a lane has not found counts 0 there.
pub(crate) fn fuse<Id: Clone + Eq + Hash + Ord>(
    keyword: &[(Id, f32)],
    vector: &[(Id, f32)],
    lanes: Lanes,
    fusion: Fusion,
) -> Ranked<Id> {
    let total = lanes.keyword + lanes.vector;
    let mut scores: HashMap<Id, f32> = HashMap::new();
    let mut add = |hits: &[(Id, f32)], scaled: Vec<f32>, weight: f32| {
        for ((id, _), score) in hits.iter().zip(scaled) {
            *scores.entry(id.clone()).or_insert(0.0) += score * weight / total;
        }
    };
    match fusion {
        // A convex combination of scaled scores (Bruch, Gai and Ingber 2023). BM25 has a natural
        // zero; cosines of one model crowd together and are stretched instead.
        Fusion::Score => {
            add(keyword, scale(keyword, 0.0), lanes.keyword);
            let floor = vector.last().map_or(0.0, |h| h.1);
            add(vector, scale(vector, floor), lanes.vector);
        }
        Fusion::Rank => {
            add(keyword, by_rank(keyword.len()), lanes.keyword);
            add(vector, by_rank(vector.len()), lanes.vector);
        }
    }
    sorted(scores)
}

/// Scores, so that the best is 1 and `floor` is 0.
pub(crate) fn scale<Id>(hits: &[(Id, f32)], floor: f32) -> Vec<f32> {
    let span = hits.first().map_or(0.0, |h| h.1 - floor);
    hits.iter()
        .map(|(_, score)| {
            if span > 0.0 {
                (score - floor) / span
            } else {
                1.0
            }
        })
        .collect()
}

fn by_rank(count: usize) -> Vec<f32> {
    (0..count)
        .map(|rank| (RANK_OFFSET + 1.0) / (RANK_OFFSET + 1.0 + rank as f32))
        .collect()
}

/// Scores as a ranking; equal ones by id, so that a search is always answered alike.
pub(crate) fn sorted<Id: Ord>(scores: impl IntoIterator<Item = (Id, f32)>) -> Ranked<Id> {
    let mut ranked: Ranked<Id> = scores.into_iter().collect();
    ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranked
}

/// The rankings `a` and `b` as one in which `b` counts `share`.
pub(crate) fn mix<Id: Clone + Eq + Hash + Ord>(
    a: &[(Id, f32)],
    b: &[(Id, f32)],
    share: f32,
) -> Ranked<Id> {
    let mut scores: HashMap<Id, f32> = HashMap::new();
    for (hits, weight) in [(a, 1.0 - share), (b, share)] {
        for (id, score) in hits {
            *scores.entry(id.clone()).or_insert(0.0) += score * weight;
        }
    }
    sorted(scores)
}

/// A ranking and one more lane, which has this `share` of it, as [`fuse`] would have put them together. A lane
/// that found nothing changes nothing.
pub(crate) fn joined<Id: Clone + Eq + Hash + Ord>(
    fused: Ranked<Id>,
    lane: &[(Id, f32)],
    share: f32,
    fusion: Fusion,
) -> Ranked<Id> {
    if lane.is_empty() || share <= 0.0 {
        return fused;
    }
    let scores = match fusion {
        Fusion::Score => scale(lane, 0.0),
        Fusion::Rank => by_rank(lane.len()),
    };
    let lane: Ranked<Id> = lane
        .iter()
        .zip(scores)
        .map(|((id, _), score)| (id.clone(), score))
        .collect();
    mix(&fused, &lane, share)
}

/// Rankings by several wordings of one question as one; weights sum to 1. A ranking's scores tell how sure it is,
/// so they are added as they are; by ranks, each counts alike.
pub(crate) fn blend<Id: Clone + Eq + Hash + Ord>(
    rankings: &[(Ranked<Id>, f32)],
    fusion: Fusion,
) -> Ranked<Id> {
    if let [(only, _)] = rankings {
        return only.clone();
    }
    let mut scores: HashMap<Id, f32> = HashMap::new();
    for (hits, weight) in rankings {
        let by_rank = match fusion {
            Fusion::Score => None,
            Fusion::Rank => Some(by_rank(hits.len())),
        };
        for (place, (id, score)) in hits.iter().enumerate() {
            let score = by_rank.as_ref().map_or(*score, |ranks| ranks[place]);
            *scores.entry(id.clone()).or_insert(0.0) += score * weight;
        }
    }
    sorted(scores)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVEN: Lanes = Lanes {
        keyword: 0.5,
        vector: 0.5,
    };

    fn ranking(scores: Vec<f32>) -> Ranked<usize> {
        sorted(scores.into_iter().enumerate())
    }

    #[test]
    fn what_both_lanes_find_comes_first() {
        for fusion in [Fusion::Score, Fusion::Rank] {
            let fused = fuse(
                &[("a", 9.0), ("b", 8.0)],
                &[("c", 0.9), ("b", 0.89), ("d", 0.7)],
                EVEN,
                fusion,
            );
            assert_eq!(fused[0].0, "b", "{fusion:?}");
            assert_eq!(fused.len(), 4, "{fusion:?}");
        }
    }

    #[test]
    fn a_share_of_nothing_changes_nothing() {
        let (a, b) = ([("a", 0.9), ("b", 0.2)], [("b", 1.0), ("c", 0.5)]);
        assert_eq!(mix(&a, &b, 0.0)[..2], a);
        assert_eq!(mix(&a, &b, 1.0)[..2], b);
    }

    #[test]
    fn a_third_lane_counts_its_share_and_nothing_where_it_found_nothing() {
        let fused = vec![("a", 0.9), ("b", 0.6)];
        for fusion in [Fusion::Score, Fusion::Rank] {
            assert_eq!(joined(fused.clone(), &[], 0.5, fusion), fused);
            assert_eq!(joined(fused.clone(), &[("c", 3.0)], 0.0, fusion), fused);
            let three = joined(fused.clone(), &[("b", 4.0), ("c", 2.0)], 0.5, fusion);
            assert_eq!(three[0], ("b", 0.8), "{fusion:?}");
            assert_eq!(three.len(), 3);
            assert!(three.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
        }
    }

    #[test]
    fn what_most_wordings_find_comes_first_and_one_that_drifts_does_not_win() {
        let own = vec![("a", 0.9), ("b", 0.8)];
        let near = vec![("b", 0.9), ("a", 0.5)];
        let drifted = vec![("x", 1.0), ("y", 0.9)];
        for fusion in [Fusion::Score, Fusion::Rank] {
            let rankings = [
                (own.clone(), 0.5),
                (near.clone(), 0.25),
                (drifted.clone(), 0.25),
            ];
            let first: Vec<&str> = blend(&rankings, fusion).iter().map(|h| h.0).collect();
            assert_eq!(first.len(), 4);
            assert!(
                first[..2].contains(&"a") && first[..2].contains(&"b"),
                "{first:?}"
            );
        }
        assert_eq!(blend(&[(own.clone(), 1.0)], Fusion::Rank), own);
        assert_eq!(blend::<&str>(&[], Fusion::Score), []);
    }

    proptest! {
        #[test]
        fn a_lane_alone_keeps_its_order(scores in proptest::collection::vec(0.0f32..50.0, 1..30)) {
            let hits = ranking(scores);
            let lanes = Lanes { keyword: 1.0, vector: 0.0 };
            for fusion in [Fusion::Score, Fusion::Rank] {
                let fused = fuse(&hits, &[], lanes, fusion);
                prop_assert!(fused.iter().all(|(_, s)| (0.0..=1.0).contains(s)));
                prop_assert_eq!(fused.len(), hits.len());
                prop_assert!(fused.windows(2).all(|w| w[0].1 >= w[1].1));
            }
        }

        #[test]
        fn rank_fusion_sees_no_scale(
            keyword in proptest::collection::vec(0.1f32..50.0, 1..20),
            vector in proptest::collection::vec(0.1f32..1.0, 1..20),
        ) {
            let (keyword, vector) = (ranking(keyword), ranking(vector));
            let larger: Ranked<usize> = keyword.iter().map(|(id, s)| (*id, s * 1000.0)).collect();
            prop_assert_eq!(
                fuse(&keyword, &vector, EVEN, Fusion::Rank),
                fuse(&larger, &vector, EVEN, Fusion::Rank)
            );
        }
    }
}
