//! A small index of texts in memory, ranked by BM25 (Robertson and Zaragoza 2009): words as they are, Chinese, Japanese
//! and Korean in pairs of characters. For some thousands of pages; knowledge bases have one that is larger and
//! persists. Left out: where texts come from.

use std::collections::HashMap;

use praxis_core::language::is_han;

/// How soon one more occurrence of a word says nothing new, and how much a text's length counts.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// A word of a title counts as often.
const TITLE: f32 = 3.0;

/// The most words of a question that are looked for.
const MOST_TERMS: usize = 64;

/// The longest word, in characters; what is longer is no word.
const LONGEST: usize = 40;

/// An index of texts, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Texts with each word, and how often it is there.
    postings: HashMap<String, Vec<(usize, f32)>>,
    /// Words of each text.
    lengths: Vec<f32>,
    average: f32,
}

impl Index {
    /// An index of titles and texts, numbered in their order from 0.
    pub fn new<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut index = Self::default();
        for (number, (title, text)) in texts.into_iter().enumerate() {
            let mut counts: HashMap<String, f32> = HashMap::new();
            let mut length = 0.0;
            for (part, weight) in [(title, TITLE), (text, 1.0)] {
                for term in terms(part) {
                    *counts.entry(term).or_default() += weight;
                    length += weight;
                }
            }
            for (term, count) in counts {
                index
                    .postings
                    .entry(term)
                    .or_default()
                    .push((number, count));
            }
            index.lengths.push(length);
        }
        let count = index.lengths.len().max(1) as f32;
        index.average = (index.lengths.iter().sum::<f32>() / count).max(1.0);
        index
    }

    /// The texts that have most to do with a question, at most `limit`, best first, with their scores. One that has
    /// none of its words is not there.
    pub fn search(&self, question: &str, limit: usize) -> Vec<(usize, f32)> {
        let mut asked = terms(question);
        asked.sort();
        asked.dedup();
        asked.truncate(MOST_TERMS);
        let mut scores: HashMap<usize, f32> = HashMap::new();
        for postings in asked.iter().filter_map(|term| self.postings.get(term)) {
            let (all, with) = (self.lengths.len() as f32, postings.len() as f32);
            let rarity = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for (number, count) in postings {
                let length = self.lengths.get(*number).copied().unwrap_or_default();
                let norm = K1 * (1.0 - B + B * length / self.average);
                *scores.entry(*number).or_default() += rarity * count * (K1 + 1.0) / (count + norm);
            }
        }
        let mut found: Vec<(usize, f32)> = scores.into_iter().collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(limit);
        found
    }
}

/// Whether a character is of a script that is written without spaces between words, or with few.
fn is_dense(c: char) -> bool {
    is_han(c) || matches!(c, '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}')
}

/// The words of a text, in lower case and in their order: a plural is its singular, as far as its last letter tells.
pub(crate) fn terms(text: &str) -> Vec<String> {
    let (mut all, mut word, mut dense) = (Vec::new(), String::new(), Vec::new());
    for c in text.chars().chain(std::iter::once(' ')) {
        if is_dense(c) {
            end_word(&mut word, &mut all);
            dense.push(c);
            continue;
        }
        end_dense(&mut dense, &mut all);
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else {
            end_word(&mut word, &mut all);
        }
    }
    all
}

fn end_word(word: &mut String, all: &mut Vec<String>) {
    let mut word = std::mem::take(word);
    let plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss");
    if plural {
        word.pop();
    }
    if !word.is_empty() && word.chars().count() <= LONGEST {
        all.push(word);
    }
}

fn end_dense(dense: &mut Vec<char>, all: &mut Vec<String>) {
    match dense.as_slice() {
        [] => {}
        [one] => all.push(one.to_string()),
        more => all.extend(more.windows(2).map(|pair| pair.iter().collect::<String>())),
    }
    dense.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_their_script() {
        for (text, expected) in [
            ("The Cities, 21°C!", vec!["the", "citie", "21", "c"]),
            ("glass gas", vec!["glass", "gas"]),
            ("上海天气 now", vec!["上海", "海天", "天气", "now"]),
            ("雨 a雪b", vec!["雨", "a", "雪", "b"]),
            ("", vec![]),
        ] {
            assert_eq!(terms(text), expected, "{text}");
        }
        assert!(terms(&"x".repeat(100)).is_empty());
    }

    #[test]
    fn the_text_that_has_most_to_do_with_a_question_comes_first() {
        let texts = [
            (
                "Weather in Paris",
                "Sunny in Paris, 21 degrees, a light wind from the west.",
            ),
            ("Weather in Oslo", "Rain in Oslo all day, 9 degrees."),
            ("上海天气", "上海今天多云，气温二十六度。"),
            (
                "A long page about towns",
                "Paris, Oslo and other towns have streets and houses.",
            ),
        ];
        let index = Index::new(texts);
        for (question, first) in [
            ("What is the weather in Paris?", 0),
            ("weather oslo", 1),
            ("今天上海的天气怎么样", 2),
            ("streets of towns", 3),
        ] {
            assert_eq!(index.search(question, 3)[0].0, first, "{question}");
        }
        assert!(index.search("volcano", 3).is_empty());
        assert!(index.search("", 3).is_empty());
        assert_eq!(index.search("paris oslo weather", 2).len(), 2);
        assert!(Index::default().search("x", 3).is_empty());
    }
}
