//! What a model costs: by the token, by the minute of audio, and more for long prompts where its provider asks for more.
//! Left out: where prices come from (`prices`, `config`).

use praxis_core::{Money, Usage};
use serde::Deserialize;

/// The most tiers of a price: no provider is known to have more.
const MOST_TIERS: usize = 4;

/// Price of a model, in US dollars for a million tokens, or for a minute of audio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(try_from = "WrittenPrice")]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of what of the prompt came from the provider's cache; default: as the rest.
    pub cached_input: Option<f64>,
    /// Of what of the prompt was written into the provider's cache; default: as the rest.
    pub cache_write: Option<f64>,
    /// Of the answer.
    pub output: f64,
    /// Of a minute of audio that is listened to.
    pub audio_minute: f64,
    /// What all of a call costs whose prompt is long.
    pub above: Tiers,
}

/// What calls with long prompts cost, from the shortest of them on. Each of them costs by one tier, all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Tier>")]
pub struct Tiers([Option<Tier>; MOST_TIERS]);

/// What a call costs whose prompt has more than so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The longest prompt that still costs less, in tokens.
    pub tokens: u64,
    /// Of the prompt.
    pub input: f64,
    /// Of what of the prompt came from the provider's cache; default: as the rest.
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// Of what of the prompt was written into the provider's cache; default: as the rest.
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// Of the answer.
    #[serde(default)]
    pub output: f64,
}

/// A price as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrice {
    input: Option<f64>,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: Option<f64>,
    audio_minute: Option<f64>,
    #[serde(default)]
    above: Tiers,
}

impl TryFrom<WrittenPrice> for Price {
    type Error = &'static str;

    fn try_from(written: WrittenPrice) -> Result<Self, Self::Error> {
        if written.input.is_none() && written.audio_minute.is_none() {
            return Err("a price needs `input`, or, of a speech model, `audio_minute`");
        }
        Ok(Self {
            input: written.input.unwrap_or_default(),
            cached_input: written.cached_input,
            cache_write: written.cache_write,
            output: written.output.unwrap_or_default(),
            audio_minute: written.audio_minute.unwrap_or_default(),
            above: written.above,
        })
    }
}

impl TryFrom<Vec<Tier>> for Tiers {
    type Error = &'static str;

    fn try_from(written: Vec<Tier>) -> Result<Self, Self::Error> {
        if written.len() > MOST_TIERS {
            return Err("`above` has at most 4 tiers");
        }
        let bounds: Vec<u64> = written.iter().map(|tier| tier.tokens).collect();
        if !bounds.is_sorted_by(|a, b| a < b) || bounds.first() == Some(&0) {
            return Err(
                "the `tokens` of the tiers of `above` are at least 1, and each has more than the one before",
            );
        }
        let mut tiers = [None; MOST_TIERS];
        for (place, tier) in tiers.iter_mut().zip(written) {
            *place = Some(tier);
        }
        Ok(Self(tiers))
    }
}

impl Tiers {
    /// All tiers, from the shortest prompts on.
    pub fn iter(&self) -> impl Iterator<Item = &Tier> {
        self.0.iter().flatten()
    }
}

impl Tier {
    /// The most that a prompt and an answer can cost.
    fn most(&self, prompt: u64, answer: u64) -> f64 {
        let input = [Some(self.input), self.cached_input, self.cache_write];
        let input = input.into_iter().flatten().fold(0.0, f64::max);
        prompt as f64 * input + answer as f64 * self.output
    }
}

impl Price {
    /// What short prompts cost.
    fn first(&self) -> Tier {
        Tier {
            tokens: 0,
            input: self.input,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            output: self.output,
        }
    }

    /// All numbers of it.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> {
        let first = self.first();
        let tiers = std::iter::once(first).chain(self.above.iter().copied());
        let of_tier = |tier: Tier| {
            let special = tier.cached_input.into_iter().chain(tier.cache_write);
            special.chain([tier.input, tier.output])
        };
        tiers
            .flat_map(of_tier)
            .chain(std::iter::once(self.audio_minute))
    }

    /// The most that a prompt and an answer of at most so many tokens can cost: by the dearest tier that the prompt can
    /// come into.
    pub fn most(&self, prompt: u64, answer: u64) -> Money {
        let reached = self.above.iter().filter(|tier| tier.tokens < prompt);
        let micros = reached
            .map(|tier| tier.most(prompt, answer))
            .fold(self.first().most(prompt, answer), f64::max);
        Money(micros.ceil() as i64)
    }

    /// What a call costs: all of it by the tier of its prompt.
    pub fn cost(&self, usage: Usage) -> Money {
        let reached = self
            .above
            .iter()
            .filter(|tier| tier.tokens < usage.input_tokens);
        let tier = reached.last().copied().unwrap_or_else(|| self.first());
        let special = usage.cached_tokens + usage.cache_write_tokens;
        let plain = usage.input_tokens.saturating_sub(special);
        // Dollars for a million tokens are micro-dollars for one.
        let parts = [
            (plain, tier.input),
            (usage.cached_tokens, tier.cached_input.unwrap_or(tier.input)),
            (
                usage.cache_write_tokens,
                tier.cache_write.unwrap_or(tier.input),
            ),
        ];
        let input: f64 = parts.iter().map(|(n, price)| *n as f64 * price).sum();
        let audio = usage.audio_seconds as f64 / 60.0 * self.audio_minute * 1e6;
        Money((input + audio).round() as i64) + Money::for_tokens(usage.output_tokens, tier.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(toml: &str) -> Result<Price, String> {
        toml::from_str(toml).map_err(|error| error.to_string())
    }

    const TIERED: &str = "input = 2.0\ncached_input = 0.2\noutput = 12.0\n\
        above = [{ tokens = 1000, input = 4.0, cached_input = 0.4, output = 18.0 }, { tokens = 5000, input = 8.0, output = 20.0 }]";

    #[test]
    fn a_long_prompt_makes_all_of_its_call_dearer() {
        let price = price(TIERED).unwrap();
        let usage = |input_tokens, cached_tokens| Usage {
            input_tokens,
            cached_tokens,
            output_tokens: 10,
            ..Usage::default()
        };
        assert_eq!(price.cost(usage(1000, 0)), Money(2000 + 120));
        assert_eq!(price.cost(usage(1001, 0)), Money(4004 + 180));
        // What is read from a cache is part of the prompt, and cheaper in each tier.
        assert_eq!(price.cost(usage(1001, 1000)), Money(4 + 400 + 180));
        // A tier that does not say what a cache costs takes the full price of the prompt.
        assert_eq!(price.cost(usage(6000, 6000)), Money(48_000 + 200));
    }

    #[test]
    fn the_most_is_no_less_than_any_prompt_up_to_it_costs() {
        let price = price(TIERED).unwrap();
        for most in [0, 1, 999, 1000, 1001, 5000, 5001, 9000] {
            for tokens in [0, 1, 999, 1000, 1001, 5000, 5001, 9000] {
                let usage = Usage {
                    input_tokens: tokens,
                    output_tokens: 10,
                    ..Usage::default()
                };
                let fits = price.cost(usage) <= price.most(most, 10);
                assert!(fits || tokens > most, "{tokens} of {most}");
            }
        }
        // Some providers ask for less where there is more.
        let cheaper = self::price(
            "input = 2.0\noutput = 1.0\nabove = [{ tokens = 10, input = 1.0, output = 1.0 }]",
        );
        assert_eq!(cheaper.unwrap().most(11, 0), Money(22));
    }

    #[test]
    fn tiers_stand_in_their_order() {
        for (toml, said) in [
            (
                "input = 1.0\nabove = [{ tokens = 0, input = 1.0 }]",
                "at least 1",
            ),
            (
                "input = 1.0\nabove = [{ tokens = 9, input = 1.0 }, { tokens = 9, input = 2.0 }]",
                "more than the one before",
            ),
            ("input = 1.0\nabove = [{ tokens = 9 }]", "input"),
            (
                "input = 1.0\nabove = [{ tokens = 9, input = 1.0, audio_minute = 1.0 }]",
                "audio_minute",
            ),
            ("output = 1.0", "needs `input`"),
        ] {
            let error = price(toml).unwrap_err();
            assert!(error.contains(said), "{toml}: {error}");
        }
    }
}
