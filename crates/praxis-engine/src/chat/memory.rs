//! What a chat model takes of memory, and how many tokens' keys and values there may be where a container's memory is
//! limited: what nobody asked for gives way, what was asked for and cannot fit is refused when the model is loaded,
//! rather than killed when it is used. Other models of the process count with what they have taken by then.

use super::{ChatOptions, cgroup};
use crate::decoder::BLOCK;
use crate::error::EngineError;

/// The least window that is of use, where the memory would only give less.
const LEAST: usize = 512;

/// Bytes of memory that a chat model takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChatMemory {
    /// Of its weights, as they are computed with.
    pub weights: usize,
    /// Of keys and values, at most: `cache_tokens` times twice the layers, their key-value heads and the
    /// size of a head, each number in 16 bits.
    pub max_cache: usize,
    /// Of the constraints of all answers at a time, at most; few come near it.
    pub max_constraints: usize,
}

/// How many tokens a model is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Of prompt and answer together.
    pub(super) context: usize,
    /// Whose keys and values are in memory.
    pub(super) cache: usize,
}

/// Bytes that keys and values may take: of what the container has left a part is kept for activations and all else.
pub(super) fn room() -> Option<usize> {
    let room = usize::try_from(cgroup::room()?).unwrap_or(usize::MAX);
    Some(room - room / 8)
}

impl Plan {
    /// For a model that was made for a window of `longest` tokens and keeps `token_bytes` of each, where keys and values
    /// may take `room` bytes.
    ///
    /// # Errors
    /// [`EngineError::Resource`] where what was asked for does not fit, with what would.
    pub(super) fn new(
        options: &ChatOptions,
        longest: usize,
        token_bytes: usize,
        room: Option<usize>,
    ) -> Result<Self, EngineError> {
        let context = options.window().clamp(1, longest.max(1));
        let cache = options.cache_tokens.unwrap_or(context.saturating_mul(2));
        let wanted = Self {
            context,
            cache: cache.max(context),
        };
        let Some(room) = room else {
            return Ok(wanted);
        };
        // The last block may be begun only, and one more is for copies.
        let fits = (room / token_bytes.max(1)).saturating_sub(2 * BLOCK);
        if wanted.cache <= fits {
            return Ok(wanted);
        }
        let too_much = |key: &str, tokens: usize| {
            let megabytes = tokens.saturating_mul(token_bytes) / 1_000_000;
            EngineError::Resource(format!(
                "keys and values of {tokens} tokens (`{key}`) take {megabytes} MB, and the memory limit of this \
                 container leaves {} MB, enough for {fits} tokens; lower `{key}`, or raise the limit",
                room / 1_000_000
            ))
        };
        // A smaller one than the window is not what does not fit.
        if let Some(tokens) = options.cache_tokens.filter(|tokens| *tokens > fits) {
            return Err(too_much("cache_tokens", tokens));
        }
        let fitting = Self {
            context: context.min(fits),
            cache: fits,
        };
        if fitting.context < context
            && (options.context_length.is_some() || fitting.context < LEAST)
        {
            return Err(too_much("context_length", context));
        }
        tracing::warn!(
            context_length = fitting.context,
            cache_tokens = fitting.cache,
            wanted_context_length = wanted.context,
            wanted_cache_tokens = wanted.cache,
            "the memory limit of this container leaves less for keys and values than a model takes by default"
        );
        Ok(fitting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: usize = 1000;

    fn plan(
        (context, cache): (Option<usize>, Option<usize>),
        room: Option<usize>,
    ) -> Result<Plan, EngineError> {
        let options = ChatOptions {
            context_length: context,
            cache_tokens: cache,
            ..ChatOptions::default()
        };
        let room = room.map(|tokens| (tokens + 2 * BLOCK) * TOKEN);
        Plan::new(&options, 32_768, TOKEN, room)
    }

    #[test]
    fn keys_and_values_fit_the_memory_or_the_model_is_refused_by_the_key_that_is_too_large() {
        let of = |context, cache| Ok(Plan { context, cache });
        for (asked, room, wanted) in [
            ((None, None), None, of(8192, 16_384)),
            ((Some(100_000), None), None, of(32_768, 65_536)),
            ((Some(1000), Some(10)), None, of(1000, 1000)),
            ((None, None), Some(16_384), of(8192, 16_384)),
            ((None, None), Some(10_000), of(8192, 10_000)),
            ((None, None), Some(3000), of(3000, 3000)),
            ((None, None), Some(300), Err("context_length")),
            ((None, Some(20_000)), Some(10_000), Err("cache_tokens")),
            ((Some(4096), None), Some(5000), of(4096, 5000)),
            ((Some(4096), None), Some(4000), Err("context_length")),
            ((Some(200), None), Some(300), of(200, 300)),
            ((None, Some(100)), Some(3000), of(3000, 3000)),
            ((None, Some(3000)), Some(3000), of(3000, 3000)),
            ((None, Some(100)), Some(300), Err("context_length")),
            ((Some(4096), Some(100)), Some(4000), Err("context_length")),
            ((Some(4096), Some(5000)), Some(4500), Err("cache_tokens")),
        ] {
            match (plan(asked, room), wanted) {
                (Ok(plan), Ok(wanted)) => assert_eq!(plan, wanted, "{asked:?} {room:?}"),
                (Err(error), Err(key)) => assert!(error.to_string().contains(key), "{error}"),
                (found, wanted) => panic!("{asked:?} {room:?}: {found:?}, not {wanted:?}"),
            }
        }
    }
}
