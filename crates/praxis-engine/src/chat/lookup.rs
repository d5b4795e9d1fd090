//! Guesses at what an answer says next, copied from what stands before it: an answer over documents
//! quotes them, an edited text repeats most of itself (prompt lookup decoding: Saxena 2023; Yang et
//! al. 2023, "Inference with Reference"). The model checks all guesses in one pass, and a guess
//! counts only where the sampler chose the same token from the model's own logits: answers are bit
//! for bit those without guesses, only sooner. How many may be guessed is the worker's business: with
//! three answers in progress or more it is none ([`super::worker`] says why).

use std::collections::HashMap;

/// Tokens that must have stood together before.
const MATCH: usize = 3;

/// Guesses at first, and as long as they are not all right.
const FEW: usize = 3;

/// Guesses while all are right.
const MANY: usize = 7;

/// Wrong guesses in a row after which guessing pauses.
const PATIENCE: usize = 3;

/// Tokens for which it pauses.
const PAUSE: usize = 24;

/// Finds guesses for one answer.
pub(super) struct Lookup {
    /// Where the token after each run of tokens stands; the latest.
    after: HashMap<[u32; MATCH], usize>,
    /// Tokens whose runs are in the table.
    indexed: usize,
    length: usize,
    wrong: usize,
    /// Length of the sequence at which guessing goes on.
    resume: usize,
}

impl Lookup {
    /// For an answer of which nothing was guessed yet.
    pub(super) fn new() -> Self {
        Self {
            after: HashMap::new(),
            indexed: 0,
            length: FEW,
            wrong: 0,
            resume: 0,
        }
    }

    /// What may follow `tokens`, at most `most` of it; empty where nothing like their end stood
    /// before.
    pub(super) fn guess(&mut self, tokens: &[u32], most: usize) -> Vec<u32> {
        if most < FEW || tokens.len() < self.resume {
            return Vec::new();
        }
        // The last run is the one that is looked for, so it goes in when more has followed it.
        while self.indexed + MATCH < tokens.len() {
            let run = tokens[self.indexed..].first_chunk::<MATCH>();
            if let Some(run) = run {
                self.after.insert(*run, self.indexed + MATCH);
            }
            self.indexed += 1;
        }
        let Some(start) = tokens.last_chunk().and_then(|run| self.after.get(run)) else {
            return Vec::new();
        };
        let end = tokens.len().min(start + self.length.min(most));
        tokens[*start..end].to_vec()
    }

    /// Notes how many of some guesses were right, for an answer that is now of `len` tokens.
    pub(super) fn learn(&mut self, guesses: usize, right: usize, len: usize) {
        if guesses == 0 {
            return;
        }
        self.length = if right == guesses { MANY } else { FEW };
        self.wrong = if right == 0 { self.wrong + 1 } else { 0 };
        if self.wrong == PATIENCE {
            self.wrong = 0;
            self.resume = len + PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_same_tokens_before_is_guessed() {
        let mut lookup = Lookup::new();
        assert_eq!(lookup.guess(&[1, 2, 3, 4, 5, 6, 7], 7), [0u32; 0]);
        let tokens = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3];
        assert_eq!(lookup.guess(&tokens, 7), [4, 5, 6]);
        assert_eq!(lookup.guess(&tokens, 2), [0u32; 0], "not worth a pass");
        lookup.learn(3, 3, 14);
        assert_eq!(lookup.guess(&tokens, 7), [4, 5, 6, 7, 1, 2, 3]);
        // The latest of several.
        let tokens = [9, 8, 7, 1, 9, 8, 7, 2, 2, 9, 8, 7];
        assert_eq!(Lookup::new().guess(&tokens, 7), [2, 2, 9]);
        assert_eq!(
            Lookup::new().guess(&[5; 6], 7),
            [5],
            "as far as there is text"
        );
    }

    #[test]
    fn guessing_pauses_when_it_fails() {
        let mut lookup = Lookup::new();
        let mut tokens = vec![1, 2, 3, 4, 5, 6, 1, 2, 3];
        for _ in 0..PATIENCE {
            assert!(!lookup.guess(&tokens, 7).is_empty());
            lookup.learn(3, 0, tokens.len());
        }
        assert!(lookup.guess(&tokens, 7).is_empty());
        tokens.extend([7; PAUSE - 3]);
        tokens.extend([1, 2, 3]);
        assert!(!lookup.guess(&tokens, 7).is_empty());
    }
}
