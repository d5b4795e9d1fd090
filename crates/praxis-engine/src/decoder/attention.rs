//! Causal attention with grouped queries over the cache of one layer: blocks of keys are widened
//! to `f32` once for all queries that share them, with the running softmax of Milakov and
//! Gimelshein (2018). Blocks lie at fixed positions of the sequence, so a query's result does not
//! depend on which other queries were computed with it.

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::cache::HeadCache;
use super::math::{add_scaled, dot, exp};
use super::shared::Disjoint;

/// Keys that are widened at a time.
const KEY_BLOCK: usize = 64;
/// Queries (per head) that share a widened block.
const QUERY_BLOCK: usize = 16;

/// The shape of a layer's heads.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    /// Query heads.
    pub(crate) queries: usize,
    /// Key-value heads.
    pub(crate) keys: usize,
    /// Values in a head.
    pub(crate) dim: usize,
}

/// Attends from `queries` (rows of all query heads, already rotated), the first of which stands
/// at `position`, to all cached keys up to each query's own position.
pub(crate) fn attend(
    queries: &[f32],
    position: usize,
    cache: &[HeadCache],
    heads: Heads,
    out: &mut [f32],
) {
    let row = heads.queries * heads.dim;
    let count = queries.len() / row;
    let blocks = count.div_ceil(QUERY_BLOCK);
    let out = Disjoint::new(out);
    (0..heads.keys * blocks).into_par_iter().for_each(|task| {
        // Late queries see the most keys: they go first.
        let (head, block) = (task % heads.keys, blocks - 1 - task / heads.keys);
        let first = block * QUERY_BLOCK;
        let last = count.min(first + QUERY_BLOCK);
        let task = Task {
            queries,
            position,
            first,
            last,
            head,
            heads,
        };
        task.run(&cache[head], &out);
    });
}

/// The queries `first..last` of all query heads that share one key-value head.
struct Task<'a> {
    queries: &'a [f32],
    position: usize,
    first: usize,
    last: usize,
    head: usize,
    heads: Heads,
}

impl Task<'_> {
    fn run(&self, cache: &HeadCache, out: &Disjoint<'_>) {
        let d = self.heads.dim;
        let group = self.heads.queries / self.heads.keys;
        let row = self.heads.queries * d;
        let rows = (self.last - self.first) * group;
        let scale = 1.0 / (d as f32).sqrt();
        let visible = self.position + self.last;
        let mut keys = vec![0.0f32; KEY_BLOCK * d];
        let mut values = vec![0.0f32; KEY_BLOCK * d];
        let mut sums = vec![0.0f32; rows * d];
        let mut maxima = vec![f32::NEG_INFINITY; rows];
        let mut totals = vec![0.0f32; rows];
        let mut scores = [0.0f32; KEY_BLOCK];
        for start in (0..visible).step_by(KEY_BLOCK) {
            let end = visible.min(start + KEY_BLOCK);
            let width = (end - start) * d;
            cache.keys[start * d..end * d].convert_to_f32_slice(&mut keys[..width]);
            cache.values[start * d..end * d].convert_to_f32_slice(&mut values[..width]);
            for r in 0..rows {
                let (query, in_group) = (self.first + r / group, r % group);
                let seen = (self.position + query + 1).min(end).saturating_sub(start);
                if seen == 0 {
                    continue;
                }
                let at = query * row + (self.head * group + in_group) * d;
                let q = &self.queries[at..at + d];
                let scores = &mut scores[..seen];
                let mut max = maxima[r];
                for (score, key) in scores.iter_mut().zip(keys.chunks_exact(d)) {
                    *score = dot(q, key) * scale;
                    max = max.max(*score);
                }
                let sum = &mut sums[r * d..(r + 1) * d];
                if max > maxima[r] {
                    let shrink = if maxima[r] == f32::NEG_INFINITY {
                        0.0
                    } else {
                        exp(maxima[r] - max)
                    };
                    totals[r] *= shrink;
                    sum.iter_mut().for_each(|x| *x *= shrink);
                    maxima[r] = max;
                }
                for (score, value) in scores.iter().zip(values.chunks_exact(d)) {
                    let weight = exp(*score - max);
                    totals[r] += weight;
                    add_scaled(sum, weight, value);
                }
            }
        }
        for r in 0..rows {
            let (query, in_group) = (self.first + r / group, r % group);
            let inverse = 1.0 / totals[r];
            let sum = &mut sums[r * d..(r + 1) * d];
            sum.iter_mut().for_each(|x| *x *= inverse);
            // SAFETY: each (query, head) belongs to one task.
            unsafe { out.write(query * row + (self.head * group + in_group) * d, sum) };
        }
    }
}
