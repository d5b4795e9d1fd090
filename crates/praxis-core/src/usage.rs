//! Tokens and money.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// What a call read, heard and wrote.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Those of them that came from a cache.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Those of them that were written into a provider's cache, where it bills that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Those of them that a constraint left no choice about: they were read rather than generated,
    /// several in one pass.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forced_tokens: u64,
    /// Those of them that the model thought with before it answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// Seconds of audio that were listened to, begun ones too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub audio_seconds: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Add for Usage {
    type Output = Usage;
    fn add(self, other: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens + other.input_tokens,
            cached_tokens: self.cached_tokens + other.cached_tokens,
            cache_write_tokens: self.cache_write_tokens + other.cache_write_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            forced_tokens: self.forced_tokens + other.forced_tokens,
            reasoning_tokens: self.reasoning_tokens + other.reasoning_tokens,
            audio_seconds: self.audio_seconds + other.audio_seconds,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        *self = *self + other;
    }
}

/// Money in millionths of a US dollar, so that sums are exact.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    /// The cost of `tokens` at `usd_per_million` dollars for a million tokens, rounded half up.
    pub fn for_tokens(tokens: u64, usd_per_million: f64) -> Money {
        // tokens / 1e6 * usd, in micro-dollars, is tokens * usd.
        Money((tokens as f64 * usd_per_million).round() as i64)
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0 + other.0)
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${:.6}", self.0 as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tokens_cost_the_listed_price() {
        assert_eq!(Money::for_tokens(1_000_000, 0.15), Money(150_000));
        assert_eq!(Money::for_tokens(10, 0.15), Money(2));
        assert_eq!(Money::for_tokens(1_000_000, 0.15).to_string(), "$0.150000");
    }
}
