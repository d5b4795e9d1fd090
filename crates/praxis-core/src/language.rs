//! The language of a text, as far as Praxis must know it: which words a refusal uses and how a
//! text is split into sentences. Not a general language identifier.

use serde::{Deserialize, Serialize};

/// A language that Praxis's own sentences exist in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English, and all that is not Chinese.
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    /// Chinese if Han characters outnumber a quarter of the letters (a Chinese character carries
    /// about as much as a word of four to five Latin letters) and no kana or hangul is present.
    pub fn of(text: &str) -> Language {
        let (mut han, mut letters) = (0usize, 0usize);
        for c in text.chars() {
            if is_han(c) {
                han += 1;
            } else if ('\u{3040}'..='\u{30ff}').contains(&c)
                || ('\u{ac00}'..='\u{d7af}').contains(&c)
            {
                return Language::English;
            } else if c.is_alphabetic() {
                letters += 1;
            }
        }
        if han > 0 && han * 4 >= letters {
            Language::Chinese
        } else {
            Language::English
        }
    }
}

/// Whether a character is a Han ideograph (CJK Unified Ideographs and extensions A to H).
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_question() {
        for (text, language) in [
            ("鲁迅先生去日本学习医学的老师是谁？", Language::Chinese),
            ("什么是 Dotprompt？", Language::Chinese),
            ("What is Dotprompt?", Language::English),
            (
                "Who wrote 藤野先生, the essay about a teacher in Sendai?",
                Language::English,
            ),
            ("プロンプトとは何ですか", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::of(text), language, "{text}");
        }
    }
}
