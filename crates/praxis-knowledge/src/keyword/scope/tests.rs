//! A search within a scope finds exactly the best of its texts, and with the statistics of what is known it
//! scores as an index of just that.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::{KeywordEntry, KeywordIndex, KeywordQuery, Mark};
use crate::analyze::analyze;

const WORDS: [&str; 6] = ["heron", "otter", "lynx", "badger", "falcon", "beaver"];

/// An index of these texts, each of a document of its own; every so many a segment.
fn index(dir: &std::path::Path, texts: &[(u64, String)], segment: usize) -> KeywordIndex {
    let index = KeywordIndex::open(dir).unwrap();
    for some in texts.chunks(segment.max(1)) {
        let writer = index.writer().unwrap();
        for (generation, text) in some {
            writer
                .add(&KeywordEntry {
                    id: &format!("c{generation:03}"),
                    generation: *generation as i64,
                    text,
                })
                .unwrap();
        }
        writer.commit(&Mark::default()).unwrap();
    }
    index.reload().unwrap();
    index
}

fn texts() -> impl Strategy<Value = Vec<(u64, String)>> {
    let text = proptest::collection::vec(0usize..WORDS.len(), 1..12);
    proptest::collection::vec(text, 1..40).prop_map(|all| {
        let words = |text: Vec<usize>| text.iter().map(|w| WORDS[*w]).collect::<Vec<_>>().join(" ");
        (1u64..).zip(all.into_iter().map(words)).collect()
    })
}

fn near(a: &[(String, f32)], b: &[(String, f32)]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (a.1 - b.1).abs() <= 1e-4 * a.1.abs().max(1.0))
}

fn ids(found: &[(String, f32)]) -> BTreeSet<&str> {
    found.iter().map(|(id, _)| id.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_found_within_a_scope_is_the_best_of_it(
        texts in texts(),
        allowed in proptest::collection::btree_set(1u64..41, 0..30),
        limit in 1usize..12,
        segment in 5usize..50,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let all = index(&dir.path().join("all"), &texts, segment);
        let query = KeywordQuery::of(&analyze("heron badger falcon"));
        let whole = all.search(&query, texts.len(), None, None).unwrap();
        let scope = all.scope(|document| allowed.contains(&document)).unwrap();
        let within = all.search(&query, limit, Some(&scope), None).unwrap();
        let permitted = |id: &str| allowed.contains(&id[1..].parse().unwrap());
        let mut brute: Vec<_> = whole.into_iter().filter(|(id, _)| permitted(id)).collect();
        let everything = all.search(&query, texts.len(), Some(&scope), None).unwrap();
        prop_assert_eq!(ids(&everything), ids(&brute));
        brute.truncate(limit);
        prop_assert!(near(&within, &brute), "{:?} {:?}", within, brute);
        prop_assert!(within.iter().all(|(id, _)| permitted(id)));

        // With its own statistics, it is as if nothing else existed.
        let known = all.known(|document| allowed.contains(&document)).unwrap();
        let alone: Vec<_> = texts.iter().filter(|(g, _)| allowed.contains(g)).cloned().collect();
        let alone = index(&dir.path().join("alone"), &alone, 1000);
        let found = all.search(&query, limit, Some(&scope), Some(&known)).unwrap();
        let want = alone.search(&query, limit, None, None).unwrap();
        prop_assert!(near(&found, &want), "{:?} {:?}", found, want);
        for word in ["heron", "lynx"] {
            prop_assert_eq!(
                all.holding(word, Some(&known)).unwrap(),
                alone.holding(word, None).unwrap()
            );
            prop_assert_eq!(
                all.frequency(word, Some(&known)).unwrap(),
                alone.frequency(word, None).unwrap()
            );
        }
    }
}

#[test]
fn a_text_that_is_removed_is_in_no_scope() {
    let dir = tempfile::tempdir().unwrap();
    let texts = [(1, "heron".to_owned()), (2, "heron heron".to_owned())];
    let index = index(dir.path(), &texts, 10);
    let writer = index.writer().unwrap();
    writer.remove(2);
    writer.commit(&Mark::default()).unwrap();
    index.reload().unwrap();
    let scope = index.scope(|_| true).unwrap();
    let known = index.known(|_| true).unwrap();
    let query = KeywordQuery::of(&analyze("heron"));
    let found = index.search(&query, 9, Some(&scope), Some(&known)).unwrap();
    assert_eq!(ids(&found), ["c001"].into());
    assert_eq!(known.len(), 1);
}
