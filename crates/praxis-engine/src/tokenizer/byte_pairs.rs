//! Byte-pair encoding over bytes that are written as printable characters, as GPT-2 began it: how a text
//! is cut before it (the pre-tokenizer) is what differs between models.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{NormalizerWrapper, Tokenizer};

use crate::error::EngineError;
use crate::gguf::Gguf;

/// The encoder of a file whose tokens are `tokens`, and whether its prompts begin with a token of their
/// own (`bos`) where the file does not say.
pub(super) fn open(file: &Gguf, tokens: &[&str]) -> Result<(Tokenizer, bool), EngineError> {
    let pre = PreTokenization::open(file)?;
    Ok((encoder(file, tokens, pre)?, pre.begins()))
}

fn encoder(file: &Gguf, tokens: &[&str], pre: PreTokenization) -> Result<Tokenizer, EngineError> {
    let vocabulary: Vocab = tokens
        .iter()
        .enumerate()
        .map(|(id, t)| ((*t).to_owned(), id as u32))
        .collect();
    let key = "tokenizer.ggml.merges";
    let merges = file
        .texts(key)?
        .into_iter()
        .map(|m| match m.split_once(' ') {
            Some((a, b)) => Ok((a.to_owned(), b.to_owned())),
            None => Err(file.damaged(format!("`{key}` holds `{m}`, which is not a pair"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(pre.begins())
        .build()
        .map_err(|e| file.damaged(format!("`{key}` does not fit the vocabulary: {e}")))?;
    let mut encoder = Tokenizer::new(model);
    encoder.with_pre_tokenizer(Some(pre.splitter().map_err(|e| file.damaged(e))?));
    if pre == PreTokenization::Qwen2 {
        let nfc = NormalizerWrapper::NFC(tokenizers::normalizers::NFC);
        encoder
            .with_normalizer(Some(nfc))
            .map_err(|e| file.damaged(e.to_string()))?;
    }
    Ok(encoder)
}

/// How a text is cut before byte-pair encoding (`tokenizer.ggml.pre`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PreTokenization {
    Gpt2,
    DigitsThenGpt2,
    Qwen2,
    /// As [`Self::Llama3`], but words that are tokens are merged all the same.
    Smaug,
    Llama3,
    /// Mistral's since Nemo.
    Tekken,
}

impl PreTokenization {
    fn open(file: &Gguf) -> Result<Self, EngineError> {
        Ok(
            match file.optional_text("tokenizer.ggml.pre")?.unwrap_or("gpt-2") {
                "gpt-2" | "gpt2" | "phi-2" => Self::Gpt2,
                "smollm" | "starcoder" | "refact" | "codeshell" | "command-r" => {
                    Self::DigitsThenGpt2
                }
                "qwen2" | "deepseek-r1-qwen" => Self::Qwen2,
                // SmolLM3, and Llama 3.1 as early versions of llama.cpp converted it.
                "smaug-bpe" => Self::Smaug,
                "llama-bpe" | "llama3" | "llama-v3" => Self::Llama3,
                "tekken" => Self::Tekken,
                other => {
                    return Err(file.unsupported(format!(
                        "the pre-tokenizer `{other}` (`tokenizer.ggml.pre`)"
                    )));
                }
            },
        )
    }

    /// Whether prompts begin with `bos` unless the file says otherwise, and a word that is a token is
    /// that token however it could be merged: llama.cpp knows both of the same two.
    fn begins(self) -> bool {
        matches!(self, Self::Llama3 | Self::Tekken)
    }

    fn splitter(self) -> Result<PreTokenizerWrapper, String> {
        const LETTERS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
        const OTHERS: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        // Words begin with capitals and go on with small letters; letters without case are both.
        const WORDS: &str = concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
        );
        const PATHS: &str = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        let by =
            |letters: &str, digits: &str, others: &str| -> Result<PreTokenizerWrapper, String> {
                let regex = SplitPattern::Regex(format!("{letters}|{digits}|{others}"));
                let split = Split::new(regex, SplitDelimiterBehavior::Isolated, false)
                    .map_err(|e| e.to_string())?;
                Ok(Sequence::new(vec![
                    split.into(),
                    ByteLevel::new(false, true, false).into(),
                ])
                .into())
            };
        let gpt2 = ByteLevel::new(false, true, true);
        Ok(match self {
            Self::Gpt2 => gpt2.into(),
            Self::DigitsThenGpt2 => {
                Sequence::new(vec![Digits::new(true).into(), gpt2.into()]).into()
            }
            Self::Qwen2 => by(LETTERS, r"\p{N}", OTHERS)?,
            Self::Smaug | Self::Llama3 => by(LETTERS, r"\p{N}{1,3}", OTHERS)?,
            Self::Tekken => by(WORDS, r"\p{N}", PATHS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    /// The pieces are those of Python's `regex` with the patterns of the models' own `tokenizer.json`.
    #[test]
    fn texts_are_cut_as_the_models_authors_cut_them() {
        let text = "It's McDonald's 12345 straße/Ελλάδα\n\n  x=/usr/\n ÀB 鲁迅Abc";
        for (pre, wanted) in [
            (
                PreTokenization::Llama3,
                "It|'s| McDonald|'s| |123|45| straße|/Ελλάδα|\n\n| | x|=/|usr|/\n| ÀB| 鲁迅Abc",
            ),
            (
                PreTokenization::Smaug,
                "It|'s| McDonald|'s| |123|45| straße|/Ελλάδα|\n\n| | x|=/|usr|/\n| ÀB| 鲁迅Abc",
            ),
            (
                PreTokenization::Tekken,
                "It|'s| Mc|Donald|'s| |1|2|3|4|5| straße|/Ελλάδα|\n\n| | x|=/|usr|/\n| ÀB| 鲁迅Abc",
            ),
        ] {
            let PreTokenizerWrapper::Sequence(all) = pre.splitter().unwrap() else {
                panic!("{pre:?}");
            };
            let split = all.as_ref().first().unwrap().clone();
            let mut cut = PreTokenizedString::from(text);
            split.pre_tokenize(&mut cut).unwrap();
            let pieces = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
            let pieces: Vec<&str> = pieces.iter().map(|(piece, _, _)| *piece).collect();
            assert_eq!(pieces.join("|"), wanted, "{pre:?}");
        }
    }
}
