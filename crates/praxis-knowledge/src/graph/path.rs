//! The shortest way from one entity to another over triples, in either direction, up to a depth (breadth-first
//! search). Left out: which of several shortest ways is the most telling; the first by entity and triple is
//! taken.

use std::collections::{HashMap, VecDeque};

use super::view::View;

/// Entities that are looked at.
const MOST_SEEN: usize = 100_000;

/// The places of the triples from one of `from` to one of `to`, in order; `None` where there is no way of at most
/// `depth` triples. Empty where they meet.
pub(crate) fn shortest(view: &View, from: &[u32], to: &[u32], depth: usize) -> Option<Vec<u32>> {
    if from.iter().any(|f| to.contains(f)) {
        return Some(Vec::new());
    }
    // Of each entity, the triple that led to it and the entity before.
    let mut seen: HashMap<u32, Option<(u32, u32)>> = from.iter().map(|f| (*f, None)).collect();
    let mut next: VecDeque<(u32, usize)> = from.iter().map(|f| (*f, 0)).collect();
    while let Some((at, steps)) = next.pop_front() {
        if steps == depth {
            continue;
        }
        for triple in view.of.get(at as usize).into_iter().flatten() {
            let Some(stated) = view.triples.get(*triple as usize) else {
                continue;
            };
            let other = if stated.subject == at {
                stated.object
            } else {
                stated.subject
            };
            if seen.contains_key(&other) {
                continue;
            }
            seen.insert(other, Some((*triple, at)));
            if to.contains(&other) {
                return Some(way(&seen, other));
            }
            if seen.len() >= MOST_SEEN {
                return None;
            }
            next.push_back((other, steps + 1));
        }
    }
    None
}

fn way(seen: &HashMap<u32, Option<(u32, u32)>>, end: u32) -> Vec<u32> {
    let mut triples = Vec::new();
    let mut at = end;
    while let Some(Some((triple, before))) = seen.get(&at) {
        triples.push(*triple);
        at = *before;
    }
    triples.reverse();
    triples
}
