//! When two answers are the same: by their words, their number, their JSON, or their meaning.

use praxis_core::embed::dot;
use praxis_core::language::is_han;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Cosine from which two answers mean the same.
const SAME: f32 = 0.9;

/// How answers are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Vote {
    /// A short text with one number by that number, other texts by their words, JSON by its content.
    #[default]
    Auto,
    /// By words, letter case, punctuation and spaces apart.
    Text,
    /// By the last number.
    Number,
    /// By meaning: clusters of embeddings.
    Embedding,
}

impl Vote {
    /// What answers that are the same have in common.
    pub fn key(self, output: &Value) -> String {
        let Value::String(text) = output else {
            return canonical(output).to_string();
        };
        let numbers = numbers(text);
        match self {
            Self::Number => numbers.last().cloned().unwrap_or_else(|| words(text)),
            Self::Auto if numbers.len() == 1 && length(text) <= 4 => numbers[0].clone(),
            _ => words(text),
        }
    }
}

/// How many words a text has: what spaces part, and each Chinese character, which nothing parts.
fn length(text: &str) -> usize {
    let of = |word: &str| {
        let han = word.chars().filter(|c| is_han(*c)).count();
        let other = word.chars().any(|c| c.is_alphanumeric() && !is_han(c));
        han + usize::from(other)
    };
    text.split_whitespace().map(of).sum()
}

/// The text's words in lower case.
fn words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '%' | '+' | '-'))
        .filter(|w| !w.is_empty() && !matches!(*w, "the" | "a" | "an"))
        .collect();
    words.join(" ")
}

/// The numbers of a text, each in its shortest form: `1,000.50` and `1000.5` are the same.
pub(crate) fn numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let negative = at > 0
            && matches!(chars[at - 1], '-' | '−')
            && (at < 2 || !chars[at - 2].is_alphanumeric());
        let mut number = String::new();
        let mut point = false;
        while at < chars.len() {
            let next_is_digit = chars.get(at + 1).is_some_and(char::is_ascii_digit);
            match chars[at] {
                digit if digit.is_ascii_digit() => number.push(digit),
                // A comma between digits groups them.
                ',' if next_is_digit && !point => {}
                '.' if next_is_digit && !point => {
                    point = true;
                    number.push('.');
                }
                _ => break,
            }
            at += 1;
        }
        found.push(shortest(&number, negative));
    }
    found
}

fn shortest(number: &str, negative: bool) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (whole, fraction) = (
        whole.trim_start_matches('0'),
        fraction.trim_end_matches('0'),
    );
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && (whole != "0" || !fraction.is_empty()) {
        "-"
    } else {
        ""
    };
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// JSON whose order of keys and way of writing whole numbers say nothing.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.into_iter()
                .map(|k| (k.clone(), canonical(&map[k])))
                .collect()
        }
        Value::Number(number) => match number.as_f64() {
            Some(n) if n.fract() == 0.0 && n.abs() < 9e15 => Value::from(n as i64),
            _ => value.clone(),
        },
        Value::String(text) => Value::String(text.trim().to_owned()),
        other => other.clone(),
    }
}

/// Indices of equal keys, the most frequent first, then the earliest.
pub(crate) fn groups(keys: &[String]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        match groups.iter_mut().find(|g| keys[g[0]] == *key) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    // The sort keeps the order of equals, which is that of their first members.
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    groups
}

/// Whether the votes that are out cannot change the winner, not even by a tie.
pub(crate) fn is_decided(groups: &[Vec<usize>], out: usize) -> bool {
    let votes = |i: usize| groups.get(i).map_or(0, Vec::len);
    votes(0) > votes(1) + out
}

/// Indices of vectors that mean the same: each joins the group whose first member is nearest, if near
/// enough. The member nearest to all others of its group comes first in it.
pub(crate) fn clusters(vectors: &[Vec<f32>]) -> Vec<Vec<usize>> {
    let cosine = |a: usize, b: usize| dot(&vectors[a], &vectors[b]);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in 0..vectors.len() {
        let near = groups
            .iter_mut()
            .map(|group| (cosine(group[0], index), group))
            .filter(|(near, _)| *near >= SAME)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match near {
            Some((_, group)) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    for group in &mut groups {
        let total = |i: usize| group.iter().map(|&j| cosine(i, j)).sum::<f32>();
        let best = group
            .iter()
            .enumerate()
            .max_by(|a, b| total(*a.1).total_cmp(&total(*b.1)).then(b.0.cmp(&a.0)));
        if let Some((at, _)) = best {
            group.swap(0, at);
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_that_say_the_same_have_one_key() {
        for (vote, a, b) in [
            (Vote::Auto, json!("42"), json!("$42.00.")),
            (Vote::Auto, json!("1,000 dollars"), json!("1000")),
            (Vote::Auto, json!("The Paris"), json!("paris!")),
            (
                Vote::Auto,
                json!({"a": 1, "b": [2]}),
                json!({"b": [2.0], "a": 1}),
            ),
            (
                Vote::Number,
                json!("5 boxes of 3 make 15"),
                json!("It is 15."),
            ),
            (Vote::Auto, json!("-3"), json!("−3 degrees")),
            (Vote::Auto, json!("答案是3。"), json!("3")),
        ] {
            assert_eq!(vote.key(&a), vote.key(&b), "{a} {b}");
        }
        for (vote, a, b) in [
            (Vote::Auto, json!("4.2"), json!("42")),
            (Vote::Auto, json!("-3"), json!("3")),
            (Vote::Auto, json!("C"), json!("C++")),
            (Vote::Text, json!("3 apples"), json!("3")),
            // Nothing parts the words of Chinese; these are no short answers.
            (
                Vote::Auto,
                json!("小明比小红大3岁"),
                json!("小红比小明大3岁"),
            ),
            (
                Vote::Auto,
                json!("between 3 and 5"),
                json!("between 3 and 6"),
            ),
        ] {
            assert_ne!(vote.key(&a), vote.key(&b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_found_in_their_shortest_form() {
        for (text, wanted) in [
            ("a1b 2,500.50 and -7, 0.0", vec!["1", "2500.5", "-7", "0"]),
            ("2024-01-31", vec!["2024", "1", "31"]),
            ("1.2.3", vec!["1.2", "3"]),
            ("none", vec![]),
        ] {
            assert_eq!(numbers(text), wanted, "{text}");
        }
    }

    #[test]
    fn near_vectors_are_one_group() {
        let vectors = [
            vec![0.0, 1.0],
            vec![1.0, 0.0],
            vec![0.99, 0.14],
            vec![0.97, 0.24],
        ];
        // The one in the middle stands for its group.
        assert_eq!(clusters(&vectors), [vec![2, 1, 3], vec![0]]);
        assert_eq!(clusters(&[]), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn a_decided_vote_is_not_changed_by_the_rest(
            votes in proptest::collection::vec(0u8..3, 1..12), seen in 1usize..12,
        ) {
            let keys: Vec<String> = votes.iter().map(ToString::to_string).collect();
            let seen = seen.min(keys.len());
            let early = groups(&keys[..seen]);
            if is_decided(&early, keys.len() - seen) {
                prop_assert_eq!(&keys[groups(&keys)[0][0]], &keys[early[0][0]]);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (numbers(&text), words(&text));
        }
    }
}
