//! Two ranked lists to one.

use std::collections::HashMap;
use std::hash::Hash;

/// Weights of the lanes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lanes {
    /// Of the keyword lane.
    pub keyword: f32,
    /// Of the vector lane.
    pub vector: f32,
}

/// Fuses by score: each lane's scores are scaled so that its best is 1 and its last 0, then summed by
/// weight; what a lane has not found counts 0 there. Chosen over reciprocal ranks by measurement
/// (`docs/retrieval.md`).
pub(crate) fn fuse<Id: Clone + Eq + Hash + Ord>(
    keyword: &[(Id, f32)],
    vector: &[(Id, f32)],
    lanes: Lanes,
) -> Vec<(Id, f32)> {
    let total = lanes.keyword + lanes.vector;
    let mut scores: HashMap<Id, f32> = HashMap::new();
    // BM25 has a natural zero; cosines of one model crowd together and are stretched instead.
    let floor = |hits: &[(Id, f32)], natural: bool| {
        if natural {
            0.0
        } else {
            hits.last().map_or(0.0, |h| h.1)
        }
    };
    for (hits, weight, natural) in [
        (keyword, lanes.keyword, true),
        (vector, lanes.vector, false),
    ] {
        let low = floor(hits, natural);
        let span = hits.first().map_or(0.0, |h| h.1 - low);
        for (id, score) in hits {
            let scaled = if span > 0.0 {
                (score - low) / span
            } else {
                1.0
            };
            *scores.entry(id.clone()).or_insert(0.0) += scaled * weight / total;
        }
    }
    let mut fused: Vec<(Id, f32)> = scores.into_iter().collect();
    fused.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    fused
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVEN: Lanes = Lanes {
        keyword: 0.5,
        vector: 0.5,
    };

    #[test]
    fn what_both_lanes_find_comes_first() {
        let fused = fuse(
            &[("a", 9.0), ("b", 8.0)],
            &[("c", 0.9), ("b", 0.89), ("d", 0.7)],
            EVEN,
        );
        assert_eq!(fused[0].0, "b");
        assert_eq!(fused.len(), 4);
    }

    proptest! {
        #[test]
        fn a_lane_alone_keeps_its_order(scores in proptest::collection::vec(0.0f32..50.0, 1..30)) {
            let mut hits: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
            hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let lanes = Lanes { keyword: 1.0, vector: 0.0 };
            let fused = fuse(&hits, &[], lanes);
            prop_assert!(fused.iter().all(|(_, s)| (0.0..=1.0).contains(s)));
            prop_assert_eq!(fused.len(), hits.len());
            prop_assert!(fused.windows(2).all(|w| w[0].1 >= w[1].1));
        }
    }
}
