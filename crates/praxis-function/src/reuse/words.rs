//! Which words decide what a question asks, so that two questions are one only where these are the same.
//!
//! Vectors of questions that differ in one word are as near as those of paraphrases: with multilingual-e5-small, the
//! same question with "before" and with "after" has a cosine of 0.99. So words have the last say. What does not count
//! is listed (`words.txt`), and what says the same; all else counts, also what nobody has thought of, so that a name, a
//! number or a noun that only one of the questions has keeps them apart. Pure; English and Chinese, other languages
//! word by word.
//!
//! Left out: meaning. What a list does not know as a synonym is another word.

mod text;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use praxis_core::language::is_han;

use self::text::{Piece, number, numeral, pieces, spelled, stem, value};

/// The lists.
const LISTS: &str = include_str!("words.txt");

/// Words that may stand in another order: of longer questions none.
const MOST_MOVED: usize = 64;

/// Characters of a numeral in Chinese: a longer one is no number.
const LONGEST_NUMERAL: usize = 16;

/// What a question begins with that is answered by yes or no.
const AUXILIARIES: [&str; 22] = [
    "do", "does", "did", "is", "are", "was", "were", "can", "could", "may", "might", "must",
    "should", "will", "would", "has", "have", "shall", "am", "had", "need", "ought",
];

/// Other names of phrases: none where they do not count.
type Names = Vec<&'static str>;

/// The lists, for looking things up.
struct Lists {
    /// By the stems of their words, with a blank between them.
    english: HashMap<String, Names>,
    chinese: HashMap<&'static str, Names>,
    /// Words of the longest English phrase, and characters of the longest Chinese one.
    most_words: usize,
    most_chars: usize,
}

static LOADED: LazyLock<Lists> = LazyLock::new(|| Lists::read(LISTS));

impl Lists {
    fn read(text: &'static str) -> Self {
        let mut lists = Self {
            english: HashMap::new(),
            chinese: HashMap::new(),
            most_words: 1,
            most_chars: 1,
        };
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((names, phrases)) = line.split_once(':') else {
                continue;
            };
            let names: Names = names.split_whitespace().filter(|n| *n != "-").collect();
            let phrases = phrases.split(',').map(str::trim);
            for phrase in phrases.filter(|phrase| !phrase.is_empty()) {
                if phrase.starts_with(is_han) {
                    lists.most_chars = lists.most_chars.max(phrase.chars().count());
                    lists.chinese.insert(phrase, names.clone());
                } else {
                    let stems: Vec<String> = phrase.split_whitespace().map(stem).collect();
                    lists.most_words = lists.most_words.max(stems.len());
                    lists.english.insert(stems.join(" "), names.clone());
                }
            }
        }
        lists
    }

    /// Whether an English word does not count.
    fn is_light(&self, word: &str) -> bool {
        self.english.get(&stem(word)).is_some_and(Vec::is_empty)
    }
}

/// What decides of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// What is asked, whether it is so, and when.
    asks: Vec<&'static str>,
    /// What it is about, in its order: words, characters of Chinese, numbers with what they count.
    about: Vec<String>,
}

impl Words {
    /// Those of a question.
    pub fn of(question: &str) -> Self {
        let mut reader = Reader::default();
        for piece in pieces(question) {
            match piece {
                Piece::Word(word) => reader.word(&word),
                Piece::Han(run) => reader.han(&run),
                Piece::Quoted(text) => {
                    reader.flush();
                    reader.put(format!("\"{text}"));
                }
            }
        }
        reader.end()
    }

    /// Whether the question is about anything; of one that leaves that to its words ("Why?"), nothing is known.
    pub fn says_something(&self) -> bool {
        !self.about.is_empty()
    }

    /// All of them, the same whatever their order.
    pub fn unordered(&self) -> Vec<&str> {
        let mut about: Vec<&str> = self.about.iter().map(String::as_str).collect();
        about.sort_unstable();
        self.asks.iter().copied().chain(about).collect()
    }

    /// Whether another question with the same words has them in the same order, but that some of them that stand
    /// together may stand elsewhere: a change of places, as in "from cats to dogs" and "from dogs to cats", is another
    /// question.
    pub fn is_in_order(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.about.as_slice(), other.about.as_slice());
        if a == b {
            return true;
        }
        if a.len() != b.len() || a.len() > MOST_MOVED {
            return false;
        }
        while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b)
            && x == y
        {
            (a, b) = (rest_a, rest_b);
        }
        while let ([rest_a @ .., x], [rest_b @ .., y]) = (a, b)
            && x == y
        {
            (a, b) = (rest_a, rest_b);
        }
        (1..a.len()).any(|at| {
            let (first, second) = a.split_at(at);
            b.starts_with(second) && b.ends_with(first)
        })
    }

    /// About what they take of memory.
    pub fn bytes(&self) -> usize {
        let about: usize = self.about.iter().map(|word| word.len() + 48).sum();
        about + 16 * self.asks.len()
    }
}

/// Whether the words that decide of two questions are the same: what `praxis.cache` asks for beside the likeness of
/// their vectors.
#[must_use]
pub fn same_words(one: &str, other: &str) -> bool {
    let (one, other) = (Words::of(one), Words::of(other));
    one.says_something() && one.unordered() == other.unordered() && one.is_in_order(&other)
}

/// Takes a question piece by piece.
#[derive(Default)]
struct Reader {
    asks: BTreeSet<&'static str>,
    about: Vec<String>,
    /// English words that wait for what a phrase may be made of.
    waiting: Vec<String>,
    /// Whether the question begins as one does that is answered by yes or no.
    by_yes: Option<bool>,
    /// Whether what comes next is what a number counts.
    counts: bool,
    /// Whether what comes next is where something comes from.
    from: bool,
    /// Whether the last word was one that counts.
    was_about: bool,
}

impl Reader {
    fn word(&mut self, word: &str) {
        if word.contains(|c: char| c.is_ascii_digit()) {
            self.flush();
            let plain = word.replace(',', "");
            let number = plain.strip_suffix('%').unwrap_or(&plain);
            if number
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b':')
            {
                self.number(&plain);
            } else {
                self.put(word.to_owned());
            }
            return;
        }
        if let Some(number) = number(word) {
            self.flush();
            self.number(&number.to_string());
            return;
        }
        if !word.chars().all(|c| c.is_alphabetic() || c == '\'') {
            // An address, a file, a language such as `c++`.
            self.flush();
            self.put(word.to_owned());
            return;
        }
        for word in spelled(word) {
            let is_auxiliary = AUXILIARIES.contains(&word);
            if self.by_yes.is_none() && (is_auxiliary || !LOADED.is_light(word)) {
                self.by_yes = Some(is_auxiliary);
            }
            self.waiting.push(word.to_owned());
        }
    }

    /// Decides about the English words that wait.
    fn flush(&mut self) {
        let words = std::mem::take(&mut self.waiting);
        let stems: Vec<String> = words.iter().map(|word| stem(word)).collect();
        let mut at = 0;
        while at < stems.len() {
            let most = LOADED.most_words.min(stems.len() - at);
            let phrase = (1..=most).rev().find_map(|length| {
                let names = LOADED.english.get(&stems[at..at + length].join(" "))?;
                Some((length, names))
            });
            match (phrase, words[at].as_str()) {
                (Some((length, names)), _) => {
                    self.named(names);
                    at += length;
                    continue;
                }
                // What a thing becomes, or where a way goes; else a mark of the verb.
                (None, "to") if !self.was_about => {}
                (None, "from") => {
                    self.from = true;
                    self.was_about = false;
                }
                (None, _) => self.put(stems[at].clone()),
            }
            at += 1;
        }
    }

    fn han(&mut self, run: &[char]) {
        self.flush();
        self.by_yes = self.by_yes.or(Some(false));
        let mut at = 0;
        while at < run.len() {
            let rest = &run[at..];
            let most = LOADED.most_chars.min(rest.len());
            let phrase = (1..=most).rev().find_map(|length| {
                let text: String = rest[..length].iter().collect();
                Some((length, LOADED.chinese.get(text.as_str())?))
            });
            let length = phrase.map_or(0, |(length, _)| length);
            // 是不是, 有没有, 收不收: the verb and a question.
            if length < 3
                && let [verb, '不' | '没', again, ..] = rest
                && verb == again
            {
                self.asks.insert("?yes");
                at += 2;
                continue;
            }
            let numerals = rest.iter().take_while(|c| numeral(**c).is_some()).count();
            if numerals > length && numerals <= LONGEST_NUMERAL {
                self.number(&value(&rest[..numerals]).to_string());
                at += numerals;
            } else if rest.first() == Some(&'从') {
                self.from = true;
                at += 1;
            } else if let Some((length, names)) = phrase {
                self.named(names);
                at += length;
            } else {
                self.put(rest.iter().take(1).collect());
                at += 1;
            }
        }
    }

    /// Takes what a phrase of the lists says.
    fn named(&mut self, names: &[&'static str]) {
        if names.is_empty() {
            self.was_about = false;
        }
        for name in names {
            if name.starts_with(['?', '!']) {
                self.asks.insert(*name);
                self.counts = false;
                self.was_about = false;
            } else {
                self.put((*name).to_owned());
            }
        }
    }

    /// Takes what the question is about. A number goes with what it counts, and `from` with where it is from, so that
    /// two of them cannot change places.
    fn put(&mut self, word: String) {
        let word = match std::mem::take(&mut self.from) {
            true => format!("from {word}"),
            false => word,
        };
        if self.counts
            && let Some(number) = self.about.last_mut()
        {
            number.push(' ');
            number.push_str(&word);
        } else {
            self.about.push(word);
        }
        self.counts = false;
        self.was_about = true;
    }

    fn number(&mut self, number: &str) {
        self.counts = false;
        self.put(format!("={number}"));
        self.counts = true;
    }

    fn end(mut self) -> Words {
        self.flush();
        if std::mem::take(&mut self.from) {
            self.put("from".to_owned());
        }
        let asks = &mut self.asks;
        let questions = asks.iter().filter(|ask| ask.starts_with('?')).count();
        if questions == 0 && self.by_yes == Some(true) {
            asks.insert("?yes");
        } else if questions > 1 {
            asks.remove("?yes");
        }
        let measured = |word: &String| word == "cost" || word == "weight";
        if asks.contains("?much") && self.about.iter().any(measured) {
            asks.remove("?much");
            asks.insert("?what");
        }
        // How, where, when, why and how many one can, does or has to is one question.
        if ["?how", "?where", "?when", "?why", "?many"]
            .iter()
            .any(|ask| asks.contains(ask))
        {
            asks.remove("!may");
        }
        if asks.contains("?how") {
            asks.remove("!must");
        }
        if asks.remove("!need") && asks.contains("?yes") {
            asks.insert("!must");
        }
        if !asks.contains("?yes") && !asks.contains("?when") {
            asks.remove("!past");
        }
        Words {
            asks: self.asks.into_iter().collect(),
            about: self.about,
        }
    }
}

#[cfg(test)]
mod tests;
