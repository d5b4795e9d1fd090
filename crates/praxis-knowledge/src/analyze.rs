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
}

/// Analyzes a text.
pub(crate) fn analyze(text: &str) -> Terms {
    let mut terms = Terms::default();
    let mut latin = String::new();
    let mut han: Vec<char> = Vec::new();
    for c in text.chars().chain(['\n']) {
        if is_han(c) {
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
        terms.words.push(stream.token().text.clone());
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
    fn a_run_is_not_joined_over_punctuation() {
        assert_eq!(analyze("甲，乙").bigrams, ["甲", "乙"]);
    }
}
