//! Tools by their words: BM25 (Robertson and Zaragoza 2009) over names, descriptions and inputs. Names are taken apart
//! at their case and signs, words lose their endings, and Chinese is read by characters and pairs of them.

use std::collections::{BTreeSet, HashMap};

use praxis_core::ToolSpec;
use praxis_core::language::is_han;
use serde_json::Value;

/// How often a word counts: in the name, in the description, in inputs.
const IN_NAME: f64 = 2.0;
const IN_DESCRIPTION: f64 = 2.0;
const IN_INPUTS: f64 = 1.0;

/// BM25's saturation of repeated words, and how much long texts lose.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.4;

/// Characters of a tool's text that are read.
const LONGEST: usize = 4000;

/// Words that say nothing of what a tool does.
const EMPTY: &[&str] = &[
    "a", "all", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "could", "did",
    "do", "does", "for", "from", "get", "give", "had", "has", "have", "he", "help", "here", "how",
    "i", "if", "in", "is", "it", "its", "just", "let", "me", "my", "need", "no", "not", "now",
    "of", "on", "or", "our", "please", "she", "should", "show", "so", "some", "tell", "than",
    "that", "the", "then", "there", "these", "they", "this", "those", "to", "us", "want", "was",
    "we", "were", "what", "when", "where", "which", "who", "whom", "why", "will", "with", "would",
    "you", "your",
];

/// Places of the tools that share words with a question, the best first.
pub(super) fn ranked(question: &str, tools: &[ToolSpec]) -> Vec<usize> {
    let bags: Vec<HashMap<String, f64>> = tools.iter().map(bag).collect();
    let mut holders: HashMap<&str, f64> = HashMap::new();
    for word in bags.iter().flat_map(HashMap::keys) {
        *holders.entry(word).or_default() += 1.0;
    }
    let lengths: Vec<f64> = bags.iter().map(|bag| bag.values().sum()).collect();
    let count = bags.len() as f64;
    let mean = (lengths.iter().sum::<f64>() / count.max(1.0)).max(1.0);
    // In an order, so that equal questions have equal sums.
    let asked: BTreeSet<String> = words(question).into_iter().collect();
    let mut scored: Vec<(usize, f64)> = Vec::new();
    for (place, (bag, length)) in bags.iter().zip(&lengths).enumerate() {
        let mut score = 0.0;
        for word in &asked {
            let Some(often) = bag.get(word) else {
                continue;
            };
            let held = holders.get(word.as_str()).copied().unwrap_or_default();
            let rarity = ((count - held + 0.5) / (held + 0.5)).ln_1p();
            let worn = SATURATION * (1.0 - LENGTH + LENGTH * length / mean);
            score += rarity * often * (SATURATION + 1.0) / (often + worn);
        }
        if score > 0.0 {
            scored.push((place, score));
        }
    }
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored.into_iter().map(|(place, _)| place).collect()
}

/// The words of a tool, and how often each counts.
fn bag(tool: &ToolSpec) -> HashMap<String, f64> {
    let mut bag = HashMap::new();
    let mut add = |text: &str, weight: f64| {
        let end = text
            .char_indices()
            .nth(LONGEST)
            .map_or(text.len(), |(at, _)| at);
        for word in words(&text[..end]) {
            *bag.entry(word).or_default() += weight;
        }
    };
    add(&tool.name, IN_NAME);
    add(&tool.description, IN_DESCRIPTION);
    let inputs = tool.parameters.get("properties").and_then(Value::as_object);
    for (name, schema) in inputs.into_iter().flatten() {
        add(name, IN_INPUTS);
        let about = schema.get("description").and_then(Value::as_str);
        add(about.unwrap_or_default(), IN_INPUTS);
    }
    bag
}

/// The words of a text, without endings; of Chinese, each character and each pair of neighbours.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if is_han(c) {
            end(&mut word, &mut all);
            if is_han(before) {
                all.push(format!("{before}{c}"));
            }
            all.push(c.to_string());
        } else if c.is_alphanumeric() {
            let turns = word.chars().next_back().is_some_and(|last| {
                last.is_numeric() != c.is_numeric() || (last.is_lowercase() && c.is_uppercase())
            });
            if turns {
                end(&mut word, &mut all);
            }
            word.push(c);
        } else if !matches!(c, '\'' | '’') {
            end(&mut word, &mut all);
        }
        before = c;
    }
    end(&mut word, &mut all);
    all
}

/// Takes a word that has ended.
fn end(word: &mut String, all: &mut Vec<String>) {
    if word.is_empty() {
        return;
    }
    let lower = std::mem::take(word).to_lowercase();
    if !EMPTY.contains(&lower.as_str()) {
        all.push(stem(lower));
    }
}

/// A word without the commonest endings of English; of others, what is cut is cut in questions and tools alike.
fn stem(mut word: String) -> String {
    if !word.is_ascii() {
        return word;
    }
    let length = word.len();
    if length > 5 && word.ends_with("ing") {
        word.truncate(length - 3);
    } else if length > 4 && word.ends_with("ies") {
        word.truncate(length - 3);
        word.push('y');
    } else if length > 4 && word.ends_with("ed") {
        word.truncate(length - 2);
    } else if length > 3 && word.ends_with('s') && !word.ends_with("ss") {
        word.truncate(length - 1);
    }
    if word.len() > 4 && word.ends_with('e') {
        word.truncate(word.len() - 1);
    }
    word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_taken_apart() {
        for (text, wanted) in [
            ("getUserById", &["user", "id"][..]),
            ("list_open_invoices", &["list", "open", "invoic"]),
            ("What are the parties' cities?", &["party", "city"]),
            ("HTTPServer2 running", &["httpserver", "2", "runn"]),
            ("o'clock", &["oclock"]),
            (
                "天气预报",
                &["天", "天气", "气", "气预", "预", "预报", "报"],
            ),
            ("查 x", &["查", "x"]),
            ("", &[]),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn rare_words_and_names_count_more() {
        let spec = |name: &str, description: &str| ToolSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({}),
        };
        let tools = [
            spec("list_files", "Lists the files of a folder."),
            spec("list_invoices", "Lists invoices of a customer."),
            spec(
                "search",
                "Searches files, invoices and folders of a customer by words, dates and much more.",
            ),
        ];
        assert_eq!(ranked("list the invoices", &tools), [1, 0, 2]);
        assert_eq!(ranked("customers", &tools), [1, 2]);
        assert_eq!(ranked("weather", &tools), Vec::<usize>::new());
        assert_eq!(ranked("", &[]), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn any_text_has_words_without_blanks(text in "\\PC{0,60}") {
            for word in words(&text) {
                prop_assert!(!word.is_empty() && !word.contains(char::is_whitespace), "{:?}", word);
            }
        }
    }
}
