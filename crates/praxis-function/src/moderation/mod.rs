//! What a text is (hateful, violent, ...), and what is done about it: for `/v1/moderations`, and for the guards that
//! stand around functions (`praxis.guard`) and, of the whole application, around models too (`[guard]`).
//!
//! Texts are judged by rules (`personal`), by a [`Classifier`] over the vectors of the application's embedder, and,
//! where a guard asks for it, by a chat model ([`judge`]). A guard's policy is [`policy`], how it is written [`written`];
//! [`guard`] carries it out: [`veil`] keeps personal data from the models, [`gate`] holds an answer back until it is
//! judged, [`models`] does both for models. Left out: images.

mod application;
mod category;
pub mod classifier;
mod decision;
mod gate;
pub(crate) mod guard;
mod judge;
mod models;
pub(crate) mod policy;
pub(crate) mod veil;
mod windows;
pub(crate) mod written;

use praxis_core::{CallError, EmbedKind, Embedder, ErrorCode};

pub use application::ApplicationGuard;
pub use category::CATEGORIES;
pub use classifier::{Classifier, FormatError};
pub(crate) use decision::{Before, describe_metrics};
pub use models::ModelGuard;

use classifier::Scorer;

/// What texts are to an embedder that is asked to judge them: E5 wants features of a text as those of questions.
pub const KIND: EmbedKind = EmbedKind::Query;

/// The most windows that are judged at a time: some 300,000 characters.
const MOST_WINDOWS: usize = 512;

/// Windows that are embedded in one call.
const BATCH: usize = 32;

/// Judges texts by category, with what comes with the program and the application's own classifier.
#[derive(Debug, Default)]
pub struct Moderator {
    own: Option<Classifier>,
}

/// What a text is worth in a category.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The category.
    pub category: String,
    /// The probability that the text is of it.
    pub score: f32,
    /// From which score on it is said to be.
    pub threshold: f32,
}

impl Score {
    /// Whether the text is said to be of the category.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.score >= self.threshold
    }
}

impl Moderator {
    /// One with a classifier of the application's own. Its categories take the place of those of the same name.
    #[must_use]
    pub fn new(own: Option<Classifier>) -> Self {
        Self { own }
    }

    /// Categories that guards may name.
    #[must_use]
    pub fn categories(&self) -> Vec<String> {
        let mut all: Vec<String> = CATEGORIES.map(str::to_owned).to_vec();
        for own in self.own.iter().flat_map(Classifier::categories) {
            if !all.iter().any(|name| name == own) {
                all.push(own.to_owned());
            }
        }
        all
    }

    /// What texts are by the vectors of an embedder: the scores of each, the worst of its windows.
    ///
    /// # Errors
    /// As [`Moderator::scorers`]; the embedder's; `invalid_request` for more text than is judged at a time.
    pub async fn scores(
        &self,
        embedder: &dyn Embedder,
        texts: &[&str],
    ) -> Result<Vec<Vec<Score>>, CallError> {
        let scorers = self.scorers(&embedder.identity())?;
        let pieces: Vec<Vec<String>> = texts.iter().map(|text| windows::windows(text)).collect();
        let all: Vec<String> = pieces.iter().flatten().cloned().collect();
        let vectors = vectors(embedder, all).await?;
        let mut vectors = vectors.iter();
        let of_text = |windows: &Vec<String>| {
            let own: Vec<&Vec<f32>> = vectors.by_ref().take(windows.len()).collect();
            scorers.iter().map(|scorer| worst(scorer, &own)).collect()
        };
        Ok(pieces.iter().map(of_text).collect())
    }

    /// The scores of single windows, in the order of [`Moderator::scorers`].
    ///
    /// # Errors
    /// As [`Moderator::scores`].
    pub(crate) async fn of_windows(
        &self,
        embedder: &dyn Embedder,
        windows: Vec<String>,
    ) -> Result<Vec<Vec<Score>>, CallError> {
        let scorers = self.scorers(&embedder.identity())?;
        let vectors = vectors(embedder, windows).await?;
        let of_window = |vector: &Vec<f32>| {
            scorers
                .iter()
                .map(|scorer| worst(scorer, &[vector]))
                .collect()
        };
        Ok(vectors.iter().map(of_window).collect())
    }

    /// What scores the vectors of an embedder.
    ///
    /// # Errors
    /// `invalid_request` where nothing here was trained on its vectors.
    fn scorers(&self, identity: &str) -> Result<Vec<&Scorer>, CallError> {
        if let Some(own) = self.own.as_ref().filter(|own| own.identity() != identity) {
            let message = format!(
                "the moderation's classifier reads vectors of `{}`, and the embedder is `{identity}`",
                own.identity()
            );
            return Err(CallError::new(ErrorCode::InvalidRequest, message).with_hint(
                "train it again for this embedder with `praxis moderation train`, or name the other one as \
                 `defaults.embedding`",
            ));
        }
        let own = self.own.iter().flat_map(Classifier::scorers);
        let mut all: Vec<&Scorer> = own.collect();
        let built_in = Classifier::built_in(identity).map(Classifier::scorers);
        for scorer in built_in.unwrap_or_default() {
            if !all.iter().any(|own| own.name == scorer.name) {
                all.push(scorer);
            }
        }
        if all.is_empty() {
            let known: Vec<&str> = Classifier::built_in_identities().collect();
            let message = format!("no classifier of the moderation reads vectors of `{identity}`");
            return Err(CallError::new(ErrorCode::InvalidRequest, message).with_hint(format!(
                "train one with `praxis moderation train` and name it as `moderation.classifier`, or use an \
                 embedder that has one: {}",
                known.join(", ")
            )));
        }
        Ok(all)
    }
}

/// The score of a category, the highest of some vectors; 0 without any.
fn worst(scorer: &Scorer, vectors: &[&Vec<f32>]) -> Score {
    let scores = vectors.iter().filter_map(|vector| scorer.score(vector));
    Score {
        category: scorer.name.clone(),
        score: scores.max_by(f32::total_cmp).unwrap_or(0.0),
        threshold: scorer.threshold,
    }
}

async fn vectors(
    embedder: &dyn Embedder,
    windows: Vec<String>,
) -> Result<Vec<Vec<f32>>, CallError> {
    if windows.len() > MOST_WINDOWS {
        let most = MOST_WINDOWS * windows::WINDOW;
        let message =
            format!("the text is longer than the {most} characters that are judged at a time");
        return Err(CallError::new(ErrorCode::InvalidRequest, message)
            .with_hint("send it in several pieces"));
    }
    let mut made = Vec::with_capacity(windows.len());
    for batch in windows.chunks(BATCH) {
        let vectors = embedder.embed(KIND, batch.to_vec()).await?;
        if vectors.len() != batch.len() {
            let message = "the embedder gave another number of vectors than it was given texts";
            return Err(CallError::new(ErrorCode::Upstream, message));
        }
        made.extend(vectors);
    }
    Ok(made)
}

#[cfg(test)]
mod tests;
