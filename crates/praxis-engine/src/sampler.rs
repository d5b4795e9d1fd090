//! Chooses the next token from logits: penalties, biases, the constraint's mask, temperature, then the filters
//! min-p, top-k and top-p in this order (as vLLM does), then one random number.

use std::collections::HashMap;

use praxis_core::{ModelError, Sampling};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::compute::math::exp;
use crate::constraint::Mask;

/// The most alternatives that OpenAI's API offers.
const MAX_TOP_LOGPROBS: u8 = 20;
/// A generous bound; OpenAI allows four.
const MAX_STOPS: usize = 64;
/// The bounds of biases.
const MAX_BIAS: f32 = Sampling::MAX_BIAS;
const MAX_BIASED: usize = Sampling::MAX_BIASED;
/// What the largest bias is: more than any logits differ by, so that it bans or forces at any temperature, and finite, so
/// that among banned tokens there is still a choice where a constraint leaves no others.
const DECISIVE: f32 = 10_000.0;

/// Checks a request's sampling parameters for a model of so many tokens.
///
/// # Errors
/// [`ModelError::InvalidRequest`] that names the field and its range.
pub(crate) fn validate(
    s: &Sampling,
    top_logprobs: Option<u8>,
    tokens: usize,
) -> Result<(), ModelError> {
    let range = |name: &str, value: Option<f32>, ok: fn(f32) -> bool, wanted: &str| match value {
        Some(v) if !v.is_finite() || !ok(v) => Err(ModelError::InvalidRequest(format!(
            "{name}: {v} is not {wanted}"
        ))),
        _ => Ok(()),
    };
    range(
        "temperature",
        s.temperature,
        |v| (0.0..=100.0).contains(&v),
        "between 0 and 100",
    )?;
    range(
        "top_p",
        s.top_p,
        |v| v > 0.0 && v <= 1.0,
        "above 0 and at most 1",
    )?;
    range(
        "min_p",
        s.min_p,
        |v| (0.0..=1.0).contains(&v),
        "between 0 and 1",
    )?;
    range(
        "repetition_penalty",
        s.repetition_penalty,
        |v| v > 0.0,
        "above 0",
    )?;
    let penalty = |v: f32| (-2.0..=2.0).contains(&v);
    range(
        "frequency_penalty",
        s.frequency_penalty,
        penalty,
        "between -2 and 2",
    )?;
    range(
        "presence_penalty",
        s.presence_penalty,
        penalty,
        "between -2 and 2",
    )?;
    if s.max_tokens == Some(0) {
        return Err(ModelError::InvalidRequest(
            "max_tokens: 0 is not at least 1".into(),
        ));
    }
    if s.stop.len() > MAX_STOPS {
        return Err(ModelError::InvalidRequest(format!(
            "stop: {} strings are more than {MAX_STOPS}",
            s.stop.len()
        )));
    }
    if s.stop.iter().any(String::is_empty) {
        return Err(ModelError::InvalidRequest("stop: an empty string".into()));
    }
    validate_biases(s, tokens)?;
    match top_logprobs {
        Some(n) if n > MAX_TOP_LOGPROBS => Err(ModelError::InvalidRequest(format!(
            "top_logprobs: {n} is more than {MAX_TOP_LOGPROBS}"
        ))),
        _ => Ok(()),
    }
}

fn validate_biases(s: &Sampling, tokens: usize) -> Result<(), ModelError> {
    let invalid = |what: String| Err(ModelError::InvalidRequest(format!("logit_bias: {what}")));
    if s.logit_bias.len() > MAX_BIASED {
        let count = s.logit_bias.len();
        return invalid(format!("{count} tokens are more than {MAX_BIASED}"));
    }
    for (token, bias) in &s.logit_bias {
        if *token as usize >= tokens {
            return invalid(format!(
                "the model has no token {token}; its ids end at {}",
                tokens.saturating_sub(1)
            ));
        }
        if !(-MAX_BIAS..=MAX_BIAS).contains(bias) {
            return invalid(format!("{bias} is not between -{MAX_BIAS} and {MAX_BIAS}"));
        }
    }
    Ok(())
}

/// The sampler of one answer.
pub(crate) struct Sampler {
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    repetition: f32,
    frequency: f32,
    presence: f32,
    /// What is added to logits of tokens.
    biases: Vec<(u32, f32)>,
    /// Occurrences of each token: in prompt or answer, and in the answer alone.
    seen: HashMap<u32, u32>,
    random: StdRng,
}

impl Sampler {
    /// A sampler for an answer to `prompt`. Without a seed the choice is random.
    pub(crate) fn new(s: &Sampling, prompt: &[u32]) -> Self {
        let repetition = s.repetition_penalty.unwrap_or(1.0);
        let seen = if repetition == 1.0 {
            HashMap::new()
        } else {
            prompt.iter().map(|t| (*t, 0)).collect()
        };
        Self {
            temperature: s.temperature.unwrap_or(1.0),
            top_k: s.top_k.map_or(0, |k| k as usize),
            top_p: s.top_p.unwrap_or(1.0),
            min_p: s.min_p.unwrap_or(0.0),
            repetition,
            frequency: s.frequency_penalty.unwrap_or(0.0),
            presence: s.presence_penalty.unwrap_or(0.0),
            biases: s.logit_bias.iter().map(|(t, b)| (*t, added(*b))).collect(),
            seen,
            random: s
                .seed
                .map_or_else(StdRng::from_os_rng, StdRng::seed_from_u64),
        }
    }

    /// Chooses a token, of those in `mask` if there is one. The logits are changed. Where there is no
    /// choice no random number is taken: answers are the same whether what a constraint forces is
    /// chosen here or not.
    pub(crate) fn sample(&mut self, logits: &mut [f32], mask: Option<&Mask>) -> u32 {
        let token = mask.and_then(Mask::only).unwrap_or_else(|| {
            self.penalize(logits);
            self.bias(logits);
            if let Some(mask) = mask {
                mask.apply(logits);
            }
            if self.temperature == 0.0 {
                argmax(logits)
            } else {
                self.draw(logits)
            }
        });
        self.note(token);
        token
    }

    /// Notes a token of the answer that was not chosen here.
    pub(crate) fn note(&mut self, token: u32) {
        *self.seen.entry(token).or_insert(0) += 1;
    }

    fn penalize(&self, logits: &mut [f32]) {
        if self.repetition == 1.0 && self.frequency == 0.0 && self.presence == 0.0 {
            return;
        }
        for (token, count) in &self.seen {
            let Some(logit) = logits.get_mut(*token as usize) else {
                continue;
            };
            *logit = if *logit > 0.0 {
                *logit / self.repetition
            } else {
                *logit * self.repetition
            };
            if *count > 0 {
                *logit -= self.frequency * *count as f32 + self.presence;
            }
        }
    }

    fn bias(&self, logits: &mut [f32]) {
        for (token, bias) in &self.biases {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += *bias;
            }
        }
    }

    fn draw(&mut self, logits: &[f32]) -> u32 {
        let best = argmax(logits);
        let max = logits[best as usize];
        if !max.is_finite() {
            return best;
        }
        // Weights relative to the best token's.
        let weight = |logit: f32| exp((logit - max) / self.temperature);
        let mut candidates: Vec<(u32, f32)> = logits
            .iter()
            .enumerate()
            .map(|(id, logit)| (id as u32, weight(*logit)))
            .filter(|(_, w)| *w >= self.min_p && *w > 1e-30)
            .collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.top_k > 0 && self.top_k < candidates.len() {
            candidates.select_nth_unstable_by(self.top_k - 1, order);
            candidates.truncate(self.top_k);
        }
        if self.top_p < 1.0 {
            keep_nucleus(&mut candidates, self.top_p, order);
        }
        let total: f64 = candidates.iter().map(|(_, w)| f64::from(*w)).sum();
        let mut at = self.random.random::<f64>() * total;
        for (id, w) in &candidates {
            at -= f64::from(*w);
            if at < 0.0 {
                return *id;
            }
        }
        best
    }
}

/// What a bias adds to a logit.
fn added(bias: f32) -> f32 {
    match bias.abs() < MAX_BIAS {
        true => bias,
        false => DECISIVE.copysign(bias),
    }
}

/// Keeps the smallest set of best candidates whose weights reach `top_p` of the sum. Usually a few
/// hundred do, so they are sorted in growing batches.
fn keep_nucleus(
    candidates: &mut Vec<(u32, f32)>,
    top_p: f32,
    order: impl Fn(&(u32, f32), &(u32, f32)) -> std::cmp::Ordering + Copy,
) {
    let total: f64 = candidates.iter().map(|(_, w)| f64::from(*w)).sum();
    let wanted = total * f64::from(top_p);
    let (mut mass, mut sorted, mut batch) = (0.0, 0, 256);
    while sorted < candidates.len() {
        let rest = &mut candidates[sorted..];
        let len = batch.min(rest.len());
        if len < rest.len() {
            rest.select_nth_unstable_by(len - 1, order);
        }
        rest[..len].sort_unstable_by(order);
        for (i, (_, w)) in rest[..len].iter().enumerate() {
            mass += f64::from(*w);
            if mass >= wanted {
                candidates.truncate(sorted + i + 1);
                return;
            }
        }
        sorted += len;
        batch *= 8;
    }
}

/// The likeliest token; the first of equals.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// The logarithm of the softmax's denominator: subtract it from a logit for its log probability.
pub(crate) fn log_denominator(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(exp(l - max))).sum();
    max + sum.ln() as f32
}

/// The `n` likeliest tokens, best first.
pub(crate) fn best(logits: &[f32], n: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    let order = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    };
    let n = n.min(ids.len());
    if n == 0 {
        return Vec::new();
    }
    ids.select_nth_unstable_by(n - 1, order);
    ids.truncate(n);
    ids.sort_unstable_by(order);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(s: &Sampling, logits: &[f32], count: usize) -> Vec<usize> {
        let mut histogram = vec![0; logits.len()];
        for seed in 0..count as u64 {
            let mut sampler = Sampler::new(
                &Sampling {
                    seed: Some(seed),
                    ..s.clone()
                },
                &[],
            );
            histogram[sampler.sample(&mut logits.to_vec(), None) as usize] += 1;
        }
        histogram
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let logits: Vec<f32> = [0.5f32, 0.3, 0.2].iter().map(|p| p.ln()).collect();
        let histogram = draws(&Sampling::default(), &logits, 4000);
        for (count, p) in histogram.iter().zip([0.5, 0.3, 0.2]) {
            assert!((*count as f64 / 4000.0 - p).abs() < 0.03, "{histogram:?}");
        }
    }

    #[test]
    fn filters_keep_the_tokens_that_their_papers_say() {
        let logits: Vec<f32> = [0.4f32, 0.3, 0.2, 0.1].iter().map(|p| p.ln()).collect();
        let none = Sampling::default();
        for (name, sampling, kept) in [
            (
                "temperature 0",
                Sampling {
                    temperature: Some(0.0),
                    ..none.clone()
                },
                1,
            ),
            (
                "top_k",
                Sampling {
                    top_k: Some(2),
                    ..none.clone()
                },
                2,
            ),
            (
                "top_k 0 is off",
                Sampling {
                    top_k: Some(0),
                    ..none.clone()
                },
                4,
            ),
            (
                "top_p",
                Sampling {
                    top_p: Some(0.6),
                    ..none.clone()
                },
                2,
            ),
            (
                "top_p keeps at least one",
                Sampling {
                    top_p: Some(0.01),
                    ..none.clone()
                },
                1,
            ),
            (
                "min_p",
                Sampling {
                    min_p: Some(0.45),
                    ..none.clone()
                },
                3,
            ),
            ("all", none, 4),
        ] {
            let histogram = draws(&sampling, &logits, 500);
            let seen = histogram.iter().filter(|n| **n > 0).count();
            assert_eq!(seen, kept, "{name}: {histogram:?}");
        }
    }

    #[test]
    fn the_nucleus_of_a_flat_distribution_is_large() {
        let histogram = draws(
            &Sampling {
                top_p: Some(0.5),
                ..Sampling::default()
            },
            &vec![0.0; 2000],
            3000,
        );
        assert!(histogram[1000..].iter().all(|n| *n == 0));
        assert!(histogram[..1000].iter().filter(|n| **n > 0).count() > 800);
    }

    #[test]
    fn penalties_turn_the_choice_away_from_what_was_said() {
        for sampling in [
            Sampling {
                repetition_penalty: Some(2.0),
                ..Sampling::default()
            },
            Sampling {
                frequency_penalty: Some(1.5),
                ..Sampling::default()
            },
            Sampling {
                presence_penalty: Some(1.5),
                ..Sampling::default()
            },
        ] {
            let greedy = Sampling {
                temperature: Some(0.0),
                ..sampling
            };
            let mut sampler = Sampler::new(&greedy, &[]);
            assert_eq!(sampler.sample(&mut [2.0, 1.2], None), 0);
            assert_eq!(sampler.sample(&mut [2.0, 1.2], None), 1, "{greedy:?}");
        }
        let repetition = Sampling {
            repetition_penalty: Some(2.0),
            temperature: Some(0.0),
            ..Sampling::default()
        };
        assert_eq!(
            Sampler::new(&repetition, &[0]).sample(&mut [2.0, 1.2], None),
            1,
            "prompt counts"
        );
    }

    fn biased<const N: usize>(biases: [(u32, f32); N]) -> Sampling {
        Sampling {
            logit_bias: biases.into(),
            ..Sampling::default()
        }
    }

    #[test]
    fn biases_ban_force_and_shift_tokens_at_any_temperature() {
        let logits = [5.0f32, 0.0, 4.0, -30.0];
        for temperature in [0.0, 1.0, 100.0] {
            for (biases, seen) in [
                (&[(0, -100.0), (2, -100.0), (3, -100.0)][..], &[1][..]),
                (&[(3, 100.0)], &[3]),
                (&[(0, -100.0), (3, 100.0)], &[3]),
            ] {
                let sampling = Sampling {
                    temperature: Some(temperature),
                    logit_bias: biases.iter().copied().collect(),
                    ..Sampling::default()
                };
                let histogram = draws(&sampling, &logits, 300);
                let found = (0..logits.len()).filter(|token| histogram[*token] > 0);
                assert_eq!(found.collect::<Vec<_>>(), seen, "{biases:?}");
            }
        }
        // As likely as each other once the bias is added.
        let logits = [0.3f32.ln(), 0.1f32.ln()];
        let histogram = draws(&biased([(1, 3f32.ln())]), &logits, 4000);
        assert!((histogram[0] as f64 / 4000.0 - 0.5).abs() < 0.03);
    }

    #[test]
    fn a_bias_is_for_a_token_that_the_model_has() {
        let named = |sampling: &Sampling| match validate(sampling, None, 10) {
            Err(ModelError::InvalidRequest(message)) => message,
            other => panic!("{other:?}"),
        };
        assert!(validate(&biased([(9, -100.0), (0, 100.0)]), None, 10).is_ok());
        for sampling in [
            biased([(10, 1.0)]),
            biased([(1, 100.5)]),
            biased([(1, f32::NAN)]),
            Sampling {
                logit_bias: (0..=MAX_BIASED as u32).map(|token| (token, 1.0)).collect(),
                ..Sampling::default()
            },
        ] {
            let message = named(&sampling);
            assert!(message.starts_with("logit_bias: "), "{message}");
        }
    }

    #[test]
    fn invalid_parameters_are_named() {
        let none = Sampling::default();
        for (field, sampling) in [
            (
                "temperature",
                Sampling {
                    temperature: Some(-1.0),
                    ..none.clone()
                },
            ),
            (
                "temperature",
                Sampling {
                    temperature: Some(f32::NAN),
                    ..none.clone()
                },
            ),
            (
                "top_p",
                Sampling {
                    top_p: Some(0.0),
                    ..none.clone()
                },
            ),
            (
                "min_p",
                Sampling {
                    min_p: Some(1.5),
                    ..none.clone()
                },
            ),
            (
                "repetition_penalty",
                Sampling {
                    repetition_penalty: Some(0.0),
                    ..none.clone()
                },
            ),
            (
                "frequency_penalty",
                Sampling {
                    frequency_penalty: Some(3.0),
                    ..none.clone()
                },
            ),
            (
                "presence_penalty",
                Sampling {
                    presence_penalty: Some(-3.0),
                    ..none.clone()
                },
            ),
            (
                "max_tokens",
                Sampling {
                    max_tokens: Some(0),
                    ..none.clone()
                },
            ),
            (
                "stop",
                Sampling {
                    stop: vec![String::new()],
                    ..none.clone()
                },
            ),
        ] {
            match validate(&sampling, None, 10) {
                Err(ModelError::InvalidRequest(message)) => {
                    assert!(message.starts_with(field), "{message}");
                }
                other => panic!("{field}: {other:?}"),
            }
        }
        assert!(validate(&none, Some(21), 10).is_err());
        assert!(validate(&none, Some(20), 10).is_ok());
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let logits = [1.0, 2.0, -3.0, 0.5];
        let z = log_denominator(&logits);
        let sum: f32 = logits.iter().map(|l| (l - z).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert_eq!(best(&logits, 2), [1, 0]);
        assert_eq!(best(&logits, 9).len(), 4);
    }
}
