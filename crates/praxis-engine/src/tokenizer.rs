//! The tokenizer of a decoder, built from the GGUF file's metadata, and the way back from tokens
//! to text as they stream.
//!
//! Control tokens (`<|im_start|>` and the like) are found by ourselves, never by the byte-pair
//! encoder, so that the caller decides which part of a text may contain them.

use std::collections::HashMap;

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

/// `llama_token_type` of tokens that are found before the byte-pair encoding.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
/// `llama_token_type` of a single raw byte such as `<0x0A>`.
const BYTE: i64 = 6;

/// Tokens that end a turn, whatever the file's `eos_token_id` says: files of chat models often
/// name only one of theirs.
const END_TOKENS: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<|eot|>",
];

/// A decoder's tokenizer.
pub(crate) struct TextTokenizer {
    encoder: Tokenizer,
    /// What each token adds to the text.
    bytes: Vec<Vec<u8>>,
    /// Control and user-defined tokens, longest first.
    specials: Vec<(String, u32)>,
    end: Vec<u32>,
    bos: Option<u32>,
    add_bos: bool,
    names: SpecialNames,
}

/// Names that chat templates refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpecialNames {
    /// `bos_token`.
    pub(crate) bos: String,
    /// `eos_token`.
    pub(crate) eos: String,
}

impl TextTokenizer {
    /// Builds the tokenizer that a file describes.
    pub(crate) fn open(file: &Gguf) -> Result<Self, EngineError> {
        match file.text("tokenizer.ggml.model")? {
            "gpt2" => {}
            other => {
                return Err(file.unsupported(format!(
                    "the tokenizer `{other}`; byte-pair encoding (`gpt2`) is implemented"
                )));
            }
        }
        let tokens = file.texts("tokenizer.ggml.tokens")?;
        let kinds = kinds(file, tokens.len())?;
        let encoder = encoder(file, &tokens)?;
        let unescape = byte_table();
        let bytes = tokens
            .iter()
            .zip(&kinds)
            .map(|(t, k)| token_bytes(t, *k, &unescape))
            .collect();
        let mut specials: Vec<(String, u32)> = tokens
            .iter()
            .zip(&kinds)
            .enumerate()
            .filter(|(_, (t, k))| matches!(**k, CONTROL | USER_DEFINED) && !t.is_empty())
            .map(|(id, (t, _))| ((*t).to_owned(), id as u32))
            .collect();
        specials.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        let id = |key: &str| -> Result<Option<u32>, EngineError> {
            let key = format!("tokenizer.ggml.{key}");
            match file.optional_number(&key)? {
                Some(id) if id >= tokens.len() => Err(file.damaged(format!(
                    "`{key}` is {id}, there are {} tokens",
                    tokens.len()
                ))),
                id => Ok(id.map(|id| id as u32)),
            }
        };
        let (bos, eos) = (id("bos_token_id")?, id("eos_token_id")?);
        let mut end: Vec<u32> = [eos, id("eot_token_id")?, id("eom_token_id")?]
            .into_iter()
            .flatten()
            .collect();
        end.extend(
            specials
                .iter()
                .filter(|(t, _)| END_TOKENS.contains(&t.as_str()))
                .map(|(_, id)| *id),
        );
        end.sort_unstable();
        end.dedup();
        if end.is_empty() {
            return Err(file.damaged("no token ends a turn (`tokenizer.ggml.eos_token_id`)"));
        }
        let name =
            |id: Option<u32>| id.map_or_else(String::new, |id| tokens[id as usize].to_owned());
        let names = SpecialNames {
            bos: name(bos),
            eos: name(eos),
        };
        let add_bos = file
            .optional_flag("tokenizer.ggml.add_bos_token")?
            .unwrap_or(false);
        Ok(Self {
            encoder,
            bytes,
            specials,
            end,
            bos,
            add_bos,
            names,
        })
    }

    /// Encodes a plain text: nothing in it becomes a control token.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut out = Vec::new();
        self.encode_into(text, &mut out)?;
        Ok(out)
    }

    /// Encodes a rendered template. Control tokens are recognized, except those that `sentinel`
    /// breaks: the character marks text that came from outside and is taken out again.
    pub(crate) fn encode_template(
        &self,
        rendered: &str,
        sentinel: Option<char>,
    ) -> Result<Vec<u32>, String> {
        let mut out = Vec::new();
        if let (true, Some(bos)) = (
            self.add_bos && !rendered.starts_with(&self.names.bos),
            self.bos,
        ) {
            out.push(bos);
        }
        let plain = |text: &str, out: &mut Vec<u32>| match sentinel {
            Some(mark) if text.contains(mark) => self.encode_into(&text.replace(mark, ""), out),
            _ => self.encode_into(text, out),
        };
        let (mut start, mut at) = (0, 0);
        while at < rendered.len() {
            match self.special_at(&rendered[at..]) {
                Some((len, id)) => {
                    plain(&rendered[start..at], &mut out)?;
                    out.push(id);
                    at += len;
                    start = at;
                }
                None => at += rendered[at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        plain(&rendered[start..], &mut out)?;
        Ok(out)
    }

    /// The texts of all control tokens.
    pub(crate) fn specials(&self) -> impl Iterator<Item = &str> {
        self.specials.iter().map(|(text, _)| text.as_str())
    }

    /// What a token adds to the text.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// The name of a control token, which adds nothing to the text.
    pub(crate) fn control_name(&self, token: u32) -> Option<&str> {
        let name = |(_, id): &&(String, u32)| *id == token;
        if self.bytes(token).is_empty() || self.is_end(token) {
            return Some(self.specials.iter().find(name).map_or("", |(text, _)| text));
        }
        None
    }

    /// The tokens that end the model's turn, ascending; at least one.
    pub(crate) fn end(&self) -> &[u32] {
        &self.end
    }

    /// Whether a token ends the model's turn.
    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.end.binary_search(&token).is_ok()
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Names that chat templates refer to.
    pub(crate) fn names(&self) -> &SpecialNames {
        &self.names
    }

    fn special_at(&self, text: &str) -> Option<(usize, u32)> {
        self.specials
            .iter()
            .find(|(s, _)| text.starts_with(s.as_str()))
            .map(|(s, id)| (s.len(), *id))
    }

    fn encode_into(&self, text: &str, out: &mut Vec<u32>) -> Result<(), String> {
        if !text.is_empty() {
            let encoding = self
                .encoder
                .encode_fast(text, false)
                .map_err(|e| e.to_string())?;
            out.extend_from_slice(encoding.get_ids());
        }
        Ok(())
    }
}

fn kinds(file: &Gguf, len: usize) -> Result<Vec<i64>, EngineError> {
    let key = "tokenizer.ggml.token_type";
    let kinds = if file.has(key) {
        file.integers(key)?
    } else {
        vec![1; len]
    };
    if kinds.len() != len {
        return Err(file.damaged(format!(
            "`{key}` has {} entries for {len} tokens",
            kinds.len()
        )));
    }
    Ok(kinds)
}

fn encoder(file: &Gguf, tokens: &[&str]) -> Result<Tokenizer, EngineError> {
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
    let pre = PreTokenization::open(file)?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(pre == PreTokenization::Llama3)
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
    Llama3,
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
                "llama-bpe" | "llama3" | "llama-v3" => Self::Llama3,
                other => {
                    return Err(file.unsupported(format!(
                        "the pre-tokenizer `{other}` (`tokenizer.ggml.pre`)"
                    )));
                }
            },
        )
    }

    fn splitter(self) -> Result<PreTokenizerWrapper, String> {
        const LETTERS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
        const OTHERS: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        let by = |digits: &str| -> Result<PreTokenizerWrapper, String> {
            let regex = SplitPattern::Regex(format!("{LETTERS}|{digits}|{OTHERS}"));
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
            Self::Qwen2 => by(r"\p{N}")?,
            Self::Llama3 => by(r"\p{N}{1,3}")?,
        })
    }
}

/// GPT-2 writes bytes as printable characters; this is the way back.
fn byte_table() -> HashMap<char, u8> {
    let mut table = HashMap::with_capacity(256);
    let mut next = 256u32;
    for byte in 0..=255u8 {
        let code = match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => u32::from(byte),
            _ => {
                next += 1;
                next - 1
            }
        };
        if let Some(c) = char::from_u32(code) {
            table.insert(c, byte);
        }
    }
    table
}

fn token_bytes(token: &str, kind: i64, unescape: &HashMap<char, u8>) -> Vec<u8> {
    match kind {
        // Control tokens are not part of an answer's text.
        CONTROL => Vec::new(),
        USER_DEFINED => token.as_bytes().to_vec(),
        BYTE => token
            .strip_prefix("<0x")
            .and_then(|t| t.strip_suffix('>'))
            .and_then(|t| u8::from_str_radix(t, 16).ok())
            .map_or_else(|| token.as_bytes().to_vec(), |byte| vec![byte]),
        _ => {
            let mut out = Vec::with_capacity(token.len());
            for c in token.chars() {
                match unescape.get(&c) {
                    Some(byte) => out.push(*byte),
                    None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            out
        }
    }
}

/// Turns the bytes of streamed tokens into text: a character that is spread over several tokens is
/// held back until it is whole, bytes that can become none are shown as U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Detokenizer {
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Adds a token's bytes; returns the text that is complete now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut done = 0;
        loop {
            let rest = &self.pending[done..];
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    done = self.pending.len();
                    break;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&rest[..valid]));
                    done += valid;
                    match error.error_len() {
                        Some(invalid) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            done += invalid;
                        }
                        None => break,
                    }
                }
            }
        }
        self.pending.drain(..done);
        text
    }

    /// Bytes that wait for the rest of their character.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The end: what is incomplete stays incomplete.
    pub(crate) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_never_split_whatever_the_chunks() {
        let text = "Grüße 藤野先生 👩‍👩‍👧 naïve";
        for size in 1..7 {
            let mut detokenizer = Detokenizer::default();
            let mut out = String::new();
            for chunk in text.as_bytes().chunks(size) {
                let piece = detokenizer.push(chunk);
                assert!(!piece.contains(char::REPLACEMENT_CHARACTER), "{size}");
                out.push_str(&piece);
            }
            out.push_str(&detokenizer.finish());
            assert_eq!(out, text, "{size}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_do_not_hold_back_the_rest() {
        let mut detokenizer = Detokenizer::default();
        assert_eq!(detokenizer.push(b"a\xffb\xe8\x97"), "a\u{fffd}b");
        assert_eq!(detokenizer.pending(), 2);
        assert_eq!(detokenizer.push(b"c"), "\u{fffd}c");
        detokenizer.push(b"\xf0\x9f");
        assert_eq!(detokenizer.finish(), "\u{fffd}");
    }

    #[test]
    fn the_byte_table_covers_all_bytes_once() {
        let table = byte_table();
        let mut bytes: Vec<u8> = table.values().copied().collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(table[&'Ġ'], b' ');
        assert_eq!(table[&'Ċ'], b'\n');
    }
}
