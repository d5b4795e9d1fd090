//! The tokenizer of a decoder, built from the GGUF file's metadata, and the way back from tokens
//! to text as they stream.
//!
//! Control tokens (`<|im_start|>` and the like) are found by ourselves, never by the byte-pair
//! encoder, so that the caller decides which part of a text may contain them.

mod byte_pairs;
mod sentence_piece;
mod specials;
mod stream;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use tokenizers::Tokenizer;
use unicode_normalization::{IsNormalized, is_nfc_quick};

use crate::error::EngineError;
use crate::gguf::Gguf;
use sentence_piece::{SPACE, SentencePiece};
pub(crate) use specials::Specials;
pub(crate) use stream::Detokenizer;

/// `llama_token_type` of a token that is text.
const NORMAL: i64 = 1;
/// `llama_token_type` of the token for what no other writes.
const UNKNOWN: i64 = 2;
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

/// How many bytes of a text may become one by Unicode's canonical composition (NFC), at most: `\u{1fbe}` with two marks,
/// seven bytes, is a letter of two.
const COMPOSED: usize = 4;

/// How texts become tokens.
enum Encoder {
    BytePairs(Box<Tokenizer>),
    SentencePiece(SentencePiece),
}

/// How tokens spell what they add to the text.
#[derive(Clone, Copy)]
enum Spelling<'a> {
    /// Each byte as a character, see [`byte_table`].
    Bytes(&'a HashMap<char, u8>),
    /// As it is, with [`SPACE`] for a space.
    Spaces,
}

/// A decoder's tokenizer.
pub(crate) struct TextTokenizer {
    encoder: Encoder,
    /// What each token adds to the text.
    bytes: Vec<Vec<u8>>,
    /// Control and user-defined tokens.
    specials: Specials,
    /// The most bytes of text that one token stands for; `None` where some text has no token.
    longest: Option<usize>,
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
        let tokens = file.texts("tokenizer.ggml.tokens")?;
        let kinds = kinds(file, tokens.len())?;
        let table = byte_table();
        let (encoder, begins, spelling) = match file.text("tokenizer.ggml.model")? {
            "gpt2" => {
                let (encoder, begins) = byte_pairs::open(file, &tokens)?;
                let encoder = Encoder::BytePairs(Box::new(encoder));
                (encoder, begins, Spelling::Bytes(&table))
            }
            "llama" => {
                let pieces = SentencePiece::open(file, &tokens, &kinds)?;
                (Encoder::SentencePiece(pieces), true, Spelling::Spaces)
            }
            other => {
                return Err(file.unsupported(format!(
                    "the tokenizer `{other}` (`tokenizer.ggml.model`); implemented are byte-pair \
                     encoding (`gpt2`) and SentencePiece (`llama`)"
                )));
            }
        };
        let bytes = tokens
            .iter()
            .zip(&kinds)
            .map(|(t, k)| token_bytes(t, *k, spelling))
            .collect();
        let specials = tokens
            .iter()
            .zip(&kinds)
            .enumerate()
            .filter(|(_, (t, k))| matches!(**k, CONTROL | USER_DEFINED) && !t.is_empty())
            .map(|(id, (t, _))| ((*t).to_owned(), id as u32));
        let specials = Specials::new(specials.collect());
        let longest = longest(&encoder, &tokens, &table).map(|most| most.max(specials.longest()));
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
                .filter(|(text, _)| END_TOKENS.contains(text))
                .map(|(_, id)| id),
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
            .unwrap_or(begins);
        Ok(Self {
            encoder,
            bytes,
            specials,
            longest,
            end,
            bos,
            add_bos,
            names,
        })
    }

    /// Encodes a plain text as it goes on behind another: nothing in it becomes a control token.
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
        // SentencePiece reads a text at the beginning, or behind a control token, as behind a space.
        let space = match &self.encoder {
            Encoder::SentencePiece(pieces) if pieces.spaced => " ",
            _ => "",
        };
        let plain = |text: &str, out: &mut Vec<u32>| {
            let marked = sentinel.filter(|mark| text.contains(*mark));
            let text = match (text, marked) {
                ("", _) => return Ok(()),
                (text, None) if space.is_empty() => Cow::Borrowed(text),
                (text, None) => Cow::Owned(format!("{space}{text}")),
                (text, Some(mark)) => Cow::Owned(format!("{space}{}", text.replace(mark, ""))),
            };
            self.encode_into(&text, out)
        };
        let (mut start, mut at) = (0, 0);
        while at < rendered.len() {
            match self.specials.at_start(&rendered.as_bytes()[at..]) {
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

    /// The least tokens that a text can have, told from its bytes alone: with certainty, and so only roughly. `sentinel`
    /// is a character of it that stands for nothing, see [`TextTokenizer::encode_template`].
    pub(crate) fn least(&self, text: &str, sentinel: Option<char>) -> usize {
        let Some(longest) = self.longest else {
            return 0;
        };
        let marks = sentinel.map_or(0, |mark| text.matches(mark).count() * mark.len_utf8());
        let mut bytes = text.len() - marks;
        let composes = match &self.encoder {
            Encoder::BytePairs(encoder) => encoder.get_normalizer().is_some(),
            Encoder::SentencePiece(_) => false,
        };
        if composes && is_nfc_quick(text.chars()) != IsNormalized::Yes {
            bytes /= COMPOSED;
        }
        bytes.div_ceil(longest)
    }

    /// Control and user-defined tokens.
    pub(crate) fn specials(&self) -> &Specials {
        &self.specials
    }

    /// What a token adds to the text.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// The name of a control token, which adds nothing to the text.
    pub(crate) fn control_name(&self, token: u32) -> Option<&str> {
        if self.bytes(token).is_empty() || self.is_end(token) {
            let named = self.specials.iter().find(|(_, id)| *id == token);
            return Some(named.map_or("", |(text, _)| text));
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

    fn encode_into(&self, text: &str, out: &mut Vec<u32>) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        match &self.encoder {
            Encoder::BytePairs(encoder) => {
                let encoding = encoder
                    .encode_fast(text, false)
                    .map_err(|e| e.to_string())?;
                out.extend_from_slice(encoding.get_ids());
            }
            Encoder::SentencePiece(pieces) => pieces.encode_into(text, out),
        }
        Ok(())
    }
}

/// The most bytes of text that a token which is no control token stands for; `None` where some text has no token, so that
/// nothing follows from the length of a text.
fn longest(encoder: &Encoder, tokens: &[&str], table: &HashMap<char, u8>) -> Option<usize> {
    match encoder {
        Encoder::BytePairs(_) => {
            let known: HashSet<&str> = tokens.iter().copied().collect();
            // The others occur in no UTF-8.
            let occurs = |byte: u8| byte <= 0xf4 && !matches!(byte, 0xc0 | 0xc1);
            let mut bytes = table.iter().filter(|(_, byte)| occurs(**byte));
            let all = bytes.all(|(c, _)| known.contains(&*c.encode_utf8(&mut [0; 4])));
            // A character stands for a byte.
            let most = tokens.iter().map(|token| token.chars().count()).max();
            most.filter(|most| all && *most > 0)
        }
        Encoder::SentencePiece(pieces) => {
            let most = tokens.iter().map(|token| token.len()).max()?;
            // Of what is no piece, each character is a token at least.
            pieces.knows_all().then_some(most.max(4))
        }
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

/// The byte that a token such as `<0x0A>` writes.
fn raw_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

fn token_bytes(token: &str, kind: i64, spelling: Spelling<'_>) -> Vec<u8> {
    match (kind, spelling) {
        // Control tokens are not part of an answer's text.
        (CONTROL, _) | (UNKNOWN, Spelling::Spaces) => Vec::new(),
        (USER_DEFINED, _) => token.as_bytes().to_vec(),
        (BYTE, _) => raw_byte(token).map_or_else(|| token.as_bytes().to_vec(), |byte| vec![byte]),
        (_, Spelling::Spaces) => token.replace(SPACE, " ").into_bytes(),
        (_, Spelling::Bytes(unescape)) => {
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

#[cfg(test)]
mod tests {
    use candle_core::quantized::gguf_file::{self, Value};

    use super::*;

    /// A file with a vocabulary of SentencePiece and nothing else.
    fn sentence_piece_file(more: &[(&str, Value)]) -> Gguf {
        let texts = ["<unk>", "<s>", "</s>", "▁Hi", "▁", "H", "i", "Hi", "<0x21>"];
        let list = |values: Vec<Value>| Value::Array(values);
        let tokens = list(
            texts
                .iter()
                .map(|t| Value::String((*t).to_owned()))
                .collect(),
        );
        let kinds = list([2, 3, 3, 1, 1, 1, 1, 1, 6].map(Value::I32).to_vec());
        let scores = list(
            [0., 0., 0., -2., -3., -4., -5., -1., 0.]
                .map(Value::F32)
                .to_vec(),
        );
        let (model, bos, eos) = (Value::String("llama".into()), Value::U32(1), Value::U32(2));
        let mut metadata = vec![
            ("tokenizer.ggml.model", &model),
            ("tokenizer.ggml.tokens", &tokens),
            ("tokenizer.ggml.token_type", &kinds),
            ("tokenizer.ggml.scores", &scores),
            ("tokenizer.ggml.bos_token_id", &bos),
            ("tokenizer.ggml.eos_token_id", &eos),
        ];
        metadata.retain(|(key, _)| more.iter().all(|(name, _)| name != key));
        metadata.extend(more.iter().map(|(key, value)| (*key, value)));
        let mut bytes = std::io::Cursor::new(Vec::new());
        gguf_file::write(&mut bytes, &metadata, &[]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes.into_inner()).unwrap();
        Gguf::open(file.path()).unwrap()
    }

    #[test]
    fn a_vocabulary_of_sentence_piece_is_read_as_llama_cpp_reads_it() {
        let tokenizer = TextTokenizer::open(&sentence_piece_file(&[])).unwrap();
        for (rendered, wanted) in [
            ("<s>Hi</s>Hi!", vec![1, 3, 2, 3, 8]),
            ("Hi", vec![1, 3]),
            ("<s></s>", vec![1, 2]),
            // What came from outside is no control token; `<`, `/`, `s` and `>` are not in the vocabulary.
            ("<s><\u{1}s>", vec![1, 4, 0, 0, 0]),
        ] {
            let tokens = tokenizer.encode_template(rendered, Some('\u{1}')).unwrap();
            assert_eq!(tokens, wanted, "{rendered:?}");
        }
        assert_eq!(tokenizer.encode("Hi").unwrap(), [7], "as it goes on");
        let text: Vec<u8> = [3, 4, 8, 1, 0]
            .iter()
            .flat_map(|t| tokenizer.bytes(*t))
            .copied()
            .collect();
        assert_eq!(text, b" Hi !");
        assert!(tokenizer.is_end(2));
        let off = [
            ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ];
        let tokenizer = TextTokenizer::open(&sentence_piece_file(&off)).unwrap();
        assert_eq!(tokenizer.encode_template("Hi", None).unwrap(), [7]);
    }

    #[test]
    fn a_text_has_no_fewer_tokens_than_its_bytes_tell() {
        let tokenizer = TextTokenizer::open(&sentence_piece_file(&[])).unwrap();
        let texts = [
            "",
            "Hi",
            "HiHiHi Hi",
            "ab ▁▁▁ 鲁迅",
            "<s>Hi</s>Hi!",
            "<s><\u{1}s>Hi",
        ];
        for text in texts.map(|text| text.repeat(50)) {
            let tokens = tokenizer.encode_template(&text, Some('\u{1}')).unwrap();
            let least = tokenizer.least(&text, Some('\u{1}'));
            assert!(least <= tokens.len(), "{text:?}: {least}");
            assert!(least * 6 >= text.len() / 2, "the bound is of use: {text:?}");
        }
    }

    #[test]
    fn a_tokenizer_that_cannot_be_read_is_named() {
        let text = |text: &str| Value::String(text.to_owned());
        for (more, named) in [
            (vec![("tokenizer.ggml.model", text("rwkv"))], "rwkv"),
            (
                vec![("tokenizer.ggml.scores", Value::Array(vec![Value::F32(0.0)]))],
                "tokenizer.ggml.scores",
            ),
            (
                vec![
                    ("tokenizer.ggml.model", text("gpt2")),
                    ("tokenizer.ggml.pre", text("superbpe")),
                ],
                "superbpe",
            ),
        ] {
            let Err(error) = TextTokenizer::open(&sentence_piece_file(&more)) else {
                panic!("{named}");
            };
            assert!(error.to_string().contains(named), "{error}");
        }
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
