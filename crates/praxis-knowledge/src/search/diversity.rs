//! Results that do not repeat each other: maximal marginal relevance (Carbonell and Goldstein 1998).

use std::hash::Hash;

use praxis_core::embed::dot;

use super::fusion::Ranked;

/// The first `limit` results, chosen one by one: each by its score less `diversity` times its likeness
/// to what was chosen before. Scores stay as they were. Cosines of one model crowd together, so likeness
/// is the cosine stretched over those of the candidates.
pub(crate) fn diverse<'a, Id: Clone + Eq + Hash>(
    ranked: &[(Id, f32)],
    limit: usize,
    diversity: f32,
    vector: impl Fn(&Id) -> Option<&'a [f32]>,
) -> Ranked<Id> {
    let vectors: Vec<Option<&[f32]>> = ranked.iter().map(|(id, _)| vector(id)).collect();
    let cosine = |i: usize, j: usize| Some(dot(vectors[i]?, vectors[j]?));
    let pairs = (0..ranked.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let (low, high) = pairs
        .filter_map(|(i, j)| cosine(i, j))
        .fold((f32::MAX, f32::MIN), |(l, h), c| (l.min(c), h.max(c)));
    let span = (high - low).max(f32::MIN_POSITIVE);
    let likeness = |i: usize, j: usize| cosine(i, j).map_or(0.0, |c| (c - low) / span);

    let mut rest: Vec<usize> = (0..ranked.len()).collect();
    let mut nearest = vec![0.0f32; ranked.len()];
    let mut chosen: Ranked<Id> = Vec::new();
    while chosen.len() < limit {
        let worth = |i: usize| ranked[i].1 * (1.0 - diversity) - nearest[i] * diversity;
        // The first of equals, so that a diversity of 0 keeps the order.
        let best = (0..rest.len()).reduce(|a, b| {
            if worth(rest[b]) > worth(rest[a]) {
                b
            } else {
                a
            }
        });
        let Some(place) = best else {
            break;
        };
        let next = rest.remove(place);
        for i in &rest {
            nearest[*i] = nearest[*i].max(likeness(*i, next));
        }
        chosen.push(ranked[next].clone());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VECTORS: [[f32; 2]; 3] = [[1.0, 0.0], [0.999, 0.04], [0.0, 1.0]];

    #[test]
    fn a_repetition_gives_way_to_something_else() {
        let ranked = [(0, 1.0), (1, 0.95), (2, 0.6)];
        let vector = |i: &usize| Some(&VECTORS[*i][..]);
        let order = |diversity| -> Vec<usize> {
            diverse(&ranked, 2, diversity, vector)
                .into_iter()
                .map(|(i, _)| i)
                .collect()
        };
        assert_eq!(order(0.0), [0, 1]);
        assert_eq!(order(0.5), [0, 2]);
    }

    proptest! {
        #[test]
        fn the_best_stays_first_and_nothing_comes_twice(
            scores in proptest::collection::vec(0.0f32..1.0, 1..20),
            diversity in 0.0f32..0.99,
            limit in 1usize..25,
        ) {
            let ranked = crate::search::fusion::sorted(scores.iter().copied().enumerate());
            let vectors: Vec<[f32; 2]> = (0..scores.len())
                .map(|i| [(i as f32).cos(), (i as f32).sin()])
                .collect();
            let chosen = diverse(&ranked, limit, diversity, |i: &usize| Some(&vectors[*i][..]));
            prop_assert_eq!(chosen.len(), limit.min(ranked.len()));
            prop_assert_eq!(chosen[0].0, ranked[0].0);
            let ids: std::collections::HashSet<usize> = chosen.iter().map(|(i, _)| *i).collect();
            prop_assert_eq!(ids.len(), chosen.len());
            if diversity == 0.0 {
                prop_assert_eq!(&chosen[..], &ranked[..chosen.len()]);
            }
        }
    }
}
