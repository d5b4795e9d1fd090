//! Names as they are compared: without case, width, accents, punctuation and articles, so that "The U.S.",
//! "US" and "ＵＳ" are one name, as are "《呐喊》" and "呐喊". Names are found in a question by the same rules,
//! the longest first. Left out: names that are near each other without being equal (`resolve`).

use std::collections::HashMap;

use praxis_core::language::is_han;
use unicode_normalization::UnicodeNormalization;

use crate::analyze::is_stopword;

/// The most characters of a name; longer ones are sentences.
pub(crate) const MAX_NAME: usize = 80;

/// Units of a question that are looked at.
const MAX_UNITS: usize = 600;

/// Words that stand for a name and are none.
const PRONOUNS: [&str; 31] = [
    "i", "me", "you", "he", "him", "she", "her", "it", "we", "they", "them", "this", "that",
    "these", "those", "who", "which", "one", "someone", "everyone", "我", "你", "他", "她", "它",
    "我们", "你们", "他们", "她们", "它们", "自己",
];

/// A name as it is compared; empty where nothing of it is a letter or digit.
pub(crate) fn normalize(name: &str) -> String {
    let spaced: String = folded(name)
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    let mut words: Vec<String> = Vec::new();
    let mut run: Option<String> = None;
    for word in spaced.split_whitespace() {
        // Initials: "J. R. R." and "JRR" are written alike.
        if word.len() == 1 && word.as_bytes()[0].is_ascii_alphabetic() {
            run.get_or_insert_default().push_str(word);
            continue;
        }
        words.extend(run.take());
        words.push(word.to_owned());
    }
    words.extend(run);
    let articles = words
        .iter()
        .take(words.len().saturating_sub(1))
        .take_while(|word| matches!(word.as_str(), "the" | "a" | "an"))
        .count();
    let mut name = String::new();
    for word in &words[articles..] {
        // Chinese has no spaces between words, so one in a name means nothing.
        let joined = name.chars().next_back().is_some_and(is_han) && word.starts_with(is_han);
        if !name.is_empty() && !joined {
            name.push(' ');
        }
        name.push_str(word);
    }
    name
}

fn folded(text: &str) -> String {
    let mut text = fold(text);
    // What a small letter becomes may have a wide form, or an accent, again.
    for _ in 0..3 {
        let next = fold(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn fold(text: &str) -> String {
    let accent = |c: &char| !('\u{300}'..='\u{36f}').contains(c);
    let lower: String = text.nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkd().filter(accent).nfc().collect()
}

/// Whether a normalized name can be one: not empty, no pronoun, no sentence.
pub(crate) fn is_name(key: &str) -> bool {
    !key.is_empty() && key.chars().count() <= MAX_NAME && !PRONOUNS.contains(&key)
}

/// Whether a normalized name says enough to be looked for in a question: "who" and "年" do not.
fn is_telling(key: &str) -> bool {
    let mut chars = key.chars();
    let (first, second) = (chars.next(), chars.next());
    first.is_some() && second.is_some() && !is_stopword(key) && !PRONOUNS.contains(&key)
}

/// A relation or a type as it is kept: words of small letters with `_` between them.
pub(crate) fn term(text: &str) -> String {
    let text = normalize_term(text);
    let mut term = String::new();
    for word in text.split_whitespace() {
        if !term.is_empty() {
            term.push('_');
        }
        term.push_str(word);
    }
    term
}

fn normalize_term(text: &str) -> String {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in text.nfkc() {
        // `worksFor`, as some models write it. Some letters are large ones and have no small one: with them no word
        // begins, or a term would change when it is read again.
        let is_large = c.is_uppercase() && !c.to_lowercase().eq([c]);
        if before.is_lowercase() && is_large {
            spaced.push(' ');
        }
        before = c;
        spaced.push(if c.is_alphanumeric() { c } else { ' ' });
    }
    folded(&spaced)
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect()
}

/// Units of a normalized text: words, and single Chinese characters.
fn units(text: &str) -> Vec<&str> {
    let mut units = Vec::new();
    for word in text.split(' ') {
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let end = if is_han(first) {
                first.len_utf8()
            } else {
                rest.find(is_han).unwrap_or(rest.len())
            };
            let (unit, after) = rest.split_at(end);
            units.push(unit);
            rest = after;
        }
    }
    units
}

/// Names by their units, to be found in a text.
#[derive(Debug, Default)]
pub(crate) struct NameIndex {
    /// What each name stands for, by its units with spaces between.
    names: HashMap<String, Vec<u32>>,
    /// Units of the longest.
    longest: usize,
}

impl NameIndex {
    /// Adds a normalized name of something.
    pub fn add(&mut self, key: &str, of: u32) {
        if !is_telling(key) {
            return;
        }
        let units = units(key);
        self.longest = self.longest.max(units.len());
        let entry = self.names.entry(units.join(" ")).or_default();
        if !entry.contains(&of) {
            entry.push(of);
        }
    }

    /// What a text names, the longest name at each place, in the order of the text, each thing once.
    pub fn find(&self, text: &str) -> Vec<u32> {
        let text = normalize(text);
        let mut units = units(&text);
        units.truncate(MAX_UNITS);
        let mut found: Vec<u32> = Vec::new();
        let mut at = 0;
        while at < units.len() {
            let most = self.longest.min(units.len() - at);
            let named = (1..=most).rev().find_map(|length| {
                Some((length, self.names.get(&units[at..at + length].join(" "))?))
            });
            let Some((length, things)) = named else {
                at += 1;
                continue;
            };
            for thing in things {
                if !found.contains(thing) {
                    found.push(*thing);
                }
            }
            at += length;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_name_in_many_spellings() {
        for (a, b) in [
            ("The U.S.", "ＵＳ"),
            ("J. K. Rowling", "jk rowling"),
            ("Tōhoku University", "TOHOKU  university"),
            ("《呐喊》", "呐喊"),
            ("鲁 迅", "鲁迅"),
            ("阿尔伯特·爱因斯坦", "阿尔伯特爱因斯坦"),
            ("Smith, John", "smith john"),
            ("İstanbul", "istanbul"),
        ] {
            assert_eq!(normalize(a), normalize(b), "{a} {b}");
        }
        assert_ne!(normalize("iPhone 14"), normalize("iPhone 15"));
        assert_eq!(normalize("——！"), "");
        assert!(!is_name(&normalize("He")) && !is_name(&normalize("他们")) && is_name("鲁迅"));
    }

    #[test]
    fn relations_and_types_are_terms() {
        for (text, kept) in [
            ("works for", "works_for"),
            ("worksFor", "works_for"),
            ("Works-For!", "works_for"),
            ("老师", "老师"),
            ("", ""),
        ] {
            assert_eq!(term(text), kept);
        }
    }

    #[test]
    fn the_longest_name_is_found_in_both_languages() {
        let mut index = NameIndex::default();
        for (of, name) in [
            "University of Oxford",
            "Oxford",
            "鲁迅",
            "鲁迅博物馆",
            "The Who",
            "Einstein",
            "iPhone手机",
        ]
        .into_iter()
        .enumerate()
        {
            index.add(&normalize(name), of as u32);
        }
        for (question, found) in [
            ("Who studied at the University of Oxford?", &[0][..]),
            ("Is OXFORD far from Einstein's house?", &[1, 5]),
            ("鲁迅先生和鲁迅博物馆有什么关系？", &[2, 3]),
            ("iphone手机多少钱", &[6]),
            ("who is it", &[]),
            ("", &[]),
        ] {
            assert_eq!(index.find(question), found, "{question}");
        }
    }

    proptest! {
        #[test]
        fn normalizing_again_changes_nothing(name in "\\PC{0,40}") {
            let key = normalize(&name);
            prop_assert_eq!(normalize(&key), key.clone());
            prop_assert!(!key.starts_with(' ') && !key.ends_with(' '));
            let kept = term(&name);
            prop_assert_eq!(term(&kept), kept);
        }

        #[test]
        fn a_name_is_found_in_a_text_around_it(
            name in "[A-Z][a-z]{3,9} [A-Z][a-z]{3,9}|[\u{4e00}-\u{4fff}]{2,5}",
            before in "[a-z ]{0,20}",
        ) {
            let mut index = NameIndex::default();
            let key = normalize(&name);
            index.add(&key, 7);
            prop_assume!(index.longest > 0);
            let text = format!("{before}, {name}?");
            prop_assert_eq!(index.find(&text), vec![7], "{}", text);
        }

        #[test]
        fn any_text_is_searched_without_a_panic(text in "\\PC{0,200}", names in proptest::collection::vec("\\PC{0,9}", 0..9)) {
            let mut index = NameIndex::default();
            for (of, name) in names.iter().enumerate() {
                index.add(&normalize(name), of as u32);
            }
            let found = index.find(&text);
            prop_assert!(found.iter().all(|f| (*f as usize) < names.len()));
        }
    }
}
