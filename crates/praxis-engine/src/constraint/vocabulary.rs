//! A tokenizer as grammars see it: what each token writes, byte for byte, and how a text that is
//! forced is written in tokens.

use std::sync::Arc;

use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenizerEnv};

use crate::tokenizer::TextTokenizer;

struct Vocabulary {
    trie: TokTrie,
    tokenizer: Arc<TextTokenizer>,
}

/// The tokens of a tokenizer. Control tokens write nothing that a grammar could allow; those that
/// end a turn are allowed where the grammar has come to an end.
///
/// # Errors
/// Says what about the vocabulary a trie of it cannot hold.
pub(super) fn vocabulary(tokenizer: Arc<TextTokenizer>) -> Result<TokEnv, String> {
    // The trie's limits, which it would panic about.
    const MAX_TOKENS: usize = (1 << 21) - 1;
    const MAX_BYTES: usize = 1023;
    let words: Vec<Vec<u8>> = (0..tokenizer.len() as u32)
        .map(|token| match tokenizer.control_name(token) {
            Some("") => Vec::new(),
            Some(name) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat(),
            None => tokenizer.bytes(token).to_vec(),
        })
        .collect();
    if words.len() > MAX_TOKENS || words.iter().any(|word| word.len() > MAX_BYTES) {
        return Err(format!(
            "constraints need a vocabulary of at most {MAX_TOKENS} tokens of {MAX_BYTES} bytes"
        ));
    }
    let end = tokenizer.end();
    let info = TokRxInfo::new(words.len() as u32, end.first().copied().unwrap_or(0));
    let trie = TokTrie::from(&info, &words).with_eos_tokens(end);
    Ok(Arc::new(Vocabulary { trie, tokenizer }))
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let encode = |text: &str| {
            let tokens = self.tokenizer.encode(text).unwrap_or_default();
            let written = tokens.iter().flat_map(|token| self.tokenizer.bytes(*token));
            // A tokenizer that normalizes may write another text than the one that is forced.
            if written.eq(text.as_bytes()) {
                tokens
            } else {
                self.trie.greedy_tokenize(text.as_bytes())
            }
        };
        self.trie.tokenize_with_greedy_fallback(bytes, encode)
    }
}
