//! Past sequences whose keys and values are kept, so that a request with the same beginning (the
//! next turn of a conversation, the same system prompt) computes only what is new.

use crate::decoder::KvCache;

/// A sequence of tokens with its keys and values.
pub(super) struct Sequence {
    pub(super) tokens: Vec<u32>,
    pub(super) cache: KvCache,
}

/// The kept sequences, the most recently used last.
pub(super) struct Sequences {
    kept: Vec<Sequence>,
    max_sequences: usize,
    max_tokens: usize,
}

impl Sequences {
    /// Keeps at most so many sequences and tokens in them.
    pub(super) fn new(max_sequences: usize, max_tokens: usize) -> Self {
        Self {
            kept: Vec::new(),
            max_sequences,
            max_tokens,
        }
    }

    /// A sequence that begins like `prompt` as far as any kept one does, at least one token short
    /// of it (whose logits are needed).
    pub(super) fn take(&mut self, prompt: &[u32], empty: impl FnOnce() -> KvCache) -> Sequence {
        let limit = prompt.len().saturating_sub(1);
        let best = self
            .kept
            .iter()
            .map(|s| common_prefix(&s.tokens, prompt).min(limit))
            .enumerate()
            .max_by_key(|(_, common)| *common);
        match best {
            Some((index, common)) if common > 0 => {
                if self.kept[index].tokens.len() == common {
                    return self.kept.remove(index);
                }
                // What follows may serve another conversation: it stays where it is.
                let cache = self.kept[index].cache.prefix(common);
                Sequence {
                    tokens: prompt[..common].to_vec(),
                    cache,
                }
            }
            _ => Sequence {
                tokens: Vec::new(),
                cache: empty(),
            },
        }
    }

    /// Keeps a sequence, forgetting what it continues and the least recently used ones beyond the
    /// bounds.
    pub(super) fn put(&mut self, sequence: Sequence) {
        self.kept
            .retain(|s| !sequence.tokens.starts_with(&s.tokens));
        self.kept.push(sequence);
        while self.kept.len() > self.max_sequences || self.tokens() > self.max_tokens {
            self.kept.remove(0);
        }
    }

    fn tokens(&self) -> usize {
        self.kept.iter().map(|s| s.tokens.len()).sum()
    }
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(tokens: &[u32]) -> Sequence {
        let mut cache = KvCache::new(1, 1, 2);
        let rows: Vec<f32> = tokens.iter().flat_map(|t| [*t as f32, 0.0]).collect();
        cache.append(0, &rows, &rows);
        Sequence {
            tokens: tokens.to_vec(),
            cache,
        }
    }

    fn taken(sequences: &mut Sequences, prompt: &[u32]) -> Vec<u32> {
        let s = sequences.take(prompt, || KvCache::new(1, 1, 2));
        let keys: Vec<u32> = s.cache.layer(0)[0]
            .keys
            .iter()
            .step_by(2)
            .map(|k| k.to_f32() as u32)
            .collect();
        assert_eq!(keys, s.tokens, "the cache must hold what the tokens say");
        s.tokens
    }

    #[test]
    fn the_longest_common_beginning_is_reused_and_the_rest_is_kept() {
        let mut sequences = Sequences::new(4, 100);
        sequences.put(sequence(&[1, 2, 3, 4]));
        sequences.put(sequence(&[1, 2, 9]));
        assert_eq!(taken(&mut sequences, &[1, 2, 3, 7]), [1, 2, 3]);
        assert_eq!(taken(&mut sequences, &[5, 6]), [0u32; 0]);
        assert_eq!(
            taken(&mut sequences, &[1, 2, 3, 4]),
            [1, 2, 3],
            "the last token is recomputed"
        );
        assert_eq!(taken(&mut sequences, &[1, 2, 3, 4, 5]), [1, 2, 3, 4]);
        assert_eq!(
            taken(&mut sequences, &[1, 2, 3, 4, 5]),
            [1, 2],
            "it was taken whole"
        );
    }

    #[test]
    fn the_least_recently_used_beyond_the_bounds_are_forgotten() {
        let mut sequences = Sequences::new(2, 6);
        sequences.put(sequence(&[1, 1]));
        sequences.put(sequence(&[2, 2]));
        sequences.put(sequence(&[3, 3]));
        assert_eq!(taken(&mut sequences, &[1, 1, 0]), [0u32; 0]);
        assert_eq!(taken(&mut sequences, &[2, 2, 0]), [2, 2]);
        sequences.put(sequence(&[4, 4, 4, 4, 4]));
        assert_eq!(
            taken(&mut sequences, &[3, 3, 0]),
            [0u32; 0],
            "7 tokens are more than 6"
        );
        sequences.put(sequence(&[4, 4, 4, 4, 4, 4]));
        assert_eq!(
            sequences.kept.len(),
            1,
            "a continuation replaces its beginning"
        );
        sequences.put(sequence(&[5; 7]));
        assert_eq!(sequences.kept.len(), 0, "too long to keep");
    }
}
