//! What the first results tell of an open question: words and a direction that its best passages share,
//! and passages that stand beside them. Pure functions; `search` drives them.
//!
//! A question that names one thing has one clear answer, and feedback could only do harm. One that asks
//! after a subject has many, and finds more of them with their own words. The two are told apart by how far
//! the first result leads ([`openness`]), as selective feedback does by the clarity of a query
//! (Cronen-Townsend, Zhou and Croft 2004).

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use praxis_core::embed::{dot, normalize};

use super::fusion::{Ranked, sorted};
use crate::analyze::{Terms, is_stopword};

/// Passages that the model of a question's words is made of, and how many words it gives.
pub(crate) const MODEL_PASSAGES: usize = 5;
const MODEL_WORDS: usize = 20;

/// What those words weigh together, beside the question's own.
pub(crate) const MODEL_WEIGHT: f32 = 0.5;

/// Passages that move the question's vector, and how far.
pub(crate) const MOVING_PASSAGES: usize = 3;
const MOVING_WEIGHT: f32 = 0.7;

/// Nearest passages that a score is smoothed over, and their share of it.
const NEIGHBOURS: usize = 3;
const NEIGHBOUR_SHARE: f32 = 0.3;

/// A word that more passages hold tells nothing of the question.
const COMMON: f32 = 0.1;

/// The result whose score is compared with the first, and the ratios at which feedback begins and is full.
const COMPARED: usize = 9;
const CLOSED: f32 = 0.25;
const OPEN: f32 = 0.4;

/// How open a question is, in 0..=1: 0 where its first result leads by far, 1 where many are about as good.
pub(crate) fn openness<Id>(ranked: &[(Id, f32)]) -> f32 {
    let (Some(first), Some(later)) = (ranked.first(), ranked.get(COMPARED)) else {
        return 0.0;
    };
    if first.1 <= 0.0 {
        return 0.0;
    }
    ((later.1 / first.1 - CLOSED) / (OPEN - CLOSED)).clamp(0.0, 1.0)
}

/// The words that tell the first passages from others, with weights that sum to 1: a relevance model
/// (Lavrenko and Croft 2001; RM3 where it is added to the question, Abdul-Jaleel et al. 2004).
/// `frequency` is the share of all passages that hold a word.
pub(crate) fn relevance_model<E>(
    passages: &[(Terms, f32)],
    mut frequency: impl FnMut(&str) -> Result<f32, E>,
) -> Result<Vec<(String, f32)>, E> {
    let total: f32 = passages.iter().map(|(_, score)| score).sum();
    let mut weights: BTreeMap<&str, f32> = BTreeMap::new();
    for (terms, score) in passages {
        let share = score / total.max(f32::MIN_POSITIVE) / terms.words.len().max(1) as f32;
        for word in &terms.words {
            *weights.entry(word).or_insert(0.0) += share;
        }
    }
    let mut model: Vec<(String, f32)> = Vec::new();
    for (word, weight) in sorted(weights) {
        if model.len() == MODEL_WORDS {
            break;
        }
        // A lone letter or digit is what is left of a formula.
        let tells = word.len() > 1 && !is_stopword(word) && frequency(word)? <= COMMON;
        if tells {
            model.push((word.to_owned(), weight));
        }
    }
    let sum: f32 = model.iter().map(|(_, w)| w).sum();
    model
        .iter_mut()
        .for_each(|(_, w)| *w /= sum.max(f32::MIN_POSITIVE));
    Ok(model)
}

/// The question's vector, moved towards those of its first passages by their scores (Rocchio 1971; on
/// dense vectors, Li et al. 2021), of unit length.
pub(crate) fn moved(query: &[f32], passages: &[(&[f32], f32)]) -> Vec<f32> {
    let total: f32 = passages.iter().map(|(_, score)| score).sum();
    let mut moved = query.to_vec();
    if total > 0.0 {
        for (vector, score) in passages {
            let share = MOVING_WEIGHT * score / total;
            for (m, v) in moved.iter_mut().zip(*vector) {
                *m += share * v;
            }
        }
    }
    normalize(&mut moved);
    moved
}

/// Scores smoothed over the nearest passages among those ranked, because near texts tend to answer the
/// same questions (score regularization, Diaz 2005).
pub(crate) fn smoothed<'a, Id: Clone + Eq + Hash + Ord>(
    ranked: &[(Id, f32)],
    vector: impl Fn(&Id) -> Option<&'a [f32]>,
) -> Ranked<Id> {
    let vectors: Vec<Option<&[f32]>> = ranked.iter().map(|(id, _)| vector(id)).collect();
    let around = |i: usize| -> Option<f32> {
        let own = vectors[i]?;
        let near = sorted(vectors.iter().enumerate().filter_map(|(j, other)| {
            let other = (*other).filter(|_| i != j)?;
            Some((j, dot(own, other)))
        }));
        let near = &near[..near.len().min(NEIGHBOURS)];
        let sum: f32 = near.iter().map(|(j, _)| ranked[*j].1).sum();
        (!near.is_empty()).then(|| sum / near.len() as f32)
    };
    let scores: HashMap<Id, f32> = ranked
        .iter()
        .enumerate()
        .map(|(i, (id, score))| {
            let around = around(i).unwrap_or(*score);
            (
                id.clone(),
                score * (1.0 - NEIGHBOUR_SHARE) + around * NEIGHBOUR_SHARE,
            )
        })
        .collect();
    sorted(scores)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analyze::analyze;

    #[test]
    fn a_question_is_open_where_many_results_are_about_as_good() {
        let ranked = |step: f32| -> Ranked<usize> {
            (0..20)
                .map(|i| (i, 1.0 / (1.0 + step * i as f32)))
                .collect()
        };
        assert_eq!(openness(&ranked(0.01)), 1.0);
        assert_eq!(openness(&ranked(2.0)), 0.0);
        assert_eq!(openness(&ranked(0.01)[..9]), 0.0, "too few to tell");
        assert_eq!(openness::<usize>(&[]), 0.0);
    }

    #[test]
    fn the_model_holds_what_the_passages_are_about() {
        let passages = [
            (
                analyze("Supersonic flow past a blunt cone, the shock detached"),
                0.9,
            ),
            (
                analyze("The detached shock of a cone in supersonic flow"),
                0.8,
            ),
        ];
        let rare = |word: &str| Ok::<_, ()>(if word == "flow" { 0.6 } else { 0.01 });
        let model = relevance_model(&passages, rare).unwrap();
        let words: Vec<&str> = model.iter().map(|(w, _)| w.as_str()).collect();
        assert!(
            words.contains(&"shock") && words.contains(&"superson"),
            "{words:?}"
        );
        assert!(
            !words.contains(&"flow") && !words.contains(&"the"),
            "{words:?}"
        );
        assert!((model.iter().map(|(_, w)| w).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_passage_among_good_ones_rises() {
        let vectors = [
            [1.0f32, 0.0],
            [0.99, 0.1],
            [0.98, 0.2],
            [0.99, 0.14],
            [-1.0, 0.0],
            [0.0, -1.0],
        ];
        let ranked = [(0, 0.9), (1, 0.8), (2, 0.7), (4, 0.6), (3, 0.59), (5, 0.1)];
        let smooth = smoothed(&ranked, |i: &usize| Some(&vectors[*i][..]));
        let place = |id| smooth.iter().position(|(i, _)| *i == id).unwrap();
        assert!(place(3) < place(4), "{smooth:?}");
    }

    proptest! {
        #[test]
        fn a_moved_question_has_unit_length_and_is_nearer(
            query in proptest::collection::vec(-1.0f32..1.0, 8),
            passage in proptest::collection::vec(-1.0f32..1.0, 8),
        ) {
            let unit = |v: &[f32]| -> Vec<f32> {
                let n = dot(v, v).sqrt();
                v.iter().map(|x| x / n).collect()
            };
            prop_assume!(dot(&query, &query) > 0.01 && dot(&passage, &passage) > 0.01);
            let (query, passage) = (unit(&query), unit(&passage));
            prop_assume!(dot(&query, &passage) > -0.99);
            let to = moved(&query, &[(&passage, 0.4)]);
            prop_assert!((dot(&to, &to) - 1.0).abs() < 1e-4);
            prop_assert!(dot(&to, &passage) >= dot(&query, &passage) - 1e-4);
            prop_assert_eq!(moved(&query, &[]).len(), 8);
        }

        #[test]
        fn smoothing_keeps_every_passage_and_the_range(
            scores in proptest::collection::vec(0.0f32..1.0, 1..30),
        ) {
            let ranked = sorted(scores.iter().copied().enumerate());
            let vectors: Vec<[f32; 2]> = (0..scores.len())
                .map(|i| [(i as f32).cos(), (i as f32).sin()])
                .collect();
            let smooth = smoothed(&ranked, |i: &usize| Some(&vectors[*i][..]));
            prop_assert_eq!(smooth.len(), ranked.len());
            let (low, high) = (ranked[ranked.len() - 1].1, ranked[0].1);
            prop_assert!(smooth.iter().all(|(_, s)| *s >= low - 1e-5 && *s <= high + 1e-5));
        }
    }
}
