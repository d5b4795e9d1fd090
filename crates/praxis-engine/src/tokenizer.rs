//! Text to tokens and back, from a GGUF file's own vocabulary (byte-level BPE, as GPT-2 defined it).
//!
//! Two rules hold: text from people never becomes a control token ([`Tokenizer::encode_template`]
//! tells template from content), and bytes come back exactly ([`Tokenizer::bytes`]).

use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::PreTokenizerWrapper;

use crate::error::EngineError;
use crate::gguf::Gguf;

/// A Unicode noncharacter: breaks control tokens inside content and never reaches the model.
const BREAK: char = '\u{fdd0}';

/// Qwen2's pre-tokenization (its `tokenizer.json`).
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// GGUF token types (llama.cpp's `llama_token_type`) that are not text.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// A model's tokenizer.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Bytes of each token; empty for control tokens.
    bytes: Vec<Vec<u8>>,
    /// Control and added tokens, longest first.
    special: Vec<(String, u32)>,
    /// Tokens that end an answer.
    end: Vec<u32>,
    bos: Option<u32>,
    bos_text: String,
    eos_text: String,
}

impl Tokenizer {
    /// Reads the tokenizer of a GGUF file.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, EngineError> {
        let kind = gguf.text("tokenizer.ggml.model")?;
        if kind != "gpt2" {
            return Err(EngineError::unsupported(
                gguf.path(),
                format!("its tokenizer is `{kind}`; byte-level BPE (`gpt2`) is supported"),
            ));
        }
        let tokens = gguf.texts("tokenizer.ggml.tokens")?;
        let types = gguf.integers("tokenizer.ggml.token_type")?;
        if types.len() != tokens.len() {
            return Err(EngineError::damaged(
                gguf.path(),
                format!("{} tokens but {} token types", tokens.len(), types.len()),
            ));
        }
        let merges = gguf
            .texts("tokenizer.ggml.merges")?
            .into_iter()
            .map(|m| m.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                EngineError::damaged(gguf.path(), "`tokenizer.ggml.merges` has an entry without a space")
            })?;
        let inner = bpe(gguf, &tokens, merges)?;
        let from_char = byte_of_char();
        let mut special = Vec::new();
        let bytes = tokens
            .iter()
            .zip(&types)
            .enumerate()
            .map(|(id, (token, kind))| match *kind {
                CONTROL => {
                    special.push(((*token).to_owned(), id as u32));
                    Vec::new()
                }
                USER_DEFINED => {
                    special.push(((*token).to_owned(), id as u32));
                    token.as_bytes().to_vec()
                }
                _ => token.chars().filter_map(|c| from_char.get(&c).copied()).collect(),
            })
            .collect();
        special.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let id = |key: &str| gguf.number(key).ok().map(|n| n as u32);
        let text = |id: Option<u32>| {
            id.and_then(|i| tokens.get(i as usize)).map_or_else(String::new, |t| (*t).to_owned())
        };
        let eos = id("tokenizer.ggml.eos_token_id");
        let bos = id("tokenizer.ggml.bos_token_id");
        let end = special
            .iter()
            .filter(|(t, i)| {
                Some(*i) == eos
                    || ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>"]
                        .contains(&t.as_str())
            })
            .map(|(_, i)| *i)
            .collect();
        let add_bos = gguf.flag("tokenizer.ggml.add_bos_token").unwrap_or(false);
        Ok(Self {
            inner,
            bytes,
            special,
            end,
            bos: bos.filter(|_| add_bos),
            bos_text: text(bos),
            eos_text: text(eos),
        })
    }

    /// Number of tokens in the vocabulary.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A token's bytes; none for a control token or an id outside of the vocabulary.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the token ends an answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.end.contains(&token)
    }

    /// Text of the begin-of-sequence token, for chat templates.
    pub fn bos_text(&self) -> &str {
        &self.bos_text
    }

    /// Text of the end-of-sequence token, for chat templates.
    pub fn eos_text(&self) -> &str {
        &self.eos_text
    }

    /// Tokens of plain text; nothing in it is a control token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|e| candle_core::Error::Msg(format!("tokenizer: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Content made safe to be put into a template: no run of it reads as a control token.
    pub fn guard(&self, content: &str) -> String {
        let mut text = content.replace(BREAK, "\u{fffd}");
        for (special, _) in &self.special {
            if text.contains(special.as_str()) {
                let mut broken = String::with_capacity(special.len() + BREAK.len_utf8());
                let mut chars = special.chars();
                broken.extend(chars.next());
                broken.push(BREAK);
                broken.extend(chars);
                text = text.replace(special.as_str(), &broken);
            }
        }
        text
    }

    /// Tokens of a rendered template: its control tokens are control tokens, guarded content is
    /// text.
    pub fn encode_template(&self, rendered: &str) -> Result<Vec<u32>, EngineError> {
        let mut ids = Vec::new();
        if let Some(bos) = self.bos
            && !rendered.starts_with(&self.bos_text)
        {
            ids.push(bos);
        }
        let mut rest = rendered;
        while !rest.is_empty() {
            let next = self
                .special
                .iter()
                .filter_map(|(text, id)| rest.find(text.as_str()).map(|at| (at, text, *id)))
                .min_by_key(|(at, text, _)| (*at, std::cmp::Reverse(text.len())));
            let plain = next.as_ref().map_or(rest, |(at, ..)| &rest[..*at]);
            if !plain.is_empty() {
                ids.extend(self.encode(&plain.replace(BREAK, ""))?);
            }
            match next {
                Some((at, text, id)) => {
                    ids.push(id);
                    rest = &rest[at + text.len()..];
                }
                None => break,
            }
        }
        Ok(ids)
    }
}

fn bpe(
    gguf: &Gguf,
    tokens: &[&str],
    merges: Vec<(String, String)>,
) -> Result<tokenizers::Tokenizer, EngineError> {
    let damaged = |e: tokenizers::Error| EngineError::damaged(gguf.path(), format!("its vocabulary: {e}"));
    let vocab: Vocab = tokens.iter().enumerate().map(|(i, t)| ((*t).to_owned(), i as u32)).collect();
    let model = BPE::builder().vocab_and_merges(vocab, merges).build().map_err(damaged)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let kind = gguf.text("tokenizer.ggml.pre").unwrap_or("gpt-2");
    match kind {
        "smollm" => {
            tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
                PreTokenizerWrapper::Digits(Digits::new(true)),
                PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true)),
            ])));
        }
        "qwen2" => {
            let split = Split::new(
                SplitPattern::Regex(QWEN2.to_owned()),
                SplitDelimiterBehavior::Isolated,
                false,
            )
            .map_err(damaged)?;
            tokenizer.with_normalizer(Some(NFC)).map_err(damaged)?;
            tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
                PreTokenizerWrapper::Split(split),
                PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false)),
            ])));
        }
        "gpt-2" | "default" => {
            tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        }
        other => {
            return Err(EngineError::unsupported(
                gguf.path(),
                format!("its pre-tokenizer is `{other}`; smollm, qwen2 and gpt-2 are supported"),
            ));
        }
    }
    Ok(tokenizer)
}

/// GPT-2's printable stand-ins for bytes, inverted.
fn byte_of_char() -> HashMap<char, u8> {
    let mut next = 0x100u32;
    (0..=255u8)
        .filter_map(|byte| {
            let printable = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
            let code = if printable {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).map(|c| (c, byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_stand_in() {
        let map = byte_of_char();
        assert_eq!(map.len(), 256);
        assert_eq!((map[&'A'], map[&'Ġ'], map[&'Ċ']), (b'A', b' ', b'\n'));
    }
}
