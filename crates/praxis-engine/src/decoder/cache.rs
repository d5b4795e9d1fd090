//! Keys and values of one sequence, in half precision as llama.cpp keeps them. Memory grows with
//! the sequence, not with the context window.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Tokens by which the buffers grow.
const GROWTH: usize = 256;

/// One head's keys and values: rows of `head_dim` values, one a token.
#[derive(Clone, Default)]
pub(crate) struct HeadCache {
    /// Keys, rotated to their positions.
    pub(crate) keys: Vec<f16>,
    /// Values.
    pub(crate) values: Vec<f16>,
}

/// The keys and values of a sequence, for all layers and key-value heads.
#[derive(Clone)]
pub(crate) struct KvCache {
    heads: Vec<HeadCache>,
    kv_heads: usize,
    head_dim: usize,
}

impl KvCache {
    /// An empty cache.
    pub(crate) fn new(layers: usize, kv_heads: usize, head_dim: usize) -> Self {
        Self {
            heads: vec![HeadCache::default(); layers * kv_heads],
            kv_heads,
            head_dim,
        }
    }

    /// The heads of one layer.
    pub(crate) fn layer(&self, layer: usize) -> &[HeadCache] {
        &self.heads[layer * self.kv_heads..(layer + 1) * self.kv_heads]
    }

    /// Appends keys and values (`tokens` rows of all heads) of one layer.
    pub(crate) fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let (d, row) = (self.head_dim, self.head_dim * self.kv_heads);
        let heads = &mut self.heads[layer * self.kv_heads..(layer + 1) * self.kv_heads];
        for (h, head) in heads.iter_mut().enumerate() {
            for (to, from) in [(&mut head.keys, keys), (&mut head.values, values)] {
                let old = to.len();
                let new = old + from.len() / row * d;
                if to.capacity() < new {
                    to.reserve_exact(new - old + GROWTH * d);
                }
                to.resize(new, f16::ZERO);
                for (to, from) in to[old..].chunks_exact_mut(d).zip(from.chunks_exact(row)) {
                    to.convert_from_f32_slice(&from[h * d..(h + 1) * d]);
                }
            }
        }
    }

    /// Forgets all after the first `tokens`.
    pub(crate) fn truncate(&mut self, tokens: usize) {
        for head in &mut self.heads {
            head.keys.truncate(tokens * self.head_dim);
            head.values.truncate(tokens * self.head_dim);
        }
    }

    /// A copy of the first `tokens`.
    pub(crate) fn prefix(&self, tokens: usize) -> Self {
        let end = tokens * self.head_dim;
        let heads = self
            .heads
            .iter()
            .map(|h| HeadCache {
                keys: h.keys[..end].to_vec(),
                values: h.values[..end].to_vec(),
            })
            .collect();
        Self { heads, ..*self }
    }
}
