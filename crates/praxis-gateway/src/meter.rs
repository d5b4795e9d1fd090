//! What a call for vectors has used so far: each question to a provider by itself, so that those before one that failed,
//! or that nobody waits for any more, are counted. Left out: what it costs (`charged`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use praxis_core::ModelError;

use crate::claims::Purse;
use crate::tally::Tally;
use crate::tokens;
use crate::vocabulary::Vocabulary;

/// The tokens of a call.
#[derive(Default)]
pub(crate) struct Meter {
    read: Mutex<Vec<Read>>,
    /// Where more of the caller's limits is taken.
    purse: Purse,
    /// Questions that failed and have to be paid.
    lost: AtomicUsize,
}

/// Texts that were read.
enum Read {
    /// So many tokens, counted by who read them.
    Tokens(u64),
    /// Those of a question to a provider, which it may have counted.
    Asked {
        tally: Tally,
        texts: Arc<Vec<String>>,
        vocabulary: Vocabulary,
    },
}

impl Meter {
    /// That of a call whose questions are paid from here where they are asked again.
    pub(crate) fn paid_from(purse: Purse) -> Self {
        Self {
            purse,
            ..Self::default()
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that a question that failed may be asked again: where it has to be paid, both have to be.
    ///
    /// # Errors
    /// [`ModelError::Limited`] where a limit has no room.
    pub(crate) async fn covers_again(&self, failed: &Tally) -> Result<(), ModelError> {
        if failed.due().is_none() {
            return Ok(());
        }
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        self.purse.covers_one_more(lost).await
    }

    /// Counts what the engine has read.
    pub(crate) fn read(&self, tokens: u64) {
        self.all().push(Read::Tokens(tokens));
    }

    /// A question to a provider begins; where that does not count its texts, they are counted by this tokenizer.
    pub(crate) fn asks(&self, texts: &Arc<Vec<String>>, vocabulary: Vocabulary) -> Tally {
        let tally = Tally::default();
        self.all().push(Read::Asked {
            tally: tally.clone(),
            texts: Arc::clone(texts),
            vocabulary,
        });
        tally
    }

    /// All tokens until now.
    pub(crate) fn tokens(&self) -> u64 {
        self.all().iter().map(Read::tokens).sum()
    }
}

impl Read {
    fn tokens(&self) -> u64 {
        let (tally, texts, vocabulary) = match self {
            Self::Tokens(tokens) => return *tokens,
            Self::Asked {
                tally,
                texts,
                vocabulary,
            } => (tally, texts, vocabulary),
        };
        let counted = || count(texts, *vocabulary);
        tally
            .due()
            .map_or(0, |due| due.usage(counted, 0).input_tokens)
    }
}

/// Tokens of texts by a tokenizer, where nobody can wait: of long ones, or many, by their beginning.
pub(crate) fn count(texts: &[String], vocabulary: Vocabulary) -> u64 {
    let sizes: Vec<usize> = texts.iter().map(String::len).collect();
    tokens::by_the_beginning(&sizes, |some| {
        let some = texts.iter().take(some);
        some.map(|text| vocabulary.quick().count(text) as u64).sum()
    })
}

#[cfg(test)]
mod tests {
    use praxis_core::Usage;

    use super::*;

    #[test]
    fn each_question_counts_by_itself() {
        let meter = Meter::default();
        let vocabulary = Vocabulary::like("text-embedding-3-small");
        let texts = Arc::new(vec!["one two three".to_owned()]);
        meter.read(5);
        let told = meter.asks(&texts, vocabulary);
        told.sent();
        told.told(Usage {
            input_tokens: 100,
            ..Usage::default()
        });
        // Not told, not sent, and refused.
        meter.asks(&texts, vocabulary).sent();
        meter.asks(&texts, vocabulary);
        let refused = meter.asks(&texts, vocabulary);
        refused.sent();
        refused.refused();
        assert_eq!(meter.tokens(), 5 + 100 + 3);
    }
}
