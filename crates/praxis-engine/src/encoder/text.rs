//! From text to the token ids of one input: content between the model's special tokens, cut at
//! the model's limit.

use std::path::Path;

use tokenizers::Tokenizer;

use super::charsmap::Charsmap;
use super::unigram::{Piece, Unigram};
use crate::EngineError;
use crate::gguf::Gguf;

/// Bytes of text read for each token of the limit. Real text has 2 to 6 bytes a token and no
/// piece of a known vocabulary has over 100, so that what lies beyond is cut anyway.
const BYTES_PER_TOKEN: usize = 128;

/// GGUF's token types that may appear in a text: normal and user-defined.
const MATCHING_TYPES: [i32; 2] = [1, 4];

/// A tokenizer and the special tokens around a single text.
pub(crate) struct TextTokenizer {
    model: Model,
    before: Vec<u32>,
    after: Vec<u32>,
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
        Ok(Self {
            before: before.to_vec(),
            after: after.to_vec(),
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

    /// The ids of one input, at most `limit` of them.
    pub(crate) fn encode(&self, text: &str, limit: usize) -> Result<Vec<u32>, tokenizers::Error> {
        let room = limit.saturating_sub(self.specials());
        let head = &text[..text.floor_char_boundary(room.saturating_mul(BYTES_PER_TOKEN))];
        let mut ids = self.before.clone();
        match &self.model {
            Model::HuggingFace(tokenizer) => {
                let content = tokenizer.encode_fast(head, false)?;
                ids.extend(content.get_ids().iter().take(room));
            }
            Model::Unigram(unigram) => ids.extend(unigram.encode(head, room)),
        }
        ids.extend(&self.after);
        Ok(ids)
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
            let ids = serde_json::to_value(tokenizer.encode(text, 512).unwrap()).unwrap();
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
        assert!(!tokenizer.encode("a <s> b </s> <mask>", 512).unwrap()[1..].contains(&0));
        let composed = tokenizer.encode("caf\u{e9}", 512).unwrap();
        assert_eq!(composed, tokenizer.encode("cafe\u{301}", 512).unwrap());
    }
}
