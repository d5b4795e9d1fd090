//! Which tokens may come next in a transcript (`whisper/decoding.py` of <https://github.com/openai/whisper>): times in
//! pairs that do not run backwards, one of them first; a time where times together are likelier than any word; no
//! marks, and no sounds that are no speech.

use super::linear::{Isa, Kernel, exp, simd};
use super::tokens::Tokens;

/// The logit of a token that cannot come.
const NEVER: f32 = f32::NEG_INFINITY;

/// What holds for a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether times are written.
    pub(super) times: bool,
    /// The latest that the first text may begin, in steps of 20 ms.
    pub(super) latest: usize,
}

impl Rules {
    /// Rules out what cannot follow the tokens that were chosen so far. At least one token is left, whatever the
    /// logits.
    pub(super) fn apply(&self, tokens: &Tokens, chosen: &[u32], logits: &mut [f32]) {
        for id in &tokens.suppressed {
            never(logits, *id);
        }
        if chosen.is_empty() {
            for id in &tokens.suppressed_first {
                never(logits, *id);
            }
        }
        never(logits, tokens.no_times);
        let first_time = index(tokens.first_time).min(logits.len());
        let (words, times) = logits.split_at_mut(first_time);
        if !self.times {
            times.fill(NEVER);
            return;
        }
        let Some(last) = chosen.last() else {
            words.fill(NEVER);
            let late = (self.latest + 1).min(times.len());
            times[late..].fill(NEVER);
            return;
        };
        let last_time = chosen.iter().rev().find_map(|id| tokens.time(*id));
        let earlier = last_time.unwrap_or(0).min(times.len());
        if tokens.is_time(*last) {
            let before = chosen.len().checked_sub(2).and_then(|i| chosen.get(i));
            if before.is_none_or(|id| tokens.is_time(*id)) {
                // A pair, or the first: text follows.
                times.fill(NEVER);
                return;
            }
            // The end of a piece: the next begins, or all ends.
            let end = index(tokens.end).min(words.len());
            words[..end].fill(NEVER);
            times[..earlier].fill(NEVER);
        } else {
            // A piece has a length.
            let after = last_time.map_or(0, |time| (time + 1).min(times.len()));
            times[..after].fill(NEVER);
        }
        let likeliest = words.iter().fold(NEVER, |max, x| max.max(*x));
        if log_sum(times) > likeliest {
            words.fill(NEVER);
        }
    }
}

fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

fn never(logits: &mut [f32], id: u32) {
    if let Some(logit) = logits.get_mut(index(id)) {
        *logit = NEVER;
    }
}

/// `ln` of the sum of all `e^x`; minus infinity where all are.
pub(super) fn log_sum(x: &[f32]) -> f32 {
    simd::run(LogSum(x))
}

struct LogSum<'a>(&'a [f32]);

/// Numbers that are summed beside each other.
const LANES: usize = 32;

impl Kernel for LogSum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> f32 {
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        let mut most = [NEVER; LANES];
        for chunk in chunks {
            for (most, x) in most.iter_mut().zip(chunk) {
                *most = if *x > *most { *x } else { *most };
            }
        }
        let most = most.iter().chain(rest).fold(NEVER, |max, x| max.max(*x));
        if most == NEVER {
            return NEVER;
        }
        let mut sums = [0.0f32; LANES];
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += exp(*x - most);
            }
        }
        let sum: f32 = sums.iter().sum::<f32>() + rest.iter().map(|x| exp(x - most)).sum::<f32>();
        most + sum.ln()
    }
}

/// The `count` largest numbers that can come and their places, the largest first; of equal ones the earlier.
pub(super) fn largest(x: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(count + 1);
    let mut least = NEVER;
    for (part, numbers) in x.chunks(LANES).enumerate() {
        // Few parts hold a number that counts.
        if !numbers.iter().fold(false, |any, x| any | (*x > least)) {
            continue;
        }
        for (i, x) in numbers.iter().enumerate() {
            if *x > least {
                let at = best.partition_point(|(_, other)| other >= x);
                best.insert(at, (part * LANES + i, *x));
                if best.len() > count {
                    best.pop();
                }
                if best.len() == count {
                    least = best.last().map_or(NEVER, |(_, x)| *x);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_orders_are_those_of_plain_code() {
        for len in [1, 31, 32, 33, 1_000] {
            let x: Vec<f32> = (0..len)
                .map(|i| ((i * 7919) % 613) as f32 / 60.0 - 5.0)
                .collect();
            let exact: f64 = x.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
            assert!((f64::from(log_sum(&x)) - exact).abs() < 1e-5, "{len}");
            let mut order: Vec<usize> = (0..len).collect();
            order.sort_by(|a, b| x[*b].total_cmp(&x[*a]));
            let found: Vec<usize> = largest(&x, 7).into_iter().map(|(i, _)| i).collect();
            assert_eq!(found, order[..7.min(len)], "{len}");
        }
        assert_eq!(log_sum(&[NEVER; 40]), NEVER);
        assert_eq!(log_sum(&[]), NEVER);
        assert_eq!(largest(&[NEVER, 1.0, NEVER], 3), [(1, 1.0)]);
    }
}
