//! Byte-pair encoding as SentencePiece does it (Kudo and Richardson 2018), which Llama 1 and 2 and Mistral
//! before Nemo were trained with: no pre-tokenizer, spaces are written `▁`, of all neighbours that make a
//! piece the one of the highest score is joined first, and what is no piece is written byte for byte.
//! Vocabularies of SentencePiece's unigram model are the encoders' business.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::{BYTE, NORMAL, UNKNOWN, USER_DEFINED, raw_byte};
use crate::error::EngineError;
use crate::gguf::Gguf;

/// How a space is written in pieces.
pub(super) const SPACE: char = '▁';

/// The pieces of a vocabulary.
pub(super) struct SentencePiece {
    pieces: HashMap<String, (u32, f32)>,
    bytes: HashMap<u8, u32>,
    unknown: Option<u32>,
    /// Whether a text is encoded as if a space stood before it.
    pub(super) spaced: bool,
}

/// A part of the text; joined parts are linked past.
struct Part {
    start: usize,
    /// 0 once it was joined to the part before it.
    len: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that make a piece.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of the piece, which tell whether both parts are still what they were.
    len: usize,
}

impl Ord for Pair {
    /// The higher score is greater, then the one further left.
    fn cmp(&self, other: &Self) -> Ordering {
        let score = self.score.total_cmp(&other.score);
        score.then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pair {}

impl SentencePiece {
    /// The pieces of a file whose tokens are `tokens` of `kinds`.
    pub(super) fn open(file: &Gguf, tokens: &[&str], kinds: &[i64]) -> Result<Self, EngineError> {
        let key = "tokenizer.ggml.scores";
        let scores = file.floats(key)?;
        if scores.len() != tokens.len() {
            return Err(file.damaged(format!(
                "`{key}` has {} entries for {} tokens",
                scores.len(),
                tokens.len()
            )));
        }
        let spaced = file.optional_flag("tokenizer.ggml.add_space_prefix")?;
        Ok(Self::new(tokens, kinds, &scores, spaced.unwrap_or(true)))
    }

    fn new(tokens: &[&str], kinds: &[i64], scores: &[f32], spaced: bool) -> Self {
        let mut pieces = HashMap::with_capacity(tokens.len());
        let (mut bytes, mut unknown) = (HashMap::new(), None);
        for (id, ((token, kind), score)) in tokens.iter().zip(kinds).zip(scores).enumerate() {
            let id = id as u32;
            match *kind {
                NORMAL | USER_DEFINED => {
                    pieces.entry((*token).to_owned()).or_insert((id, *score));
                }
                BYTE => {
                    if let Some(byte) = raw_byte(token) {
                        bytes.entry(byte).or_insert(id);
                    }
                }
                UNKNOWN => unknown = unknown.or(Some(id)),
                _ => {}
            }
        }
        Self {
            pieces,
            bytes,
            unknown,
            spaced,
        }
    }

    /// Whether every text has tokens.
    pub(super) fn knows_all(&self) -> bool {
        self.unknown.is_some() || (0..=0xf4).all(|byte| self.bytes.contains_key(&byte))
    }

    /// Adds the tokens of a text, in time that grows with its length as `n log n`. Bytes that have no
    /// token are one unknown token a part, or nothing where there is none.
    pub(super) fn encode_into(&self, text: &str, out: &mut Vec<u32>) {
        let text: String = text
            .chars()
            .map(|c| if c == ' ' { SPACE } else { c })
            .collect();
        for part in self.joined(&text) {
            let part = &text[part];
            if let Some((id, _)) = self.pieces.get(part) {
                out.push(*id);
                continue;
            }
            let bytes: Option<Vec<u32>> =
                part.bytes().map(|b| self.bytes.get(&b).copied()).collect();
            match bytes {
                Some(bytes) => out.extend(bytes),
                None => out.extend(self.unknown),
            }
        }
    }

    /// The parts that are left where nothing can be joined any more.
    fn joined(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        let mut parts: Vec<Part> = text
            .char_indices()
            .enumerate()
            .map(|(i, (start, c))| Part {
                start,
                len: c.len_utf8(),
                previous: i.checked_sub(1),
                next: Some(i + 1),
            })
            .collect();
        if let Some(last) = parts.last_mut() {
            last.next = None;
        }
        let pair = |parts: &[Part], left: Option<usize>, right: Option<usize>| -> Option<Pair> {
            let (left, right) = (left?, right?);
            let len = parts[left].len + parts[right].len;
            let start = parts[left].start;
            let (_, score) = self.pieces.get(&text[start..start + len])?;
            Some(Pair {
                score: *score,
                left,
                right,
                len,
            })
        };
        let mut pairs: BinaryHeap<Pair> = (1..parts.len())
            .filter_map(|right| pair(&parts, Some(right - 1), Some(right)))
            .collect();
        while let Some(Pair {
            left, right, len, ..
        }) = pairs.pop()
        {
            let whole = parts[left].len > 0 && parts[right].len > 0;
            if !whole || parts[left].len + parts[right].len != len {
                continue;
            }
            let next = parts[right].next;
            parts[left].len = len;
            parts[left].next = next;
            parts[right].len = 0;
            if let Some(next) = next {
                parts[next].previous = Some(left);
            }
            pairs.extend(pair(&parts, parts[left].previous, Some(left)));
            pairs.extend(pair(&parts, Some(left), next));
        }
        parts
            .iter()
            .filter(|part| part.len > 0)
            .map(|part| part.start..part.start + part.len)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// A vocabulary that SentencePiece trained and what it makes of texts
    /// (`scripts/reference/sentence_piece.py`).
    #[derive(Deserialize)]
    struct Reference {
        tokens: Vec<String>,
        scores: Vec<f32>,
        kinds: Vec<i64>,
        texts: Vec<(String, Vec<u32>)>,
    }

    fn reference() -> (Reference, SentencePiece) {
        let reference: Reference =
            serde_json::from_str(include_str!("../../tests/fixtures/sentence_piece.json")).unwrap();
        let tokens: Vec<&str> = reference.tokens.iter().map(String::as_str).collect();
        let pieces = SentencePiece::new(&tokens, &reference.kinds, &reference.scores, true);
        (reference, pieces)
    }

    #[test]
    fn texts_become_the_tokens_that_sentence_piece_makes_of_them() {
        let (reference, pieces) = reference();
        assert!(reference.texts.len() > 20);
        for (text, wanted) in &reference.texts {
            let mut tokens = Vec::new();
            pieces.encode_into(&format!(" {text}"), &mut tokens);
            assert_eq!(tokens, *wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_lost(text in "[ a-zäß▁鲁迅\u{1f600}\n\t]{0,60}") {
            let (reference, pieces) = reference();
            let mut tokens = Vec::new();
            pieces.encode_into(&text, &mut tokens);
            let mut bytes = Vec::new();
            for token in tokens {
                let (text, kind) = (&reference.tokens[token as usize], reference.kinds[token as usize]);
                bytes.extend(super::super::token_bytes(text, kind, super::super::Spelling::Spaces));
            }
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), text.replace('▁', " "));
        }
    }
}
