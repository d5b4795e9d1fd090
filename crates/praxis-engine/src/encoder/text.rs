//! From text to the token ids of one input: content between the model's special tokens, cut at
//! the model's limit. An input is a text, or a pair of texts for a cross-encoder.

use std::path::Path;

use tokenizers::Tokenizer;

use super::charsmap::Charsmap;
use super::forward::Tokens;
use super::unigram::{Piece, Unigram};
use crate::EngineError;
use crate::gguf::Gguf;

/// Bytes of text read for each token of the limit. Real text has 2 to 6 bytes a token and no
/// piece of a known vocabulary has over 100, so that what lies beyond is cut anyway.
const BYTES_PER_TOKEN: usize = 128;

/// GGUF's token types that may appear in a text: normal and user-defined.
const MATCHING_TYPES: [i32; 2] = [1, 4];

/// A tokenizer and the special tokens around texts.
pub(crate) struct TextTokenizer {
    model: Model,
    before: Vec<u32>,
    after: Vec<u32>,
    /// Between the two texts of a pair, and after the second; `None` where pairs are not known.
    pair: Option<PairSpecials>,
}

/// The special tokens of a pair, which begins as a single text does.
struct PairSpecials {
    between: Vec<u32>,
    after: Vec<u32>,
    /// How many of those between the texts are of the first token type; `None` where all tokens of
    /// the pair are.
    first_type: Option<usize>,
}

enum Model {
    HuggingFace(Box<Tokenizer>),
    Unigram(Unigram),
}

impl TextTokenizer {
    /// From `tokenizer.json`.
    pub(crate) fn from_file(path: &Path) -> Result<Self, EngineError> {
        let bytes = std::fs::read(path).map_err(|error| EngineError::read(path, error))?;
        let damaged = |error: tokenizers::Error| EngineError::damaged(path, error.to_string());
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(damaged)?;
        // Cutting is ours, and nothing is ever padded.
        tokenizer
            .with_padding(None)
            .with_truncation(None)
            .map_err(damaged)?;
        let content = tokenizer.encode_fast("a", false).map_err(damaged)?;
        let whole = tokenizer.encode_fast("a", true).map_err(damaged)?;
        let (content, whole) = (content.get_ids(), whole.get_ids());
        let start = whole
            .windows(content.len().max(1))
            .position(|window| window == content)
            .ok_or_else(|| EngineError::damaged(path, "its post-processor changes the tokens"))?;
        let (before, after) = (&whole[..start], &whole[start + content.len()..]);
        let pair = tokenizer.encode_fast(("a", "a"), true).map_err(damaged)?;
        Ok(Self {
            before: before.to_vec(),
            after: after.to_vec(),
            pair: PairSpecials::of(before, content, pair.get_ids(), pair.get_type_ids()),
            model: Model::HuggingFace(Box::new(tokenizer)),
        })
    }

    /// From a GGUF file's metadata: the unigram model, which GGUF calls `t5`.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self, EngineError> {
        let path = gguf.path();
        let kind = gguf.text("tokenizer.ggml.model")?;
        if kind != "t5" {
            let problem = format!(
                "its tokenizer is `{kind}`; of GGUF encoders only those with a unigram tokenizer \
                 (`t5`) run, for others take the folder with `model.safetensors`"
            );
            return Err(EngineError::unsupported(path, problem));
        }
        let tokens = gguf.texts("tokenizer.ggml.tokens")?;
        let scores = gguf.floats("tokenizer.ggml.scores")?;
        let types = gguf.integers("tokenizer.ggml.token_type")?;
        if scores.len() != tokens.len() || types.len() != tokens.len() {
            let problem = format!(
                "`tokenizer.ggml.tokens`, `scores` and `token_type` have {}, {} and {} entries",
                tokens.len(),
                scores.len(),
                types.len()
            );
            return Err(EngineError::damaged(path, problem));
        }
        let charsmap = if gguf.has("tokenizer.ggml.precompiled_charsmap") {
            let key = "tokenizer.ggml.precompiled_charsmap";
            Charsmap::parse(&gguf.bytes(key)?)
                .map_err(|problem| EngineError::damaged(path, format!("`{key}`: {problem}")))?
        } else {
            Charsmap::default()
        };
        let id = |name: &str, default: u32| -> Result<u32, EngineError> {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let value = if gguf.has(&key) {
                gguf.number(&key)?
            } else {
                default as usize
            };
            u32::try_from(value)
                .ok()
                .filter(|id| (*id as usize) < tokens.len())
                .ok_or_else(|| {
                    EngineError::damaged(
                        path,
                        format!("`{key}` is {value}, outside the vocabulary"),
                    )
                })
        };
        // XLM-R's ids, for files that leave them out.
        let (before, after) = (vec![id("bos", 0)?], vec![id("eos", 2)?]);
        let unknown = id("unknown", 3)?;
        let pieces = tokens
            .iter()
            .zip(&scores)
            .zip(&types)
            .map(|((text, score), kind)| Piece {
                text: text.as_bytes(),
                score: *score,
                matches: MATCHING_TYPES.contains(&i32::try_from(*kind).unwrap_or_default()),
            });
        let unigram = Unigram::new(pieces, unknown, charsmap)
            .map_err(|problem| EngineError::damaged(path, format!("its vocabulary: {problem}")))?;
        Ok(Self {
            before,
            after,
            pair: None,
            model: Model::Unigram(unigram),
        })
    }

    /// How many ids there may be: every id that comes out is smaller.
    pub(crate) fn vocabulary(&self) -> usize {
        match &self.model {
            Model::HuggingFace(tokenizer) => {
                let ids = tokenizer.get_vocab(true).into_values();
                ids.max().map_or(0, |id| id as usize + 1)
            }
            Model::Unigram(unigram) => unigram.len(),
        }
    }

    /// Tokens that surround the content.
    pub(crate) fn specials(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// The ids of one text, at most `limit` of them.
    pub(crate) fn encode(&self, text: &str, limit: usize) -> Result<Tokens, tokenizers::Error> {
        let room = limit.saturating_sub(self.specials());
        let mut ids = self.before.clone();
        self.content(text, room, &mut ids)?;
        ids.extend(&self.after);
        let first = ids.len();
        Ok(Tokens { ids, first })
    }

    /// Tokens that surround the texts of a pair; `None` where the model does not know pairs.
    pub(crate) fn pair_specials(&self) -> Option<usize> {
        let pair = self.pair.as_ref()?;
        Some(self.before.len() + pair.between.len() + pair.after.len())
    }

    /// The content of one text, for [`TextTokenizer::pair`]: what no limit would leave is cut.
    pub(crate) fn half(&self, text: &str, limit: usize) -> Result<Vec<u32>, tokenizers::Error> {
        let mut ids = Vec::new();
        self.content(text, limit, &mut ids)?;
        Ok(ids)
    }

    /// The ids of a pair of texts, at most `limit` of them. Of the longer text more is cut, as
    /// the library `tokenizers` does with the strategy `longest_first`.
    pub(crate) fn pair(&self, first: &[u32], second: &[u32], limit: usize) -> Tokens {
        let room = limit.saturating_sub(self.pair_specials().unwrap_or_default());
        let (first_length, second_length) = longest_first(first.len(), second.len(), room);
        let mut ids = self.before.clone();
        ids.extend(&first[..first_length]);
        let Some(pair) = &self.pair else {
            let first = ids.len();
            return Tokens { ids, first };
        };
        let of_first_type = pair.first_type.map(|count| ids.len() + count);
        ids.extend(&pair.between);
        ids.extend(&second[..second_length]);
        ids.extend(&pair.after);
        let first = of_first_type.unwrap_or(ids.len());
        Tokens { ids, first }
    }

    /// Appends the ids of a text without special tokens, at most `room` of them.
    fn content(
        &self,
        text: &str,
        room: usize,
        ids: &mut Vec<u32>,
    ) -> Result<(), tokenizers::Error> {
        let head = &text[..text.floor_char_boundary(room.saturating_mul(BYTES_PER_TOKEN))];
        match &self.model {
            Model::HuggingFace(tokenizer) => {
                let content = tokenizer.encode_fast(head, false)?;
                ids.extend(content.get_ids().iter().take(room));
            }
            Model::Unigram(unigram) => ids.extend(unigram.encode(head, room)),
        }
        Ok(())
    }

    /// The number of content tokens of the whole text.
    pub(crate) fn count(&self, text: &str) -> usize {
        match &self.model {
            // A text that its tokenizer refuses is counted by characters, which is never too few.
            Model::HuggingFace(tokenizer) => tokenizer
                .encode_fast(text, false)
                .map_or_else(|_| text.chars().count(), |encoding| encoding.len()),
            Model::Unigram(unigram) => unigram.encode(text, usize::MAX).len(),
        }
    }
}

impl PairSpecials {
    /// Finds them around twice the same content; `None` where they are not three stretches.
    fn of(before: &[u32], content: &[u32], ids: &[u32], types: &[u32]) -> Option<Self> {
        let rest = ids.strip_prefix(before)?.strip_prefix(content)?;
        let second = rest
            .windows(content.len().max(1))
            .position(|window| window == content)?;
        let (between, after) = (&rest[..second], &rest[second + content.len()..]);
        let own = before.len() + content.len();
        let first_type = types.iter().position(|kind| *kind != 0);
        Some(Self {
            between: between.to_vec(),
            after: after.to_vec(),
            first_type: first_type.map(|at| at.saturating_sub(own)),
        })
    }
}

/// How many tokens of each half of a pair stay when together they may be `room`.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    let (short, long) = (first.min(second), first.max(second));
    let (short, long) = if short + long <= room {
        (short, long)
    } else if short <= room / 2 {
        (short, room - short)
    } else {
        (room / 2, room - room / 2)
    };
    if first <= second {
        (short, long)
    } else {
        (long, short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs the converted model; the vectors made from these ids are checked in `tests/encoder.rs`.
    #[test]
    fn e5_ids_are_those_of_the_engine_it_was_packaged_with() {
        let cache = std::env::var_os("PRAXIS_CACHE")
            .map(std::path::PathBuf::from)
            .or_else(|| {
                Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".cache/praxis"))
            });
        let file = cache
            .unwrap_or_default()
            .join("models/multilingual-e5-small/model.gguf");
        if !file.exists() {
            eprintln!("SKIPPED: {} is absent; run `make test`", file.display());
            return;
        }
        let tokenizer = TextTokenizer::from_gguf(&Gguf::open(&file).unwrap()).unwrap();
        let cases: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../tests/fixtures/e5.json")).unwrap();
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let ids = serde_json::to_value(tokenizer.encode(text, 512).unwrap().ids).unwrap();
            let ids = ids.as_array().unwrap();
            assert_eq!(
                ids[1..ids.len() - 1],
                case["ids"].as_array().unwrap()[..],
                "{text:?}"
            );
            assert_eq!(
                (&ids[0], &ids[ids.len() - 1]),
                (&0.into(), &2.into()),
                "<s> and </s>"
            );
        }
        // Control tokens are not read out of a text, and decomposed letters are composed first.
        let marked = tokenizer.encode("a <s> b </s> <mask>", 512).unwrap();
        assert!(!marked.ids[1..].contains(&0));
        let composed = tokenizer.encode("caf\u{e9}", 512).unwrap();
        assert_eq!(composed, tokenizer.encode("cafe\u{301}", 512).unwrap());
    }
}
