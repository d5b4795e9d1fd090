//! Does a passage bear on the question at all? A calibrated estimate from two signals that fail in
//! different ways: the cosine of the vectors, and the share of the question's rare words that the
//! passage holds.

/// Constants of the logistic model for one embedder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    bias: f32,
    cosine: f32,
    coverage: f32,
    /// Estimate below which a question counts as outside of the documents.
    pub threshold: f32,
}

/// For the embedder of that identity; measured as `docs/retrieval.md` tells.
pub(crate) fn calibration(embedder: &str) -> Calibration {
    if embedder.starts_with("multilingual-e5-small") {
        Calibration { bias: -41.0, cosine: 48.0, coverage: 3.0, threshold: 0.35 }
    } else {
        Calibration { bias: -4.5, cosine: 7.0, coverage: 3.5, threshold: 0.35 }
    }
}

impl Calibration {
    /// The probability, in 0..=1, that a passage bears on the question.
    pub fn estimate(self, cosine: f32, coverage: f32) -> f32 {
        let z = self.bias + self.cosine * cosine + self.coverage * coverage;
        1.0 / (1.0 + (-z).exp())
    }
}
