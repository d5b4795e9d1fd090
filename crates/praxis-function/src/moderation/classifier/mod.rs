//! Categories of a text by its vector: one logistic regression a category over what an embedder gives.
//!
//! The weights for the default embedder and for the small English one are part of the program; an application may
//! bring a file of its own ([`train`]). A score is a probability of the labelled data, calibrated on lines that were not
//! trained on. Left out: cutting texts and embedding them (`super`).

mod format;
pub mod measure;
mod newton;
mod scale;
pub mod train;

use std::sync::LazyLock;

pub use format::FormatError;

/// Weights that come with the program.
const BUILT_IN: [&[u8]; 2] = [
    include_bytes!("../../../data/moderation/multilingual-e5-small.bin"),
    include_bytes!("../../../data/moderation/all-minilm-l6-v2.bin"),
];

static CLASSIFIERS: LazyLock<Vec<Classifier>> = LazyLock::new(|| {
    let parsed = BUILT_IN.iter().map(|bytes| Classifier::parse(bytes));
    parsed.filter_map(Result::ok).collect()
});

/// The scores of some categories for vectors of one embedder.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// Whose vectors it reads: [`praxis_core::Embedder::identity`].
    identity: String,
    dimension: usize,
    categories: Vec<Scorer>,
}

/// One category.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scorer {
    pub name: String,
    /// The score from which on a text is said to be of the category.
    pub threshold: f32,
    pub bias: f32,
    pub weights: Vec<f32>,
}

impl Scorer {
    /// The probability that a vector is of the category. One of another length, or that is not finite, has none.
    pub fn score(&self, vector: &[f32]) -> Option<f32> {
        if vector.len() != self.weights.len() {
            return None;
        }
        let sum: f64 = self
            .weights
            .iter()
            .zip(vector)
            .map(|(w, x)| f64::from(*w) * f64::from(*x))
            .sum();
        let score = scale::sigmoid(sum + f64::from(self.bias)) as f32;
        score.is_finite().then_some(score)
    }
}

impl Classifier {
    /// Reads a classifier from the bytes of a file.
    ///
    /// # Errors
    /// What is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        format::parse(bytes)
    }

    /// The bytes of its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        format::written(self)
    }

    /// Whose vectors it reads.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Names of its categories.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.categories.iter().map(|scorer| scorer.name.as_str())
    }

    /// The score from which on a text is said to be of a category.
    #[must_use]
    pub fn threshold(&self, category: &str) -> Option<f32> {
        let found = self.scorers().iter().find(|s| s.name == category);
        found.map(|scorer| scorer.threshold)
    }

    /// The score of a category for a vector; nothing where there is no such category, or no such vector.
    #[must_use]
    pub fn score(&self, category: &str, vector: &[f32]) -> Option<f32> {
        let found = self.scorers().iter().find(|s| s.name == category);
        found.and_then(|scorer| scorer.score(vector))
    }

    /// Its categories.
    pub(crate) fn scorers(&self) -> &[Scorer] {
        &self.categories
    }

    /// The one that comes with the program for an embedder.
    #[must_use]
    pub fn built_in(identity: &str) -> Option<&'static Self> {
        CLASSIFIERS.iter().find(|c| c.identity == identity)
    }

    /// Whose vectors the ones read that come with the program.
    pub fn built_in_identities() -> impl Iterator<Item = &'static str> {
        CLASSIFIERS.iter().map(|c| c.identity.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::moderation::CATEGORIES;

    /// One that looks at one number of a vector for each category.
    pub(crate) fn of_axes(identity: &str, categories: &[&str], dimension: usize) -> Classifier {
        let scorer = |(axis, name): (usize, &&str)| Scorer {
            name: (*name).to_owned(),
            threshold: 0.5,
            bias: -4.0,
            weights: (0..dimension)
                .map(|i| if i == axis { 8.0 } else { 0.0 })
                .collect(),
        };
        Classifier {
            identity: identity.to_owned(),
            dimension,
            categories: categories.iter().enumerate().map(scorer).collect(),
        }
    }

    #[test]
    fn what_comes_with_the_program_is_whole() {
        for bytes in BUILT_IN {
            let classifier = Classifier::parse(bytes).unwrap();
            let names: Vec<&str> = classifier.categories().collect();
            assert_eq!(names, CATEGORIES, "{}", classifier.identity());
            assert_eq!(classifier.dimension(), 384);
            assert_eq!(classifier.to_bytes(), bytes);
        }
        let identities: Vec<&str> = Classifier::built_in_identities().collect();
        let models: Vec<&str> = identities
            .iter()
            .map(|identity| identity.split('@').next().unwrap())
            .collect();
        assert_eq!(models, ["multilingual-e5-small", "all-minilm-l6-v2"]);
        assert!(Classifier::built_in(identities[0]).is_some());
        assert!(Classifier::built_in("words").is_none());
    }

    #[test]
    fn a_score_is_a_probability_of_a_vector_that_fits() {
        let classifier = of_axes("words", &["a", "b"], 3);
        for (category, vector, wanted) in [
            ("a", &[1.0, 0.0, 0.0][..], Some(0.982)),
            ("a", &[0.0, 1.0, 0.0], Some(0.018)),
            ("b", &[0.0, 1.0, 0.0], Some(0.982)),
            ("b", &[0.0, f32::MAX, 0.0], Some(1.0)),
            ("c", &[1.0, 0.0, 0.0], None),
            ("a", &[1.0, 0.0], None),
            ("a", &[f32::NAN, 0.0, 0.0], None),
        ] {
            let score = classifier.score(category, vector);
            let near = match (score, wanted) {
                (Some(score), Some(wanted)) => (score - wanted as f32).abs() < 1e-3,
                (score, wanted) => score.is_none() && wanted.is_none(),
            };
            assert!(near, "{category} {vector:?}: {score:?}");
        }
        assert_eq!(classifier.threshold("a"), Some(0.5));
    }
}
