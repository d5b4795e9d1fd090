//! From logits to a token: penalties, temperature, top-k, min-p, top-p, then a seeded draw.

use std::collections::HashMap;

use praxis_core::{ModelError, Sampling};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Chooses tokens for one answer.
pub(crate) struct Sampler {
    sampling: Sampling,
    rng: StdRng,
    counts: HashMap<u32, u32>,
}

impl Sampler {
    /// A sampler for one answer; `prompt` counts as seen for the repetition penalty.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] naming the field that is out of range.
    pub fn new(sampling: &Sampling, prompt: &[u32]) -> Result<Self, ModelError> {
        validate(sampling)?;
        let seed = sampling.seed.unwrap_or_else(|| rand::rng().random());
        let mut counts = HashMap::new();
        if sampling.repetition_penalty.is_some_and(|p| p != 1.0) {
            counts.extend(prompt.iter().map(|t| (*t, 0)));
        }
        Ok(Self { sampling: sampling.clone(), rng: StdRng::seed_from_u64(seed), counts })
    }

    /// The next token for these logits, which it may overwrite.
    pub fn next(&mut self, logits: &mut [f32]) -> u32 {
        self.penalize(logits);
        let temperature = self.sampling.temperature.unwrap_or(1.0);
        let token = if temperature == 0.0 {
            argmax(logits)
        } else {
            self.draw(logits, temperature)
        };
        *self.counts.entry(token).or_insert(0) += 1;
        token
    }

    fn penalize(&self, logits: &mut [f32]) {
        let repetition = self.sampling.repetition_penalty.unwrap_or(1.0);
        let frequency = self.sampling.frequency_penalty.unwrap_or(0.0);
        let presence = self.sampling.presence_penalty.unwrap_or(0.0);
        if repetition == 1.0 && frequency == 0.0 && presence == 0.0 {
            return;
        }
        for (&token, &count) in &self.counts {
            let Some(logit) = logits.get_mut(token as usize) else { continue };
            *logit = if *logit > 0.0 { *logit / repetition } else { *logit * repetition };
            if count > 0 {
                *logit -= frequency * count as f32 + presence;
            }
        }
    }

    fn draw(&mut self, logits: &[f32], temperature: f32) -> u32 {
        let mut candidates: Vec<(u32, f32)> = top(logits, self.sampling.top_k.unwrap_or(0) as usize);
        let best = candidates.first().map_or(0.0, |c| c.1);
        for (_, value) in &mut candidates {
            *value = ((*value - best) / temperature).exp();
        }
        if let Some(min_p) = self.sampling.min_p {
            candidates.retain(|(_, p)| *p >= min_p);
        }
        if let Some(top_p) = self.sampling.top_p {
            let goal = top_p * candidates.iter().map(|c| c.1).sum::<f32>();
            let mut mass = 0.0;
            let keep = candidates
                .iter()
                .position(|(_, p)| {
                    mass += p;
                    mass >= goal
                })
                .map_or(candidates.len(), |i| i + 1);
            candidates.truncate(keep);
        }
        let total: f32 = candidates.iter().map(|c| c.1).sum();
        let mut at = self.rng.random::<f32>() * total;
        for (token, p) in &candidates {
            at -= p;
            if at <= 0.0 {
                return *token;
            }
        }
        candidates.last().map_or(0, |c| c.0)
    }
}

fn validate(sampling: &Sampling) -> Result<(), ModelError> {
    let check = |name: &str, value: Option<f32>, low: f32, high: f32| match value {
        Some(v) if !(low..=high).contains(&v) => Err(ModelError::InvalidRequest(format!(
            "`{name}` is {v}; it must be between {low} and {high}"
        ))),
        _ => Ok(()),
    };
    check("temperature", sampling.temperature, 0.0, 2.0)?;
    check("top_p", sampling.top_p, 0.0, 1.0)?;
    check("min_p", sampling.min_p, 0.0, 1.0)?;
    check("repetition_penalty", sampling.repetition_penalty, 0.01, 10.0)?;
    check("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0)?;
    check("presence_penalty", sampling.presence_penalty, -2.0, 2.0)?;
    if sampling.max_tokens == Some(0) {
        return Err(ModelError::InvalidRequest("`max_tokens` is 0; it must be at least 1".into()));
    }
    if sampling.stop.iter().any(String::is_empty) {
        return Err(ModelError::InvalidRequest("`stop` holds an empty string".into()));
    }
    Ok(())
}

/// The index of the largest value; the first of equals.
pub(crate) fn argmax(values: &[f32]) -> u32 {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best as u32
}

/// The `k` largest values with their indices, best first; all of them for `k = 0`.
pub(crate) fn top(values: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = values.iter().enumerate().map(|(i, v)| (i as u32, *v)).collect();
    let k = if k == 0 { all.len() } else { k.min(all.len()) };
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < all.len() && k > 0 {
        all.select_nth_unstable_by(k - 1, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

/// ln of the sum of exponentials: a logit minus it is a log-probability.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + logits.iter().map(|l| (l - max).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(sampling: Sampling, logits: &[f32], n: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(&sampling, &[]).unwrap();
        (0..n).map(|_| sampler.next(&mut logits.to_vec())).collect()
    }

    #[test]
    fn filters_keep_only_what_they_promise() {
        let logits = [2.0, 1.0, 0.5, -3.0];
        let base = Sampling { seed: Some(7), ..Sampling::default() };
        for (sampling, allowed) in [
            (Sampling { temperature: Some(0.0), ..base.clone() }, &[0][..]),
            (Sampling { top_k: Some(2), ..base.clone() }, &[0, 1]),
            (Sampling { top_p: Some(0.5), ..base.clone() }, &[0]),
            (Sampling { min_p: Some(0.2), ..base.clone() }, &[0, 1, 2]),
            (Sampling { temperature: Some(0.05), ..base.clone() }, &[0]),
        ] {
            let seen = pick(sampling.clone(), &logits, 300);
            assert!(seen.iter().all(|t| allowed.contains(t)), "{sampling:?}: {seen:?}");
            assert!(allowed.iter().all(|t| seen.contains(t)), "{sampling:?}: {seen:?}");
        }
    }

    #[test]
    fn draws_follow_the_softmax() {
        let sampling = Sampling { seed: Some(1), ..Sampling::default() };
        let seen = pick(sampling, &[1.0f32.ln(), 3.0f32.ln()], 8000);
        let share = seen.iter().filter(|t| **t == 1).count() as f32 / 8000.0;
        assert!((share - 0.75).abs() < 0.02, "{share}");
    }

    #[test]
    fn equal_seeds_draw_equally() {
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let with = |seed| pick(Sampling { seed: Some(seed), ..Sampling::default() }, &logits, 40);
        assert_eq!(with(3), with(3));
        assert_ne!(with(3), with(4));
    }

    #[test]
    fn penalties_push_seen_tokens_down() {
        for sampling in [
            Sampling { frequency_penalty: Some(2.0), ..Sampling::default() },
            Sampling { presence_penalty: Some(2.0), ..Sampling::default() },
            Sampling { repetition_penalty: Some(4.0), ..Sampling::default() },
        ] {
            let sampling = Sampling { temperature: Some(0.0), ..sampling };
            assert_eq!(pick(sampling, &[1.5, 1.0], 2), [0, 1]);
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (sampling, name) in [
            (Sampling { temperature: Some(-1.0), ..Sampling::default() }, "temperature"),
            (Sampling { top_p: Some(1.5), ..Sampling::default() }, "top_p"),
            (Sampling { min_p: Some(f32::NAN), ..Sampling::default() }, "min_p"),
            (Sampling { presence_penalty: Some(3.0), ..Sampling::default() }, "presence_penalty"),
            (Sampling { max_tokens: Some(0), ..Sampling::default() }, "max_tokens"),
            (Sampling { stop: vec![String::new()], ..Sampling::default() }, "stop"),
        ] {
            let error = Sampler::new(&sampling, &[]).err().expect("refused").to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
