//! SentencePiece's unigram tokenizer, as XLM-R uses it: the most probable split into pieces.
//!
//! The pieces sit in one blob under an open-addressing hash table: a vocabulary of 250,000 loads
//! in milliseconds and takes a few megabytes, where a trie of maps takes a hundred. Control
//! pieces (`<s>`, `</s>`) are never read out of a text.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::charsmap::Charsmap;

/// What stands for a space, and before every word.
const META: &str = "\u{2581}";

/// What SentencePiece subtracts from the lowest score for a character without a piece.
const UNKNOWN_PENALTY: f64 = 10.0;

/// A piece of the vocabulary as the file gives it.
pub(crate) struct Piece<'a> {
    /// Its text.
    pub(crate) text: &'a [u8],
    /// Its log-probability.
    pub(crate) score: f32,
    /// Whether it may be read out of a text: control and unused pieces may not.
    pub(crate) matches: bool,
}

/// The tokenizer.
pub(crate) struct Unigram {
    blob: Vec<u8>,
    /// Piece `id` is `blob[ends[id]..ends[id + 1]]`.
    ends: Vec<u32>,
    scores: Vec<f32>,
    /// Piece id + 1 by hash, 0 where free.
    slots: Vec<u32>,
    longest: usize,
    unknown: u32,
    unknown_score: f64,
    charsmap: Charsmap,
}

/// The best way to reach a place in a word.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    from: u32,
    piece: u32,
}

/// Buffers of [`Unigram::split`], kept from word to word.
#[derive(Default)]
struct Scratch {
    word: String,
    starts: Vec<usize>,
    steps: Vec<Step>,
    reversed: Vec<u32>,
}

/// FNV-1a grows byte by byte, so that each prefix of a word costs one step.
const HASH_SEED: u64 = 0xCBF2_9CE4_8422_2325;

fn hash_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
}

impl Unigram {
    /// From the vocabulary in order of ids; `unknown` is the id of `<unk>`.
    pub(crate) fn new<'a>(
        pieces: impl ExactSizeIterator<Item = Piece<'a>>,
        unknown: u32,
        charsmap: Charsmap,
    ) -> Result<Self, &'static str> {
        let count = pieces.len();
        if unknown as usize >= count {
            return Err("the id of the unknown piece lies outside the vocabulary");
        }
        let mut tokenizer = Self {
            blob: Vec::new(),
            ends: vec![0],
            scores: Vec::with_capacity(count),
            slots: vec![0; (count * 2).next_power_of_two()],
            longest: 0,
            unknown,
            unknown_score: f64::INFINITY,
            charsmap,
        };
        for (id, piece) in pieces.enumerate() {
            tokenizer.blob.extend_from_slice(piece.text);
            let end = u32::try_from(tokenizer.blob.len()).map_err(|_| "its pieces are too long")?;
            tokenizer.ends.push(end);
            tokenizer.scores.push(piece.score);
            tokenizer.unknown_score = tokenizer.unknown_score.min(f64::from(piece.score));
            if piece.matches && !piece.text.is_empty() {
                tokenizer.longest = tokenizer.longest.max(piece.text.len());
                tokenizer.insert(id as u32, piece.text);
            }
        }
        tokenizer.unknown_score -= UNKNOWN_PENALTY;
        Ok(tokenizer)
    }

    fn insert(&mut self, id: u32, text: &[u8]) {
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(
            text.iter()
                .fold(HASH_SEED, |hash, byte| hash_byte(hash, *byte)),
        );
        while self.slots[slot & mask] != 0 {
            slot += 1;
        }
        self.slots[slot & mask] = id + 1;
    }

    fn find(&self, text: &[u8], hash: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(hash);
        loop {
            let id = self.slots[slot & mask].checked_sub(1)?;
            let range = self.ends[id as usize] as usize..self.ends[id as usize + 1] as usize;
            if self.blob[range] == *text {
                return Some(id);
            }
            slot += 1;
        }
    }

    /// Number of pieces.
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    /// The ids of `text`, without `<s>` and `</s>`, until `limit` ids are reached.
    pub(crate) fn encode(&self, text: &str, limit: usize) -> Vec<u32> {
        // The original map composes letter and accent too; not all converted files kept that part.
        let composed = match is_nfc_quick(text.chars()) {
            IsNormalized::Yes => None,
            _ => Some(text.nfc().collect::<String>()),
        };
        let normalized = self.charsmap.rewrite(composed.as_deref().unwrap_or(text));
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut scratch = Scratch::default();
        for word in normalized.split_whitespace() {
            if ids.len() >= limit {
                break;
            }
            scratch.word.clear();
            scratch.word.push_str(META);
            scratch.word.push_str(word);
            self.split(&mut scratch, &mut ids);
        }
        ids.truncate(limit);
        ids
    }

    /// Viterbi over the characters of one word.
    fn split(&self, scratch: &mut Scratch, ids: &mut Vec<u32>) {
        let Scratch {
            word,
            starts,
            steps,
            reversed,
        } = scratch;
        let bytes = word.as_bytes();
        starts.clear();
        starts.extend(word.char_indices().map(|(at, _)| at));
        starts.push(bytes.len());
        let places = starts.len();
        steps.clear();
        steps.resize(
            places,
            Step {
                score: f64::NEG_INFINITY,
                from: 0,
                piece: self.unknown,
            },
        );
        steps[0].score = 0.0;
        for from in 0..places - 1 {
            let reached = steps[from].score;
            let mut hash = HASH_SEED;
            let mut known_character = false;
            for to in from + 1..places {
                if starts[to] - starts[from] > self.longest {
                    break;
                }
                hash = bytes[starts[to - 1]..starts[to]]
                    .iter()
                    .fold(hash, |hash, byte| hash_byte(hash, *byte));
                let Some(piece) = self.find(&bytes[starts[from]..starts[to]], hash) else {
                    continue;
                };
                known_character |= to == from + 1;
                let score = reached + f64::from(self.scores[piece as usize]);
                if score > steps[to].score {
                    steps[to] = Step {
                        score,
                        from: from as u32,
                        piece,
                    };
                }
            }
            let score = reached + self.unknown_score;
            if !known_character && score > steps[from + 1].score {
                steps[from + 1] = Step {
                    score,
                    from: from as u32,
                    piece: self.unknown,
                };
            }
        }
        reversed.clear();
        let mut at = places - 1;
        while at > 0 {
            let step = steps[at];
            // A run of unknown characters is one unknown token.
            if step.piece != self.unknown || reversed.last() != Some(&self.unknown) {
                reversed.push(step.piece);
            }
            at = step.from as usize;
        }
        ids.extend(reversed.iter().rev());
    }
}

/// FNV's low bits are weak on short keys; the multiplication moves the high ones down.
fn slot_of(hash: u64) -> usize {
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Unigram {
        let pieces = [
            ("<s>", 0.0, false),
            ("<unk>", 0.0, false),
            ("\u{2581}", -3.0, true),
            ("\u{2581}ab", -2.0, true),
            ("a", -4.0, true),
            ("b", -4.0, true),
            ("bc", -5.0, true),
            ("c", -6.0, true),
        ];
        let pieces = pieces
            .iter()
            .map(|(text, score, matches)| Piece {
                text: text.as_bytes(),
                score: *score,
                matches: *matches,
            })
            .collect::<Vec<_>>();
        Unigram::new(pieces.into_iter(), 1, Charsmap::default()).unwrap()
    }

    #[test]
    fn the_most_probable_split_wins() {
        let tokenizer = tokenizer();
        for (text, ids) in [
            ("", &[][..]),
            (" \n ", &[]),
            ("ab", &[3]),
            ("  ab   ab ", &[3, 3]),
            // "▁ab" + "c" (-8) is better than "▁" + "a" + "bc" (-12).
            ("abc", &[3, 7]),
            ("bc", &[2, 6]),
            // A run of unknown characters is one token, and control pieces are not read from text.
            ("xyz", &[2, 1]),
            ("<s>", &[2, 1]),
            ("axyb", &[2, 4, 1, 5]),
        ] {
            assert_eq!(tokenizer.encode(text, usize::MAX), ids, "{text:?}");
        }
        assert_eq!(tokenizer.encode("ab ab ab", 2), [3, 3]);
    }
}
