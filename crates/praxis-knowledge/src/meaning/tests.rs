//! What vectors tell of texts, on vectors of a plane that one can draw.

use praxis_core::embed::dot;
use proptest::prelude::*;

use super::*;

/// A vector of length 1 at an angle of a plane, in degrees.
fn at(degrees: f32) -> Vec<f32> {
    let radians = degrees.to_radians();
    vec![radians.cos(), radians.sin()]
}

fn all(degrees: &[f32]) -> Vec<Vec<f32>> {
    degrees.iter().map(|d| at(*d)).collect()
}

#[test]
fn the_nearest_come_first() {
    let found = nearest(&at(0.0), &all(&[90.0, 10.0, -5.0]), 2);
    assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn twins_are_grouped_but_chains_are_not() {
    let ten = 10f32.to_radians().cos() - 1e-4;
    // Each is ten degrees from the next: only neighbours of a group's first are in it.
    let groups = duplicates(&all(&[0.0, 10.0, 20.0, 100.0, 30.0]), ten);
    assert_eq!(groups, [vec![0, 1], vec![2, 4]]);
    assert!(duplicates(&[], 0.9).is_empty());
}

#[test]
fn what_is_disliked_turns_the_recommendation_away() {
    let items = all(&[0.0, 40.0, -40.0, 80.0]);
    assert_eq!(recommend(&items, &[0], &[3], 1)[0].0, 2);
    assert_eq!(recommend(&items, &[0], &[], 9).len(), 3);
    assert!(recommend(&items, &[], &[3], 9).is_empty());
    assert!(recommend(&items, &[77], &[], 9).is_empty());
}

#[test]
fn a_text_is_of_the_nearest_class() {
    let label = |name: &str, degrees: &[f32]| Label {
        name: name.to_owned(),
        vectors: all(degrees),
    };
    let classifier =
        Classifier::new(vec![label("east", &[0.0, 10.0]), label("north", &[90.0])]).unwrap();
    let classes = classifier.classify(&at(20.0));
    assert_eq!(classes[0].label, "east");
    assert!(classes[0].share > 0.9 && (classes[0].share + classes[1].share - 1.0).abs() < 1e-6);
    assert!(Classifier::new(vec![label("east", &[0.0])]).is_err());
    let error = Classifier::new(vec![label("east", &[0.0]), label("void", &[])]).unwrap_err();
    assert!(error.contains("`void`"));
}

#[test]
fn quality_counts_what_is_right() {
    let pair = |is: &str, said: &str| (is.to_owned(), said.to_owned());
    let (table, right) = quality(&[
        pair("a", "a"),
        pair("a", "b"),
        pair("b", "b"),
        pair("b", "c"),
    ]);
    assert_eq!(right, 0.5);
    assert_eq!((table[0].precision, table[0].recall), (1.0, 0.5));
    assert_eq!((table[2].texts, table[2].precision), (0, 0.0));
    assert_eq!(quality(&[]).1, 0.0);
}

#[test]
fn topics_are_found_and_named() {
    let items = all(&[0.0, 2.0, 4.0, 120.0, 122.0, 240.0, 241.0, 242.0, 243.0]);
    let found = choose_topics(&items, 1);
    assert_eq!(found.centres.len(), 3);
    assert_eq!(found.members(0).len(), 4);
    let texts: Vec<String> = [
        "The engines of planes",
        "An engine burns",
        "engine oil 42",
        "熊猫吃竹子",
        "竹子和熊猫",
        "Cooking rice",
        "rice cooker",
        "Boil rice",
        "rice and beans",
    ]
    .map(str::to_owned)
    .to_vec();
    let terms = topic_terms(&texts, &found.cluster, 3, 2);
    assert_eq!(terms[0][0], "rice");
    assert_eq!(terms[1][0], "engine");
    assert!(terms[2].contains(&"熊猫".to_owned()), "{terms:?}");
}

proptest! {
    #[test]
    fn every_cluster_has_an_item_and_every_item_the_nearest_centre(
        degrees in proptest::collection::vec(0.0f32..360.0, 1..60),
        k in 1usize..12,
        seed in 0u64..1000,
    ) {
        let items = all(&degrees);
        let found = k_means(&items, k, seed);
        prop_assert_eq!(found.centres.len(), k.min(items.len()));
        prop_assert_eq!(&found, &k_means(&items, k, seed));
        for c in 0..found.centres.len() {
            prop_assert!(!found.members(c).is_empty());
        }
        for (i, item) in items.iter().enumerate() {
            let own = dot(&found.centres[found.cluster[i]], item);
            prop_assert!((own - found.cosine[i]).abs() < 1e-4);
        }
    }

    #[test]
    fn groups_of_twins_share_no_item(
        degrees in proptest::collection::vec(0.0f32..360.0, 0..60),
        threshold in 0.5f32..1.0,
    ) {
        let items = all(&degrees);
        let mut seen: Vec<usize> = duplicates(&items, threshold).concat();
        let before = seen.len();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), before);
    }
}
