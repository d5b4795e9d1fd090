//! Which names are one entity without being equal: those of one type whose vectors are near enough, and that
//! nothing speaks against. Groups are complete: each name of one is near to each other (complete linkage), so
//! that no chain leads from one entity to another. Left out: equal names, which are one name already
//! (`names`), and what a person merged (`view`).
//!
//! How near is near enough was measured on 77 pairs of names, `scripts/bench/graph_names.tsv`; see
//! `docs/graph.md`.

use std::collections::{HashMap, HashSet};

use praxis_core::embed::dot;
use praxis_core::language::is_han;
use praxis_store::EntityVector;
use rayon::prelude::*;

/// Names of one type that are compared, the most frequent first: ten thousand are seconds.
const MOST_NAMES: usize = 10_000;

/// Pairs that are looked at, the nearest first.
const MOST_PAIRS: usize = 200_000;

/// Names of one entity.
const MOST_MEMBERS: usize = 16;

/// Cosines from which two names are near enough, by what they are written in; `None`: only equal ones are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    chinese: Option<f32>,
    other: Option<f32>,
}

impl Bound {
    /// That of an embedder, or the one that a base sets.
    pub fn of(embedder: &str, set: Option<f32>) -> Self {
        let (chinese, other) = match set {
            Some(bound) => (Some(bound), Some(bound)),
            None if embedder.starts_with("multilingual-e5-small") => (Some(0.97), Some(0.97)),
            // It knows no Chinese: 张伟 and 张强 are one to it.
            None if embedder.starts_with("all-minilm-l6-v2") => (None, Some(0.97)),
            None => (None, None),
        };
        Self { chinese, other }
    }

    /// Whether names can be near at all.
    pub fn is_any(self) -> bool {
        self.chinese.or(self.other).is_some()
    }

    fn for_names(self, a: &str, b: &str) -> Option<f32> {
        if a.contains(is_han) || b.contains(is_han) {
            self.chinese
        } else {
            self.other
        }
    }
}

/// Pairs of places of names that are one entity, with their cosines. `names` are sorted by type.
pub(crate) fn aliases(names: &[EntityVector], bound: Bound) -> Vec<(usize, usize, f32)> {
    let mut aliases = Vec::new();
    let mut start = 0;
    for block in names.chunk_by(|a, b| a.kind == b.kind) {
        let mut of_kind: Vec<usize> = (start..start + block.len()).collect();
        start += block.len();
        if of_kind.len() > MOST_NAMES {
            of_kind.sort_by_key(|at| std::cmp::Reverse(names[*at].mentions));
            of_kind.truncate(MOST_NAMES);
            of_kind.sort_unstable();
        }
        aliases.extend(grouped(near(names, &of_kind, bound)));
    }
    aliases
}

/// The pairs that are near enough, the nearest first.
fn near(names: &[EntityVector], of_kind: &[usize], bound: Bound) -> Vec<(usize, usize, f32)> {
    let mut pairs: Vec<(usize, usize, f32)> = of_kind
        .par_iter()
        .enumerate()
        .flat_map_iter(|(i, one)| {
            let first = &names[*one];
            of_kind[i + 1..].iter().filter_map(move |other| {
                let second = &names[*other];
                let least = bound.for_names(&first.key, &second.key)?;
                let cosine = dot(&first.vector, &second.vector);
                let same = first.vector.len() == second.vector.len() && cosine >= least;
                (same && !contradict(&first.key, &second.key)).then_some((*one, *other, cosine))
            })
        })
        .collect();
    pairs.sort_unstable_by(|a, b| {
        b.2.total_cmp(&a.2)
            .then_with(|| (a.0, a.1).cmp(&(b.0, b.1)))
    });
    pairs.truncate(MOST_PAIRS);
    pairs
}

/// The pairs within complete groups.
fn grouped(pairs: Vec<(usize, usize, f32)>) -> Vec<(usize, usize, f32)> {
    let near: HashSet<(usize, usize)> = pairs.iter().map(|(a, b, _)| (*a, *b)).collect();
    let is_near = |a: usize, b: usize| near.contains(&(a.min(b), a.max(b)));
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    for (a, b, _) in &pairs {
        let (one, other) = (*group_of.get(a).unwrap_or(a), *group_of.get(b).unwrap_or(b));
        if one == other {
            continue;
        }
        let members = |group: &usize| groups.get(group).cloned().unwrap_or_else(|| vec![*group]);
        let (mut left, right) = (members(&one), members(&other));
        let complete = left.iter().all(|l| right.iter().all(|r| is_near(*l, *r)));
        if !complete || left.len() + right.len() > MOST_MEMBERS {
            continue;
        }
        groups.remove(&other);
        left.extend(right);
        for member in &left {
            group_of.insert(*member, one);
        }
        groups.insert(one, left);
    }
    pairs
        .into_iter()
        .filter(|(a, b, _)| {
            group_of
                .get(a)
                .is_some_and(|group| group_of.get(b) == Some(group))
        })
        .collect()
}

/// Whether two normalized names say of themselves that they are two things: other numbers, or as many words of
/// which one is another. Vectors put "East Timor" beside "West Timor".
fn contradict(a: &str, b: &str) -> bool {
    let numbers = |name: &str| -> Vec<String> {
        let digits = name.split(|c: char| !c.is_numeric());
        digits
            .filter(|d| !d.is_empty())
            .map(str::to_owned)
            .collect()
    };
    if numbers(a) != numbers(b) {
        return true;
    }
    let words = |name: &str| name.split(' ').count();
    if words(a) == words(b) {
        return a
            .split(' ')
            .zip(b.split(' '))
            .any(|(a, b)| a != b && !is_variant(a, b));
    }
    false
}

/// Whether two words may be spellings of one: one letter apart in a long word, or the beginning and some letters
/// of each other ("st" and "saint"). Of Chinese words, those of another length may.
fn is_variant(a: &str, b: &str) -> bool {
    let (long, short) = if a.chars().count() >= b.chars().count() {
        (a, b)
    } else {
        (b, a)
    };
    let (long, short): (Vec<char>, Vec<char>) = (long.chars().collect(), short.chars().collect());
    if long.iter().chain(&short).any(|c| is_han(*c)) {
        return long.len() > short.len();
    }
    let begins = long.iter().zip(&short).take_while(|(a, b)| a == b).count();
    let rest = &short[begins..];
    let ends = long
        .iter()
        .rev()
        .zip(rest.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let apart = long.len() - begins - ends;
    if long.len() >= 5 && apart <= 1 {
        return true;
    }
    let mut left = short.iter().peekable();
    for c in &long {
        left.next_if_eq(&c);
    }
    begins > 0 && left.peek().is_none()
}

#[cfg(test)]
mod tests {
    use praxis_core::EntityId;
    use proptest::prelude::*;

    use super::*;

    fn name(kind: &str, key: &str, vector: [f32; 2]) -> EntityVector {
        EntityVector {
            id: EntityId::from_string(format!("{kind}/{key}")),
            kind: kind.to_owned(),
            key: key.to_owned(),
            mentions: 1,
            vector: vector.to_vec(),
        }
    }

    #[test]
    fn names_that_say_they_are_two_are_told_apart() {
        for (a, b, two) in [
            ("east timor", "west timor", true),
            ("albert einstein", "alfred einstein", true),
            ("iphone 14", "iphone 15", true),
            ("iphone 14", "iphone", true),
            ("北京", "南京", true),
            ("北京", "北京市", false),
            ("saint petersburg", "st petersburg", false),
            ("mount everest", "mt everest", false),
            (
                "world health organization",
                "world health organisation",
                false,
            ),
            ("new york", "new york city", false),
            ("einstein", "albert einstein", false),
            ("charles r darwin", "charles darwin", false),
        ] {
            assert_eq!(contradict(a, b), two, "{a}, {b}");
            assert_eq!(contradict(b, a), two, "{b}, {a}");
        }
    }

    #[test]
    fn near_names_of_one_type_are_one_and_chains_are_cut() {
        let at = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
        let names = [
            name("organization", "apple", at(0.0)),
            name("organization", "apple inc", at(5.0)),
            name("organization", "apple inc cupertino", at(10.0)),
            name("organization", "apple records of london", at(19.0)),
            name("plant", "apple", at(0.0)),
            name("plant", "apple tree", at(90.0)),
        ];
        // 10 degrees are near, 19 are not: the last is near to the third alone.
        let bound = Bound::of("x", Some(10.5f32.to_radians().cos()));
        let pairs: Vec<(usize, usize)> =
            aliases(&names, bound).iter().map(|p| (p.0, p.1)).collect();
        assert_eq!(pairs.len(), 3, "{pairs:?}");
        for pair in [(0, 1), (0, 2), (1, 2)] {
            assert!(pairs.contains(&pair), "{pairs:?}");
        }
        assert_eq!(aliases(&names, Bound::of("unknown", None)), []);
    }

    #[test]
    fn an_embedder_without_chinese_merges_none_of_it() {
        let bound = Bound::of("all-minilm-l6-v2@1", None);
        assert!(bound.is_any());
        assert_eq!(bound.for_names("张伟", "张强"), None);
        assert!(bound.for_names("siemens", "siemens ag").is_some());
    }

    proptest! {
        #[test]
        fn groups_are_complete_and_of_one_type(
            made in proptest::collection::vec((0usize..3, "[a-c]{1,3}( [a-c]{1,2})?", 0.0f32..40.0), 0..30),
            degrees in 1.0f32..20.0,
        ) {
            let mut names: Vec<EntityVector> = made
                .iter()
                .map(|(kind, key, at)| {
                    name(["a", "b", "c"][*kind], key, [at.to_radians().cos(), at.to_radians().sin()])
                })
                .collect();
            names.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
            let least = degrees.to_radians().cos();
            let pairs = aliases(&names, Bound::of("x", Some(least)));
            let mut group: HashMap<usize, HashSet<usize>> = HashMap::new();
            for (a, b, cosine) in &pairs {
                prop_assert!(a < b && *cosine >= least);
                prop_assert_eq!(&names[*a].kind, &names[*b].kind);
                prop_assert!(!contradict(&names[*a].key, &names[*b].key));
                group.entry(*a).or_default().insert(*b);
                group.entry(*b).or_default().insert(*a);
            }
            for (one, others) in &group {
                prop_assert!(others.len() < MOST_MEMBERS);
                for other in others {
                    let mut same = group[other].clone();
                    same.insert(*other);
                    let mut own = others.clone();
                    own.insert(*one);
                    prop_assert_eq!(&same, &own, "a chain");
                }
            }
        }
    }
}
