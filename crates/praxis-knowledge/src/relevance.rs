//! Does a passage bear on the question at all? A calibrated estimate from two signals that fail in
//! different ways: the cosine of the vectors, and the share of the question's rare words that the
//! passage holds.

use praxis_core::Language;

/// Constants of the logistic model for one embedder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    bias: f32,
    /// Added to the bias for a Chinese question: cosines of E5 run higher in Chinese.
    chinese: f32,
    cosine: f32,
    coverage: f32,
    /// Estimate below which a question counts as outside of the documents.
    pub threshold: f32,
}

/// For the embedder of that identity. The constants of multilingual-e5-small are fitted on XQuAD
/// questions with and without their article (`docs/retrieval.md`); others are a cautious guess.
pub(crate) fn calibration(embedder: &str) -> Calibration {
    if embedder.starts_with("multilingual-e5-small") {
        Calibration {
            bias: -120.5,
            chinese: -6.15,
            cosine: 141.0,
            coverage: 12.0,
            threshold: 0.4,
        }
    } else {
        Calibration {
            bias: -4.5,
            chinese: 0.0,
            cosine: 7.0,
            coverage: 3.5,
            threshold: 0.35,
        }
    }
}

impl Calibration {
    /// The probability, in 0..=1, that a passage bears on a question of that language.
    pub fn estimate(self, language: Language, cosine: f32, coverage: f32) -> f32 {
        let shift = if language == Language::Chinese {
            self.chinese
        } else {
            0.0
        };
        let z = self.bias + shift + self.cosine * cosine + self.coverage * coverage;
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
            assert!(e5.estimate(language, 0.86, 0.8) > e5.threshold);
            assert!(e5.estimate(language, 0.78, 0.1) < e5.threshold);
        }
    }
}
