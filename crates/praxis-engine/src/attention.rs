//! Attention over a growing cache, and the row operations around it, on plain slices.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::error::EngineError;

/// Heads of one attention layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; each serves `query / kv` query heads (grouped-query attention, Ainslie
    /// et al. 2023).
    pub kv: usize,
    /// Width of one head.
    pub width: usize,
}

/// Keys and values of one layer, one growing `[position, width]` block for each kv head.
#[derive(Debug, Default, Clone)]
pub(crate) struct LayerCache {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl LayerCache {
    pub fn new(heads: Heads) -> Self {
        Self { keys: vec![Vec::new(); heads.kv], values: vec![Vec::new(); heads.kv] }
    }

    /// Forgets all positions from `length` on.
    pub fn truncate(&mut self, length: usize, heads: Heads) {
        for block in self.keys.iter_mut().chain(&mut self.values) {
            block.truncate(length * heads.width);
        }
    }

    /// Appends the keys and values of new positions, `[position, kv * width]` each.
    pub fn append(&mut self, keys: &[f32], values: &[f32], heads: Heads) {
        for (source, blocks) in [(keys, &mut self.keys), (values, &mut self.values)] {
            for (head, block) in blocks.iter_mut().enumerate() {
                for row in source.chunks_exact(heads.kv * heads.width) {
                    block.extend_from_slice(&row[head * heads.width..(head + 1) * heads.width]);
                }
            }
        }
    }
}

/// Causal attention of `queries` (`[new, query * width]`), whose last row is the cache's last
/// position. Returns `[new, query * width]`.
pub(crate) fn causal(
    queries: &[f32],
    cache: &LayerCache,
    heads: Heads,
) -> Result<Vec<f32>, EngineError> {
    let row = heads.query * heads.width;
    let new = queries.len() / row;
    if new == 1 { Ok(one(queries, cache, heads)) } else { many(queries, new, cache, heads) }
}

/// Decode: one query a head, dot products over the cache, parallel over heads.
fn one(queries: &[f32], cache: &LayerCache, heads: Heads) -> Vec<f32> {
    let group = heads.query / heads.kv;
    let scale = 1.0 / (heads.width as f32).sqrt();
    let mut out = vec![0.0; queries.len()];
    out.par_chunks_mut(heads.width).enumerate().for_each(|(head, out)| {
        let query = &queries[head * heads.width..(head + 1) * heads.width];
        let (keys, values) = (&cache.keys[head / group], &cache.values[head / group]);
        let mut scores: Vec<f32> =
            keys.chunks_exact(heads.width).map(|key| dot(query, key) * scale).collect();
        softmax(&mut scores);
        for (weight, value) in scores.iter().zip(values.chunks_exact(heads.width)) {
            for (o, v) in out.iter_mut().zip(value) {
                *o += weight * v;
            }
        }
    });
    out
}

/// Prefill: all queries of a group against their kv head as two matrix products.
fn many(
    queries: &[f32],
    new: usize,
    cache: &LayerCache,
    heads: Heads,
) -> Result<Vec<f32>, EngineError> {
    let (group, width) = (heads.query / heads.kv, heads.width);
    let row = heads.query * width;
    let scale = 1.0 / (width as f32).sqrt();
    let mut out = vec![0.0; queries.len()];
    for kv in 0..heads.kv {
        let total = cache.keys[kv].len() / width;
        let past = total - new;
        let mut gathered = vec![0.0; group * new * width];
        for (g, block) in gathered.chunks_exact_mut(new * width).enumerate() {
            let at = (kv * group + g) * width;
            for (target, source) in block.chunks_exact_mut(width).zip(queries.chunks_exact(row)) {
                for (t, s) in target.iter_mut().zip(&source[at..at + width]) {
                    *t = s * scale;
                }
            }
        }
        let query = Tensor::from_vec(gathered, (group * new, width), &Device::Cpu)?;
        let keys = Tensor::from_slice(&cache.keys[kv], (total, width), &Device::Cpu)?;
        let values = Tensor::from_slice(&cache.values[kv], (total, width), &Device::Cpu)?;
        let mut scores = query.matmul(&keys.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        scores.par_chunks_mut(total).enumerate().for_each(|(i, scores)| {
            let visible = past + i % new + 1;
            softmax(&mut scores[..visible]);
            scores[visible..].fill(0.0);
        });
        let weights = Tensor::from_vec(scores, (group * new, total), &Device::Cpu)?;
        let mixed = weights.matmul(&values)?.flatten_all()?.to_vec1::<f32>()?;
        for (g, block) in mixed.chunks_exact(new * width).enumerate() {
            let at = (kv * group + g) * width;
            for (source, target) in block.chunks_exact(width).zip(out.chunks_exact_mut(row)) {
                target[at..at + width].copy_from_slice(source);
            }
        }
    }
    Ok(out)
}

/// A dot product in eight lanes, which the compiler keeps in one vector register.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane = x.mul_add(*y, *lane);
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// Softmax in place.
pub(crate) fn softmax(values: &mut [f32]) {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = (*value - max).exp();
        sum += *value;
    }
    let scale = 1.0 / sum;
    for value in values.iter_mut() {
        *value *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain f64 attention, straight from the definition.
    fn reference(queries: &[f32], keys: &[f32], values: &[f32], new: usize, heads: Heads) -> Vec<f32> {
        let (group, w) = (heads.query / heads.kv, heads.width);
        let total = keys.len() / (heads.kv * w);
        let mut out = Vec::new();
        for i in 0..new {
            for head in 0..heads.query {
                let kv = head / group;
                let visible = total - new + i + 1;
                let scores: Vec<f64> = (0..visible)
                    .map(|j| {
                        (0..w)
                            .map(|x| {
                                f64::from(queries[(i * heads.query + head) * w + x])
                                    * f64::from(keys[(j * heads.kv + kv) * w + x])
                            })
                            .sum::<f64>()
                            / (w as f64).sqrt()
                    })
                    .collect();
                let max = scores.iter().copied().fold(f64::MIN, f64::max);
                let exp: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                let sum: f64 = exp.iter().sum();
                for x in 0..w {
                    let mixed: f64 = exp
                        .iter()
                        .enumerate()
                        .map(|(j, e)| e / sum * f64::from(values[(j * heads.kv + kv) * w + x]))
                        .sum();
                    out.push(mixed as f32);
                }
            }
        }
        out
    }

    #[test]
    fn attention_equals_its_definition_on_odd_shapes() {
        let mut seed = 1u32;
        let mut noise = |n: usize| -> Vec<f32> {
            (0..n)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
                })
                .collect()
        };
        for (query, kv, width, past, new) in
            [(1, 1, 4, 0, 1), (6, 2, 12, 7, 1), (9, 3, 20, 0, 5), (4, 4, 9, 3, 2), (6, 1, 16, 30, 17)]
        {
            let heads = Heads { query, kv, width };
            let keys = noise((past + new) * kv * width);
            let values = noise((past + new) * kv * width);
            let queries = noise(new * query * width);
            let mut cache = LayerCache::new(heads);
            cache.append(&keys, &values, heads);
            // What a longer, abandoned answer left behind must not be seen.
            cache.append(&noise(kv * width), &noise(kv * width), heads);
            cache.truncate(past + new, heads);
            let got = causal(&queries, &cache, heads).unwrap();
            let want = reference(&queries, &keys, &values, new, heads);
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 1e-4, "{heads:?}: {g} for {w}");
            }
        }
    }
}
