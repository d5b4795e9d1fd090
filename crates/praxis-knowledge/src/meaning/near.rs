//! Nearness: the nearest texts, groups of texts that say the same, and recommendations.

use praxis_core::embed::dot;
use rayon::prelude::*;

use super::{centre, unit};

/// How much what is disliked counts against what is liked (Rocchio 1971; its usual weights are 0.75 and
/// 0.15 or 0.25).
const AGAINST: f32 = 0.25;

/// The `limit` items nearest to `query`, best first: their index and their cosine.
pub fn nearest(query: &[f32], items: &[Vec<f32>], limit: usize) -> Vec<(usize, f32)> {
    nearest_of(items.len(), limit, |i| dot(&items[i], query))
}

/// The `limit` of `count` items with the highest cosines, best first, of equals the first.
pub(crate) fn nearest_of(
    count: usize,
    limit: usize,
    cosine: impl Fn(usize) -> f32 + Sync,
) -> Vec<(usize, f32)> {
    let mut scores: Vec<(usize, f32)> = (0..count)
        .into_par_iter()
        .with_min_len(4096)
        .map(|i| (i, cosine(i)))
        .collect();
    let limit = limit.min(scores.len());
    let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if limit > 0 && limit < scores.len() {
        scores.select_nth_unstable_by(limit - 1, order);
    }
    scores.truncate(limit);
    scores.sort_unstable_by(order);
    scores
}

/// Groups of items whose cosine is at least `threshold`, of two and more, each with its first item in
/// front. An item belongs to the first group whose first item it is near to, so that a chain of
/// neighbours does not join what is far apart. Every pair is compared: n * n / 2 products.
pub fn duplicates(items: &[Vec<f32>], threshold: f32) -> Vec<Vec<usize>> {
    let near: Vec<Vec<usize>> = (0..items.len())
        .into_par_iter()
        .map(|i| {
            let after = i + 1..items.len();
            after
                .filter(|j| dot(&items[i], &items[*j]) >= threshold)
                .collect()
        })
        .collect();
    let mut taken = vec![false; items.len()];
    let mut groups = Vec::new();
    for (first, others) in near.into_iter().enumerate() {
        if taken[first] {
            continue;
        }
        let mut group = vec![first];
        for other in others {
            if !std::mem::replace(&mut taken[other], true) {
                group.push(other);
            }
        }
        if group.len() > 1 {
            groups.push(group);
        }
    }
    groups
}

/// The `limit` items to show somebody who likes some and dislikes others (indexes), best first; those
/// that are named are left out. Nothing without anything liked.
pub fn recommend(
    items: &[Vec<f32>],
    liked: &[usize],
    disliked: &[usize],
    limit: usize,
) -> Vec<(usize, f32)> {
    let of = |named: &[usize]| {
        let vectors = named.iter().filter_map(|i| items.get(*i));
        centre(vectors.map(Vec::as_slice))
    };
    let Some(mut wanted) = of(liked) else {
        return Vec::new();
    };
    if let Some(unwanted) = of(disliked) {
        let pairs = wanted.iter_mut().zip(unwanted);
        pairs.for_each(|(w, u)| *w -= AGAINST * u);
    }
    let Some(wanted) = unit(wanted) else {
        return Vec::new();
    };
    let named = liked.len() + disliked.len();
    let mut found = nearest(&wanted, items, limit.saturating_add(named));
    found.retain(|(i, _)| !liked.contains(i) && !disliked.contains(i));
    found.truncate(limit);
    found
}
