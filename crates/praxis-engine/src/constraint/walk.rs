//! A text walked through a constraint as if a model had written it, for tests and benchmarks.

use std::time::{Duration, Instant};

use super::{Guide, Mask};
use crate::tokenizer::TextTokenizer;

/// How a text fared.
#[derive(Debug, Default)]
pub struct Walk {
    /// Whether the whole of it is a possible answer.
    pub accepted: bool,
    /// What of it is the beginning of a possible answer, in whole tokens.
    pub text: String,
    /// Tokens that were taken.
    pub tokens: usize,
    /// Those of them that were forced.
    pub forced: usize,
    /// How long each mask took.
    pub masks: Vec<Duration>,
}

/// Walks `text` through a constraint: by the tokenizer's own tokens where they are allowed, else by
/// the longest token that is.
pub(crate) fn walk(mut guide: Guide, tokenizer: &TextTokenizer, text: &str) -> Walk {
    let mut walk = Walk::default();
    let mut rest = text.as_bytes();
    loop {
        if guide.is_complete() {
            walk.accepted = rest.is_empty();
            return walk;
        }
        let forced = guide.forced().len();
        let started = Instant::now();
        let Ok(mask) = guide.mask() else {
            return walk;
        };
        walk.masks.push(started.elapsed());
        if rest.is_empty() {
            walk.accepted = tokenizer.end().iter().any(|token| mask.allows(*token));
            return walk;
        }
        let Some(token) = next(&mask, tokenizer, rest) else {
            return walk;
        };
        if guide.accept(token).is_err() {
            return walk;
        }
        walk.tokens += 1;
        walk.forced += usize::from(forced > 0);
        rest = &rest[tokenizer.bytes(token).len()..];
        walk.text = String::from_utf8_lossy(&text.as_bytes()[..text.len() - rest.len()]).into();
    }
}

/// Whether `text` is the beginning of a possible answer, or a whole one. Much faster than a walk, since no mask is made.
///
/// # Errors
/// A text that has no tokens.
pub(crate) fn begins(
    mut guide: Guide,
    tokenizer: &TextTokenizer,
    text: &str,
) -> Result<bool, String> {
    let tokens = tokenizer.encode(text)?;
    Ok(guide.allowed(&tokens) == tokens.len())
}

fn next(mask: &Mask, tokenizer: &TextTokenizer, rest: &[u8]) -> Option<u32> {
    let own = std::str::from_utf8(&rest[..rest.len().min(200)])
        .ok()
        .and_then(|text| tokenizer.encode(text).ok()?.first().copied());
    let fits = |token: &u32| {
        let bytes = tokenizer.bytes(*token);
        mask.allows(*token) && !bytes.is_empty() && rest.starts_with(bytes)
    };
    own.filter(fits).or_else(|| {
        (0..tokenizer.len() as u32)
            .filter(fits)
            .max_by_key(|token| tokenizer.bytes(*token).len())
    })
}
