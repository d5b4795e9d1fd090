//! Token counts where no tokenizer is at hand, in the types of usage: for providers that report
//! none, and for segmentation with a remote embedder. And where a tokenizer counts, which takes a
//! processor for seconds where a text is megabytes.

use praxis_core::tokens::TokenCount;
use praxis_core::{Message, ModelError, ToolCalls, tokens};
use tokio::sync::Semaphore;

/// Counts that are made at a time; others wait.
static COUNTING: Semaphore = Semaphore::const_new(4);

/// What `count` gives, done on a thread for blocking work, not where connections are served. It keeps its room until it
/// ends, also where the caller has gone.
///
/// # Errors
/// [`ModelError::Internal`] where it panics.
pub(crate) async fn counted<T: Send + 'static>(
    count: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ModelError> {
    let failed = |error: String| ModelError::Internal(format!("counting tokens failed: {error}"));
    let room = COUNTING
        .acquire()
        .await
        .map_err(|e| failed(e.to_string()))?;
    let work = move || {
        let _room = room;
        count()
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| failed(e.to_string()))
}

/// About so many bytes of texts are counted where a call is closed: nobody can wait there.
const MOST_COUNTED: usize = 256 << 10;

/// Tokens of texts of these sizes in bytes, by those at the beginning where they are long together: `count` gives the
/// tokens of so many first ones.
pub(crate) fn by_the_beginning(sizes: &[usize], count: impl FnOnce(usize) -> u64) -> u64 {
    let (mut some, mut bytes) = (0_usize, 0_usize);
    for size in sizes {
        if bytes >= MOST_COUNTED {
            break;
        }
        bytes += *size;
        some += 1;
    }
    let counted = count(some);
    if some == sizes.len() {
        return counted;
    }
    let all: usize = sizes.iter().sum();
    counted.saturating_mul(all as u64) / (bytes as u64).max(1)
}

/// About how many tokens a text has.
pub(crate) fn estimate(text: &str) -> u64 {
    tokens::estimate(text) as u64
}

/// About how many tokens a model wrote to call tools.
pub(crate) fn estimate_calls(calls: &ToolCalls) -> u64 {
    let calls = calls.as_slice().iter();
    calls
        .map(|call| estimate(&call.name) + estimate(&call.arguments))
        .sum()
}

/// About how many tokens a conversation has as a prompt.
pub(crate) fn estimate_prompt(messages: &[Message]) -> u64 {
    TokenCount::estimate(messages).total() as u64
}

/// The beginning of a text that has at most about `tokens`.
pub(crate) fn cut(text: &str, tokens: u64) -> &str {
    tokens::cut(text, usize::try_from(tokens).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_texts_are_counted_by_the_first_of_them() {
        let sizes = [100_000; 10];
        // Three of them are enough.
        let counted = by_the_beginning(&sizes, |some| {
            assert_eq!(some, 3);
            75_000
        });
        assert_eq!(counted, 250_000);
        assert_eq!(by_the_beginning(&[9, 9], |some| some as u64), 2);
        assert_eq!(by_the_beginning(&[], |some| some as u64), 0);
    }
}
