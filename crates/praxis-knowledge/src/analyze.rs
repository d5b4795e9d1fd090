//! Text to index terms: stemmed English words, Chinese words by jieba, and Chinese bigrams.
//!
//! Words and bigrams are two fields of one index: words match what is meant, bigrams find what the
//! dictionary splits otherwise in the question than in the passage. The same function serves
//! passages and queries.

use std::sync::LazyLock;

use jieba_rs::Jieba;
use praxis_core::language::is_han;
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, SimpleTokenizer, Stemmer, TextAnalyzer,
};

/// The dictionary, loaded with the first Chinese text.
static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

/// Index terms of a text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Words of both languages.
    pub words: Vec<String>,
    /// Pairs of neighbouring Chinese characters; a lone character stands for itself.
    pub bigrams: Vec<String>,
    /// Where each word stands among those of its language: neighbours have neighbouring numbers.
    pub word_places: Vec<usize>,
    /// The same of pairs; a gap is where a run of Chinese ends.
    pub bigram_places: Vec<usize>,
    /// What a question has in quotation marks.
    pub phrases: Vec<Phrase>,
}

/// A text to be found as it stands: terms with their places. English words and Chinese pairs have places of
/// their own.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Phrase {
    pub words: Vec<(usize, String)>,
    pub bigrams: Vec<(usize, String)>,
}

/// Quotation marks, as they open and close.
const QUOTES: [(char, char); 4] = [('"', '"'), ('“', '”'), ('「', '」'), ('＂', '＂')];

/// Analyzes a question: a text that may have phrases in quotation marks.
pub(crate) fn analyze_question(text: &str) -> Terms {
    let mut terms = analyze(text);
    terms.phrases = quoted(text).into_iter().filter_map(Phrase::of).collect();
    terms
}

/// What stands in quotation marks.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open: Option<(usize, char)> = None;
    for (at, c) in text.char_indices() {
        match open {
            Some((start, close)) if c == close => {
                found.push(&text[start..at]);
                open = None;
            }
            Some(_) => {}
            None => {
                let quote = QUOTES.iter().find(|(opening, _)| *opening == c);
                open = quote.map(|(_, close)| (at + c.len_utf8(), *close));
            }
        }
    }
    found
}

impl Phrase {
    /// A phrase of this text; `None` of one term, which is no more than a word.
    fn of(text: &str) -> Option<Self> {
        let terms = analyze(text);
        let words = terms.word_places.into_iter().zip(terms.words);
        let phrase = Self {
            words: words.filter(|(_, w)| !w.chars().any(is_han)).collect(),
            bigrams: terms.bigram_places.into_iter().zip(terms.bigrams).collect(),
        };
        (phrase.words.len() + phrase.bigrams.len() > 1).then_some(phrase)
    }
}

/// Analyzes a text.
pub(crate) fn analyze(text: &str) -> Terms {
    let mut terms = Terms::default();
    let mut latin = String::new();
    // Where runs of Chinese begin: words on either side are no neighbours.
    let mut runs: Vec<usize> = Vec::new();
    let mut han: Vec<char> = Vec::new();
    for c in text.chars().chain(['\n']) {
        if is_han(c) {
            if han.is_empty() {
                runs.push(latin.len());
            }
            han.push(c);
            latin.push(' ');
            continue;
        }
        chinese(&std::mem::take(&mut han), &mut terms);
        latin.push(fold_width(c));
    }
    let mut analyzer = english();
    let mut stream = analyzer.token_stream(&latin);
    while stream.advance() {
        let token = stream.token();
        let before = runs.partition_point(|run| *run < token.offset_from);
        terms.word_places.push(token.position + before);
        terms.words.push(token.text.clone());
    }
    terms
}

fn english() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build()
}

fn chinese(run: &[char], terms: &mut Terms) {
    let next = terms.bigram_places.last().map_or(0, |last| last + 2);
    match run {
        [] => {}
        [one] => {
            terms.words.push(one.to_string());
            terms.bigrams.push(one.to_string());
        }
        run => {
            let text: String = run.iter().collect();
            terms.words.extend(
                JIEBA
                    .cut_for_search(&text, true)
                    .into_iter()
                    .map(|w| w.word.to_owned()),
            );
            terms
                .bigrams
                .extend(run.windows(2).map(|pair| pair.iter().collect::<String>()));
        }
    }
    let places = next..next + terms.bigrams.len() - terms.bigram_places.len();
    terms.bigram_places.extend(places);
    terms
        .word_places
        .extend(terms.word_places.len()..terms.words.len());
}

/// Full-width letters and digits as their ASCII twins.
fn fold_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// Words that every question has and no passage is about.
pub(crate) fn is_stopword(word: &str) -> bool {
    STOPWORDS.contains(&word)
}

/// After stemming: English function words, and Chinese particles and question words.
const STOPWORDS: &[&str] = &[
    "a",
    "about",
    "an",
    "and",
    "ani",
    "are",
    "as",
    "at",
    "be",
    "been",
    "by",
    "can",
    "could",
    "did",
    "do",
    "doe",
    "does",
    "for",
    "from",
    "had",
    "has",
    "have",
    "he",
    "her",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "mani",
    "may",
    "me",
    "mani",
    "much",
    "my",
    "of",
    "on",
    "or",
    "our",
    "she",
    "should",
    "so",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "them",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "us",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "whose",
    "whi",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "的",
    "了",
    "是",
    "在",
    "和",
    "与",
    "有",
    "吗",
    "呢",
    "谁",
    "什么",
    "哪",
    "哪个",
    "哪里",
    "哪些",
    "哪位",
    "哪种",
    "怎么",
    "怎样",
    "如何",
    "为什么",
    "多少",
    "几",
    "个",
    "我",
    "你",
    "他",
    "她",
    "它",
    "们",
    "这",
    "那",
    "被",
    "把",
    "对",
    "从",
    "到",
    "于",
    "为",
    "以",
    "及",
    "之",
    "年",
    "请问",
    "请",
    "告诉",
    "一个",
    "哪一",
    "一",
    "中",
    "上",
    "下",
    "不",
    "也",
    "都",
    "就",
    "而",
    "其",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_give_terms() {
        let terms = analyze("鲁迅 studied Ｍedicine in 仙台医学专门学校");
        for word in ["鲁迅", "studi", "medicin", "医学", "学校"] {
            assert!(
                terms.words.iter().any(|w| w == word),
                "{word} is missing in {terms:?}"
            );
        }
        assert!(
            terms.bigrams.contains(&"仙台".to_owned())
                && terms.bigrams.contains(&"台医".to_owned())
        );
    }

    #[test]
    fn what_is_quoted_is_a_phrase_with_its_places() {
        let terms =
            analyze_question("the \"Net operating 亏损 losses\" of “机器学习，方法” and \"one\"");
        let places = |terms: &[(usize, String)]| -> Vec<(usize, String)> { terms.to_vec() };
        let text = |place: usize, term: &str| (place, term.to_owned());
        assert_eq!(terms.phrases.len(), 2, "{terms:?}");
        let first = &terms.phrases[0];
        assert_eq!(
            places(&first.words),
            [text(0, "net"), text(1, "oper"), text(3, "loss")]
        );
        assert_eq!(places(&first.bigrams), [text(0, "亏损")]);
        let second = places(&terms.phrases[1].bigrams);
        let expected = [(0, "机器"), (1, "器学"), (2, "学习"), (4, "方法")];
        assert_eq!(second, expected.map(|(place, term)| text(place, term)));
        assert!(
            analyze_question("a \"half open and 12\" of it")
                .phrases
                .len()
                == 1
        );
        assert!(analyze_question("nothing “open").phrases.is_empty());
    }

    #[test]
    fn a_run_is_not_joined_over_punctuation() {
        assert_eq!(analyze("甲，乙").bigrams, ["甲", "乙"]);
    }
}
