//! A model's opinion of the first results, mixed with the scores that they have. Pure functions.
//!
//! Both are scaled to 0..1 over the candidates and added with weights. So a model of weight w lets a passage
//! overtake another one that leads by at most w / (1 - w) of the candidates' span: at 0.3 less than half of it,
//! and what leads by far stays first whatever a small model says. Order and scores of later results stay, and
//! stay below.

use crate::search::fusion::Ranked;

/// Differences of a cross-encoder's logits below this are no opinion, and are not stretched.
const LEAST_SPAN: f32 = 1.0;

/// Scores this near to 0 or 1 are as good as there.
const EDGE: f32 = 1e-6;

/// Opinions by a ranking alone: the first of `order` is 1, the last 0.
pub(crate) fn by_rank(order: &[usize]) -> Vec<f32> {
    let last = order.len().saturating_sub(1).max(1) as f32;
    let mut opinions = vec![0.0; order.len()];
    for (place, candidate) in order.iter().enumerate() {
        if let Some(opinion) = opinions.get_mut(*candidate) {
            *opinion = 1.0 - place as f32 / last;
        }
    }
    opinions
}

/// Opinions by probabilities in 0..1: their log odds, stretched over the candidates, because most of what a
/// cross-encoder says lies close to 0 or 1.
pub(crate) fn by_score(scores: &[f32]) -> Vec<f32> {
    let logits: Vec<f32> = scores
        .iter()
        .map(|score| {
            let score = if score.is_finite() { *score } else { 0.0 };
            let p = score.clamp(EDGE, 1.0 - EDGE);
            (p / (1.0 - p)).ln()
        })
        .collect();
    let low = logits.iter().copied().fold(f32::MAX, f32::min);
    let high = logits.iter().copied().fold(f32::MIN, f32::max);
    let span = (high - low).max(LEAST_SPAN);
    logits.into_iter().map(|l| (l - low) / span).collect()
}

/// The first results, best first, mixed with an opinion of each that counts `weight`. Scores keep their range;
/// of equals, the one that was before comes first.
pub(crate) fn mixed<Id>(head: Ranked<Id>, opinions: &[f32], weight: f32) -> Ranked<Id> {
    let high = head.first().map_or(0.0, |h| h.1);
    let low = head.last().map_or(0.0, |h| h.1);
    let span = high - low;
    let mut ranked: Ranked<Id> = head
        .into_iter()
        .zip(opinions.iter().copied().chain(std::iter::repeat(0.0)))
        .map(|((id, score), opinion)| {
            let scaled = if span > 0.0 {
                (score - low) / span
            } else {
                1.0
            };
            (id, scaled * (1.0 - weight) + opinion * weight)
        })
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (_, score) in &mut ranked {
        *score = low + *score * span;
    }
    ranked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::fusion::sorted;

    fn ids(ranked: &Ranked<usize>) -> Vec<usize> {
        ranked.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn a_weak_opinion_turns_near_scores_around_and_leaves_a_clear_lead() {
        let near = vec![(0, 0.80), (1, 0.78), (2, 0.2)];
        let clear = vec![(0, 0.9), (1, 0.4), (2, 0.3)];
        let reversed = by_rank(&[1, 2, 0]);
        assert_eq!(ids(&mixed(near, &reversed, 0.3)), [1, 0, 2]);
        assert_eq!(ids(&mixed(clear.clone(), &reversed, 0.3)), [0, 1, 2]);
        assert_eq!(ids(&mixed(clear, &reversed, 1.0)), [1, 2, 0]);
    }

    #[test]
    fn scores_near_the_edges_still_differ_and_equal_ones_say_nothing() {
        let opinions = by_score(&[0.999_9, 0.98, 0.000_1, f32::NAN]);
        assert!(opinions[0] == 1.0 && opinions[1] > 0.6 && opinions[2] < 0.4);
        assert_eq!(opinions[3], 0.0);
        // A tenth of a logit is not stretched to all of the range.
        let flat = by_score(&[0.500, 0.525]);
        assert!(flat[1] - flat[0] < 0.15, "{flat:?}");
        assert_eq!(by_score(&[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn each_stays_once_in_the_range_and_best_first(
            scores in proptest::collection::vec(0.0f32..1.0, 1..30),
            said in proptest::collection::vec(-0.5f32..1.5, 0..40),
            weight in 0.0f32..=1.0,
        ) {
            let head = sorted(scores.into_iter().enumerate());
            let (low, high) = (head[head.len() - 1].1, head[0].1);
            let ranked = mixed(head.clone(), &by_score(&said), weight);
            prop_assert!(ranked.windows(2).all(|w| w[0].1 >= w[1].1));
            prop_assert!(ranked.iter().all(|(_, s)| *s >= low - 1e-5 && *s <= high + 1e-5));
            let (mut before, mut after) = (ids(&head), ids(&ranked));
            prop_assert_eq!(ids(&mixed(head, &by_score(&said), 0.0)), before.clone());
            before.sort_unstable();
            after.sort_unstable();
            prop_assert_eq!(before, after);
        }

        #[test]
        fn a_ranking_alone_is_followed_at_full_weight(
            order in Just((0usize..12).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let head: Ranked<usize> = (0..12).map(|i| (i, 1.0 - i as f32 / 20.0)).collect();
            prop_assert_eq!(ids(&mixed(head, &by_rank(&order), 1.0)), order);
        }
    }
}
