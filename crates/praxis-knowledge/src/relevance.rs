//! Does a passage bear on the question at all? A calibrated estimate from two signals that fail in
//! different ways: the cosine of the vectors, and the share of the question's rare words that the
//! passage holds.

use praxis_core::Language;

/// Constants of the logistic model for one embedder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    bias: Bias,
    cosine: f32,
    coverage: f32,
    /// Estimate below which a question counts as outside of the documents.
    pub threshold: f32,
}

/// The constant term, by the languages of question and passage: cosines of E5 run higher in Chinese,
/// and lower where the languages differ.
#[derive(Debug, Clone, Copy)]
struct Bias {
    english: f32,
    chinese: f32,
    /// A Chinese question and an English passage.
    chinese_of_english: f32,
    english_of_chinese: f32,
}

/// For the embedder of that identity. The constants of multilingual-e5-small are fitted on XQuAD
/// questions with and without their article (`docs/retrieval.md`). Across languages the cosine tells
/// little: those are set to let most questions through, and leave the rest to the model. The
/// constants of other embedders are a cautious guess.
pub(crate) fn calibration(embedder: &str) -> Calibration {
    if embedder.starts_with("multilingual-e5-small") {
        Calibration {
            bias: Bias {
                english: -121.0,
                chinese: -126.65,
                chinese_of_english: -111.25,
                english_of_chinese: -107.65,
            },
            cosine: 141.0,
            coverage: 12.0,
            threshold: 0.4,
        }
    } else {
        Calibration {
            bias: Bias {
                english: -4.5,
                chinese: -4.5,
                chinese_of_english: -4.5,
                english_of_chinese: -4.5,
            },
            cosine: 7.0,
            coverage: 3.5,
            threshold: 0.35,
        }
    }
}

impl Calibration {
    /// The probability, in 0..=1, that a passage bears on a question, given their languages, the
    /// cosine of their vectors, and the share of the question's words that the passage holds.
    pub fn estimate(
        self,
        question: Language,
        passage: Language,
        cosine: f32,
        coverage: f32,
    ) -> f32 {
        let bias = match (question, passage) {
            (Language::English, Language::English) => self.bias.english,
            (Language::Chinese, Language::Chinese) => self.bias.chinese,
            (Language::Chinese, Language::English) => self.bias.chinese_of_english,
            (Language::English, Language::Chinese) => self.bias.english_of_chinese,
        };
        let z = bias + self.cosine * cosine + self.coverage * coverage;
        1.0 / (1.0 + (-z).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_passage_with_the_question_s_words_is_relevant_and_a_far_one_is_not() {
        let e5 = calibration("multilingual-e5-small@x");
        for language in [Language::English, Language::Chinese] {
            assert!(e5.estimate(language, language, 0.86, 0.8) > e5.threshold);
            assert!(e5.estimate(language, language, 0.78, 0.1) < e5.threshold);
        }
    }

    #[test]
    fn a_passage_of_another_language_may_be_farther_and_share_no_word() {
        let e5 = calibration("multilingual-e5-small@x");
        for (question, passage) in [
            (Language::Chinese, Language::English),
            (Language::English, Language::Chinese),
        ] {
            assert!(e5.estimate(question, passage, 0.8, 0.0) > e5.threshold);
            assert!(e5.estimate(question, question, 0.8, 0.0) < e5.threshold);
            assert!(e5.estimate(question, passage, 0.74, 0.0) < e5.threshold);
        }
    }
}
